"""A pipeline being built: while its body runs, every task call becomes a node."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec

from penstock.authoring.blocks import Block, Blocks
from penstock.authoring.catching import may_be_caught
from penstock.authoring.decorated import Decorated, Uncalled
from penstock.authoring.dynamic import Listener, Question, Unanswered, composed
from penstock.authoring.options.caching import cache_key
from penstock.authoring.options.hooks import Attached, attached
from penstock.authoring.options.policy import policy_of
from penstock.authoring.placing import Fan, Placing
from penstock.authoring.ref import ATOMS, Ref, building_of, expression_of, hidden_in, holds_ref, structure
from penstock.authoring.source import caller, calling_frame, place_of
from penstock.errors import DefinitionError
from penstock.model.action import PythonAction
from penstock.model.expression import (
    Constant,
    Ended,
    Expression,
    Input,
    Output,
    Parameter,
    Stored,
    describe,
    leaves,
    references,
)
from penstock.model.graph import Each, Fallback, Loop, Node, Wait
from penstock.model.graph import Task as TaskNoun
from penstock.model.place import Location
from penstock.model.policy import Policy

if TYPE_CHECKING:
    from penstock.authoring.bodies import Source
    from penstock.authoring.task import Task


class Unmapped:
    """A value that every item of a fan-out gets as it is."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Shape(msgspec.Struct, frozen=True):
    """What a node is besides a call."""

    each: Each | None = None
    loop: Loop | None = None
    wait: Wait | None = None
    fallback: Fallback | None = None


class Catalogue:
    """The tasks that a pipeline and the bodies in it call, and what belongs to their nodes."""

    def __init__(self) -> None:
        #: key -> task, as in `Graph.tasks`
        self.tasks: dict[str, TaskNoun] = {}
        #: key -> task, of those that are Python functions
        self.functions: dict[str, Task[..., Any]] = {}
        #: key -> what is asked with the exception of a failed attempt whether to repeat it
        self.predicates: dict[str, Callable[[BaseException], bool]] = {}
        #: (key of the task whose body it is in, empty for the pipeline itself; id of a node) -> what belongs to it
        self.attached: dict[tuple[str, str], Attached] = {}
        #: key -> how the body of the task is called, of those that are dynamic
        self.bodies: dict[str, Source] = {}
        #: key -> the refs from around it that a dynamic body is given, by name
        self.captures: dict[str, frozenset[str]] = {}
        #: identity of a task -> its key; the task is kept so that no other takes its identity
        self._known: dict[Any, tuple[str, Task[..., Any]]] = {}
        self._reserved: set[str] = set()

    def reserve(self, name: str) -> str:
        """A key that no other task has."""
        key = name
        while key in self.tasks or key in self._reserved:
            key += "'"
        self._reserved.add(key)
        return key

    def key_of(self, task: Task[..., Any], options: Mapping[str, Any]) -> str:
        """The key of a task, in the environment that it runs in here, and with what is asked whether to repeat it."""
        environment, predicate = options.get("environment"), options.get("retry_if")
        marker = None if environment is None else msgspec.json.encode(environment)
        identity = (id(task.function), marker, None if predicate is None else id(predicate))
        known = self._known.get(identity)
        if known is not None:
            return known[0]
        key = self.reserve(task.name)
        noun = task.noun
        self.tasks[key] = noun if environment is None else msgspec.structs.replace(noun, environment=environment)
        if isinstance(noun.action, PythonAction):
            self.functions[key] = task
        if predicate is not None:
            self.predicates[key] = predicate
        self._known[identity] = (key, task)
        return key


class NodeSettings(NamedTuple):
    """What the options of a task amount to under the defaults of a pipeline."""

    #: of the task
    key: str
    policy: Policy
    attached: Attached
    options: Mapping[str, Any]


