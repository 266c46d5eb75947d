"""From recorded failures to exceptions."""

from __future__ import annotations

import re
from collections.abc import Container

from penstock.errors import OutOfMemoryError, OutputError, RunFailedError, TaskTimeoutError, WorkerLostError
from penstock.model.event import Fault, Grown, Handled, RunExpired
from penstock.model.fault import exception_of
from penstock.model.graph import from_json
from penstock.ports import Store
from penstock.secrets.signing import Trust

_CAUSES = {"timeout": TaskTimeoutError, "memory": OutOfMemoryError}
#: penstock's own, which a process that is gone could not send itself
_OWN = {kind.__name__: kind for kind in (OutputError, WorkerLostError, TaskTimeoutError, OutOfMemoryError)}


def exception_for(task: str, fault: Fault, run_id: str, trust: Trust) -> Exception:
    """The exception to raise for a failed task: its own where that could be kept, may be loaded, and is no more than an
    error."""
    own = exception_of(fault, trust.open)
    # what a task raises to end its process (sys.exit) must not end this one
    if isinstance(own, Exception):
        return own
    remedy = f"See: penstock show {run_id}"
    kind = _CAUSES.get(fault.cause) or _OWN.get(fault.type.rpartition(".")[2])
    if kind is not None or fault.infrastructure:
        return (kind or WorkerLostError)(f"{task}: {fault.message}", remedy=remedy)
    return RunFailedError(f"{task} failed: {fault.type}: {fault.message}\n{fault.traceback}".rstrip(), remedy=remedy)


def expiry(store: Store, run_id: str) -> str:
    """Why a run ended that took longer than it might, or that broke off; empty for any other."""
    for _, events in reversed(store.journal(run_id)):
        for event in events:
            if isinstance(event, RunExpired):
                return event.reason
    return ""


def handled_nodes(store: Store, run_id: str) -> set[str]:
    """The nodes of a run whose failure a dynamic body was given and went on after."""
    return {event.node for _, events in store.journal(run_id) for event in events if isinstance(event, Handled)}


def is_handled(node: str, handled: Container[str]) -> bool:
    """Whether the failure of a node is one of those that were caught, or is inside one: `fold[3]/fit` in `fold`."""
    around = (node[: found.start()] for found in re.finditer(r"[\[/]", node))
    return node in handled or any(each in handled for each in around)


def body_fault(store: Store, run_id: str) -> Fault | None:
    """What the body of a dynamic pipeline itself has raised in a run; None where it has not, or where the failure of a
    task that it let out says it all."""
    if from_json(store.graph(run_id)).dynamic_at is None:
        return None
    for _, events in reversed(store.journal(run_id)):
        for event in events:
            if isinstance(event, Grown) and event.ended and not event.frame:
                return event.fault
    return None
