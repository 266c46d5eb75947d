"""The blocks that the body of a pipeline is in the middle of: conditions, groups, scopes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from penstock.model.expression import Apply, Expression
from penstock.model.graph import Node


class Block:
    """A `with` block of a pipeline, as a handle: what is ordered before or after it is so for all its tasks."""

    def __init__(
        self,
        group: str = "",
        guard: Expression | None = None,
        after: tuple[str, ...] = (),
        adapt: Callable[[Node, list[str]], Node] | None = None,
    ) -> None:
        self.group = group
        #: what is done to a node that is to be in it, given the nodes that are in it already
        self.adapt = adapt
        #: what all that is in it waits for
        self.after = after
        #: the condition under which what is added runs
        self.guard = guard
        #: the ids of the nodes in it, in order
        self.nodes: list[str] = []
        #: the condition of the branches that ended last in it, which an `otherwise` would follow
        self.ended: Expression | None = None

    def __rshift__(self, other: Any) -> Any:
        from penstock.authoring.ordering import ordered

        return ordered(self, other)

    def __rrshift__(self, other: Any) -> Block:
        from penstock.authoring.ordering import ordered

        ordered(other, self)
        return self

    def __lshift__(self, other: Any) -> Any:
        from penstock.authoring.ordering import ordered

        ordered(other, self)
        return other

    def __rlshift__(self, other: Any) -> Block:
        from penstock.authoring.ordering import ordered

        ordered(self, other)
        return self


class Blocks:
    """The open blocks of a body, outermost first; the first is the body itself."""

    def __init__(self, defaults: Mapping[str, Any]) -> None:
        self._open = [Block()]
        #: options of all tasks
        self.defaults = defaults
        #: the names of the groups that what is added now is in
        self.groups: tuple[str, ...] = ()

    @property
    def guard(self) -> Expression | None:
        """The condition under which what is added now runs."""
        return self._open[-1].guard

    @contextmanager
    def open(
        self,
        condition: Expression | None = None,
        *,
        group: str = "",
        after: Iterable[str] = (),
        adapt: Callable[[Node, list[str]], Node] | None = None,
    ) -> Generator[Block]:
        """A block inside the others, under a condition of its own and after other nodes, where there are any."""
        outer = self._open[-1]
        block = Block(group, both(outer.guard, condition), tuple(after), adapt)
        groups = self.groups
        self._open.append(block)
        self.groups = (*groups, group) if group else groups
        try:
            yield block
        finally:
            self._open.pop()
            self.groups = groups
            if condition is not None:
                outer.ended = condition

    @contextmanager
    def defaulting(self, options: Mapping[str, Any]) -> Generator[None]:
        """Other defaults for the tasks called in the block, on top of those there are."""
        before = self.defaults
        if options:
            self.defaults = {**before, **options}
        try:
            yield
        finally:
            self.defaults = before

    def placed(self, node: Node) -> Node:
        """A node that is to be added, as the open blocks want it: waiting for what all in them waits for, unless something
        in the same block that it waits for does so already."""
        if len(self._open) == 1 or not any(block.after or block.adapt is not None for block in self._open):
            return node
        upstream = frozenset(node.upstream())
        missing = [
            name for block in self._open if block.after and upstream.isdisjoint(block.nodes) for name in block.after
        ]
        added = tuple(name for name in missing if name not in upstream)
        node = msgspec.structs.replace(node, after=node.after + added) if added else node
        for block in self._open:
            node = node if block.adapt is None else block.adapt(node, block.nodes)
        return node

    def record(self, node: str) -> None:
        """Note a node in every open block."""
        for block in self._open:
            block.nodes.append(node)

    def narrow(self, condition: Expression) -> None:
        """Let the rest of the innermost block only run if the condition holds."""
        self._open[-1].guard = both(self._open[-1].guard, condition)

    def take_ended(self) -> Expression | None:
        """The condition of the branches that ended last in this block; each can be taken once."""
        condition, self._open[-1].ended = self._open[-1].ended, None
        return condition

    def set_ended(self, condition: Expression | None) -> None:
        """Say which branches an `otherwise` would follow now."""
        self._open[-1].ended = condition


def both(one: Expression | None, other: Expression | None) -> Expression | None:
    """A condition that holds where two hold; None is one that always does."""
    if one is None or other is None:
        return one if other is None else other
    return Apply("and", (one, other))
