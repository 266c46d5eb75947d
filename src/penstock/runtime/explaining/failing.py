"""How a node or an item failed, and why it was not tried again."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.kernel.state import NodeProgress
from penstock.model.event import Fault
from penstock.model.run import NodeState
from penstock.runtime.driving.nodes import Cell
from penstock.runtime.reading.history import history_document
from penstock.runtime.reading.past import Past


class Failing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a node or an item failed."""

    #: in a sentence
    text: str
    #: `ValueError: bad depth`
    error: str
    #: the user's frames only
    traceback: str = ""
    #: error, timeout or memory
    cause: str = "error"
    #: every attempt: how it ended, how long it took
    attempts: list[dict[str, Any]] = []
    #: why there was no further attempt
    not_repeated: str = ""


def failing_of(past: Past, cell: Cell) -> Failing:
    """How a node or an item of a run failed."""
    progress = past.progress_of(cell)
    records = past.attempts.get(cell, [])
    tried = [record for record in records if record.attempt > 0]
    fault = next((each.fault for each in reversed(records) if each.fault is not None), None)
    fault = fault or past.ledger.faults.get(cell) or Fault("RunFailedError", "it failed")
    error = f"{fault.type}: {fault.message}"
    if not tried:
        return Failing(text=f"it could not be started: {error}", error=error, traceback=fault.traceback)
    count = len(tried)
    many = "both attempts" if count == 2 else f"all {count} attempts"
    times = f"{many} failed, the last with" if count > 1 else "it failed with"
    return Failing(
        text=f"{times} {error}",
        error=error,
        traceback=fault.traceback,
        cause=fault.cause,
        attempts=history_document(tried),
        not_repeated=_not_repeated(progress, cell, fault, sum(each.state is NodeState.FAILED for each in tried)),
    )


def _not_repeated(progress: NodeProgress, cell: Cell, fault: Fault, failures: int) -> str:
    """Why the last failed attempt was the last."""
    retries = progress.node.policy.retries
    if cell[1] in progress.fallen:
        return "this was its fallback, which is tried as often as the policy allows"
    if fault.retry is False:
        return "the task, or its retry_if, said that it is not to be repeated, or its time was over"
    if fault.infrastructure:
        return f"{retries.lost} attempts that are lost by the infrastructure are repeated (lost_retries), no more"
    if retries.count == 0:
        return "attempts at it are not repeated (retries=0)"
    if any(kind in retries.never for kind in fault.kinds):
        return f"attempts that fail with {fault.type} are never repeated (never_retry_on)"
    if retries.on and not any(kind in retries.on for kind in fault.kinds):
        return f"attempts that fail with {fault.type} are not among those that are repeated (retry_on)"
    return (
        f"{retries.count} of {failures} failed attempts were repeated, which is all that retries={retries.count} allows"
    )


__all__ = ["Failing", "failing_of"]
