"""Secrets that the body of a pipeline has revealed and passes on as they are: refused before they are recorded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, cast

import msgspec

from penstock.errors import DefinitionError, OutputError
from penstock.model.action import Environment, PythonAction
from penstock.model.expression import Constant, Expression, Output, Parameter, Stored
from penstock.model.graph import Graph, Node, Port, Task
from penstock.model.place import Location
from penstock.model.policy import Policy
from penstock.secrets import masking
from penstock.values import Values

#: what a body does not fill with values
_WITHOUT = frozenset({Environment, Location, Node, Output, Parameter, Policy, Port, PythonAction, Stored})
_REMEDY = "Pass on the Secret itself, which goes by its reference, and let the task that needs the value call reveal()."


def check_graph(graph: Graph, values: Values) -> None:
    """Raise DefinitionError for a secret that this process has read and that is about to be recorded with a graph."""
    if masking.active():
        check_nodes(graph.nodes, values)
        check_tasks(graph.tasks, values)
        check_result(graph.result, values, f"the pipeline {graph.name}")


def check_nodes(nodes: Iterable[Node], values: Values) -> None:
    """The same for what nodes are given."""
    for node in nodes if masking.active() else ():
        for part in (node.bindings, node.guard, node.each, node.join, node.loop, node.fallback):
            _check(part, values, f"{node.id} is given", str(node.location))


def check_tasks(tasks: Mapping[str, Task], values: Values) -> None:
    """The same for what tasks are made of: the words of a command, the nodes of a pipeline within."""
    for task in tasks.values() if masking.active() else ():
        check_nodes(getattr(task.action, "nodes", ()), values)
        location = getattr(task.action, "location", None)
        _check(task.action, values, f"{task.name} has", None if location is None else str(location))


def check_result(result: Expression, values: Values, what: str = "the pipeline") -> None:
    """The same for what a pipeline returns."""
    _check(result, values, f"{what} returns", None)


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """The same for the parameters of a run, as JSON holds them."""
    for name, value in parameters.items() if masking.active() else ():
        _look_at(value, f"the parameter {name} has", None)


def _check(part: Any, values: Values, what: str, where: str | None) -> None:
    if not masking.active():
        return
    _look_at(part, what, where)
    for value in _constants(part):
        # what cannot be stored is not recorded either
        with suppress(OutputError):
            values.store(value, refuse=lambda reference: _refused(reference, what, where))


def _look_at(part: Any, what: str, where: str | None) -> None:
    for text in _texts(part):
        reference = masking.secret_in(text)
        if reference is not None:
            raise _refused(reference, what, where)


def _refused(reference: str, what: str, where: str | None) -> DefinitionError:
    return DefinitionError(
        f"{what} the value of the secret {reference}, which would be recorded with the run", where=where, remedy=_REMEDY
    )


def _texts(value: Any) -> Iterator[str]:
    """The texts in a part of a graph, or in plain data."""
    if isinstance(value, str):
        yield value
    else:
        for each in _parts(value):
            yield from _texts(each)


def _constants(value: Any) -> Iterator[Any]:
    """The values in a part of a graph that are more than a text."""
    if type(value) is Constant:
        if not isinstance(value.value, (str, int, float, bool, type(None))):
            yield value.value
    else:
        for each in _parts(value):
            yield from _constants(each)


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for key, each in cast("Mapping[Any, Any]", value).items():
            yield from (key, each)
    elif isinstance(value, (list, tuple)):
        yield from cast("Iterable[Any]", value)
    elif isinstance(value, msgspec.Struct) and type(value) not in _WITHOUT:
        for name in value.__struct_fields__:
            yield getattr(value, name)


__all__ = ["check_graph", "check_nodes", "check_parameters", "check_result", "check_tasks"]
