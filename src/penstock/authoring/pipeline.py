"""A function that composes tasks, and the graph that comes of calling it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar, cast

from msgspec.structs import replace

from penstock.authoring.bodies import Source, fan_out, finish_body, make_body, typed_value
from penstock.authoring.building import Building, Shape, building, check_depth, required_building
from penstock.authoring.decorated import Decorated
from penstock.authoring.dynamic import Body, Question, Unanswered, composed
from penstock.authoring.fanout import Fanned
from penstock.authoring.kinds.outputs import record_kind
from penstock.authoring.options.hooks import Attached
from penstock.authoring.options.settings import Settings
from penstock.authoring.placing import Fan, Placing
from penstock.authoring.ref import Ref, is_open
from penstock.authoring.scopes import exit_tasks, on_exit
from penstock.authoring.source import caller, location_of
from penstock.authoring.task import Task
from penstock.errors import DefinitionError
from penstock.model.expression import Expression, Input, Parameter
from penstock.model.expression import Mapping as MappingExpression
from penstock.model.graph import Graph, Ignored, ParameterPort, checked
from penstock.model.graph import Task as TaskNoun
from penstock.model.place import Location
from penstock.model.trigger import Cause

if TYPE_CHECKING:
    from penstock.authoring.kinds.parameters import Signature
    from penstock.model.run import RunRecord

P = ParamSpec("P")
R = TypeVar("R")


class Definition(NamedTuple):
    """A graph, and what is needed to run it in this process."""

    graph: Graph
    #: key of `graph.tasks` -> the task
    functions: Mapping[str, Task[..., Any]]
    #: key -> task as it stands in the graph; those that appear while the run goes on as well
    tasks: Mapping[str, TaskNoun]
    #: the values of the parameters
    parameters: Mapping[str, Any]
    #: makes the value that the pipeline returns from the outputs of a run, by name
    restore: Callable[[Mapping[str, Any]], Any]
    #: the body, where it waits for the value of something that has yet to run
    body: Body | None = None
    #: (key of the task whose body it is in, empty for the pipeline itself; id of a node) -> functions of the user's
    attached: Mapping[tuple[str, str], Attached] = {}
    #: key of `graph.tasks` -> what is asked with the exception of a failed attempt whether to repeat it
    predicates: Mapping[str, Callable[[BaseException], bool]] = {}
    #: key of `graph.tasks` -> how the dynamic body of the task is called
    bodies: Mapping[str, Source] = {}
    settings: Settings = Settings()
    #: the parameters whose values the body has used, so that the graph is the one for these -> where it first did
    read: Mapping[str, Location] = {}


class Composition(Fanned[P, R], Decorated[P, R]):
    """A function whose body composes tasks. It becomes a graph by being called with refs for parameters."""

    role = "pipeline"

    def __init__(self, function: Callable[P, R], name: str, settings: Settings | None = None) -> None:
        super().__init__(function, name)
        self.settings = settings or Settings()
        #: tasks that run at the end, however it went
        self.exits = exit_tasks(self.settings.on_exit)
        #: how its node stands among others, where it is a part of another pipeline
        self.placing = Placing()
        #: what the file that it was read from says, and what has no effect
        self.ignored: tuple[Ignored, ...] = ()
        #: what is done here when a run of it begins, and not when somebody only looks at it
        self.beginnings: tuple[Callable[[], object], ...] = ()
        #: what names it to other processes, where that is not its name at the top level of its module
        self.target = ""

    @property
    def called(self) -> str:
        return f"the pipeline {self.name}()"

    def _fan_out(self, building: Building, fan: Fan) -> Ref:
        return fan_out(self, building, fan, self.placing)

    def _call_here(self, arguments: dict[str, Any]) -> R:
        return cast(Any, self)(**arguments)

    def _check_values(self, values: Iterable[tuple[str, Any]]) -> None:
        for name, value in values:
            typed_value(self, name, value)

    @functools.cached_property
    def body(self) -> Callable[P, R]:
        """The function, under the defaults of the pipeline, and with its exit handlers."""
        if not self.exits and not self.settings.defaults:
            return self.function

        @functools.wraps(self.function)
        def body(*args: P.args, **kwargs: P.kwargs) -> R:
            blocks = required_building(self.name).blocks
            with blocks.defaulting(self.settings.defaults), on_exit(*self.exits):
                return self.function(*args, **kwargs)

        return body

    @functools.cached_property
    def signature(self) -> Signature:
        """The typed parameters. Raises DefinitionError for annotations that cannot be resolved."""
        from penstock.authoring.kinds.parameters import Signature

        return Signature.of(self.function)

    @property
    def parameters(self) -> tuple[ParameterPort, ...]:
        return self.signature.parameters

    def given_in(self, run: RunRecord) -> dict[str, Any]:
        """The parameters of a run of this pipeline as it is now. Raises what `Signature.resolve` does."""
        return self._given_in(run, run.parameters)

    def given_again(self, run: RunRecord) -> dict[str, Any]:
        """The same, without those that the pipeline no longer has."""
        known = {name: value for name, value in run.parameters.items() if name in self.signature.kinds}
        return self._given_in(run, known)

    def _given_in(self, run: RunRecord, known: Mapping[str, Any]) -> dict[str, Any]:
        cause = run.cause or Cause()
        # what the run is about is for parameters that it did not have when it began
        at = run.started_at if cause.logical_time is None else cause.logical_time
        about = replace(cause, logical_time=at)
        return self.signature.resolve(given={}, config=known, config_source=f"run {run.run_id}", cause=about)

    def define(self, parameters: Mapping[str, Any]) -> Definition:
        """The graph for given values of the parameters; those that are absent must not matter to its shape.

        Where the body uses the value of something that has yet to run, it is ended, and the graph is what there is by
        then. Raises DefinitionError (or what the body itself raises) if the pipeline is wrong as written.
        """
        build = Building(self.name, parameters)
        build.listener = listener = Unanswered()
        returned = None
        try:
            with building(build):
                returned = composed(self.body, self._refs(build))
        except BaseException:
            # what a body raises on its way out does not matter
            if listener.ended is None:
                raise
        listener.over = True
        if listener.ended is not None:
            return self._definition(build, None, listener.ended.location)
        return self._definition(build, returned)

    def begin(self, parameters: Mapping[str, Any]) -> Definition:
        """The same for a run: where the body uses the value of something that has yet to run, it waits for it."""
        import threading
        from queue import SimpleQueue

        build = Building(self.name, parameters)
        call = functools.partial(composed, self.body, self._refs(build))
        body = Body(build, call, SimpleQueue(), threading.Lock())
        body.start()
        word = body.first_word()
        if isinstance(word, Question):
            definition = self._definition(build, None, word.location)
            body.take()
            return definition._replace(body=body, restore=functools.partial(_restored, body))
        if word.error is not None:
            raise word.error
        return self._definition(build, word.returned)

    def _refs(self, build: Building) -> dict[str, Ref]:
        return {port.name: Ref(Parameter(port.name), build) for port in self.parameters}

    def _definition(self, build: Building, returned: Any, dynamic_at: Location | None = None) -> Definition:
        import inspect

        result, restore = _result(build, returned)
        graph = Graph(
            name=self.name,
            parameters=self.parameters,
            tasks=dict(build.tasks),
            nodes=tuple(build.nodes.values()),
            result=result,
            description=inspect.getdoc(self.function) or "",
            policy=self.settings.policy,
            dynamic_at=dynamic_at,
        )
        return Definition(
            checked(graph),
            build.functions,
            build.tasks,
            build.parameters,
            restore,
            attached=build.catalogue.attached,
            predicates=build.catalogue.predicates,
            bodies=build.catalogue.bodies,
            settings=self.settings,
            read=build.read,
        )

    def inline(self, build: Building, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the body as a part of the pipeline that is being built, in a group of its own.

        What is known is held to the types of the parameters, as in a run of its own.
        """
        arguments = self.bound(args, kwargs)
        refs = {name: value for name, value in arguments.items() if is_open(value)}
        given = {name: value for name, value in arguments.items() if name not in refs}
        known = self.signature.resolve_part(given, refs, str(caller()))
        placing = self.placing
        if placing.fans_out:
            raise DefinitionError(
                f"{self.name} is called once, and has options of a fan-out (max_parallel, failure_threshold, key)",
                where=str(caller()),
                remedy=f"Call {self.name}.options(...).map(...), or leave them out.",
            )
        if placing.after or placing.join is not None:
            return self._node(build, known, refs)
        check_depth(build, self.name)
        with build.grouped(placing.name or self.name):
            return self.body(**(known | refs))  # type: ignore[call-arg]

    def _node(self, build: Building, known: dict[str, Any], refs: dict[str, Any]) -> Ref:
        """A node that runs the body as a whole."""
        inputs = {name: build.expression(value) for name, value in refs.items()}

        def arguments(inside: Building) -> dict[str, Any]:
            inside.inputs.update(inputs)
            return known | {name: Ref(Input(name), inside) for name in inputs}

        made = make_body(build, self.name, self.body, arguments)
        return finish_body(build, made, self.function, inputs, self.placing, Shape())

    def bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call by parameter name. Raises DefinitionError if they do not fit the signature."""
        import inspect

        signature = inspect.signature(self.function)
        try:
            return signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise DefinitionError(
                f"the pipeline {self.name}() was called with wrong arguments: {error}",
                where=str(caller()),
                remedy=f"It is defined at {location_of(self.function)} as {self.name}{signature}.",
            ) from None


def returned_by(body: Body) -> tuple[Expression, Callable[[Mapping[str, Any]], Any]]:
    """What a body that has ended returned, as an expression, and how to make the value again from the outputs of a run.

    Raises DefinitionError for what cannot be the result of a pipeline.
    """
    return _result(body.build, None if body.end is None else body.end.returned)


def _restored(body: Body, outputs: Mapping[str, Any]) -> Any:
    return returned_by(body)[1](outputs)


def _result(build: Building, returned: Any) -> tuple[Expression, Callable[[Mapping[str, Any]], Any]]:
    """The expression of what a body returned, and how to make the value again from the outputs of a run."""
    kind = cast(Any, type(returned))
    record = record_kind(kind)
    if record in ("named", "dataclass"):
        import dataclasses

        names = returned._fields if record == "named" else [field.name for field in dataclasses.fields(returned)]
        fields = {name: build.expression(getattr(returned, name)) for name in names}
        return MappingExpression(fields), functools.partial(_record_of, kind)
    if kind is dict and all(type(key) is str for key in returned):
        return MappingExpression({key: build.expression(value) for key, value in returned.items()}), dict
    return build.expression(returned), lambda outputs: outputs["result"]


def _record_of(kind: Any, fields: Mapping[str, Any]) -> Any:
    """A record with these fields. That of a dataclass is not made anew: its `__init__` has run, with refs."""
    if record_kind(kind) == "named":
        return kind(**fields)
    record = object.__new__(kind)
    for name, value in fields.items():
        object.__setattr__(record, name, value)
    return record
