"""When each node runs, as conditions for plain `if`s: its own, and those of what it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from penstock.dialects.code.guards import levels
from penstock.model.expression import Apply, Expression
from penstock.model.graph import Node


class Ran(msgspec.Struct, frozen=True):
    """At least one of some nodes was not skipped."""

    nodes: tuple[str, ...]


class Rule(msgspec.Struct, frozen=True):
    """A rule over how some nodes ended."""

    name: str
    nodes: tuple[str, ...]


Conditions = tuple[Any, ...]


def conditions_of(nodes: Sequence[Node], optional: Mapping[str, str]) -> dict[str, Conditions]:
    """The conditions of each node, the outermost first: expressions, and the kinds above. `optional` are nodes that may
    turn out to have been skipped once they have run."""
    found: dict[str, Conditions] = {}
    for node in nodes:
        needed: list[Any] = []
        if node.join == "all_success":
            for names in node.requirements():
                known = tuple(name for name in names if name in found)
                if len(known) == 1:
                    needed += found[known[0]]
                    needed += [Ran(known)] if known[0] in optional else []
                elif known and all(found[name] or name in optional for name in known) and not _complete(known, found):
                    needed.append(Ran(known))
        own: list[Any] = list(levels(node.guard))
        found[node.id] = _once([*_joined(node), *needed, *own])
    return found


def _once(conditions: Sequence[Any]) -> Conditions:
    # constants in them may be lists, which cannot be hashed
    found: list[Any] = []
    for each in conditions:
        if each not in found:
            found.append(each)
    return tuple(found)


def within(some: Sequence[Any], others: Sequence[Any]) -> bool:
    """Whether all of some conditions are among others."""
    return all(each in others for each in some)


def _joined(node: Node) -> list[Any]:
    if node.join == "all_success" or node.final:
        return []
    if not isinstance(node.join, str):
        return [node.join]
    return [] if node.join == "always" else [Rule(node.join, node.upstream())]


def _complete(names: Sequence[str], found: Mapping[str, Conditions]) -> bool:
    """Whether one of some nodes always runs: they are the branches of one condition, the last of them `otherwise`."""
    shared = len(_common([found[name] for name in names]))
    wholes = [_all(found[name][shared:]) for name in names]
    before: Expression | None = None
    for whole in wholes:
        if before is not None and whole == Apply("not", (before,)):
            return True
        own = whole
        if before is not None and isinstance(whole, Apply) and whole.operator == "and":
            own = whole.arguments[1] if whole.arguments[0] == Apply("not", (before,)) else whole
        before = own if before is None else Apply("or", (before, own))
    return False


def _all(conditions: Sequence[Any]) -> Any:
    whole: Any = None
    for each in conditions:
        whole = each if whole is None else Apply("and", (whole, each))
    return whole


def _common(listed: Sequence[Conditions]) -> list[Any]:
    shared: list[Any] = []
    for level in zip(*listed, strict=False):
        if any(each != level[0] for each in level):
            break
        shared.append(level[0])
    return shared


__all__ = ["Conditions", "Ran", "Rule", "conditions_of", "within"]
