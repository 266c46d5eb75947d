"""In what the tasks of two runs differ."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

import msgspec

from penstock.errors import PenstockError
from penstock.kernel.state import NodeProgress
from penstock.model.run import ENDED, FRUITFUL, NodeState
from penstock.model.value import Argument
from penstock.runtime.driving.nodes import Cell
from penstock.runtime.explaining.account import Comparison, account_of
from penstock.runtime.explaining.conditions import condition_text
from penstock.runtime.explaining.difference import Difference
from penstock.runtime.explaining.sources import source_of
from penstock.runtime.reading.cells import Cells
from penstock.runtime.reading.past import Past


class TaskDifference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A node, or an item of one, that is not the same in both runs."""

    id: str
    #: the id without items and turns
    path: str
    #: how it ended; empty where it is not in that run
    before: str = ""
    after: str = ""
    #: what of its own differs: code, parameters, settings, data from outside
    causes: tuple[Difference, ...] = ()
    #: nodes whose other outputs it was given
    because_of: tuple[str, ...] = ()
    #: names of the outputs that differ
    outputs: tuple[str, ...] = ()
    error: str = ""
    #: of one that is skipped in one of the runs: the condition that decided, and what it was decided by
    condition: str = ""
    duration_before_s: float | None = None
    duration_after_s: float | None = None


class Pair(NamedTuple):
    """A node or an item in both runs; None where it is not there."""

    before: Cell | None
    after: Cell | None


class Touched(NamedTuple):
    """A node or an item that is not the same."""

    pair: Pair
    difference: TaskDifference
    #: what is different of its outputs: name, as it was, as it is
    changed: tuple[tuple[str, Argument, Argument], ...]


