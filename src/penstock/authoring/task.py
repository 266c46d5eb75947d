"""`@task`: a plain function as a piece of a pipeline."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack, cast, overload

from penstock.authoring.building import Building, current_building
from penstock.authoring.decorated import Decorated, check_function, check_name
from penstock.authoring.fanout import Fanned, bound
from penstock.authoring.kinds.outputs import Outputs, declared_outputs, resolved_annotations, type_text
from penstock.authoring.options.caching import check_inputs
from penstock.authoring.options.policy import TaskOptions, policy_of, read_options
from penstock.authoring.placing import CallOptions, Fan, NodeOptions, Placing, split_options
from penstock.authoring.ref import Ref
from penstock.authoring.source import location_of
from penstock.authoring.wiring import check_wiring
from penstock.model.action import PythonAction
from penstock.model.graph import Port, Wait
from penstock.model.graph import Task as TaskNoun
from penstock.model.policy import Policy

if TYPE_CHECKING:
    import inspect

    from penstock.model.work import Imported

P = ParamSpec("P")
R = TypeVar("R")

#: the kinds of parameters of ports, by the names of those of `inspect`
_KINDS = {
    "POSITIONAL_ONLY": "positional",
    "POSITIONAL_OR_KEYWORD": "keyword",
    "KEYWORD_ONLY": "keyword",
    "VAR_POSITIONAL": "args",
    "VAR_KEYWORD": "kwargs",
}


class Task(Fanned[P, R], Decorated[P, R]):
    """A function that can be a node of a pipeline.

    Called inside a pipeline, it adds a node and returns a ref to the result; called anywhere else, it is the function.
    `given` are options as `read_options` gives them.
    """

    role = "task"

    def __init__(
        self,
        function: Callable[P, R],
        name: str,
        given: Mapping[str, Any] | None = None,
        *,
        wait: Wait | None = None,
    ) -> None:
        super().__init__(function, name)
        #: the options that were given, which go before the defaults of a pipeline
        self.given: Mapping[str, Any] = {} if given is None else given
        self.placing = Placing()
        #: how it is asked again and again, where it waits for something
        self.wait = wait
        #: how a worker gets at the function, where that is not by its name or by a pickle
        self.reference: Imported | None = None
        check_inputs(self)

    @functools.cached_property
    def asynchronous(self) -> bool:
        """Whether it runs beside others in a loop: a coroutine or an asynchronous generator."""
        import inspect

        return inspect.iscoroutinefunction(self.function) or inspect.isasyncgenfunction(self.function)

    @property
    def policy(self) -> Policy:
        """How it is run, as far as its own options say. Raises DefinitionError where they contradict each other."""
        return policy_of(self.given, asynchronous=self.asynchronous)

    @functools.cached_property
    def annotations(self) -> dict[str, Any]:
        """The annotations that can be resolved, as objects."""
        return resolved_annotations(self.function)

    @functools.cached_property
    def outputs(self) -> Outputs:
        """What the function declares that it returns."""
        return declared_outputs(self.function)

    @functools.cached_property
    def noun(self) -> TaskNoun:
        """The task as it stands in a graph."""
        import inspect

        function, reference = self.function, self.reference
        if reference is None:
            module, qualname = getattr(function, "__module__", "") or "", getattr(function, "__qualname__", self.name)
        else:
            module, qualname = reference.module, reference.qualname
        return TaskNoun(
            self.name,
            PythonAction(module, qualname, location_of(function)),
            tuple(self._port(parameter) for parameter in self.shape.parameters.values()),
            self.outputs.ports,
            self.outputs.record,
            inspect.getdoc(function) or "",
            yields=inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function),
        )

    def _port(self, parameter: inspect.Parameter) -> Port:
        variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        annotation = self.annotations.get(parameter.name, Any)
        required = parameter.default is parameter.empty and not variable
        return Port(parameter.name, type_text(annotation), required, _KINDS[parameter.kind.name])  # pyright: ignore[reportArgumentType]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        building = current_building()
        if building is None:
            return self.function(*args, **kwargs)
        return self._call(building, args, kwargs)  # pyright: ignore[reportReturnType]

    def _call(self, building: Building, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Ref:
        arguments = bound(self, args, kwargs)
        check_wiring(self, self._one_by_one(arguments))
        return building.call(self, self.placing, arguments)

    def _one_by_one(self, arguments: dict[str, Any]) -> Iterable[tuple[str, Any]]:
        """The arguments one by one, also those in `*args` and `**kwargs`."""
        variable = self._variable
        if not variable:
            return arguments.items()
        found: list[tuple[str, Any]] = []
        for name, value in arguments.items():
            if name not in variable:
                found.append((name, value))
            else:
                found += [(name, each) for each in (value.values() if variable[name] == "kwargs" else value)]
        return found

    @functools.cached_property
    def _variable(self) -> dict[str, str]:
        """The kinds of the inputs that take any number of arguments."""
        return {port.name: port.kind for port in self.noun.inputs if port.kind in ("args", "kwargs")}

    def _fan_out(self, building: Building, fan: Fan) -> Ref:
        return building.fan(self, self.placing, fan)

    def _call_here(self, arguments: dict[str, Any]) -> R:
        bound = self.shape.bind_partial()
        bound.arguments.update({name: arguments[name] for name in self.shape.parameters if name in arguments})
        return self.function(*bound.args, **bound.kwargs)

    def _check_values(self, values: Iterable[tuple[str, Any]]) -> None:
        check_wiring(self, values)

    def options(self, **options: Unpack[CallOptions]) -> Task[P, R]:
        """The same task under other options; what is not given stays as it is.

        They are those of `task`, and those of the node: `name`, `after` (a ref, or several, to wait for though no data
        flows), `join`, and of a fan-out `max_parallel`, `failure_threshold` and `key`. Raises DefinitionError for
        options that do not exist or have values that they cannot have.
        """
        placing, others = split_options(options)
        import copy

        changed = copy.copy(self)
        changed.placing = self.placing.changed(placing)
        if others:
            changed.given = {**self.given, **read_options(others, NodeOptions.__annotations__)}
            # what contradicts each other is refused here, where the user's line is known
            policy_of(changed.given)
            check_inputs(changed)
        return changed

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)


@overload
def task(function: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, R]: ...


@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...


@overload
def task(*, name: str | None = None, **options: Unpack[TaskOptions]) -> _Decorator: ...


def task(function: Any = None, /, *, name: str | None = None, **options: Any) -> Any:
    """Make a function a task.

    `name` is what its nodes are called (default: the function's name). The options are those of `TaskOptions`: retries,
    timeouts, resources, caching, environment, fallback, hooks; a pipeline may set defaults for them, and `options(...)`
    of a task changes them for a call.

    An `async def` function runs beside others in one process. A generator is a task whose result is the list of what it
    yields; `other.map(numbers())` takes the values as they come. Raises DefinitionError for something that is not a
    plain function, and for options that do not exist or are out of range.
    """
    given = read_options(options)
    policy_of(given)

    def decorate(function: Callable[..., Any]) -> Task[..., Any]:
        check_function(function, "task")
        check_name(name)
        return Task(function, name or function.__name__, given)

    return decorate if function is None else decorate(cast(Callable[..., Any], function))


class _Decorator:
    """What `task(...)` with options gives to a type checker."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...
    def __call__(self, function: Any, /) -> Any: ...
