"""Graphs with their bodies laid open: the nodes of a body stand beside the node that they are the body of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from penstock.model import expression as forms
from penstock.model.expression import Expression
from penstock.model.graph import Graph, Node, PipelineAction, Task


def body_of(tasks: Mapping[str, Task], node: Node) -> PipelineAction | None:
    """The body of a node; None if it has none."""
    task = tasks.get(node.task)
    return task.action if task is not None and isinstance(task.action, PipelineAction) else None


def opened(graph: Graph) -> Graph:
    """The graph with the nodes of all bodies in it, each behind the node whose body it is in.

    The inner node `fit` of `fold` is called `fold/fit`, and what it reads of its own body likewise. Such a graph is for
    looking at: no one could run it.
    """
    if not any(isinstance(task.action, PipelineAction) for task in graph.tasks.values()):
        return graph
    return replace(graph, nodes=tuple(laid_open(graph.tasks, graph.nodes)))


def laid_open(tasks: Mapping[str, Task], nodes: Iterable[Node], prefix: str = "") -> Iterator[Node]:
    """The nodes, each followed by those of its body; their ids start with `prefix`."""
    for node in nodes:
        inside = _renamed(node, prefix) if prefix else node
        yield inside
        body = body_of(tasks, node)
        if body is not None:
            yield from laid_open(tasks, body.nodes, f"{inside.id}/")


def exits(graph: Graph, owner: str) -> tuple[str, ...]:
    """The nodes of an opened graph that the result of a body comes from; the node itself if it has no body."""
    nodes = {node.id: node for node in graph.nodes}
    body = body_of(graph.tasks, nodes[owner])
    names = dict.fromkeys(forms.references(body.result)) if body is not None else {}
    inner = [f"{owner}/{name}" for name in names if f"{owner}/{name}" in nodes]
    return tuple(dict.fromkeys(name for each in inner for name in exits(graph, each))) or (owner,)


def _renamed(node: Node, prefix: str) -> Node:
    def inside(expression: Expression) -> Expression:
        return prefixed(expression, prefix)

    each = node.each
    return replace(
        node,
        id=prefix + node.id,
        bindings={name: inside(source) for name, source in node.bindings.items()},
        after=tuple(prefix + name for name in node.after),
        guard=None if node.guard is None else inside(node.guard),
        each=None if each is None else replace(each, over={name: inside(over) for name, over in each.over.items()}),
        join=node.join if isinstance(node.join, str) else inside(node.join),
    )


def prefixed(expression: Expression, prefix: str) -> Expression:
    """The same expression about nodes whose ids start with `prefix`."""
    match expression:
        case forms.Output(node) | forms.Ended(node):
            return replace(expression, node=prefix + node)
        case forms.Outcome(nodes):
            return forms.Outcome(tuple(prefix + node for node in nodes))
        case forms.Get(of):
            return replace(expression, of=prefixed(of, prefix))
        case forms.Apply(name, arguments):
            return forms.Apply(name, tuple(prefixed(argument, prefix) for argument in arguments))
        case forms.Choose(options):
            return forms.Choose(tuple(prefixed(option, prefix) for option in options))
        case forms.Sequence(items):
            return replace(expression, items=tuple(prefixed(item, prefix) for item in items))
        case forms.Mapping(items):
            return forms.Mapping({key: prefixed(item, prefix) for key, item in items.items()})
        case _:
            return expression


__all__ = ["body_of", "exits", "laid_open", "opened", "prefixed"]
