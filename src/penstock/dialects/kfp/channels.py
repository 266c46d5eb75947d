"""What stands for values while the function of a pipeline is called: inputs, outputs of tasks, items of loops."""

from __future__ import annotations

import re
from typing import Any, NoReturn, cast

from penstock.authoring.source import caller
from penstock.dialects.kfp.interfaces import parameter_type
from penstock.dialects.kfp.structures import (
    ArtifactType,
    Comparison,
    Constant,
    Item,
    Nested,
    OneOf,
    ParameterType,
    Produced,
    Source,
    Text,
)
from penstock.errors import DefinitionError

#: how a value is written into text, which is taken apart again when the text is given to a task
_PATTERN = re.compile(r"\{\{channel:([0-9]+);\}\}")


class Channel:
    """A value to come. `type` is None where it is not known."""

    def __init__(
        self,
        source: Source,
        type: str | ArtifactType | None,
        name: str,
        *,
        task_name: str | None = None,
        listed: bool = False,
        detail: Any = None,
    ) -> None:
        self.source = source
        self.type = type
        self.name = name
        #: of the task that makes it; None for others
        self.task_name = task_name
        self.listed = listed
        #: the annotation that it has in the file, where there is one
        self.detail = detail

    @property
    def is_artifact(self) -> bool:
        return isinstance(self.type, ArtifactType)

    @property
    def channel_type(self) -> str:
        """What its type is called."""
        return type_text(self.type, listed=self.listed)

    @property
    def pattern(self) -> str:
        return str(self)

    def __str__(self) -> str:
        from penstock.dialects.kfp.tracing import current_trace

        if self.is_artifact:
            raise DefinitionError(
                f"{self.name} is an artifact, and cannot be put into text",
                where=str(caller()),
                remedy="Pass it to an input of its own.",
            )
        return current_trace().pattern(self)

    __repr__ = __str__

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> Any:
        return _compared("==", self, other)

    def __ne__(self, other: object) -> Any:
        return _compared("!=", self, other)

    def __lt__(self, other: Any) -> Any:
        return _compared("<", self, other)

    def __le__(self, other: Any) -> Any:
        return _compared("<=", self, other)

    def __gt__(self, other: Any) -> Any:
        return _compared(">", self, other)

    def __ge__(self, other: Any) -> Any:
        return _compared(">=", self, other)

    def _calculated(self, *_: object) -> NoReturn:
        raise _no_value(f"what {self.name} is", "Calculate with it inside a component.")

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _calculated
    __floordiv__ = __mod__ = __neg__ = __int__ = __float__ = __index__ = _calculated

    def __bool__(self) -> NoReturn:
        raise _no_value(f"whether {self.name} is true")

    def __iter__(self) -> NoReturn:
        raise _no_value(f"what {self.name} consists of", "Loop over it: with dsl.ParallelFor(...) as item.")

    def __len__(self) -> NoReturn:
        raise _no_value(f"how long {self.name} is")


class ItemChannel(Channel):
    """The item of a loop, or a part of one: `item.a`."""

    def __getattr__(self, name: str) -> ItemChannel:
        if name.startswith("__"):
            raise AttributeError(name)
        source = cast(Item, self.source)
        return ItemChannel(Item(source.loop, (*source.path, name)), _part_type(self.detail), f"{self.name}.{name}")

    def __getitem__(self, name: str) -> ItemChannel:
        return self.__getattr__(name)


class ConditionOperation:
    """A comparison of which one side is a value to come."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison

    def __bool__(self) -> NoReturn:
        raise _no_value("whether a condition holds", "Write with dsl.If(condition), and one condition inside another.")


def _no_value(
    what: str, remedy: str = "Use it inside a component, or in a condition: with dsl.If(...)."
) -> DefinitionError:
    return DefinitionError(f"{what} is not known while the pipeline is defined", where=str(caller()), remedy=remedy)


def type_text(type: str | ArtifactType | None, *, listed: bool = False) -> str:
    """A type as messages call it."""
    if isinstance(type, ArtifactType):
        return f"List[{type.title}@{type.version}]" if listed else f"{type.title}@{type.version}"
    return type or "any type"


def _part_type(detail: Any) -> ParameterType | None:
    import typing

    arguments = typing.get_args(detail)
    return parameter_type(arguments[1]) if len(arguments) == 2 else None


def constant_type(value: Any) -> ParameterType | None:
    """The type of a value that is known; None for one that cannot be a parameter."""
    return parameter_type(type(value))


def source_of(value: Any) -> Source:
    """Where a value comes from: values to come may stand in text, lists and dicts as well.

    Raises DefinitionError for a value that no parameter can have.
    """
    if isinstance(value, Channel):
        return value.source
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (list, tuple, dict)):
        inside = _nested(value)
        return Nested(inside) if _holds_source(inside) else Constant(inside)
    if value is not None and constant_type(value) is None:
        raise DefinitionError(
            f"a constant must be text, a number, a truth value, a list or a dict, not {value!r}", where=str(caller())
        )
    return Constant(value)


def _text(text: str) -> Source:
    from penstock.dialects.kfp.tracing import current_trace

    pieces = _PATTERN.split(text)
    if len(pieces) == 1:
        return Constant(text)
    parts: list[Any] = []
    for index, piece in enumerate(pieces):
        if index % 2:
            parts.append(current_trace().channels[int(piece)].source)
        elif piece:
            parts.append(piece)
    return Text(tuple(parts))


def _nested(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_nested(each) for each in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: _nested(each) for key, each in cast("dict[Any, Any]", value).items()}
    source = source_of(value)
    return source.value if isinstance(source, Constant) else source


def _holds_source(value: Any) -> bool:
    if isinstance(value, list):
        return any(_holds_source(each) for each in cast("list[Any]", value))
    if isinstance(value, dict):
        return any(_holds_source(each) for each in cast("dict[Any, Any]", value).values())
    return isinstance(value, Source)


def _compared(operator: Any, left: Any, right: Any) -> ConditionOperation:
    kinds = {each.type if isinstance(each, Channel) else constant_type(each) for each in (left, right)}
    known = {each for each in kinds if each is not None}
    if any(isinstance(each, ArtifactType) for each in known):
        raise DefinitionError("an artifact cannot be compared", where=str(caller()), remedy="Compare parameters.")
    if len(known) > 1 and known != {"NUMBER_INTEGER", "NUMBER_DOUBLE"}:
        told = " and ".join(sorted(str(each) for each in known))
        raise DefinitionError(
            f"values of different types are compared: {told}",
            where=str(caller()),
            remedy="Compare with a value of the same type.",
        )
    return ConditionOperation(Comparison(operator, source_of(left), source_of(right)))


def one_of(channels: list[Channel]) -> Channel:
    """See `dsl.OneOf`."""
    first = channels[0]
    wrong = next((each for each in channels if (each.type, each.listed) != (first.type, first.listed)), None)
    if wrong is not None:
        raise DefinitionError(
            f"dsl.OneOf takes values of one type, and is given {first.channel_type} and {wrong.channel_type}",
            where=str(caller()),
        )
    if not all(isinstance(each.source, Produced) for each in channels):
        raise DefinitionError("dsl.OneOf takes outputs of tasks in the branches of a condition", where=str(caller()))
    options = tuple(cast(Produced, each.source) for each in channels)
    return Channel(OneOf(options), first.type, "oneof", listed=first.listed, detail=first.detail)


#: the names that they have in Kubeflow, for annotations
PipelineChannel = PipelineParameterChannel = Channel


__all__ = ["Channel", "ConditionOperation", "ItemChannel", "constant_type", "one_of", "source_of", "type_text"]
