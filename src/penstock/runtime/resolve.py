"""From expressions to what is handed to a task, and from that to fingerprints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from penstock.fingerprint.framing import digest
from penstock.kernel import RunProgress
from penstock.model.expression import (
    Apply,
    Choose,
    Constant,
    Expression,
    Get,
    Item,
    Output,
    Parameter,
    chosen,
    evaluate,
    parts,
)
from penstock.model.expression import Mapping as MappingExpression
from penstock.model.expression import Sequence as SequenceExpression
from penstock.model.value import Argument, Artifact, Collection, Record, Selection
from penstock.values import Values

#: the elements at hand of the iterables that a node is mapped over, by input name
Elements = Mapping[str, Any]


class Resolver:
    """Computes the arguments of nodes, from the parameters of a run and from what has run so far.

    `records` names, for tasks (by key) whose outputs make up a named tuple or a dataclass, that class as `module:qualname`.
    """

    def __init__(
        self, run: RunProgress, parameters: Mapping[str, Any], values: Values, records: Mapping[str, str]
    ) -> None:
        self._run = run
        self._parameters = parameters
        self._values = values
        self._records = records
        self._stored_parameters: dict[str, Artifact] = {}

    def argument(self, expression: Expression, elements: Elements | None = None) -> Argument:
        """What stands for the value of an expression. Raises what evaluating it raises."""
        match expression:
            case Constant(value):
                return self.stored(value)
            case Parameter(name):
                if name not in self._stored_parameters:
                    self._stored_parameters[name] = self.stored(self._parameters[name])
                return self._stored_parameters[name]
            case Item(name):
                return self.element((elements or {})[name])
            case Output(node, port):
                return self.output(node, port)
            case Choose():
                return self.argument(chosen(expression, self._run.ran), elements)
            case Get(of, key, attribute):
                return self._part(self.argument(of, elements), key, attribute)
            case SequenceExpression(items, kind):
                return Collection(kind, tuple(self.argument(item, elements) for item in items))
            case MappingExpression(mapping):
                return Collection("dict", tuple(self.argument(i, elements) for i in mapping.values()), tuple(mapping))
            case Apply():
                return self.stored(self.value(expression, elements))

    def value(self, expression: Expression, elements: Elements | None = None) -> Any:
        """The value of an expression, loaded into this process."""
        return evaluate(expression, _Scope(self, elements or {}))

    def load(self, argument: Argument) -> Any:
        return self._values.load(argument)

    def stored(self, value: Any) -> Artifact:
        return self._values.store(value)[0]

    def element(self, element: Any) -> Argument:
        """An element of an iterable, which may have been split off without being loaded."""
        return element if isinstance(element, (Artifact, Collection, Record, Selection)) else self.stored(element)

    def parameter(self, name: str) -> Any:
        return self._parameters[name]

    def iterable(self, expression: Expression) -> Sequence[Any]:
        """The elements to map over: values, or arguments where they are stored apart. Raises TypeError for what is
        not iterable."""
        if isinstance(expression, Constant):
            value = expression.value
        else:
            argument = self.argument(expression)
            elements = self._values.split(argument)
            if elements is not None:
                return elements
            value = self._values.load(argument)
        return cast(Sequence[Any], value) if isinstance(value, (list, tuple, range)) else list(value)

    def output(self, node: str, port: str | None) -> Argument:
        """An output of a node; of a mapped node, the list over its items."""
        progress = self._run.nodes[node]
        key = progress.node.task
        outputs = self._run.outputs(node)
        if outputs is None:
            raise LookupError(f"{node} has no outputs")
        if isinstance(outputs, list):
            return Collection("list", tuple(self._output(key, each, port) for each in outputs))
        return self._output(key, outputs, port)

    def _output(self, key: str, outputs: tuple[Artifact, ...], port: str | None) -> Argument:
        task = self._run.graph.tasks[key]
        if task.record is None:
            return outputs[0]
        if len(outputs) != len(task.outputs):
            return outputs[0] if port is None else _selection(outputs[0], task.record, port)
        names = tuple(declared.name for declared in task.outputs)
        if port is not None:
            return outputs[names.index(port)]
        if task.record == "tuple":
            return Collection("tuple", outputs)
        if task.record == "dict":
            return Collection("dict", outputs, names)
        return Record(self._records[key], names, outputs)

    def _part(self, whole: Argument, key: str | int, attribute: bool) -> Argument:
        if isinstance(whole, Artifact) and whole.payload is None:
            return Selection(whole, key, attribute)
        if isinstance(whole, Selection):
            return Selection(whole, key, attribute)
        if isinstance(whole, Artifact):
            return self.stored(_part_of(self._values.load(whole), key, attribute))
        return self._pick(whole, key, attribute)

    def _pick(self, whole: Collection | Record, key: str | int, attribute: bool) -> Argument:
        """A part of something whose parts are stored apart, without loading the others."""
        names: Sequence[Any] = whole.names if isinstance(whole, Record) else whole.keys
        if key in names and attribute == isinstance(whole, Record):
            return whole.items[names.index(key)]
        if isinstance(key, int) and not names and -len(whole.items) <= key < len(whole.items):
            return whole.items[key]
        return self.stored(_part_of(self._values.load(whole), key, attribute))


def _part_of(value: Any, key: str | int, attribute: bool) -> Any:
    return getattr(value, str(key)) if attribute else value[key]


def _selection(whole: Artifact, record: str, port: str) -> Selection:
    if record == "tuple":
        return Selection(whole, int(port))
    return Selection(whole, port, attribute=record != "dict")


class _Scope:
    """The values that a condition or a computed input can reach."""

    def __init__(self, resolver: Resolver, elements: Elements) -> None:
        self._resolver = resolver
        self._elements = elements

    def parameter(self, name: str) -> Any:
        return self._resolver.parameter(name)

    def output(self, node: str, port: str | None) -> Any:
        return self._resolver.load(self._resolver.output(node, port))

    def item(self, name: str) -> Any:
        return self._resolver.load(self._resolver.element(self._elements[name]))

    def ran(self, node: str) -> bool:
        return self._resolver._run.ran(node)  # pyright: ignore[reportPrivateUsage]


def varies(expression: Expression) -> bool:
    """Whether the value differs from item to item of a fan-out."""
    return isinstance(expression, Item) or any(varies(part) for part in parts(expression))


def base_fingerprint(code: bytes, inputs: Mapping[str, bytes], varying: Sequence[str]) -> bytes:
    """What all items of a node have in common: the identity of the code and of the inputs that do not vary."""
    framed = [element for name in sorted(inputs) for element in (name.encode(), inputs[name])]
    return digest("node", code, *framed, b"varying", *(name.encode() for name in varying))


def fingerprint(base: bytes, varying: Sequence[bytes]) -> bytes:
    """What makes one attempt the same computation as another."""
    return base if not varying else digest("attempt", base, *varying)
