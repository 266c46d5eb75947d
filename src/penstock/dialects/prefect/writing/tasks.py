"""Tasks with their options, as Prefect's decorator has them."""

from __future__ import annotations

from penstock.dialects.code.formatting import Imports, length, literal, number, quoted
from penstock.model.graph import Node
from penstock.model.policy import Policy


def task_options(policy: Policy, base: Policy, imports: Imports) -> dict[str, str]:
    """The options that make one policy of another."""
    found: dict[str, str] = {}
    retries, usual = policy.retries, base.retries
    if retries.count != usual.count:
        found["retries"] = repr(retries.count)
    if (retries.delays, retries.factor, retries.cap) != (usual.delays, usual.factor, usual.cap):
        delays = [retries.delay(repeat) for repeat in range(1, max(retries.count, 1) + 1)]
        same = len(set(delays)) == 1
        found["retry_delay_seconds"] = number(delays[0]) if same else f"[{', '.join(map(number, delays))}]"
    if retries.jitter != usual.jitter:
        found["retry_jitter_factor"] = number(retries.jitter)
    if policy.timeouts.attempt != base.timeouts.attempt:
        attempt = policy.timeouts.attempt
        found["timeout_seconds"] = "None" if attempt is None else number(attempt)
    if policy.tags != base.tags:
        found["tags"] = literal(list(policy.tags), imports)
    found |= _caching(policy, base, imports)
    return found


def _caching(policy: Policy, base: Policy, imports: Imports) -> dict[str, str]:
    caching, usual = policy.caching, base.caching
    if (caching.lifetime, caching.ignored) == (usual.lifetime, usual.ignored):
        return {}
    text = (
        f"{imports.name('prefect.cache_policies', 'TASK_SOURCE')} + {imports.name('prefect.cache_policies', 'INPUTS')}"
    )
    text += "".join(f" - {quoted(name)}" for name in caching.ignored)
    found = {"cache_policy": text}
    if caching.lifetime is not None:
        found["cache_expiration"] = length(caching.lifetime, imports)
    return found


def changes(node: Node) -> list[str]:
    """What a node says that Prefect does not, or otherwise."""
    found = _policy_changes(node.policy)
    if node.each is not None and node.each.max_parallel is not None:
        found.append("any number of items runs at once, up to the size of the task runner")
    if not node.decides and not node.final:
        found.append("its failure fails the flow")
    if node.wait is not None and node.wait.on_timeout == "skip":
        found.append("it fails where the wait is over in vain")
    return found


def _policy_changes(policy: Policy) -> list[str]:
    found: list[str] = []
    if policy.retries.on or policy.retries.never:
        found.append("it is retried after any exception")
    if policy.retries.jitter:
        found.append("delays are only ever made longer by chance")
    for name, value in (("total", policy.timeouts.total), ("queue", policy.timeouts.queue)):
        if value is not None:
            found.append(f"there is no {name} timeout")
    resources = policy.resources
    if resources.cpu != 1 or resources.memory or resources.gpu:
        found.append("its cores, memory and devices are those of the worker")
    if resources.pools or policy.concurrency is not None:
        found.append("limits of concurrency are made in Prefect, by its tags or `prefect gcl create`")
    if policy.secrets:
        found.append("its secrets have to be in the environment of the worker")
    if policy.priority:
        found.append("there is no priority")
    if policy.caching.version or policy.caching.reads or policy.caching.keyed:
        found.append("what makes its cached results others is not carried over")
    return found


def equivalents(node: Node) -> list[str]:
    """What a node says that Prefect says in other words."""
    found: list[str] = []
    if node.guard is not None:
        found.append("runs in an `if`, for which the flow waits for what the condition reads")
    if node.wait is not None:
        found.append("asks again and again in a task, which holds its worker")
    if node.each is not None and node.each.key is not None:
        found.append("items go by number")
    if node.fallback is not None:
        found.append("the flow waits for it, and calls what takes its place")
    return found


__all__ = ["changes", "equivalents", "task_options"]
