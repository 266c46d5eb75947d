"""A run brought to where another driver has left it."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.errors import WorkerLostError
from penstock.kernel import RunProgress, handle
from penstock.kernel.state import NodeProgress
from penstock.model.event import AnyEvent, Lost
from penstock.model.fault import fault_as
from penstock.model.instruction import AnyInstruction, Finish
from penstock.model.run import AttemptRecord, NodeState
from penstock.runtime.driving.ledger import Ledger
from penstock.runtime.driving.recording import key_of


def replay(
    run: RunProgress, ledger: Ledger, journal: Sequence[tuple[float, Sequence[AnyEvent]]]
) -> list[AnyInstruction]:
    """Let a run that has not begun take in every turn of its journal. What the kernel asks for is done already, or
    still outstanding at the end. Returns what the state of the run does not tell of it: that nothing is left to do."""
    finish: list[AnyInstruction] = []
    for at, events in journal:
        finish += [instruction for instruction in handle(run, *events) if isinstance(instruction, Finish)]
        ledger.take(events, at)
    return finish


def lost_record(progress: NodeProgress, lost: Lost, at: float) -> AttemptRecord:
    """The record of an attempt that was under way when its driver was gone."""
    message = "the process that drove the run was gone before the attempt had ended"
    return AttemptRecord(
        node=lost.node,
        item=lost.item,
        attempt=lost.attempt,
        state=NodeState.FAILED,
        started_at=at,
        fault=fault_as(WorkerLostError, message, infrastructure=True),
        key=key_of(progress, lost.item),
    )
