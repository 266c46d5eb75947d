"""Questions to people: who has been asked what, and what follows from an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from penstock.errors import RunFailedError, TaskTimeoutError
from penstock.kernel.state import Phase
from penstock.model.action import ApprovalAction
from penstock.model.event import Answered, AnyEvent, Expired, Skipped
from penstock.model.fault import fault_as
from penstock.model.outcome import Approval
from penstock.model.request import AnswerGiven
from penstock.model.run import NodeState
from penstock.ports import Clock
from penstock.runtime.driving.ledger import Ledger
from penstock.runtime.driving.nodes import Cell, Nodes
from penstock.runtime.driving.recording import Recorder, end_record
from penstock.runtime.driving.timers import AnswerLimit, Timers

#: who answers when nobody has
DEADLINE = "deadline"
#: seconds before a deadline within which a driver waits for it rather than leave the run paused
NEAR = 60.0

#: makes the values that were filled in, which are JSON-able, of the types that were asked for
Convert = Callable[[ApprovalAction, Mapping[str, Any]], Mapping[str, Any]]


class Approvals:
    """The questions of a run that nobody has answered yet."""

    def __init__(
        self,
        nodes: Nodes,
        ledger: Ledger,
        timers: Timers,
        clock: Clock,
        convert: Convert | None = None,
    ) -> None:
        self._run = nodes.run
        self._ledger = ledger
        self._timers = timers
        self._clock = clock
        self._stored = nodes.resolver.stored
        self._convert = convert
        #: by what people call them: `sign_off`, `sign_off[3]`, `sign_off[rf]`
        self._open: dict[str, Cell] = {}
        #: how many questions have been put, of those in the ledger
        self._put = 0

    def put(self) -> None:
        """Put the questions that are new. Deadlines count from when they were asked, by whichever driver."""
        asked = self._ledger.asked
        if len(asked) == self._put:
            return
        new = list(islice(asked.items(), self._put, None))
        self._put = len(asked)
        for cell, at in new:
            if self._phase(cell) is not Phase.AWAITING:
                continue
            self._open[self._called(cell)] = cell
            deadline = self._action(cell).deadline
            if deadline is not None:
                left = at + deadline - self._clock.now()
                self._timers.at(self._clock.monotonic() + left, AnswerLimit(*cell))

    @property
    def unanswered(self) -> bool:
        """Whether any question is open."""
        closed = [name for name, cell in self._open.items() if self._phase(cell) is not Phase.AWAITING]
        for name in closed:
            del self._open[name]
        return bool(self._open)

    @property
    def near_deadline(self) -> bool:
        """Whether an open question will soon be too late to answer, so that it is worth waiting for that."""
        soon = self._clock.now() + NEAR
        deadlines = ((self._ledger.asked[cell], self._action(cell).deadline) for cell in self._open.values())
        return any(seconds is not None and at + seconds <= soon for at, seconds in deadlines)

    def answer(self, given: AnswerGiven, turn: Recorder) -> AnyEvent | None:
        """What an answer leads to; None where the question is not, or no longer, open."""
        cell = self._open.get(given.node)
        if cell is None or self._phase(cell) is not Phase.AWAITING:
            return None
        del self._open[given.node]
        return self._event(cell, given, turn)

    def expire(self, cell: Cell, turn: Recorder) -> AnyEvent | None:
        """What the passing of the deadline leads to; None where the question is no longer open."""
        if self._phase(cell) is not Phase.AWAITING:
            return None
        action, name = self._action(cell), self._called(cell)
        if action.default is not None:
            why = "nobody answered in time"
            given = AnswerGiven(name, action.default == "approve", DEADLINE, self._clock.now(), why)
            return self._event(cell, given, turn)
        message = f"nobody answered {name} in time: {action.question}"
        return Expired(*cell, fault_as(TaskTimeoutError, message, cause="timeout"))

    def _event(self, cell: Cell, given: AnswerGiven, turn: Recorder) -> AnyEvent:
        action = self._action(cell)
        told = f"{given.by} rejected it" + (f": {given.why}" if given.why else "")
        if not given.approved and action.on_reject == "skip":
            return Skipped(cell[0], told, cell[1])
        if not given.approved and action.on_reject == "fail":
            return Expired(*cell, fault_as(RunFailedError, told))
        values: Mapping[str, Any] = {field.name: field.default for field in action.fields if not field.required}
        values = {**values, **given.values}
        if not given.approved and any(field.name not in values for field in action.fields):
            # who rejects need not fill in the form
            values = {}
        elif self._convert is not None:
            values = self._convert(action, values)
        at = datetime.fromtimestamp(given.at, UTC)
        approval = Approval(given.approved, given.by, at, given.why, dict(values))
        outputs = (self._stored(approval),)
        progress, now, since = self._run.nodes[cell[0]], self._clock.now(), self._ledger.asked[cell]
        state = NodeState.SUCCEEDED
        turn.expect(progress, end_record(progress, cell[1], state, now, since=since, outputs=outputs))
        return Answered(*cell, outputs)

    def _action(self, cell: Cell) -> ApprovalAction:
        action = self._run.tasks[self._run.nodes[cell[0]].node.task].action
        assert isinstance(action, ApprovalAction)
        return action

    def _called(self, cell: Cell) -> str:
        return self._run.nodes[cell[0]].cell_id(cell[1])

    def _phase(self, cell: Cell) -> Phase:
        return self._run.nodes[cell[0]].phase_of(cell[1])
