"""What follows when a time has come."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.kernel.state import Phase
from penstock.model.event import (
    Answered,
    AnyEvent,
    Deferred,
    Expired,
    Failed,
    Returned,
    RunExpired,
    Skipped,
    Succeeded,
    Woke,
)
from penstock.runtime.capacity.admission import Admission
from penstock.runtime.driving.approvals import Approvals
from penstock.runtime.driving.attempts import Attempts
from penstock.runtime.driving.nodes import is_at
from penstock.runtime.driving.recording import Recorder
from penstock.runtime.driving.time_limits import TimeLimits
from penstock.runtime.driving.timers import AnswerLimit, Due, QueueLimit, RunLimit, TotalLimit, WaitLimit, Wake

#: events about nodes and items that there are timers for
_OF_CELLS = (Answered, Deferred, Expired, Failed, Returned, Skipped, Succeeded)


class Alarms:
    """Turns timers that are due into events."""

    def __init__(self, limits: TimeLimits, attempts: Attempts, approvals: Approvals, admission: Admission) -> None:
        self._run = limits.run
        self._timers = limits.timers
        self._clock = limits.clock
        self._limits = limits
        self._attempts = attempts
        self._approvals = approvals
        self._admission = admission

    def due(self, before: Sequence[AnyEvent], turn: Recorder) -> list[AnyEvent]:
        """What happens now, given what else happens in this turn."""
        now = self._clock.monotonic()
        due = list(self._timers.due(now))
        if not due:
            return []
        touched = {(event.node, event.item) for event in before if isinstance(event, _OF_CELLS)}
        events: list[AnyEvent] = []
        for each in due:
            if isinstance(each, RunLimit):
                seconds = self._run.graph.policy.timeout
                events.append(RunExpired(f"the run took longer than the {seconds:g} s it is allowed"))
                continue
            cell = each.node, each.item
            if cell in touched:
                # what this means depends on what the other event leads to
                self._timers.at(now, each)
                continue
            event = self._event_of(each, turn)
            if event is not None:
                touched.add(cell)
                events.append(event)
        return events

    def _event_of(self, due: Due, turn: Recorder) -> AnyEvent | None:
        withdraw, stop = self._admission.withdraw, self._attempts.stop
        match due:
            case Wake(node, item, attempt):
                return Woke(node, item, attempt) if is_at(self._run.nodes[node], item, Phase.DELAYED) else None
            case QueueLimit():
                return self._limits.of_queue(due, withdraw)
            case TotalLimit():
                return self._limits.of_all(due, stop, withdraw)
            case WaitLimit():
                return self._limits.of_wait(due, stop)
            case AnswerLimit(node, item):
                return self._approvals.expire((node, item), turn)
            case RunLimit():
                return None
