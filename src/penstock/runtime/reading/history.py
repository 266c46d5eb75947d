"""The attempts at a node or an item, as the run document has them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from penstock.model.event import Fault
from penstock.model.graph import Node
from penstock.model.run import FRUITFUL, AttemptRecord, NodeState, timestamp


def history_document(tried: Sequence[AttemptRecord]) -> list[dict[str, Any]]:
    """Every attempt, in order: how it ended, how long it took, and how long it was waited for before."""
    waits = [0.0, *(max(0.0, after.started_at - ended_at(before)) for before, after in pairwise(tried))]
    return [_attempt_document(record, waited) for record, waited in zip(tried, waits, strict=True)]


def _attempt_document(record: AttemptRecord, waited: float) -> dict[str, Any]:
    fault = record.fault
    document: dict[str, Any] = {
        "attempt": record.attempt,
        "state": record.state.value,
        "started_at": timestamp(record.started_at),
        "duration_s": round(record.duration, 6),
        "waited_s": round(waited, 6),
        "error": None if fault is None else error_text(fault),
    }
    if fault is not None:
        document["cause"] = fault.cause
        document["lost"] = fault.infrastructure
    return document


def error_text(fault: Fault) -> str:
    """`ValueError: bad depth`."""
    return f"{fault.type}: {fault.message}"


def ended_at(record: AttemptRecord) -> float:
    """Seconds since the epoch."""
    return record.started_at + record.duration


def lost(tried: Sequence[AttemptRecord]) -> int:
    """How many attempts the infrastructure lost."""
    return sum(record.fault is not None and record.fault.infrastructure for record in tried)


def fallback_used(node: Node, records: Sequence[AttemptRecord]) -> str | None:
    """What took the place of a node or an item that had failed for good: a task, by its key, or `value`; None where
    nothing did."""
    last = records[-1] if records[0].attempt else records[0]
    failed = [record for record in records if record.fault is not None and record.attempt]
    if node.fallback is None or not failed or last.state not in FRUITFUL:
        return None
    if last.attempt == 0:
        return "value"
    # the cache keeps nothing of a fallback, so that it has no fingerprint
    told_apart = failed[0].fingerprint is not None
    by_count = sum(not record.fault.infrastructure for record in failed if record.fault) > node.policy.retries.count
    settled = any(record.fault is not None and record.fault.retry is False for record in failed)
    replaced = last.fingerprint is None if told_apart else by_count or settled
    return node.fallback.task if replaced else None


def error_before_fallback(node: Node, records: Sequence[AttemptRecord]) -> str | None:
    """The error that a fallback, which failed as well, was to make up for; None where that is not how it went."""
    last = records[-1] if records[0].attempt else records[0]
    faults = [(record.fingerprint, record.fault) for record in records if record.fault is not None and record.attempt]
    if node.fallback is None or last.state is not NodeState.FAILED or not faults:
        return None
    if last.attempt:
        # the last attempt is the fallback's, and those of a fallback have no fingerprint
        faults = [each for each in faults if each[0] is not None] or faults[:-1]
    elif node.fallback.task:
        return None
    return error_text(faults[-1][1]) if faults else None


__all__ = ["ended_at", "error_before_fallback", "error_text", "fallback_used", "history_document", "lost"]