class Building:
    """The graph of one pipeline as far as its body has run, or of a body inside it.

    `parameters` are the values of the pipeline's parameters, where they are known; `defaults` are options (as
    `read_options` gives them) of all tasks. A body has the building that it is in as `outer`, and the key of its task.
    """

    def __init__(
        self,
        pipeline: str,
        parameters: Mapping[str, Any],
        *,
        defaults: Mapping[str, Any] | None = None,
        outer: Building | None = None,
        body: str = "",
    ) -> None:
        self.pipeline = pipeline
        self.parameters = parameters
        self.outer = outer
        self.body = body
        self.nodes: dict[str, Node] = {}
        self.catalogue = Catalogue() if outer is None else outer.catalogue
        #: the parameters whose values the body has used, and where it first did
        self.read: dict[str, Location] = {} if outer is None else outer.read
        #: whether a call in a `try` waits for its end, so that its failure can be caught there
        self.catching = True
        #: who answers where the body uses the value of something that has yet to run
        self.listener: Listener = Unanswered()
        #: names of inputs of a body that are taken
        self.inputs: set[str] = set()
        #: inputs of a body that stand for refs of the pipelines around it, by name, as seen from the outer one
        self.captured: dict[str, Expression] = {}
        #: refs of the outer pipeline that nodes of this body are to wait for
        self.outer_after: list[Ref] = []
        self.blocks = Blocks({} if defaults is None else defaults)
        if outer is not None:
            self.blocks.defaults = {**outer.blocks.defaults, **self.blocks.defaults}
        #: the ids of nodes and the names of groups, with the place that took each
        self._taken: dict[str, Location] = {}
        self._repeats: dict[str, int] = {}
        #: nodes -> the node that what depends on them waits for besides
        self.gates: dict[str, str] = {}
        #: nodes that begin before the node of the ref that stands for them
        self._entries: dict[str, str] = {}
        self._settings: dict[int, tuple[Any, Any, NodeSettings]] = {}

    @property
    def tasks(self) -> dict[str, TaskNoun]:
        return self.catalogue.tasks

    @property
    def functions(self) -> dict[str, Task[..., Any]]:
        return self.catalogue.functions

    def parameter(self, name: str) -> Any:
        try:
            value = self.parameters[name]
        except KeyError:
            raise DefinitionError(
                f"the body of {self.pipeline!r} uses the value of its parameter {name!r}, which was not given",
                where=str(caller()),
                remedy=f"Give it one: -p {name}=...",
            ) from None
        if name not in self.read:
            self.read[name] = caller()
        return value

    # Nodes.

    def call(self, task: Task[..., Any], placing: Placing, arguments: Mapping[str, Any]) -> Ref:
        """Add a node that calls a task. Returns the ref to its result."""
        if placing.fans_out:
            raise DefinitionError(
                f"{task.name} is called once, and has options of a fan-out (max_parallel, failure_threshold, key)",
                where=str(caller()),
                remedy=f"Call {task.name}.options(...).map(...), or leave them out.",
            )
        bindings = {name: self.expression(value) for name, value in arguments.items()}
        return self._call(task, placing, bindings)

    def fan(self, task: Task[..., Any], placing: Placing, fan: Fan) -> Ref:
        """Add a node that calls a task for every item of a fan-out. Returns the ref to the list (dict) of results."""
        from penstock.authoring.fanout import each_of

        each, bindings = each_of(self, fan, placing)
        return self._call(task, placing, bindings, each)

    def _call(
        self, task: Task[..., Any], placing: Placing, bindings: dict[str, Expression], each: Each | None = None
    ) -> Ref:
        settings = self.settings_of(task)
        fallback = self._fallback(task, settings.options["fallback"]) if "fallback" in settings.options else None
        name = self.add(settings.key, task.name, placing, bindings, Shape(each, None, task.wait, fallback), settings)
        return Ref(Output(name), self, task.outputs if each is None else None)

    def add(
        self,
        key: str,
        name: str,
        placing: Placing,
        bindings: dict[str, Expression],
        shape: Shape,
        settings: NodeSettings | None = None,
    ) -> str:
        """Add a node of the task under a key, called `name` or as was chosen. Returns its id."""
        frame = calling_frame()
        location = place_of(frame)
        settings = settings or NodeSettings(key, _DEFAULT, _NOTHING, {})
        wanted = Node(
            id=self._node_id(name, placing, location),
            task=key,
            bindings=bindings,
            location=location,
            policy=settings.policy,
            after=self._upstream_of(placing.after) if placing.after else (),
            guard=self.blocks.guard,
            each=shape.each,
            join="all_success" if placing.join is None else self._join(placing.join),
            loop=shape.loop,
            wait=shape.wait,
            fallback=shape.fallback,
            decides=placing.decides,
        )
        if self.gates:
            gates = (self.gates[name] for name in wanted.upstream() if name in self.gates)
            wanted = msgspec.structs.replace(wanted, after=tuple(dict.fromkeys((*wanted.after, *gates))))
        node = self.blocks.placed(wanted)
        if self.listener.ended is not None and not node.final:
            raise self.listener.ended
        self.nodes[node.id] = node
        self.blocks.record(node.id)
        if settings.attached != _NOTHING:
            self.catalogue.attached[self.body, node.id] = settings.attached
        if self.catching and not node.final and may_be_caught(frame, composed.__code__):
            # the failure is for the handlers of the `try` that the call stands in
            self.listener.ask(Question(Output(node.id), "end", location))
        return node.id

    def change(self, name: str, **fields: Any) -> None:
        """Change fields of a node that has been added. Raises DefinitionError if it may have run by now."""
        self.listener.check_open(name)
        self.nodes[name] = msgspec.structs.replace(self.nodes[name], **fields)

    def settings_of(self, task: Task[..., Any]) -> NodeSettings:
        """The options of a task under the defaults of the pipeline."""
        defaults = self.blocks.defaults
        known = self._settings.get(id(task))
        if known is None or known[0] is not task or known[1] is not defaults:
            options = {**defaults, **task.given} if defaults else task.given
            functions = attached(options, cache_key(task, options.get("cache_key")))
            policy = policy_of(options, asynchronous=task.asynchronous)
            settings = NodeSettings(self.catalogue.key_of(task, options), policy, functions, options)
            self._settings[id(task)] = known = (task, defaults, settings)
        return known[2]

    def _fallback(self, task: Task[..., Any], fallback: Any) -> Fallback:
        from penstock.authoring.fallbacks import check_fallback
        from penstock.authoring.task import Task

        if isinstance(fallback, Task):
            other = cast("Task[..., Any]", fallback)
            check_fallback(task, other)
            return Fallback(self.settings_of(other).key)
        value = self.expression(fallback)
        if next(references(value), None) is not None:
            raise DefinitionError(
                f"the fallback of {task.name} is the result of another task, which would have to run for it",
                where=str(caller()),
                remedy="Give the task itself: fallback=other.",
            )
        return Fallback(None, value)

    def _join(self, join: Any) -> str | Expression:
        if isinstance(join, str):
            return join
        expression = self.expression(join)
        if not all(isinstance(leaf, (Ended, Constant, Parameter, Input)) for leaf in leaves(expression)):
            raise DefinitionError(
                f"a join is decided by how tasks ended, and {describe(expression)} takes a result",
                where=str(caller()),
                remedy="Combine succeeded(a), failed(a), skipped(a), done(a) with & | ~; branch on results with when(...).",
            )
        return expression

    def _node_id(self, name: str, placing: Placing, location: Location) -> str:
        wanted = placing.name or name
        if self.blocks.groups:
            wanted = "/".join((*self.blocks.groups, wanted))
        if placing.name is not None and wanted in self._taken:
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

    # Order.

    def _upstream_of(self, values: Iterable[Any]) -> tuple[str, ...]:
        names: list[str] = []
        for value in flat(values):
            if isinstance(value, Block):
                names += value.nodes
                continue
            if isinstance(value, Ref) and self.is_outer(value):
                self.outer_after.append(value)
                continue
            found = tuple(references(self.expression(value)))
            if not found:
                raise DefinitionError(
                    f"only the results of tasks can be waited for, and this is {value!r}",
                    where=str(caller()),
                    remedy="Give what calling the task returned: done = load(); save.options(after=done)(...).",
                )
            names += found
        return tuple(names)

    def order(self, later: Any, earlier: Iterable[Any]) -> None:
        """Let the nodes of a ref, a group, or a list of these wait for others."""
        upstream = self._upstream_of(earlier)
        for value in flat((later,)):
            for name in value.nodes if isinstance(value, Block) else (self._waiting(value),):
                self.listener.check_open(name)
                node = self.nodes[name]
                self.change(name, after=tuple(dict.fromkeys(node.after + upstream)))

    def _waiting(self, later: Any) -> str:
        expression = self.expression(later)
        if not isinstance(expression, Output):
            raise DefinitionError(
                f"only the result of a task can wait for others, not {describe(expression)}", where=str(caller())
            )
        return self._entries.get(expression.node, expression.node)

    def enter_by(self, node: str, entry: str) -> None:
        """Let a node be begun by another: what the first is to wait for, the other waits for."""
        self._entries[node] = entry

    # Expressions.

    def expression(self, value: Any) -> Expression:
        """A value as an expression: refs stay refs, also inside lists, tuples and dicts; the rest is constant."""
        if isinstance(value, Ref):
            owner = building_of(value)
            if owner is self:
                return expression_of(value)
            if self._encloses(owner):
                return self._capture(value)
            raise self._foreign(value)
        kind = cast(Any, type(value))
        if kind in (list, tuple, dict) and _holds_ref(value):
            return structure(value, self.expression)
        if kind not in ATOMS:
            _check_constant(value)
        return Constant(value)

    def is_outer(self, ref: Ref) -> bool:
        """Whether a ref belongs to a pipeline around this body."""
        return self._encloses(building_of(ref))

    def _encloses(self, owner: Building) -> bool:
        """Whether this is a body somewhere inside another building."""
        return self.outer is not None and (self.outer is owner or self.outer._encloses(owner))

    def _capture(self, ref: Ref) -> Expression:
        """An outer ref, as an input of this body; what only depends on parameters and constants stays as it is."""
        assert self.outer is not None
        expression = self.outer.expression(ref)
        if _is_fixed(expression):
            return expression
        name = describe(expression)
        while name in self.inputs and self.captured.get(name) != expression:
            name += "'"
        allowed = self.catalogue.captures.get(self.body)
        if allowed is not None and name not in allowed:
            raise DefinitionError(
                f"{describe(expression)} comes from outside the body of {self.pipeline!r}, and is taken there for the "
                "first time after the body has waited for a value",
                where=str(caller()),
                remedy=f"Pass it to {self.pipeline} as an argument.",
            )
        self.inputs.add(name)
        self.captured[name] = expression
        return Input(name)

    def here(self) -> Building:
        """The body whose function runs right now, where it is inside this building; else this building."""
        now = current_building()
        return now if now is not None and now._encloses(self) else self

    def _foreign(self, ref: Ref) -> DefinitionError:
        other = building_of(ref).pipeline
        owner = f"an earlier call of {other!r}" if other == self.pipeline else f"the pipeline {other!r}"
        return DefinitionError(
            f"{ref!r} belongs to {owner}, not to this call of {self.pipeline!r}",
            where=str(caller()),
            remedy="Pass the value as a parameter, or call the other pipeline inside this one.",
        )

    @contextmanager
    def grouped(self, name: str) -> Generator[Block]:
        """Everything added in the block is named `name/...`, made unique."""
        path = self._free_name("/".join((*self.blocks.groups, name)), caller())
        with self.blocks.open(group=path.rpartition("/")[2]) as block:
            yield block


