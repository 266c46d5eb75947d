"""From expressions to what is handed to a task.

Every expression is evaluated at a place: in a frame, where node ids lead to the nodes of the same body, and at the
elements at hand of a fan-out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from penstock.kernel.joins import ENDS
from penstock.kernel.state import Frame, NodeProgress, Outputs, RunProgress
from penstock.model.expression import (
    Apply,
    Choose,
    Constant,
    Ended,
    Expression,
    Get,
    Input,
    Item,
    Outcome,
    Output,
    Parameter,
    Stored,
    chosen,
    evaluate,
    holds,
    part_of,
    parts,
)
from penstock.model.expression import Mapping as MappingExpression
from penstock.model.expression import Sequence as SequenceExpression
from penstock.model.value import Argument, Artifact, Collection, Record, Selection
from penstock.values import Values

#: the elements at hand of the iterables that a node is mapped over, by input name
Elements = Mapping[str, Any]

_NONE: Elements = {}


class MissingError(LookupError):
    """A value is not there, because what makes it did not run."""


class Place(NamedTuple):
    """Where an expression is evaluated."""

    frame: Frame
    elements: Elements = _NONE
    #: whether a part that is missing is None
    lax: bool = False
    #: what the body of the frame results in, for the condition of a loop
    result: Argument | None = None


class Resolver:
    """Computes arguments and values, from the parameters of a run and from what has run so far.

    `records` names, for tasks (by key) whose outputs make up a named tuple or a dataclass, that class as
    `module:qualname`. `given` says what the owner of a frame gives its body under a name, `outcome` how nodes ended,
    `named` whether the results of a mapped node are a dict.
    """

    def __init__(
        self,
        run: RunProgress,
        parameters: Mapping[str, Any],
        values: Values,
        records: Mapping[str, str],
        given: Callable[[Frame, str], Argument],
        named: Callable[[NodeProgress], bool],
        outcome: Callable[[Frame, Sequence[str]], Any],
    ) -> None:
        self._run = run
        self._parameters = parameters
        self._values = values
        self._records = records
        self._stored_parameters: dict[str, Argument] = {}
        self._named = named
        self.given = given
        self.outcome = outcome

    def argument(self, expression: Expression, place: Place) -> Argument:
        """What stands for the value of an expression. Raises what evaluating it raises; MissingError if what it reads
        did not run."""
        match expression:
            # most are; each case that is none takes its time
            case Output(node, port):
                return self.output(place.frame, node, port)
            case Constant(value):
                return self.stored(value)
            case Item(name):
                return self.element(place.elements[name])
            case Get(of, key, attribute):
                return self.part(self.argument(of, place), key, attribute)
            case Choose():
                return self.argument(self._chosen(expression, place.frame), place)
            case SequenceExpression(items, kind):
                return Collection(kind, tuple(self.optional(item, place) for item in items))
            case MappingExpression(mapping):
                values = tuple(self.optional(item, place) for item in mapping.values())
                return Collection("dict", values, tuple(mapping))
            case Parameter(name):
                return self._stored_parameter(name)
            case Input(name):
                return self.input(place, name)
            case Stored(artifact):
                return artifact
            case Apply() | Ended() | Outcome():
                return self.stored(self.value(expression, place))

    def optional(self, expression: Expression, place: Place) -> Argument:
        """The same, but None for what is missing, where the place is lax."""
        if not place.lax:
            return self.argument(expression, place)
        try:
            return self.argument(expression, place)
        except MissingError:
            return self.stored(None)

    def value(self, expression: Expression, place: Place) -> Any:
        """The value of an expression, loaded into this process."""
        return evaluate(expression, _Reach(self, place))

    def holds(self, condition: Expression, place: Place) -> bool | None:
        """Whether a condition holds, as far as what ran tells; None if that cannot be known."""
        return holds(condition, _Reach(self, place))

    def load(self, argument: Argument) -> Any:
        return self._values.load(argument)

    def stored(self, value: Any) -> Artifact:
        return self._values.store(value)[0]

    def element(self, element: Any) -> Argument:
        """An element of an iterable, which may have been split off without being loaded."""
        return element if isinstance(element, (Artifact, Collection, Record, Selection)) else self.stored(element)

    def parameter(self, name: str) -> Any:
        return self._parameters[name]

    def know(self, parameters: Mapping[str, Argument]) -> None:
        """Take parameters that are stored already as they are: a file may hold something else by now."""
        self._stored_parameters.update(parameters)

    def _stored_parameter(self, name: str) -> Argument:
        if name not in self._stored_parameters:
            self._stored_parameters[name] = self.stored(self._parameters[name])
        return self._stored_parameters[name]

    def input(self, place: Place, name: str) -> Argument:
        """What the body at hand is given under a name."""
        if name == "result" and place.result is not None:
            return place.result
        return self.given(place.frame, name)

    def _chosen(self, choice: Choose, frame: Frame) -> Expression:
        try:
            return chosen(choice, lambda node: frame.nodes[node].phase.fruitful)
        except LookupError as error:
            raise MissingError(str(error)) from None

    # Outputs.

    def output(self, frame: Frame, node: str, port: str | None) -> Argument:
        """An output of a node; of a mapped node, the list or dict over the items that have one."""
        progress = frame.nodes[node]
        outputs = self._run.outputs(progress.id)
        if outputs is None:
            raise MissingError(f"{progress.id} has no output: it {ENDS.get(progress.phase, 'has not ended')}")
        key = progress.node.task
        if not isinstance(outputs, list):
            return self._output(key, outputs, port)
        found = tuple([self._output(key, each, port) for each in outputs])
        if not self._named(progress):
            return Collection("list", found)
        items = progress.items
        if items is None or items.keys is None:
            return Collection("dict", ())
        pairs = zip(items.keys, items.outputs, strict=True)
        return Collection("dict", found, tuple(called for called, each in pairs if each is not None))

    def output_of_item(self, progress: NodeProgress, item: int) -> Argument:
        """The whole output of one item of a mapped node."""
        outputs = None if progress.items is None else progress.items.outputs[item]
        if outputs is None:
            raise MissingError(f"{progress.cell_id(item)} has no output")
        return self._output(progress.node.task, outputs, None)

    def _output(self, key: str, outputs: Outputs, port: str | None) -> Argument:
        task = self._run.tasks[key]
        if task.record is None:
            return outputs[0]
        if len(outputs) != len(task.outputs):
            return outputs[0] if port is None else self._of_whole(outputs[0], task.record, port)
        names = tuple(declared.name for declared in task.outputs)
        if port is not None:
            return outputs[names.index(port)]
        if task.record == "tuple":
            return Collection("tuple", outputs)
        if task.record == "dict":
            return Collection("dict", outputs, names)
        return Record(self._records[key], names, outputs)

    def _of_whole(self, whole: Argument, record: str, port: str) -> Argument:
        if record == "tuple":
            return self.part(whole, int(port))
        return self.part(whole, port, attribute=record != "dict")

    # Parts.

    def part(self, whole: Argument, key: str | int, attribute: bool = False) -> Argument:
        """A part of a value, `whole[key]` or `whole.key`, without loading more than has to be."""
        if isinstance(whole, Artifact) and whole.payload is None:
            return Selection(whole, key, attribute)
        if isinstance(whole, Selection):
            return Selection(whole, key, attribute)
        if isinstance(whole, Artifact):
            return self.stored(part_of(self._values.load(whole), key, attribute))
        return self._pick(whole, key, attribute)

    def _pick(self, whole: Collection | Record, key: str | int, attribute: bool) -> Argument:
        """A part of something whose parts are stored apart, without loading the others."""
        names: Sequence[Any] = whole.names if isinstance(whole, Record) else whole.keys
        if key in names and attribute == isinstance(whole, Record):
            return whole.items[names.index(key)]
        if isinstance(key, int) and not names and -len(whole.items) <= key < len(whole.items):
            return whole.items[key]
        return self.stored(part_of(self._values.load(whole), key, attribute))


class _Reach:
    """The values that a condition or a computed input can reach."""

    __slots__ = ("_place", "_resolver")

    def __init__(self, resolver: Resolver, place: Place) -> None:
        self._resolver = resolver
        self._place = place

    def parameter(self, name: str) -> Any:
        return self._resolver.parameter(name)

    def output(self, node: str, port: str | None) -> Any:
        return self._resolver.load(self._resolver.output(self._place.frame, node, port))

    def item(self, name: str) -> Any:
        return self._resolver.load(self._resolver.element(self._place.elements[name]))

    def stored(self, value: Artifact) -> Any:
        return self._resolver.load(value)

    def input(self, name: str) -> Any:
        return self._resolver.load(self._resolver.input(self._place, name))

    def state(self, node: str) -> str:
        return self._place.frame.nodes[node].phase.state.value

    def outcome(self, nodes: tuple[str, ...]) -> Any:
        return self._resolver.outcome(self._place.frame, nodes)

    def ran(self, node: str) -> bool:
        return self._place.frame.nodes[node].phase.fruitful


#: what has a value of its own in every frame
_LOCAL = (Output, Input, Ended, Outcome)


def varies(expression: Expression, *, in_body: bool) -> bool:
    """Whether the value differs from item to item of a fan-out, or from one execution of a body to another."""
    if isinstance(expression, Item) or (in_body and isinstance(expression, _LOCAL)):
        return True
    return any(varies(part, in_body=in_body) for part in parts(expression))
