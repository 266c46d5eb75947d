"""`@task`: a plain function as a piece of a pipeline."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ParamSpec, TypeVar, cast, overload

import msgspec

from penstock.authoring.building import Building, Call, Unmapped, current_building, elements
from penstock.authoring.decorated import Decorated, check_function, check_name
from penstock.authoring.outputs import Outputs, declared_outputs, resolved_annotations, type_text
from penstock.authoring.ref import Ref
from penstock.authoring.source import caller, location_of
from penstock.authoring.wiring import check_wiring
from penstock.errors import DefinitionError
from penstock.model.graph import Policy, Port, PythonAction
from penstock.model.graph import Task as TaskNoun

P = ParamSpec("P")
R = TypeVar("R")

_KINDS = {
    inspect.Parameter.POSITIONAL_ONLY: "positional",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "keyword",
    inspect.Parameter.KEYWORD_ONLY: "keyword",
    inspect.Parameter.VAR_POSITIONAL: "args",
    inspect.Parameter.VAR_KEYWORD: "kwargs",
}


class Task(Decorated[P, R]):
    """A function that can be a node of a pipeline.

    Called inside a pipeline, it adds a node and returns a ref to the result; called anywhere else, it is the function.
    """

    role = "task"

    def __init__(
        self,
        function: Callable[P, R],
        name: str,
        policy: Policy,
        after: tuple[Any, ...] = (),
        node_name: str | None = None,
    ) -> None:
        super().__init__(function, name)
        self.policy = policy
        self._after = after
        self._node_name = node_name

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        return inspect.signature(self.function)

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
        function = self.function
        qualname = getattr(function, "__qualname__", self.name)
        action = PythonAction(getattr(function, "__module__", "") or "", qualname, location_of(function))
        ports = tuple(self._port(parameter) for parameter in self.signature.parameters.values())
        description = inspect.getdoc(function) or ""
        return TaskNoun(self.name, action, ports, self.outputs.ports, self.outputs.record, description)

    def _port(self, parameter: inspect.Parameter) -> Port:
        variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        annotation = self.annotations.get(parameter.name, Any)
        required = parameter.default is parameter.empty and not variable
        return Port(parameter.name, type_text(annotation), required, _KINDS[parameter.kind])  # pyright: ignore[reportArgumentType]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        building = current_building()
        if building is None:
            return self.function(*args, **kwargs)
        return self._call(building, args, kwargs)  # pyright: ignore[reportReturnType]

    def _call(self, building: Building, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Ref:
        arguments = self._bind(args, kwargs)
        check_wiring(self, self._spread(arguments))
        return building.call(self, self._as_call(), arguments)

    def _spread(self, arguments: dict[str, Any]) -> Iterable[tuple[str, Any]]:
        """The arguments one by one, also those in `*args` and `**kwargs`."""
        kinds = {port.name: port.kind for port in self.noun.inputs}
        for name, value in arguments.items():
            if kinds[name] in ("args", "kwargs"):
                yield from ((name, each) for each in (value.values() if kinds[name] == "kwargs" else value))
            else:
                yield name, value

    def map(self, *args: Any, **kwargs: Any) -> list[R]:
        """Call the task once for every element of the arguments, taken in step; a fan-out.

        Each argument is a list, another iterable, or a ref to one; `unmapped(value)` holds an argument fixed. Returns
        a ref to the list of results, in order. Outside a pipeline it maps the function right here.

        Raises DefinitionError for wrong arguments, and for lists of different lengths; where a length is not known
        yet, the node fails when it is reached.
        """
        if any(port.kind in ("args", "kwargs") for port in self.noun.inputs):
            raise DefinitionError(
                f"{self.name}() takes any number of arguments and cannot be mapped", where=str(caller())
            )
        arguments = self._bind(args, kwargs)
        fixed = {name: value.value for name, value in arguments.items() if isinstance(value, Unmapped)}
        mapped = {name: elements(arguments[name], self.name, name) for name in arguments if name not in fixed}
        self._check_lengths(mapped)
        building = current_building()
        if building is None:
            rows = zip(*mapped.values(), strict=True)
            return [self._call_here(fixed | dict(zip(mapped, row, strict=True))) for row in rows]
        known = {name: value for name, value in mapped.items() if not isinstance(value, Ref)}
        check_wiring(self, fixed.items())
        check_wiring(self, ((name, element) for name, value in known.items() for element in value))
        return building.map(self, self._as_call(), mapped, fixed)  # pyright: ignore[reportReturnType]

    def _call_here(self, arguments: dict[str, Any]) -> R:
        bound = self.signature.bind_partial()
        bound.arguments.update(arguments)
        return self.function(*bound.args, **bound.kwargs)

    def _check_lengths(self, mapped: dict[str, Any]) -> None:
        if not mapped:
            raise DefinitionError(
                f"{self.name}.map(...) was given nothing to map over",
                where=str(caller()),
                remedy="Give at least one list that is not unmapped(...).",
            )
        lengths = {name: len(value) for name, value in mapped.items() if not isinstance(value, Ref)}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise DefinitionError(
                f"{self.name}.map(...) takes its lists in step, and they have different lengths: {told}",
                where=str(caller()),
                remedy="Make them equally long, or hold one fixed with unmapped(...).",
            )

    def options(
        self,
        *,
        name: str | None = None,
        retries: int | None = None,
        retry_delay: float | None = None,
        cache: bool | None = None,
        tags: Iterable[str] | None = None,
        after: Any = (),
    ) -> Task[P, R]:
        """The same task under another policy; what is not given stays as it is.

        `name` names the node; `after` is a ref, or several, to wait for though no data flows. The other options are
        those of `task`.
        """
        changes = {"retries": retries, "retry_delay": retry_delay, "cache": cache, "tags": tags}
        policy = _policy(self.policy, {option: value for option, value in changes.items() if value is not None})
        check_name(name)
        others: tuple[Any, ...] = tuple(cast(Any, after)) if isinstance(after, (list, tuple)) else (after,)
        return Task(self.function, self.name, policy, self._after + others, name or self._node_name)

    def _as_call(self) -> Call:
        return Call(self._node_name or self.name, self.policy, self._after, named=self._node_name is not None)

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        try:
            return self.signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise DefinitionError(
                f"{self.name}() was called with wrong arguments: {error}",
                where=str(caller()),
                remedy=f"It is defined at {location_of(self.function)} as {self.name}{self.signature}.",
            ) from None

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)


@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...


@overload
def task(
    *,
    name: str | None = None,
    retries: int = 0,
    retry_delay: float = 0.0,
    cache: bool = True,
    tags: Iterable[str] = (),
) -> Callable[[Callable[P, R]], Task[P, R]]: ...


def task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    retries: int = 0,
    retry_delay: float = 0.0,
    cache: bool = True,
    tags: Iterable[str] = (),
) -> Any:
    """Make a function a task.

    `name` is what its nodes are called (default: the function's name); `retries` is how many times a failed attempt is
    repeated, `retry_delay` seconds later; `cache=False` runs it every time; `tags` are for people to filter by.

    Raises DefinitionError for something that is not a plain function, and for options out of range.
    """
    options = {"retries": retries, "retry_delay": retry_delay, "cache": cache, "tags": tags}

    def decorate(function: Callable[..., Any]) -> Task[..., Any]:
        check_function(function, "task")
        check_name(name)
        return Task(function, name or function.__name__, _policy(Policy(), options))

    return decorate if function is None else decorate(function)


def _policy(base: Policy, options: Mapping[str, Any]) -> Policy:
    """A policy with other options. Raises DefinitionError for those out of range."""
    policy = msgspec.structs.replace(base, **options)
    problem = None
    if not isinstance(policy.retries, int) or policy.retries < 0:  # pyright: ignore[reportUnnecessaryIsInstance]
        problem = f"retries must be a whole number from 0 up, not {policy.retries!r}"
    elif not isinstance(policy.retry_delay, (int, float)) or not 0 <= policy.retry_delay < float("inf"):  # pyright: ignore[reportUnnecessaryIsInstance]
        problem = f"retry_delay must be a number of seconds from 0 up, not {policy.retry_delay!r}"
    elif isinstance(policy.tags, str) or not isinstance(policy.tags, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        problem = f"tags must be a list of texts, not {policy.tags!r}"
    if problem is not None:
        raise DefinitionError(problem, where=str(caller()))
    return msgspec.structs.replace(policy, tags=tuple(policy.tags))
