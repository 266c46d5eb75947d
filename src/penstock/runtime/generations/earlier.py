"""The generation of a run before the one at hand: what is finished in it, and what that was made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from typing import NamedTuple

from penstock.errors import NotFoundError
from penstock.kernel.state import NodeProgress, Phase
from penstock.model.expression import Ended, Expression
from penstock.model.generation import earlier_id, origin_of
from penstock.model.run import ENDED, AttemptRecord, RunRecord
from penstock.ports import Store
from penstock.runtime.driving.nodes import Cell
from penstock.runtime.reading.past import Past


class Made(NamedTuple):
    """A result, and the generation that has made it."""

    past: Past
    cell: Cell
    record: AttemptRecord


class Earlier:
    """The generation before, read back."""

    def __init__(self, past: Past) -> None:
        self.past = past
        self._items: dict[str, dict[str, int]] = {}
        self._pasts: dict[int, Past] = {past.run.generation: past}

    def cell(self, progress: NodeProgress, item: int) -> Cell | None:
        """The same node or item in the generation before: items by what they are called, else by number."""
        was = self.past.progress.nodes.get(progress.id)
        if was is None or (was.items is None) != (item < 0):
            return None
        if was.items is None:
            return was.id, -1
        keys = None if progress.items is None else progress.items.keys
        if (keys is None) != (was.items.keys is None):
            return None
        if keys is None or was.items.keys is None:
            return (was.id, item) if item < len(was.items.phases) else None
        known = self._items.get(was.id)
        if known is None:
            known = self._items[was.id] = {key: number for number, key in enumerate(was.items.keys)}
        found = known.get(keys[item])
        return None if found is None else (was.id, found)

    def last(self, cell: Cell) -> AttemptRecord | None:
        """How a node or an item ended; an end without an attempt is the last word."""
        records = self.past.attempts.get(cell)
        return last_of(records) if records else None

    def finished(self, cell: Cell) -> AttemptRecord | None:
        """The result of a node or an item that has succeeded by itself; what a fallback gave is none."""
        progress = self.past.progress.nodes[cell[0]]
        if not progress.phase_of(cell[1]).fruitful or cell[1] in progress.fallen:
            return None
        return self.last(cell)

    def decided(self, cell: Cell) -> bool:
        """Whether a node or an item was reached, and came to an end without a result of its own."""
        progress = self.past.progress.nodes[cell[0]]
        phase = progress.phase_of(cell[1])
        return phase in (Phase.FAILED, Phase.SKIPPED) or cell[1] in progress.fallen

    def made(self, cell: Cell, record: AttemptRecord) -> Made:
        """Where a result was made, which may itself have been kept."""
        generation = origin_of(record)
        past = self._in(generation) if generation else None
        if past is None:
            return Made(self.past, cell, record)
        try:
            there = past.find(self.past.name(cell))
        except NotFoundError:
            return Made(self.past, cell, record)
        found = past.attempts.get(there, ())
        return Made(past, there, last_of(found)) if found else Made(self.past, cell, record)

    def _in(self, generation: int) -> Past | None:
        if generation not in self._pasts:
            store = self.past.store
            try:
                run = store.find(earlier_id(self.past.run, generation))
            except NotFoundError:
                return None
            self._pasts[generation] = Past(store, self.past.values, run)
        return self._pasts[generation]

    # Scopes.

    def scopes_of(self, node: str) -> list[Scope]:
        """The scopes that a node sets up or takes down, as they were."""
        return self._scopes.get(node, [])

    @cached_property
    def _scopes(self) -> dict[str, list[Scope]]:
        found: dict[str, list[Scope]] = {}
        for progress in self.past.progress.nodes.values():
            # an exit handler goes by the name of a rule
            if not progress.node.final or isinstance(progress.node.join, str):
                continue
            scope = _scope(progress, progress.node.join)
            for name in (*scope.setup, progress.id):
                found.setdefault(name, []).append(scope)
        return found


def generations_before(store: Store, run: RunRecord) -> Iterator[RunRecord]:
    """The generations of a run before one, the latest first, of those that are still there."""
    for number in range(run.generation - 1, 0, -1):
        with suppress(NotFoundError):
            yield store.find(earlier_id(run, number))


def last_of(records: Sequence[AttemptRecord]) -> AttemptRecord:
    """How it ended, of what is recorded of a node or an item, in order."""
    return records[0] if records[0].attempt == 0 else records[-1]


class Scope(NamedTuple):
    """Nodes that set up, those that need that, and one that takes it down."""

    setup: tuple[str, ...]
    body: tuple[str, ...]
    teardown: str


def _scope(teardown: NodeProgress, join: Expression) -> Scope:
    nodes = teardown.frame.nodes
    setup: list[str] = []
    body: list[str] = []
    for each in _conditions(join):
        other = nodes.get(each.node)
        if other is None or other.node.final:
            continue
        (body if len(each.states) == len(ENDED) else setup).append(other.id)
    return Scope(tuple(setup), tuple(body), teardown.id)


def _conditions(expression: Expression) -> Iterator[Ended]:
    if isinstance(expression, Ended):
        yield expression
    for each in getattr(expression, "arguments", ()):
        yield from _conditions(each)


__all__ = ["Earlier", "Made", "Scope", "generations_before"]
