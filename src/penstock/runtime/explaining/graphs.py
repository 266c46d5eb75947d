"""In what two pipelines call their tasks differently."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from penstock.model.expression import Expression
from penstock.model.graph import Node, PipelineAction, Task
from penstock.runtime.explaining.difference import Difference
from penstock.runtime.explaining.spoken import spoken
from penstock.runtime.reading.past import Past


class NodeDifference(NamedTuple):
    """In what a pipeline calls a node differently."""

    #: its id without items and turns
    path: str
    difference: Difference


def graph_differences(before: Past, after: Past) -> Iterator[NodeDifference]:
    """Which nodes have appeared or gone, and which are given something else, or run at other times."""
    old, new = (nodes_of(past) for past in (before, after))
    for path, node in new.items():
        if path not in old:
            yield NodeDifference(path, Difference(kind="task", name=path, change="added", where=str(node.location)))
        elif _shape(old[path]) != _shape(node):
            for each in _of_node(path, _told(old[path], before), _told(node, after), str(node.location)):
                yield NodeDifference(path, each)
    for path, node in old.items():
        if path not in new:
            yield NodeDifference(path, Difference(kind="task", name=path, change="removed", where=str(node.location)))


def nodes_of(past: Past) -> dict[str, Node]:
    """The nodes of a run by their paths, in the order of the graph; a body comes before what is inside of it."""
    return dict(_nodes(past.graph.nodes, past.graph.tasks))


def _nodes(nodes: Iterable[Node], tasks: Mapping[str, Task], prefix: str = "") -> Iterator[tuple[str, Node]]:
    for node in nodes:
        path = prefix + node.id
        yield path, node
        task = tasks.get(node.task)
        if task is not None and isinstance(task.action, PipelineAction):
            yield from _nodes(task.action.nodes, tasks, f"{path}/")


def _shape(node: Node) -> tuple[object, ...]:
    """What is told of a node."""
    return node.bindings, node.each, node.guard, node.after, node.join, node.loop


def _of_node(path: str, before: Mapping[str, str], after: Mapping[str, str], where: str) -> Iterator[Difference]:
    for name in dict.fromkeys([*before, *after]):
        was, now = before.get(name, ""), after.get(name, "")
        if was != now:
            change = "added" if not was else "removed" if not now else "changed"
            yield Difference(kind="task", name=f"{path}{name}", change=change, before=was, after=now, where=where)


def _told(node: Node, past: Past) -> dict[str, str]:
    """What a node is given and when it runs, in words, by name."""

    def told(expression: str | Expression | None) -> str:
        if expression is None or isinstance(expression, str):
            return expression or ""
        return spoken(expression, past.values, past.store)

    each, loop = node.each, node.loop
    found = {f".{name}": told(expression) for name, expression in node.bindings.items()}
    if each is not None:
        found |= {f".{name}": f"each of {told(over)}" for name, over in each.over.items()}
    found[" runs if"] = told(node.guard)
    found[" runs after"] = ", ".join(node.after)
    found[" join"] = "" if node.join == "all_success" else told(node.join)
    if loop is not None:
        found[" turns at most"] = str(loop.maximum)
        found[" turns until"] = told(loop.until)
    return found


__all__ = ["NodeDifference", "graph_differences", "nodes_of"]
