"""A pipeline being built: while its body runs, every task call becomes a node."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec

from penstock.authoring.decorated import Decorated
from penstock.authoring.ref import Ref, building_of, expression_of, hidden_in, holds_ref, structure
from penstock.authoring.source import caller
from penstock.errors import DefinitionError
from penstock.model.expression import Apply, Constant, Expression, Item, Output, describe, references
from penstock.model.graph import Each, Location, Node, Policy
from penstock.model.graph import Task as TaskNoun

if TYPE_CHECKING:
    from penstock.authoring.task import Task


class Unmapped:
    """A value that every item of a fan-out gets as it is."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Call(NamedTuple):
    """What a call of a task adds to the task itself."""

    name: str
    policy: Policy
    after: tuple[Any, ...] = ()
    #: the name was chosen by the user, and must not be changed to make it unique
    named: bool = False


class Building:
    """The graph of one pipeline as far as its body has run.

    `parameters` are the values of the pipeline's parameters, where they are known.
    """

    def __init__(self, pipeline: str, parameters: Mapping[str, Any]) -> None:
        self.pipeline = pipeline
        self.parameters = parameters
        self.nodes: dict[str, Node] = {}
        self.tasks: dict[str, TaskNoun] = {}
        self.functions: dict[str, Task[..., Any]] = {}
        self._task_keys: dict[int, str] = {}
        #: the ids of nodes and the names of groups, with the place that took each
        self._taken: dict[str, Location] = {}
        self._repeats: dict[str, int] = {}
        self._groups: list[str] = []
        self._guards: list[Expression] = []
        #: for every open block, the condition of the `when` that ended last in it
        self._ended: list[Expression | None] = [None]

    # The scope of what is known while building.

    def parameter(self, name: str) -> Any:
        try:
            return self.parameters[name]
        except KeyError:
            raise DefinitionError(
                f"the body of {self.pipeline!r} uses the value of its parameter {name!r}, which was not given",
                where=str(caller()),
                remedy=f"Give it one: -p {name}=...",
            ) from None

    def output(self, node: str, port: str | None) -> Any:
        raise LookupError(node)

    def item(self, name: str) -> Any:
        raise LookupError(name)

    def ran(self, node: str) -> bool:
        return False

    # Nodes.

    def call(self, task: Task[..., Any], call: Call, arguments: Mapping[str, Any]) -> Ref:
        """Add a node that calls a task. Returns the ref to its result."""
        bindings = {name: self.expression(value) for name, value in arguments.items()}
        return self._add(task, call, bindings, None)

    def map(self, task: Task[..., Any], call: Call, mapped: Mapping[str, Any], fixed: Mapping[str, Any]) -> Ref:
        """Add a node that calls a task for every element of `mapped`, with `fixed` the same for all.

        Returns the ref to the list of results.
        """
        over = {name: self.expression(value) for name, value in mapped.items()}
        bindings: dict[str, Expression] = {name: Item(name) for name in over}
        bindings |= {name: self.expression(value) for name, value in fixed.items()}
        return self._add(task, call, bindings, Each(over))

    def _add(self, task: Task[..., Any], call: Call, bindings: dict[str, Expression], each: Each | None) -> Ref:
        location = caller()
        node = Node(
            id=self._node_id(call, location),
            task=self._task_key(task),
            bindings=bindings,
            location=location,
            policy=call.policy,
            after=self._upstream_of(call.after),
            guard=self._guards[-1] if self._guards else None,
            each=each,
        )
        self.nodes[node.id] = node
        outputs = task.outputs if each is None else None
        return Ref(Output(node.id), self, outputs)

    def _node_id(self, call: Call, location: Location) -> str:
        wanted = "/".join((*self._groups, call.name))
        if call.named and wanted in self._taken:
            raise DefinitionError(
                f"two nodes are called {wanted!r}; the other is at {self._taken[wanted]}",
                where=str(location),
                remedy="Give one of them another name: task.options(name=...).",
            )
        return self._free_name(wanted, location)

    def _free_name(self, wanted: str, location: Location) -> str:
        """The name itself, or with the lowest number that makes it unique."""
        name, count = wanted, self._repeats.get(wanted, 1)
        while name in self._taken:
            count += 1
            name = f"{wanted}-{count}"
        self._repeats[wanted] = count
        self._taken[name] = location
        return name

    def _task_key(self, task: Task[..., Any]) -> str:
        identity = id(task.function)
        key = self._task_keys.get(identity)
        if key is None:
            key = task.name
            while key in self.tasks:
                key += "'"
            self._task_keys[identity] = key
            self.tasks[key] = task.noun
            self.functions[key] = task
        return key

    def _upstream_of(self, values: Iterable[Any]) -> tuple[str, ...]:
        names: list[str] = []
        for value in _flat(values):
            found = tuple(references(self.expression(value)))
            if not found:
                raise DefinitionError(
                    f"only the results of tasks can be waited for, and this is {value!r}",
                    where=str(caller()),
                    remedy="Give what calling the task returned: done = load(); save.options(after=done)(...).",
                )
            names += found
        return tuple(names)

    def order(self, later: Ref, earlier: Iterable[Any]) -> None:
        """Let the node of a ref wait for others."""
        expression = self.expression(later)
        if not isinstance(expression, Output):
            raise DefinitionError(
                f"only the result of a task can wait for others, not {describe(expression)}", where=str(caller())
            )
        node = self.nodes[expression.node]
        self.nodes[node.id] = msgspec.structs.replace(node, after=node.after + self._upstream_of(earlier))

    # Expressions.

    def expression(self, value: Any) -> Expression:
        """A value as an expression: refs stay refs, also inside lists, tuples and dicts; the rest is constant."""
        if isinstance(value, Ref):
            if building_of(value) is not self:
                raise self._foreign(value)
            return expression_of(value)
        if type(value) in (list, tuple, dict) and holds_ref(value):
            return structure(value, self.expression)
        _check_constant(value)
        return Constant(value)

    def _foreign(self, ref: Ref) -> DefinitionError:
        other = building_of(ref).pipeline
        owner = f"an earlier call of {other!r}" if other == self.pipeline else f"the pipeline {other!r}"
        return DefinitionError(
            f"{ref!r} belongs to {owner}, not to this call of {self.pipeline!r}",
            where=str(caller()),
            remedy="Pass the value as a parameter, or call the other pipeline inside this one.",
        )

    # Conditions and groups.

    @contextmanager
    def guarded(self, condition: Expression) -> Generator[None]:
        """Everything added in the block only runs if the condition holds."""
        whole = Apply("and", (self._guards[-1], condition)) if self._guards else condition
        self._guards.append(whole)
        self._ended.append(None)
        try:
            yield
        finally:
            self._guards.pop()
            self._ended.pop()
            self._ended[-1] = condition

    def last_condition(self) -> Expression | None:
        """The condition of the `when` that ended last in this block; each can be taken once."""
        condition, self._ended[-1] = self._ended[-1], None
        return condition

    @contextmanager
    def grouped(self, name: str) -> Generator[None]:
        """Everything added in the block is named `name/...`, made unique."""
        path = self._free_name("/".join((*self._groups, name)), caller())
        self._groups.append(path.rpartition("/")[2])
        self._ended.append(None)
        try:
            yield
        finally:
            self._groups.pop()
            self._ended.pop()


