"""Scopes and exit handlers as they are found in a graph: which nodes set up, which take down, and after what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from penstock.model.expression import Apply, Ended, Expression, Outcome
from penstock.model.graph import Node
from penstock.model.run import ENDED, FRUITFUL

_SUCCEEDED = frozenset(state.value for state in FRUITFUL)
_DONE = frozenset(state.value for state in ENDED)


class Scope(NamedTuple):
    """Nodes between others that set up and take down; without those that set up, the latter are exit handlers."""

    setup: tuple[str, ...]
    body: tuple[str, ...]
    teardown: tuple[str, ...]

    @property
    def nodes(self) -> tuple[str, ...]:
        return (*self.setup, *self.body, *self.teardown)


def scopes_of(nodes: Iterable[Node]) -> list[Scope]:
    """The scopes of a body, and its exit handlers, the innermost first."""
    found: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    handlers: dict[tuple[str, ...], list[str]] = {}
    for node in nodes:
        if not node.final or node.decides:
            continue
        if node.join == "all_done":
            handlers.setdefault(_before(node), []).append(node.id)
        elif not isinstance(node.join, str):
            setup, body = _read(node, found)
            found.setdefault((setup, body), []).append(node.id)
    scopes = [Scope(setup, body, tuple(teardown)) for (setup, body), teardown in found.items()]
    scopes += [Scope((), body, tuple(names)) for body, names in handlers.items()]
    return sorted(scopes, key=lambda scope: len(scope.nodes))


def _before(handler: Node) -> tuple[str, ...]:
    """The nodes that an exit handler waits for."""
    seen = [expression.nodes for expression in handler.bindings.values() if isinstance(expression, Outcome)]
    return seen[0] if seen else handler.after


def _read(node: Node, known: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]]) -> tuple[tuple[str, ...], ...]:
    """What has to have succeeded for a node that takes down, and what has to have ended."""
    taking_down = {name for names in known.values() for name in names}
    setup: list[str] = []
    body: list[str] = []
    assert not isinstance(node.join, str)
    for part in conjuncts(node.join):
        if not isinstance(part, Ended) or part.node in taking_down:
            continue
        states = frozenset(part.states)
        if states == _SUCCEEDED:
            setup.append(part.node)
        elif states == _DONE:
            body.append(part.node)
    return tuple(dict.fromkeys(setup)), tuple(dict.fromkeys(body))


def conjuncts(expression: Expression) -> Iterator[Expression]:
    """What has to hold for an expression to hold: the parts of its outermost `and`s."""
    match expression:
        case Apply("and", arguments):
            for argument in arguments:
                yield from conjuncts(argument)
        case _:
            yield expression


__all__ = ["Scope", "conjuncts", "scopes_of"]
