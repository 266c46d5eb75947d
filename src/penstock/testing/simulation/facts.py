"""What is true of the runs of a simulation, seen from outside the engine, and what must never be."""

from __future__ import annotations

from collections import Counter
from typing import Any

from penstock.model.event import AnyEvent, Asked, Failed, Hit, Started, Succeeded
from penstock.model.run import RunRecord, RunState
from penstock.ports import Turn
from penstock.testing.simulation.plans import Plan
from penstock.testing.simulation.world import Violation, World

#: a node, or an item of one
Cell = tuple[str, int]

#: seconds; moments are not exact
_SLACK = 1e-3


class Facts:
    """Follows one run through all that is committed of it."""

    def __init__(self, world: World, plan: Plan, run: RunRecord) -> None:
        self._world = world
        self._plan = plan
        self.run_id = run.run_id
        #: of the driver that may write
        self.token = run.token
        self.turns = 0
        self.state = RunState.RUNNING
        #: how often each cell has failed by the user's code
        self.failures: Counter[Cell] = Counter()
        #: cells that have a result
        self.finished: set[Cell] = set()
        self.asked: set[str] = set()
        #: attempts that the journal says are begun, by whose token
        self.started: dict[tuple[str, int, int], int] = {}
        #: what workers have done
        self.executions: Counter[Cell] = Counter()
        #: when the driver was told of the latest failure, and of the one that is recorded
        self._told_at: dict[Cell, float] = {}
        self._failed_at: dict[Cell, float] = {}
        self._recorded: set[tuple[str, int, int]] = set()

    def check(self, holds: bool, what: str, *details: Any) -> None:
        """Raise Violation unless it holds."""
        if not holds:
            self._world.tell(f"* {what}", *details)
            raise Violation(f"{what}: {' '.join(map(str, details))}")

    def taken_over(self, run: RunRecord) -> None:
        """Another driver may write from now on."""
        self.check(run.token > self.token, "two drivers have one token", run.driver, run.token)
        self.token = run.token
        self.state = RunState.RUNNING

    def committed(self, turn: Turn, by: int) -> list[str]:
        """A turn was accepted, by the driver with a token. Returns the questions that were asked in it."""
        self.check(self.state is RunState.RUNNING, "a turn of a run that is over was accepted", turn.number)
        self.check(by == self.token, "a driver wrote that was replaced", by, "after", self.token)
        self.check(turn.number == self.turns, "a turn has another place in the journal", turn.number, self.turns)
        self.turns += 1
        for event in turn.events:
            self._happened(event, by)
        self._check_records(turn)
        if turn.end is not None:
            self.state = turn.end
        return [event.node for event in turn.events if isinstance(event, Asked)]

    def _happened(self, event: AnyEvent, by: int) -> None:
        match event:
            case Started(node, item, attempt):
                cell = node, item
                self.check(cell not in self.finished, "what had finished was started again", *cell)
                self.started[node, item, attempt] = by
                self._check_delay(cell)
            case Succeeded(node, item):
                self._finish((node, item))
            case Hit(node, item):
                self._finish((node, item))
            case Failed(node, item, attempt, fault) if not fault.infrastructure:
                self.failures[node, item] += 1
                self._failed_at[node, item] = self._told_at.get((node, item), 0.0)
            case _:
                pass

    def _finish(self, cell: Cell) -> None:
        self.check(cell not in self.finished, "a result was recorded twice", *cell)
        self.finished.add(cell)

    def _check_delay(self, cell: Cell) -> None:
        failed_at = self._failed_at.pop(cell, None)
        step = self._plan.known[f"task of {cell[0].rpartition('/')[2]}"]
        repeated = failed_at is not None and self.failures[cell] <= step.retries
        if repeated and failed_at is not None and not self._world.mischief.done["clock jumps"]:
            waited = self._world.now - failed_at
            least = step.delay * (1 - step.jitter)
            self.check(waited >= least - _SLACK, "a delay was cut short", *cell, f"{waited:.3f} of {least:.3f} s")

    def _check_records(self, turn: Turn) -> None:
        for each in turn.attempts:
            key = each.node, each.item, each.attempt
            self.check(key not in self._recorded, "an attempt was recorded twice", *key)
            self._recorded.add(key)
        good = {(each.node, each.item, each.attempt) for each in turn.attempts if each.state == "succeeded"}
        for result in turn.results.values():
            key = result.node, result.item, result.attempt
            self.check(key in good, "a result without a successful attempt is in the cache", *key)

    def submitted(self, cell: Cell, attempt: int, token: int) -> None:
        """A driver hands an attempt to its workers."""
        key = *cell, attempt
        self.check(key in self.started, "an attempt is made that the journal does not justify", *key)
        if token == self.token:
            self.check(cell not in self.finished, "what had finished is made again", *cell)

    def told_of_failure(self, cell: Cell) -> None:
        """A failure is put before the driver."""
        self._told_at[cell] = self._world.now

    def made(self, cell: Cell) -> None:
        """A worker has gone through an attempt."""
        self.executions[cell] += 1


__all__ = ["Cell", "Facts"]
