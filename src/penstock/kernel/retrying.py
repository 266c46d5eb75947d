"""Whether a failed attempt is repeated, and when."""

from __future__ import annotations

from typing import NamedTuple

from penstock.kernel.state import NodeProgress
from penstock.model.event import Fault
from penstock.model.policy import Retries


class Repeat(NamedTuple):
    """An attempt is to be made again after `delay` seconds, give or take the share `jitter` of that."""

    delay: float
    jitter: float = 0.0


def repeat_of(progress: NodeProgress, item: int, attempt: int, fault: Fault) -> Repeat | None:
    """What follows from a failed attempt; None if it was the last. Keeps count of what does not count as a failure."""
    policy = progress.node.policy
    if fault.retry is False:
        return None
    if fault.infrastructure:
        losses = progress.set_back().losses
        losses[item] = losses.get(item, 0) + 1
        return Repeat(0.0) if losses[item] <= policy.retries.lost else None
    if fault.cause == "memory" and 0 < progress.memory_of(item) < policy.resources.memory_cap:
        setbacks = progress.set_back()
        setbacks.larger[item] = setbacks.larger.get(item, 0) + 1
        setbacks.excused[item] = setbacks.excused.get(item, 0) + 1
        return Repeat(0.0)
    if item in progress.fallen or not (fault.retry or _concerns(policy.retries, fault)):
        return None
    failures = attempt - _excused(progress, item)
    if failures > policy.retries.count:
        return None
    if fault.retry_after is not None:
        return Repeat(fault.retry_after)
    return Repeat(policy.retries.delay(failures), policy.retries.jitter)


def _excused(progress: NodeProgress, item: int) -> int:
    """How many attempts have not failed by the user's code."""
    setbacks = progress.setbacks
    return 0 if setbacks is None else setbacks.losses.get(item, 0) + setbacks.excused.get(item, 0)


def _concerns(retries: Retries, fault: Fault) -> bool:
    """Whether the policy repeats attempts that fail in this way."""
    if any(kind in retries.never for kind in fault.kinds):
        return False
    return not retries.on or any(kind in retries.on for kind in fault.kinds)
