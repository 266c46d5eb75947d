"""Where the values of a pipeline's steps are, while it becomes nodes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from penstock.authoring.building import required_building
from penstock.authoring.control import choose
from penstock.authoring.ref import Ref, is_open
from penstock.authoring.task import Task
from penstock.dialects.kfp.calls import as_text
from penstock.dialects.kfp.structures import (
    Collected,
    Constant,
    FinalStatus,
    Given,
    Item,
    Nested,
    OneOf,
    Produced,
    Source,
    Text,
)
from penstock.model.expression import Apply, Choose, Expression
from penstock.model.expression import Constant as ConstantExpression
from penstock.model.expression import Sequence as SequenceExpression


class Values:
    """The values that steps can take: of the pipeline's inputs, of tasks, of items of loops."""

    def __init__(self) -> None:
        self.given: Mapping[str, Any] = {}
        #: (task, output) -> its value
        self.produced: dict[tuple[str, str], Any] = {}
        #: (task, output) -> what it is for every item of the loop that it is in
        self.collected: dict[tuple[str, str], Any] = {}
        #: loop -> the item at hand
        self.items: dict[str, Any] = {}
        #: exit handler -> how what it follows ended
        self.statuses: dict[str, Any] = {}
        #: the types of the pipeline's inputs, and of what tasks produce
        self.inputs: Mapping[str, Any] = {}
        self.types: dict[tuple[str, str], Any] = {}

    def inside(self, loop: str, item: Any) -> Values:
        """The same in the body of a loop."""
        inner = Values()
        inner.given = self.given
        inner.produced = dict(self.produced)
        inner.collected = dict(self.collected)
        inner.items = {**self.items, loop: item}
        inner.statuses = self.statuses
        inner.inputs, inner.types = self.inputs, self.types
        return inner

    def result(self, task: str, output: str) -> Any:
        """What a task in the body of a loop gives to those who collect it: of one in a further loop, a list."""
        found = self.collected.get((task, output))
        return self.produced[task, output] if found is None else found

    def of(self, source: Source | tuple[Source, ...]) -> Any:
        """The value, or a ref to it."""
        match source:
            case tuple():
                return [self.of(each) for each in source]
            case Constant(value):
                return value
            case Given(name):
                return self.given[name]
            case Produced(task, output, path):
                return _part(self.produced[task, output], path)
            case Item(loop, path):
                return _part(self.items[loop], path)
            case Collected(inner):
                return _part(self.collected[inner.task, inner.output], inner.path)
            case OneOf(options):
                return choose(*(self.of(each) for each in options))
            case FinalStatus(exit):
                return self.statuses[exit]
            case Nested(value):
                return self._nested(value)
            case Text(parts):
                return self._text(parts)

    def _nested(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._nested(each) for key, each in cast("dict[str, Any]", value).items()}
        if isinstance(value, list):
            return [self._nested(each) for each in cast("list[Any]", value)]
        return self.of(value) if isinstance(value, Source) else value

    def _text(self, parts: tuple[str | Source, ...]) -> Any:
        """Text with values in it, as an expression: `"%s of %s" % (a, b)`."""
        form = ""
        holes: list[Any] = []
        for part in parts:
            value = part if isinstance(part, str) else self.of(part)
            if is_open(value):
                form += "%s"
                holes.append(self.worded(value, cast(Any, part)))
            else:
                form += as_text(value).replace("%", "%%")
        if not holes:
            return form.replace("%%", "%")
        building = required_building("text")
        inner: tuple[Expression, ...] = tuple(building.expression(each) for each in holes)
        return Ref(Apply("mod", (ConstantExpression(form), SequenceExpression(inner, "tuple"))), building)

    def worded(self, value: Any, source: Source, name: str = "as-text") -> Any:
        """A value as text says it: lists, dicts and truth values as JSON, which takes a task of its own where they are not
        known yet."""
        if not is_open(value):
            return as_text(value)
        if self._type(source) in ("STRING", "NUMBER_INTEGER", "NUMBER_DOUBLE"):
            return value
        return cast(Any, Task(worded, "as-text").options(name=None if name == "as-text" else name))(value)

    def _type(self, source: Source) -> Any:
        match source:
            case Given(name):
                return self.inputs.get(name)
            case Produced(task, output, ()):
                return self.types.get((task, output))
            case OneOf(options):
                return self._type(options[0])
            case Text():
                return "STRING"
            case _:
                return None

    def else_(self, value: Any, default: Any) -> Any:
        """A value, or a default where it cannot be had."""
        if not is_open(value):
            return value
        building = required_building("a default")
        return Ref(Choose((building.expression(value), ConstantExpression(default))), building)


def _part(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def plucked(rows: list[Any], key: str) -> list[Any]:
    """What several dicts have under a key."""
    return [row[key] for row in rows]


def taken(rows: list[Any], key: str | None = None) -> list[Any]:
    """What there is of the values, or of what dicts have under a key: branches that were not taken give none."""
    values = rows if key is None else [None if row is None else row[key] for row in rows]
    return [value for value in values if value is not None]


def worded(value: Any) -> str:
    """A value as Kubeflow writes it into text."""
    # all that it needs is here, so that it can be written into other files
    return value if isinstance(value, str) else json.dumps(value)


__all__ = ["Values", "plucked", "taken", "worded"]
