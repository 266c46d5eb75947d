"""Nodes that are not in the graph of a pipeline by themselves: those of bodies, and those that appear while it runs.

A node of a body exists once for every item or turn that the body runs for, as `fold[3]/fit`. `Instances` finds the node
that such an id is of; `grown` puts what dynamic bodies called into the graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from penstock.model.event import Grown
from penstock.model.graph import Graph, Node, PipelineAction, Task


class Place(NamedTuple):
    """Where an instance of a node is: the node, and the execution of a body that it belongs to (empty for the run)."""

    node: Node
    frame: str = ""


class Body(NamedTuple):
    """An execution of a body: the key of its task, the node that it is the body of, and what tells it from others: the
    key of the item, the number of the turn, both (`rf][2`), or nothing."""

    task: str
    owner: str
    label: str


class Instances:
    """The nodes that the instance ids of a run are of."""

    def __init__(self, nodes: Iterable[Node], tasks: Mapping[str, Task]) -> None:
        self._tasks = tasks
        self._bodies: dict[str, dict[str, Node]] = {}
        #: by frame, those that were found
        self._frames: dict[str, Body] = {}
        self._nodes = {node.id: node for node in nodes}

    def node(self, instance: str) -> Node | None:
        """The node of an instance id: the `fit` of `fold[3]/fit`. None if there is none."""
        found = self.place(instance)
        return None if found is None else found.node

    def place(self, instance: str) -> Place | None:
        """Where an instance id belongs: the `fit` of `fold[3]/fit`, and `fold[3]`. None if there is no such node."""
        if instance in self._nodes:
            return Place(self._nodes[instance])
        # keys and ids may have slashes in them, so every one of them is tried, the last one first
        cut = len(instance)
        while (cut := instance.rfind("/", 0, cut)) > 0:
            body = self.body(instance[:cut])
            node = None if body is None else self._nodes_of(body.task).get(instance[cut + 1 :])
            if node is not None:
                return Place(node, instance[:cut])
        return None

    def body(self, frame: str) -> Body | None:
        """Which body runs in a frame (`fold[3]`, `fold`); None if there is no such frame."""
        known = self._frames.get(frame)
        if known is None:
            known = next(filter(None, map(self._body_of, _owners(frame))), None)
            if known is not None:
                self._frames[frame] = known
        return known

    def path(self, instance: str) -> str:
        """The id of an instance without what tells its frames apart: `fold/fit` for `fold[3]/fit`."""
        found = self.place(instance)
        body = None if found is None or not found.frame else self.body(found.frame)
        return instance if found is None or body is None else f"{self.path(body.owner)}/{found.node.id}"

    def _body_of(self, owner_and_label: tuple[str, str]) -> Body | None:
        owner, label = owner_and_label
        node = self.node(owner)
        task = None if node is None else self._tasks.get(node.task)
        if node is None or task is None or not isinstance(task.action, PipelineAction):
            return None
        return Body(node.task, owner, label)

    def _nodes_of(self, key: str) -> dict[str, Node]:
        if key not in self._bodies:
            action = self._tasks[key].action
            nodes = action.nodes if isinstance(action, PipelineAction) else ()
            self._bodies[key] = {node.id: node for node in nodes}
        return self._bodies[key]

    def add(self, frame: str, nodes: Iterable[Node]) -> None:
        """Put nodes that a dynamic body called where the frame says; those that are there already stay."""
        body = self.body(frame) if frame else None
        if frame and body is None:
            return
        known = self._nodes if body is None else self._nodes_of(body.task)
        for node in nodes:
            known.setdefault(node.id, node)

    def own(self) -> tuple[Node, ...]:
        """The nodes of the run's own graph, those that have appeared included."""
        return tuple(self._nodes.values())

    def bodies(self) -> dict[str, tuple[Node, ...]]:
        """The nodes of the bodies that were looked into, by the keys of their tasks."""
        return {key: tuple(nodes.values()) for key, nodes in self._bodies.items()}


def _owners(frame: str) -> Iterable[tuple[str, str]]:
    """What the node may be called that a frame belongs to, and the rest: a key may hold any character."""
    if frame.endswith("]"):
        cut = len(frame)
        while (cut := frame.rfind("[", 0, cut)) > 0:
            yield frame[:cut], frame[cut + 1 : -1]
    yield frame, ""


def grown(graph: Graph, growth: Iterable[Grown]) -> Graph:
    """The graph with the nodes and tasks that its dynamic bodies have called.

    Executions of one body may have called different nodes: all of them are in it, under each id the first one.
    """
    tasks = dict(graph.tasks)
    instances = Instances(graph.nodes, tasks)
    result = graph.result
    for event in growth:
        for key, task in event.tasks.items():
            tasks.setdefault(key, task)
        instances.add(event.frame, event.nodes)
        if event.ended and not event.frame:
            result = event.result
    for key, nodes in instances.bodies().items():
        action = tasks[key].action
        if isinstance(action, PipelineAction) and len(nodes) != len(action.nodes):
            tasks[key] = replace(tasks[key], action=replace(action, nodes=nodes))
    return replace(graph, nodes=instances.own(), tasks=tasks, result=result)


def ungrown(graph: Graph, growth: Iterable[Grown]) -> Graph:
    """The graph as it was before: `growth` is what `grown` put in."""
    appeared = {node.id for event in growth if not event.frame for node in event.nodes}
    tasks = {
        key: replace(task, action=replace(task.action, nodes=()))
        if isinstance(task.action, PipelineAction) and task.action.dynamic
        else task
        for key, task in graph.tasks.items()
    }
    return replace(graph, nodes=tuple(node for node in graph.nodes if node.id not in appeared), tasks=tasks)


__all__ = ["Body", "Instances", "Place", "grown", "ungrown"]
