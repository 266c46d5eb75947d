"""What sources take from which tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from penstock.dialects.kfp.structures import (
    Branches,
    Collected,
    Comparison,
    Condition,
    Exit,
    Item,
    Logic,
    Loop,
    Nested,
    OneOf,
    Produced,
    Source,
    Step,
    Task,
    Text,
)


def parts_of(source: Source | tuple[Source, ...]) -> Iterator[Source]:
    """A source, and all that it is made of."""
    if isinstance(source, tuple):
        for each in source:
            yield from parts_of(each)
        return
    yield source
    match source:
        case Collected(inner):
            yield inner
        case OneOf(options):
            yield from options
        case Text(parts):
            for part in parts:
                if not isinstance(part, str):
                    yield from parts_of(part)
        case Nested(value):
            yield from _inside(value)
        case _:
            pass


def _inside(value: Any) -> Iterator[Source]:
    if isinstance(value, dict):
        value = list(cast("dict[Any, Any]", value).values())
    if isinstance(value, list):
        for each in cast("list[Any]", value):
            yield from _inside(each)
    elif isinstance(value, Source):
        yield from parts_of(value)


def tasks_of(source: Source | tuple[Source, ...]) -> Iterator[str]:
    """The names of the tasks that a source takes something of."""
    for part in parts_of(source):
        if isinstance(part, Produced):
            yield part.task


def compared(condition: Condition | None) -> Iterator[Source]:
    """The sources that a condition compares."""
    match condition:
        case Comparison(_, left, right):
            yield from (left, right)
        case Logic(_, operands):
            for operand in operands:
                yield from compared(operand)
        case _:
            pass


def sources_in(steps: Iterable[Step]) -> Iterator[Source]:
    """Every source in some steps, at any depth, with all that it is made of."""
    for step in steps:
        match step:
            case Task():
                for argument in step.arguments.values():
                    yield from parts_of(argument)
            case Branches():
                for branch in step.branches:
                    for source in compared(branch.condition):
                        yield from parts_of(source)
                    yield from sources_in(branch.steps)
            case Loop():
                yield from parts_of(step.items)
                yield from sources_in(step.steps)
            case Exit():
                yield from sources_in(step.steps)
                yield from sources_in((step.handler,))


def takes_item(source: Source | tuple[Source, ...], loop: str) -> bool:
    """Whether a source takes something of the item of a loop."""
    return any(isinstance(part, Item) and part.loop == loop for part in parts_of(source))


__all__ = ["compared", "parts_of", "sources_in", "takes_item", "tasks_of"]