def elements(value: Any, task: str, name: str) -> Any:
    """Something to map over: a list, a range, or a ref to what is not known yet.

    Raises DefinitionError for what has no elements, and for text.
    """
    if type(value) in (Ref, list, range):
        return value
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise DefinitionError(
            f"{task}.map(...) cannot map over {name}={value!r}",
            where=str(caller()),
            remedy=f"Give it a list, or hold the value fixed: {name}=unmapped(...).",
        )
    return list(cast(Iterable[Any], value))


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if type(value) in (list, tuple):
            yield from _flat(value)
        else:
            yield value


def _check_constant(value: Any) -> None:
    """Raise DefinitionError for what is no value, though it could be taken for one."""
    if isinstance(value, Unmapped):
        raise DefinitionError("unmapped(...) is for the arguments of task.map(...) only", where=str(caller()))
    if isinstance(value, Decorated):
        decorated = cast(Decorated[..., Any], value)
        raise DefinitionError(
            f"{decorated.name} is passed on as a {decorated.role}, not as what it returns",
            where=str(caller()),
            remedy=f"Call it: {decorated.name}(...). If the function itself is meant, pass {decorated.name}.function.",
        )
    hidden = hidden_in(value)
    if hidden is not None:
        raise DefinitionError(
            f"{hidden!r} is hidden inside a value that is passed on as it is",
            where=str(caller()),
            remedy="Pass refs as arguments of their own, or inside lists, tuples and dicts.",
        )


_current: ContextVar[Building | None] = ContextVar("penstock_building", default=None)


def current_building() -> Building | None:
    """The pipeline whose body runs right now, if any."""
    return _current.get()


@contextmanager
def building(pipeline: Building) -> Generator[Building]:
    """Record task calls in the block into a pipeline."""
    token = _current.set(pipeline)
    try:
        yield pipeline
    finally:
        _current.reset(token)