#: how deep pipelines may be nested; well below where Python's own limit of recursion is met
_DEEPEST = 50


def check_depth(building: Building, name: str) -> None:
    """Raise DefinitionError for a pipeline that is called too deep inside others, as one that calls itself is."""
    depth, around = 0, building
    while around is not None:
        depth += 1 + len(around.blocks.groups)
        around = around.outer
    if depth > _DEEPEST:
        raise DefinitionError(
            f"the pipeline {name} is called inside itself or others more than {_DEEPEST} deep",
            where=str(caller()),
            remedy="A pipeline that calls itself has to end that by a value that is known when it is defined; to go on "
            "until a result is good enough, write repeat(...).",
        )


_DEFAULT = Policy()
_NOTHING = Attached()


def _is_fixed(expression: Expression) -> bool:
    return all(isinstance(leaf, (Constant, Stored, Parameter)) for leaf in leaves(expression))


def is_fixed(building: Building, ref: Ref) -> bool:
    """Whether a ref only depends on parameters of the run and on constants."""
    return _is_fixed(building.expression(ref))


def flat(values: Iterable[Any]) -> Iterator[Any]:
    """The elements of lists and tuples, at any depth."""
    for value in values:
        if type(value) in (list, tuple):
            yield from flat(cast(Sequence[Any], value))
        else:
            yield value


def _holds_ref(value: Any) -> bool:
    try:
        return holds_ref(value)
    except RecursionError:
        raise DefinitionError(
            f"a {type(value).__name__} that contains itself, or is nested too deeply, cannot be an input",
            where=str(caller()),
            remedy="Make it inside the task.",
        ) from None


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
    if isinstance(hidden, Uncalled):
        raise DefinitionError(
            f"{hidden.written} is passed on before it is called, so that nothing would come of it",
            where=str(caller()),
            remedy=f"{hidden.written} makes a task; call it: {hidden.written}().",
        )
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


def required_building(name: str, instead: str = "") -> Building:
    """The pipeline whose body runs right now. Raises DefinitionError where there is none."""
    building = _current.get()
    if building is None:
        raise DefinitionError(
            f"{name}() is used outside a pipeline",
            where=str(caller()),
            remedy=f"Use it in the body of a function decorated with @pipeline{instead}.",
        )
    return building


@contextmanager
def building(pipeline: Building) -> Generator[Building]:
    """Record task calls in the block into a pipeline."""
    token = _current.set(pipeline)
    try:
        yield pipeline
    finally:
        _current.reset(token)
