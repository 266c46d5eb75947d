"""What the nodes and items of a run are called, and in which order people see them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from penstock.model.graph import Graph, Node, Task
from penstock.model.growth import Instances
from penstock.model.run import AttemptRecord, item_id

#: position in the graph, item, position in the body, item, ...
Position = tuple[int, ...]
#: behind everything that has a place
_LAST = 1 << 60


class Origin(NamedTuple):
    """The node that an instance is of, and its task."""

    node: Node
    task: Task


class Cells:
    """The nodes of a run, those of bodies included, and their items.

    An item that has no record yet goes by its number.
    """

    def __init__(self, graph: Graph, attempts: Iterable[AttemptRecord]) -> None:
        self._graph = graph
        self._instances = Instances(graph.nodes, graph.tasks)
        self._keys: dict[tuple[str, int], str] = {}
        #: what an item is called -> its number
        self._items: dict[str, int] = {}
        for record in attempts:
            if record.item >= 0:
                if record.key is not None:
                    self._keys[record.node, record.item] = record.key
                self._items[item_id(record.node, record.item, record.key)] = record.item
        self._orders: dict[str | None, dict[str, int]] = {None: _order(graph.nodes)}
        self._frames: dict[str, Position] = {"": ()}

    def name(self, node: str, item: int) -> str:
        """`train`, `fit[rf]`, `fold[3]/fit`."""
        return item_id(node, item, self._keys.get((node, item)))

    def key(self, node: str, item: int) -> str | None:
        """What an item is called; None where it goes by number."""
        return self._keys.get((node, item))

    def origin(self, node: str) -> Origin | None:
        """What an instance id is of; None for one that the graph does not have."""
        found = self._instances.node(node)
        task = None if found is None else self._graph.tasks.get(found.task)
        return None if found is None or task is None else Origin(found, task)

    def path(self, node: str) -> str:
        """An instance id without what tells its frames apart: `fold/fit` for `fold[3]/fit`."""
        return self._instances.path(node)

    def position(self, node: str, item: int) -> Position:
        """By which nodes and items are put in order: that of the graph, and what is in a body behind its item."""
        place = self._instances.place(node)
        if place is None:
            return (_LAST, item)
        body = self._instances.body(place.frame) if place.frame else None
        order = self._order_in(None if body is None else body.task)
        return (*self._frame(place.frame), order.get(place.node.id, _LAST), item)

    def _frame(self, frame: str) -> Position:
        if frame not in self._frames:
            body = self._instances.body(frame)
            assert body is not None
            owner = self.position(body.owner, -1)[:-1]
            self._frames[frame] = (*owner, *self._label(body.owner, body.label))
        return self._frames[frame]

    def _label(self, owner: str, label: str) -> Position:
        """Where an execution of a body stands among the others: by its item, its turn, or both."""
        if not label:
            return (-1,)
        item = self._items.get(f"{owner}[{label}]")
        if item is not None:
            return (item,)
        if label.isdigit():
            return (int(label),)
        key, _, turn = label.rpartition("][")
        if not key or not turn.isdigit():
            return (_LAST,)
        return (*self._label(owner, key), int(turn))

    def _order_in(self, task: str | None) -> dict[str, int]:
        if task not in self._orders:
            action = self._graph.tasks[task].action if task is not None else None
            self._orders[task] = _order(getattr(action, "nodes", ()))
        return self._orders[task]


def _order(nodes: Iterable[Node]) -> dict[str, int]:
    return {node.id: number for number, node in enumerate(nodes)}


__all__ = ["Cells", "Origin", "Position"]
