"""What the names in an expression stand for: stages, parameters, the items of a fan-out, the inputs of a body."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from penstock.authoring.kinds.conversion import nearest
from penstock.model.expression import Expression, Get, Input, Item, Output, Parameter
from penstock.model.graph import Task

#: what goes before a name that could mean several things -> which of them it means
SPACES = {
    "stages": "stage",
    "parameters": "parameter",
    "params": "parameter",
    "items": "item",
    "inputs": "input",
}


class Known(NamedTuple):
    """A stage as expressions see it."""

    task: Task
    #: the annotation of what it returns; Any where nobody knows
    returns: Any = Any
    #: names of outputs that are parts of a single one, or the whole of it (None)
    aliases: Mapping[str, str | None] = {}
    mapped: bool = False
    #: the keys of the dict that it returns, where its code shows them
    keys: tuple[str, ...] = ()

    @property
    def parts(self) -> list[str]:
        """The names of what it gives that are known."""
        ports = [port.name for port in self.task.outputs]
        return list(dict.fromkeys((*ports, *self.aliases, *self.keys)))


class NoPart(LookupError):
    """A stage has no such output; `there` are those that it has."""

    def __init__(self, stage: str, name: str, there: Sequence[str]) -> None:
        super().__init__(f"the stage {stage!r} has no output {name!r}{nearest(name, there)}")
        self.remedy = f"It has: {', '.join(there)}."


class Value(NamedTuple):
    """An expression, and the annotation of its value."""

    expression: Expression
    kind: Any = Any
    #: where it is the whole output of a stage
    known: Known | None = None


class Names:
    """The names that an expression may use."""

    def __init__(
        self,
        stages: Mapping[str, Known],
        parameters: Mapping[str, Any],
        inputs: frozenset[str] = frozenset(),
        items: frozenset[str] = frozenset(),
    ) -> None:
        self.stages = stages
        #: with their annotations
        self.parameters = parameters
        self.inputs = inputs
        self.items = items

    def with_items(self, items: frozenset[str]) -> Names:
        """The same inside a fan-out."""
        return Names(self.stages, self.parameters, self.inputs, items)

    def with_inputs(self, inputs: frozenset[str]) -> Names:
        """The same where inputs have names of their own."""
        return Names(self.stages, self.parameters, inputs, self.items)

    def meanings(self, name: str) -> list[str]:
        """What a name may stand for."""
        return [kind for kind, names in self._kinds() if name in names]

    def _kinds(self) -> Iterator[tuple[str, Any]]:
        yield "item", self.items
        yield "input", self.inputs
        yield "stage", self.stages
        yield "parameter", self.parameters

    def all(self) -> list[str]:
        """Every name that there is."""
        return [name for _, names in self._kinds() for name in names]

    def of(self, space: str) -> list[str]:
        """The names of a kind."""
        return [name for kind, names in self._kinds() if kind == space for name in names]

    def value(self, kind: str, name: str) -> Value:
        """What a name of a kind stands for."""
        if kind == "stage":
            known = self.stages[name]
            return Value(Output(name), Any if known.mapped else known.returns, known)
        if kind == "parameter":
            return Value(Parameter(name), self.parameters[name])
        return Value(Item(name) if kind == "item" else Input(name))


def attribute_of(value: Value, name: str) -> Value:
    """`value.name`: an output of a stage, an entry of a dict, or an attribute. Raises NoPart."""
    known = value.known
    if known is not None and isinstance(value.expression, Output):
        node, ports = value.expression.node, [port.name for port in known.task.outputs]
        if known.task.record is not None and name in ports:
            return Value(Output(node, name), _part(known.returns, name)[1])
        if name in known.aliases and not known.mapped:
            part = known.aliases[name]
            whole = value._replace(known=known._replace(aliases={}))
            return whole if part is None else attribute_of(whole, part)
        if known.task.record is None and name in (*ports, "result") and not known.mapped:
            return value._replace(known=None)
        _check(node, known, name)
    attribute, kind = _part(value.kind, name)
    return Value(Get(value.expression, name, attribute=attribute), kind)


def item_of(value: Value, key: str | int) -> Value:
    """`value[key]`. Raises NoPart."""
    known = value.known
    if (
        known is not None
        and isinstance(value.expression, Output)
        and known.task.record is not None
        and not known.mapped
    ):
        ports = [port.name for port in known.task.outputs]
        if known.task.record == "tuple" and isinstance(key, int) and -len(ports) <= key < len(ports):
            return Value(Output(value.expression.node, ports[key]))
        if known.task.record == "dict" and key in ports:
            return Value(Output(value.expression.node, str(key)))
    if known is not None and isinstance(value.expression, Output) and isinstance(key, str):
        _check(value.expression.node, known, key)
    return Value(Get(value.expression, key), _part(value.kind, key)[1])


def _check(stage: str, known: Known, name: str) -> None:
    """Raise NoPart where a stage is known to have no part of a name."""
    if known.mapped:
        return
    ports = [port.name for port in known.task.outputs]
    there = ports if known.task.record in ("dict", "tuple") else known.keys
    if there and name not in there:
        raise NoPart(stage, name, [*there, *(each for each in known.aliases if each not in there)])


#: what JSON gives: dicts and lists all the way down
JSON = dict[str, Any]


def _part(kind: Any, key: str | int) -> tuple[bool, Any]:
    """Whether a part of a value is an attribute rather than an item, and its annotation. Of what nobody knows, a part is
    taken for an attribute, as which the entries of a dict can be had too."""
    origin = typing.get_origin(kind) or kind
    if not isinstance(origin, type):
        return True, Any
    if typing.is_typeddict(origin):
        return False, _hints(origin).get(str(key), Any)
    if issubclass(origin, Mapping):
        arguments = typing.get_args(kind)
        return False, arguments[1] if len(arguments) == 2 else JSON if kind is JSON else Any
    if origin in (list, tuple):
        arguments = typing.get_args(kind)
        return True, arguments[0] if arguments and isinstance(key, int) else Any
    record = cast(Any, origin)
    if dataclasses.is_dataclass(record) or hasattr(record, "_fields"):
        return True, _hints(record).get(str(key), Any)
    return True, Any


def _hints(kind: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(kind)
    except (NameError, TypeError):
        return {}


__all__ = ["JSON", "SPACES", "Known", "Names", "NoPart", "Value", "attribute_of", "item_of"]
