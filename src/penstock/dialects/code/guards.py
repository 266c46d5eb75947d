"""Conditions as blocks: what stands under which condition, and which branches follow each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any, Literal, NamedTuple, TypeVar

from penstock.model.expression import Apply, Expression

T = TypeVar("T")


class Branch(NamedTuple):
    """What stands under a condition. `otherwise` has none of its own; `if` has, and `elif` besides those before it."""

    kind: Literal["if", "elif", "otherwise"]
    condition: Expression | None
    #: the whole of what has to hold, without what is around it
    whole: Expression
    inside: list[Any]


def levels(guard: Expression | None) -> tuple[Expression, ...]:
    """The conditions that a guard is made of, the outermost first."""
    found: list[Expression] = []
    while isinstance(guard, Apply) and guard.operator == "and":
        guard, last = guard.arguments
        found.append(last)
    return (*([guard] if guard is not None else []), *reversed(found))


def branched(items: Iterable[T], guard: Callable[[T], tuple[Expression, ...]]) -> list[Any]:
    """Items in their order, and branches with items and branches in them, by the conditions that `guard` gives for each."""
    return _branched([(item, guard(item)) for item in items])


def _branched(items: Sequence[tuple[T, tuple[Expression, ...]]]) -> list[Any]:
    found: list[Any] = []
    before: Expression | None = None
    runs = _runs(items)
    for number, (first, run) in enumerate(runs):
        if first is None:
            found += [item for item, _ in run]
            before = None
            continue
        rest = [(item, each[1:]) for item, each in run]
        following = runs[number + 1][0] if number + 1 < len(runs) else None
        kind, condition, whole, rest = _opened(first, rest, before, following)
        found.append(Branch(kind, condition, whole, _branched(rest)))
        before = None if kind == "otherwise" else whole if kind == "if" else Apply("or", (before, condition))  # type: ignore[arg-type]
    return found


def _opened(first: Expression, rest: Any, before: Expression | None, following: Expression | None) -> Any:
    """How a run of items with the same first condition is opened: the kind, its condition, the whole, and what is left."""
    second = _shared(rest)
    if before is not None and first == _not(before):
        if second is None:
            return "otherwise", None, first, rest
        return "elif", second, Apply("and", (first, second)), _deeper(rest)
    if (
        before is not None
        and isinstance(first, Apply)
        and first.operator == "and"
        and first.arguments[0] == _not(before)
    ):
        return "elif", first.arguments[1], first, rest
    whole = first
    while second is not None and not (following is not None and _follows(following, whole)):
        whole, rest = Apply("and", (whole, second)), _deeper(rest)
        second = _shared(rest)
    return "if", whole, whole, rest


def _runs(items: Any) -> list[tuple[Expression | None, Any]]:
    runs: list[tuple[Expression | None, Any]] = []
    for item, each in items:
        first = each[0] if each else None
        if not runs or runs[-1][0] != first:
            runs.append((first, []))
        runs[-1][1].append((item, each))
    return runs


def _shared(rest: Any) -> Expression | None:
    """The next condition, where all have the same."""
    firsts = [each[0] if each else None for _, each in rest]
    return firsts[0] if all(first == firsts[0] for first in firsts) else None


def _deeper(rest: Any) -> Any:
    return [(item, each[1:]) for item, each in rest]


def _not(expression: Expression) -> Expression:
    return Apply("not", (expression,))


def _follows(condition: Expression, before: Expression) -> bool:
    """Whether a condition is that of a branch right after another."""
    return condition == _not(before) or (isinstance(condition, Apply) and _not(before) in condition.arguments)


def either(conditions: Sequence[Expression]) -> Expression:
    """A condition that holds where one of several does."""
    return reduce(lambda one, other: Apply("or", (one, other)), conditions)


def alternatives(condition: Expression) -> list[Expression]:
    """The conditions of which one has to hold: the parts of the outermost `or`s on the left."""
    found: list[Expression] = []
    while isinstance(condition, Apply) and condition.operator == "or":
        condition, last = condition.arguments
        found.append(last)
    return [condition, *reversed(found)]


__all__ = ["Branch", "alternatives", "branched", "either", "levels"]
