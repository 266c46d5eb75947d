"""Whether the secrets that a run needs are there, before anything runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from penstock.errors import DefinitionError
from penstock.model.expression import Constant, Expression, Parameter, parts
from penstock.model.graph import Node, PipelineAction, Task
from penstock.secrets import Secret
from penstock.secrets.sources import why_missing

if TYPE_CHECKING:
    from penstock.authoring.pipeline import Definition

#: types of most values, which hold no secrets
_PLAIN = frozenset({type(None), bool, int, float, str, bytes})


def check_secrets(definition: Definition) -> None:
    """Raise DefinitionError for secrets that cannot be had here, though a task that runs whatever happens needs them.

    What depends on a condition, or appears while the run goes on, is left to its attempts; so is what only a keyring or a
    provider knows.
    """
    needed: dict[str, Node] = {}
    for node in _certain(definition.graph.nodes, definition.graph.tasks):
        for reference in _of_node(node, definition):
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


def _certain(nodes: Iterable[Node], tasks: Mapping[str, Task]) -> Iterator[Node]:
    """The nodes that no condition stands before, with those inside of them."""
    for node in nodes:
        if node.guard is None and node.join == "all_success":
            yield node
            task = tasks.get(node.task)
            if task is not None and isinstance(task.action, PipelineAction):
                yield from _certain(task.action.nodes, tasks)


def _of_node(node: Node, definition: Definition) -> Iterator[str]:
    """The references to secrets that a node is given: in its environment, as inputs, as defaults of its inputs."""
    yield from node.policy.secrets.values()
    for expression in node.bindings.values():
        yield from _of_expression(expression, definition)
    if node.each is not None:
        for expression in node.each.over.values():
            yield from _of_expression(expression, definition)
    task = definition.functions.get(node.task)
    for name, parameter in () if task is None else task.shape.parameters.items():
        if name not in node.bindings and isinstance(parameter.default, Secret):
            yield parameter.default.reference


def _of_expression(expression: Expression, definition: Definition) -> Iterator[str]:
    if isinstance(expression, Constant):
        yield from _of_value(expression.value)
    elif isinstance(expression, Parameter):
        yield from _of_value(definition.parameters.get(expression.name))
    else:
        for part in parts(expression):
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
