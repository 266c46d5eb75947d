"""Where the inputs of a node come from: other nodes, a parameter, or the pipeline itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from penstock.kernel.state import Frame, NodeProgress
from penstock.model.expression import (
    Constant,
    Expression,
    Input,
    Item,
    Parameter,
    Stored,
    describe,
    leaves,
    references,
)


class Source(NamedTuple):
    """Where an input comes from."""

    #: as a person would write it: `clean.rows`, `each number of load`; empty where it is a constant
    text: str = ""
    #: the parameter that it is, or is an item of; empty where it is none
    parameter: str = ""
    #: instance ids of the nodes that it is made from
    nodes: tuple[str, ...] = ()


def source_of(progress: NodeProgress, name: str) -> Source:
    """Where an input of a node comes from, followed out of the bodies that the node is in."""
    each = progress.node.each
    bound = progress.node.bindings.get(name)
    if bound is None and each is not None and each.spread is not None:
        bound = Item(each.spread)
    return Source() if bound is None else _source(progress, bound)


def _source(progress: NodeProgress, bound: Expression) -> Source:
    each = progress.node.each
    if isinstance(bound, Item) and each is not None and bound.name in each.over:
        over = each.over[bound.name]
        found = _source(progress, over)
        return found._replace(text=f"each of {found.text}" if found.text else "")
    owner = progress.frame.owner
    if isinstance(bound, Input) and owner is not None:
        return _carried(progress.frame, owner, bound.name) or source_of(owner, bound.name)
    nodes = tuple(dict.fromkeys(_nodes(progress, bound)))
    parameters = tuple(dict.fromkeys(_parameters(progress, bound)))
    return Source(
        text="" if _is_fixed(bound) else describe(bound),
        parameter=parameters[0] if len(parameters) == 1 and not nodes else "",
        nodes=nodes,
    )


def _carried(frame: Frame, owner: NodeProgress, name: str) -> Source | None:
    """Where an input of a body comes from that the turn before has given; None where it has not."""
    loop, body = owner.node.loop, owner.body
    if loop is None or body is None or not frame.turn or name not in loop.carry:
        return None
    before = f"{owner.cell_id(frame.item)}[{frame.turn - 1}]"
    # what a dynamic body has returned is not known here
    nodes = [f"{before}/{node}" for node in references(body.result)]
    return Source("the turn before", nodes=tuple(nodes) or (before,))


def _nodes(progress: NodeProgress, expression: Expression) -> Iterator[str]:
    for node in references(expression):
        yield _instance(progress.frame, node)
    for part in leaves(expression):
        if isinstance(part, (Item, Input)):
            yield from _source(progress, part).nodes


def _instance(frame: Frame, node: str) -> str:
    return frame.nodes[node].id if node in frame.nodes else frame.instance(node)


def _parameters(progress: NodeProgress, expression: Expression) -> Iterator[str]:
    for part in leaves(expression):
        if isinstance(part, Parameter):
            yield part.name
        elif isinstance(part, (Item, Input)) and (name := _source(progress, part).parameter):
            yield name


def _is_fixed(expression: Expression) -> bool:
    """Whether the pipeline itself says what it is."""
    return all(isinstance(leaf, (Constant, Stored)) for leaf in leaves(expression))


__all__ = ["Source", "source_of"]
