"""How tasks are run, as Kubeflow says it."""

from __future__ import annotations

import math

from penstock.dialects.kfp.structures import Resources, Retry, TaskSettings
from penstock.dialects.portable.backoff import backoff_of
from penstock.model.graph import Node
from penstock.model.policy import Policy


def settings_of(node: Node) -> TaskSettings:
    """The settings of a node's task."""
    policy = node.policy
    return TaskSettings(
        caching=None if policy.cache else False,
        retry=_retry(policy),
        resources=_resources(policy),
        platforms=_platforms(policy),
    )


def _platforms(policy: Policy) -> dict[str, dict[str, int]]:
    """What is said to Kubernetes alone: how long an attempt may take."""
    limit = policy.timeouts.attempt
    return {} if limit is None else {"kubernetes": {"activeDeadlineSeconds": math.ceil(limit)}}


def _retry(policy: Policy) -> Retry | None:
    retries = policy.retries
    if not retries.count:
        return None
    waits = backoff_of(retries)
    longest = 3600.0 if waits.longest is None else min(waits.longest, 3600.0)
    return Retry(retries.count, float(math.ceil(waits.first)), waits.factor, longest)


def _resources(policy: Policy) -> Resources:
    given = policy.resources
    return Resources(
        cpu_request="" if given.cpu == 1.0 else f"{given.cpu:g}",
        memory_limit=_bytes(given.memory) if given.memory else "",
        accelerator="nvidia.com/gpu" if given.gpu else "",
        accelerators=str(given.gpu) if given.gpu else "",
    )


def _bytes(count: int) -> str:
    for unit, size in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if count % size == 0:
            return f"{count // size}{unit}"
    return str(count)


def changes(node: Node) -> list[str]:
    """What of a node Kubeflow does not do in the same way."""
    policy = node.policy
    retries, timeouts, caching = policy.retries, policy.timeouts, policy.caching
    waits = backoff_of(retries) if retries.count else None
    told = {
        "every failure is repeated, whatever the exception": retries.count and (retries.on or retries.never),
        "the waits between attempts follow the first": waits is not None and not waits.exact,
        "the waits between attempts are rounded up to whole seconds": waits is not None and waits.first % 1,
        "the waits between attempts are not changed by chance": waits is not None and retries.jitter and waits.first,
        "there is no limit of time for all attempts": timeouts.total is not None,
        "there is no limit for the time in the queue": timeouts.queue is not None,
        "the time limit is rounded up to whole seconds": timeouts.attempt is not None and timeouts.attempt % 1,
        "nobody is told of a missed deadline": policy.deadline is not None,
        "the priority is left out": policy.priority,
        "how many run at once is not limited": policy.resources.pools or policy.concurrency is not None,
        "secrets have to be given by the cluster, as environment variables": policy.secrets,
        "a cached result is used whenever code and inputs are the same": caching.lifetime is not None
        or caching.version
        or caching.reads,
        "it holds its container while it waits": node.wait is not None,
        "items are called by number": node.each is not None and node.each.key is not None,
        "its failure is a failure of the pipeline": not node.decides,
        "all turns run in one task": node.loop is not None,
        "it also runs after what was skipped": node.join == "all_done",
    }
    return [what for what, holds in told.items() if holds]


__all__ = ["changes", "settings_of"]
