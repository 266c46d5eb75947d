"""The nodes of a body as a tree of groups and scopes, each of which stands in one piece."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from graphlib import CycleError, TopologicalSorter

from penstock.dialects.code.scopes import Scope, scopes_of
from penstock.model.graph import Node

#: a step into a group, by its name, or into a scope
Step = str | Scope


class Nest:
    """A group or a scope, with what is in it in an order in which it can be written."""

    def __init__(self, step: Step | None, path: tuple[Step, ...]) -> None:
        self.step = step
        self.path = path
        self.children: list[Nest | Node] = []

    def nodes(self) -> Iterable[Node]:
        """All nodes in it."""
        for child in self.children:
            if isinstance(child, Nest):
                yield from child.nodes()
            else:
                yield child


def nested(
    nodes: Sequence[Node], skipped: frozenset[str] = frozenset(), *, groups: bool = True, scopes: bool = True
) -> Nest | None:
    """The tree of the nodes of a body, without those that are `skipped`. None where groups cannot be in one piece, because
    what is between two nodes of a group depends on one and is needed by the other. Without `groups`, only of
    scopes, and the other way round."""
    listed = scopes_of(nodes) if scopes else []
    known = [each for each in listed if not skipped.intersection(each.teardown)]
    root = Nest(None, ())
    nests: dict[tuple[Step, ...], Nest] = {(): root}
    for node in nodes:
        if node.id in skipped:
            continue
        path = _path(node.id, known, groups=groups)
        for depth in range(1, len(path) + 1):
            step = path[:depth]
            if step not in nests:
                nests[step] = Nest(path[depth - 1], step)
                nests[path[: depth - 1]].children.append(nests[step])
        nests[path].children.append(node)
    try:
        _order(root)
    except CycleError:
        return None
    return root


def _path(node: str, scopes: Sequence[Scope], *, groups: bool) -> tuple[Step, ...]:
    path: list[Step] = [*node.split("/")[:-1]] if groups else []
    # the outermost scope first, right below the groups that all of it is in
    shift = 0
    for scope in reversed(scopes):
        if node in scope.nodes:
            depth = len(_common(scope.nodes)) if groups else 0
            path.insert(depth + shift, scope)
            shift += 1
    return tuple(path)


def _common(nodes: Iterable[str]) -> list[str]:
    """The groups that several nodes have in common."""
    paths = [node.split("/")[:-1] for node in nodes]
    found: list[str] = []
    for level in zip(*paths, strict=False):
        if len(set(level)) > 1:
            break
        found.append(level[0])
    return found


def _order(nest: Nest) -> None:
    owner: dict[str, int] = {}
    for number, child in enumerate(nest.children):
        for node in child.nodes() if isinstance(child, Nest) else (child,):
            owner[node.id] = number
    upstream: dict[int, set[int]] = {number: set() for number in range(len(nest.children))}
    for number, child in enumerate(nest.children):
        for node in child.nodes() if isinstance(child, Nest) else (child,):
            upstream[number].update(owner[name] for name in node.upstream() if owner.get(name, number) != number)
    nest.children = [nest.children[number] for number in _sorted(upstream)]
    for child in nest.children:
        if isinstance(child, Nest):
            _order(child)


def _sorted(upstream: dict[int, set[int]]) -> list[int]:
    """Numbers in an order in which each follows what it waits for, as close to their own order as can be."""
    sorter = TopologicalSorter(upstream)
    sorter.prepare()
    ready: list[int] = []
    found: list[int] = []
    while sorter.is_active() or ready:
        ready = sorted((*ready, *sorter.get_ready()))
        number = ready.pop(0)
        sorter.done(number)
        found.append(number)
    return found


__all__ = ["Nest", "Step", "nested"]
