"""Whether the secrets that a run needs are there, before anything runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from penstock.errors import DefinitionError
from penstock.model.expression import Constant, Expression, Output, Parameter, parts
from penstock.model.graph import Node, PipelineAction
from penstock.model.graph import Task as TaskNoun
from penstock.secrets import Secret
from penstock.secrets.sources import why_missing

if TYPE_CHECKING:
    from penstock.authoring.pipeline import Definition
    from penstock.authoring.task import Task

#: types of most values, which hold no secrets
_PLAIN = frozenset({type(None), bool, int, float, str, bytes})


def check_secrets(definition: Definition) -> None:
    """Raise DefinitionError for secrets that cannot be had here, though a task that runs whatever happens needs them.

    What depends on a condition, or appears while the run goes on, is left to its attempts; so is what only a keyring or a
    provider knows.
    """
    needed: dict[str, Node] = {}
    defaults = {key: _by_default(task) for key, task in definition.functions.items()}
    for node in _certain(definition.graph.nodes, definition.graph.tasks):
        for reference in _of_node(node, definition, defaults.get(node.task, {})):
            needed.setdefault(reference, node)
    faults: list[str] = []
    remedies: dict[str, None] = {}
    for reference, node in needed.items():
        error = why_missing(reference)
        if error is not None:
            faults.append(f"{error.what} ({node.id} at {node.location} needs it)")
            remedies[error.remedy or ""] = None
    if faults:
        what = faults[0] if len(faults) == 1 else "\n  ".join([f"{len(faults)} secrets are missing:", *faults])
        raise DefinitionError(what, remedy="\n  ".join(remedies))


def _certain(nodes: Iterable[Node], tasks: Mapping[str, TaskNoun]) -> Iterator[Node]:
    """The nodes that no condition stands before, with those inside of them."""
    for node in nodes:
        if node.guard is None and node.join == "all_success":
            yield node
            task = tasks.get(node.task)
            if task is not None and type(task.action) is PipelineAction:
                yield from _certain(task.action.nodes, tasks)


def _by_default(task: Task[..., Any]) -> dict[str, str]:
    """The references to secrets that inputs of a task have as their defaults, by the names of the inputs."""
    defaults = {name: parameter.default for name, parameter in task.shape.parameters.items()}
    return {name: default.reference for name, default in defaults.items() if isinstance(default, Secret)}


def _of_node(node: Node, definition: Definition, defaults: Mapping[str, str]) -> Iterator[str]:
    """The references to secrets that a node is given: in its environment, as inputs, as defaults of its inputs."""
    if node.policy.secrets:
        yield from node.policy.secrets.values()
    for expression in node.bindings.values():
        # most are results of other nodes
        if type(expression) is not Output:
            yield from _of_expression(expression, definition)
    if node.each is not None:
        for expression in node.each.over.values():
            yield from _of_expression(expression, definition)
    for name, reference in defaults.items():
        if name not in node.bindings:
            yield reference


def _of_expression(expression: Expression, definition: Definition) -> Iterator[str]:
    if type(expression) is Constant:
        if type(expression.value) not in _PLAIN:
            yield from _of_value(expression.value)
    elif isinstance(expression, Parameter):
        yield from _of_value(definition.parameters.get(expression.name))
    else:
        for part in parts(expression):
            if type(part) is not Output:
                yield from _of_expression(part, definition)


def _of_value(value: Any) -> Iterator[str]:
    if type(value) in _PLAIN:
        return
    if isinstance(value, Secret):
        yield value.reference
    elif isinstance(value, Mapping):
        for part in cast("Mapping[Any, Any]", value).values():
            yield from _of_value(part)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for part in cast("Iterable[Any]", value):
            yield from _of_value(part)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _of_value(getattr(value, field.name, None))


__all__ = ["check_secrets"]
