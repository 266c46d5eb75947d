"""A function that composes tasks, and the graph that comes of calling it."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

from penstock.authoring.building import Building, building
from penstock.authoring.decorated import Decorated
from penstock.authoring.outputs import record_kind
from penstock.authoring.parameters import Signature
from penstock.authoring.ref import Ref, is_open
from penstock.authoring.source import caller, location_of
from penstock.authoring.task import Task
from penstock.errors import DefinitionError
from penstock.model.expression import Expression, Parameter
from penstock.model.expression import Mapping as MappingExpression
from penstock.model.graph import Graph, ParameterPort, checked

P = ParamSpec("P")
R = TypeVar("R")


class Definition(NamedTuple):
    """A graph, and what is needed to run it in this process."""

    graph: Graph
    #: key of `graph.tasks` -> the task
    functions: Mapping[str, Task[..., Any]]
    #: the values of the parameters
    parameters: Mapping[str, Any]
    #: makes the value that the pipeline returns from the outputs of a run, by name
    restore: Callable[[Mapping[str, Any]], Any]


class Composition(Decorated[P, R]):
    """A function whose body composes tasks. It becomes a graph by being called with refs for parameters."""

    role = "pipeline"

    @functools.cached_property
    def signature(self) -> Signature:
        """The typed parameters. Raises DefinitionError for annotations that cannot be resolved."""
        return Signature.of(self.function)

    @property
    def parameters(self) -> tuple[ParameterPort, ...]:
        return self.signature.parameters

    def define(self, parameters: Mapping[str, Any]) -> Definition:
        """The graph for given values of the parameters; those that are absent must not matter to its shape.

        Raises DefinitionError (or what the body itself raises) if the pipeline is wrong as written.
        """
        build = Building(self.name, parameters)
        refs = {port.name: Ref(Parameter(port.name), build) for port in self.parameters}
        with building(build):
            returned = self.function(**refs)  # type: ignore[call-arg]
            result, restore = _result(build, returned)
        graph = Graph(
            name=self.name,
            parameters=self.parameters,
            tasks=build.tasks,
            nodes=tuple(build.nodes.values()),
            result=result,
            description=inspect.getdoc(self.function) or "",
        )
        return Definition(checked(graph), build.functions, parameters, restore)

    def inline(self, build: Building, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the body as a part of the pipeline that is being built, in a group of its own.

        What is known is held to the types of the parameters, as in a run of its own.
        """
        arguments = self.bound(args, kwargs)
        refs = {name: value for name, value in arguments.items() if is_open(value)}
        given = {name: value for name, value in arguments.items() if name not in refs}
        known = self.signature.resolve(given=given, where=str(caller()), partial=True)
        with build.grouped(self.name):
            return self.function(**(known | refs))  # type: ignore[call-arg]

    def bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call by parameter name. Raises DefinitionError if they do not fit the signature."""
        signature = inspect.signature(self.function)
        try:
            return signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise DefinitionError(
                f"the pipeline {self.name}() was called with wrong arguments: {error}",
                where=str(caller()),
                remedy=f"It is defined at {location_of(self.function)} as {self.name}{signature}.",
            ) from None


def _result(build: Building, returned: Any) -> tuple[Expression, Callable[[Mapping[str, Any]], Any]]:
    """The expression of what a body returned, and how to make the value again from the outputs of a run."""
    kind = cast(Any, type(returned))
    record = record_kind(kind)
    if record in ("named", "dataclass"):
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