class Tasks:
    """The tasks of two runs, side by side."""

    def __init__(self, before: Past, after: Past, comparison: Comparison) -> None:
        self._before = before
        self._after = after
        self._comparison = comparison
        #: how many nodes and items are the same
        self.same = 0
        #: how many have yet to end in one of the runs
        self.unfinished = 0
        found = [each for pair in self._pairs() if (each := self._compared(pair)) is not None]
        #: in the order of the graph
        self.touched = self._in_order(found)

    def _pairs(self) -> Iterator[Pair]:
        """The nodes and items of both, by what they are called."""
        old = {self._before.name(cell): cell for cell in self._before.cells()}
        new = {self._after.name(cell): cell for cell in self._after.cells()}
        yield from (Pair(old.get(name), cell) for name, cell in new.items())
        yield from (Pair(cell, None) for name, cell in old.items() if name not in new)

    def _in_order(self, touched: list[Touched]) -> list[Touched]:
        """By their places in the later run, then those that are gone; a body comes before what is inside of it."""
        before, after = (Cells(past.graph, chain(*past.attempts.values())) for past in (self._before, self._after))

        def place(each: Touched) -> tuple[bool, tuple[int, ...]]:
            cell, cells = (each.pair.after, after) if each.pair.after else (each.pair.before, before)
            assert cell is not None
            return each.pair.after is None, cells.position(*cell)

        return sorted(touched, key=place)

    def _compared(self, pair: Pair) -> Touched | None:
        if pair.before is None or pair.after is None:
            past, cell = (self._before, pair.before) if pair.after is None else (self._after, pair.after)
            assert cell is not None
            return self._alone(past, cell, pair)
        was, now = self._before.progress_of(pair.before), self._after.progress_of(pair.after)
        states = was.phase_of(pair.before[1]).state, now.phase_of(pair.after[1]).state
        if not (states[0] in ENDED and states[1] in ENDED):
            self.unfinished += 1
            return None
        alike = states[0] == states[1] or FRUITFUL.issuperset(states)
        if was.body is not None and now.body is not None and alike:
            # what is inside is told by itself
            self.same += 1
            return None
        found = self._differences(pair.before, pair.after)
        changed = tuple(self._changed(pair.before, pair.after))
        if alike and not (found or changed):
            self.same += 1
            return None
        return self._touched(pair, now, states, found, changed)

    def _alone(self, past: Past, cell: Cell, pair: Pair) -> Touched | None:
        progress = past.progress_of(cell)
        state = progress.phase_of(cell[1]).state
        if state not in ENDED:
            self.unfinished += 1
            return None
        before, after = (state.value, "") if pair.after is None else ("", state.value)
        return Touched(pair, TaskDifference(id=past.name(cell), path=_path(progress), before=before, after=after), ())

    def _touched(
        self,
        pair: Pair,
        now: NodeProgress,
        states: tuple[NodeState, NodeState],
        found: list[Difference],
        changed: tuple[tuple[str, Argument, Argument], ...],
    ) -> Touched:
        assert pair.before is not None and pair.after is not None
        fault = self._after.ledger.faults.get(pair.after) if states[1] is NodeState.FAILED else None
        passed_on = {each.name: source_of(now, each.name).nodes for each in found if each.kind == "input"}
        difference = TaskDifference(
            id=self._after.name(pair.after),
            path=_path(now),
            before=states[0].value,
            after=states[1].value,
            causes=tuple(each for each in found if not passed_on.get(each.name)),
            because_of=tuple(dict.fromkeys(node for nodes in passed_on.values() for node in nodes)),
            outputs=tuple(name for name, _, _ in changed),
            condition=self._condition(pair, states),
            error="" if fault is None else f"{fault.type}: {fault.message}",
            duration_before_s=_duration(self._before, pair.before),
            duration_after_s=_duration(self._after, pair.after),
        )
        return Touched(pair, difference, changed)

    def _condition(self, pair: Pair, states: tuple[NodeState, NodeState]) -> str:
        """Where only one of them was skipped because of its condition, what that came to now."""
        assert pair.after is not None
        node = self._after.progress_of(pair.after).node
        if node.guard is None or states.count(NodeState.SKIPPED) != 1:
            return ""
        held = "does not hold" if states[1] is NodeState.SKIPPED else "holds"
        return f"{held}: {condition_text(self._after, self._after.progress_of(pair.after), node.guard)}"

    def _differences(self, old: Cell, new: Cell) -> list[Difference]:
        """In what the attempts differ; nothing where they were not reached, or too little is kept of them."""
        was, now = _fingerprint(self._before, old), _fingerprint(self._after, new)
        if was is not None and was == now:
            return []
        try:
            return self._comparison.differences(account_of(self._before, old), account_of(self._after, new))
        except (PenstockError, LookupError):
            return []

    def _changed(self, old: Cell, new: Cell) -> Iterator[tuple[str, Argument, Argument]]:
        """The outputs that differ."""
        was, now = _made(self._before, old), _made(self._after, new)
        if was is None or now is None:
            return
        names = [port.name for port in self._after.progress.tasks[self._after.progress_of(new).node.task].outputs]
        names = names if len(names) == len(now) else ["result"] * len(now)
        for name, one, other in zip(names, was, now, strict=False):
            if self._before.values.digest(one) != self._after.values.digest(other):
                yield name, one, other


def _path(progress: NodeProgress) -> str:
    owner = progress.frame.owner
    return progress.node.id if owner is None else f"{_path(owner)}/{progress.node.id}"


def _fingerprint(past: Past, cell: Cell) -> bytes | None:
    return next((each.fingerprint for each in past.attempts.get(cell, ()) if each.fingerprint is not None), None)


def _made(past: Past, cell: Cell) -> tuple[Argument, ...] | None:
    progress = past.progress_of(cell)
    if cell[1] < 0:
        return progress.outputs
    return None if progress.items is None else progress.items.outputs[cell[1]]


def _duration(past: Past, cell: Cell) -> float | None:
    tried = [record.duration for record in past.attempts.get(cell, ()) if record.attempt > 0]
    return sum(tried) if tried else None


__all__ = ["Pair", "TaskDifference", "Tasks", "Touched"]
