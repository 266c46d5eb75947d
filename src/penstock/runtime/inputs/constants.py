"""The constants of a graph that is about to be recorded: those that JSON would give back as something else are stored."""

from __future__ import annotations

from math import isfinite
from typing import Any, cast

import msgspec

from penstock.errors import OutputError
from penstock.model.action import CommandAction, ContainerAction, OpaqueAction, PythonAction
from penstock.model.expression import Constant, Expression, Output, Parameter, Sequence, Stored
from penstock.model.graph import Graph, Node, Port, Task
from penstock.model.place import Location
from penstock.model.policy import Policy
from penstock.runtime.inputs.revealed import check_graph
from penstock.values import Values

#: the fields of a node that may have expressions in them
_OF_NODES = ("bindings", "guard", "each", "join", "loop", "fallback")
#: parts of a graph that have no expressions in them
_WITHOUT = frozenset(
    {Policy, Location, Port, PythonAction, CommandAction, ContainerAction, OpaqueAction, Output, Parameter, Stored}
)


def with_stored_constants(graph: Graph, values: Values) -> Graph:
    """The same graph, with every constant that is given to a task as it will have to be found again: a tuple stays one, a
    path a path. What cannot be stored stays as it is, since no task can be given it either. Raises DefinitionError for a
    secret in it that this process has read."""
    check_graph(graph, values)
    tasks = {key: cast(Task, _kept(task, values)) for key, task in graph.tasks.items()}
    nodes = tuple([node if _is_settled(node) else _kept(node, values) for node in graph.nodes])
    return msgspec.structs.replace(graph, tasks=tasks, nodes=nodes)


def _is_settled(node: Node) -> bool:
    """Whether a node is given results of others, and constants that JSON holds, and nothing else in it has values. There
    may be a great many such nodes."""
    if not (node.guard is node.each is node.loop is node.fallback is None and type(node.join) is str):
        return False
    return all(map(_is_given_settled, node.bindings.values()))


def _is_given_settled(expression: Expression) -> bool:
    if type(expression) is Output or type(expression) is Parameter:
        return True
    if type(expression) is Constant:
        return _is_json(expression.value)
    return type(expression) is Sequence and all(map(_is_given_settled, expression.items))


def _kept(value: Any, values: Values) -> Any:
    kind = cast(Any, type(value))
    if kind is Constant:
        return value if _is_json(value.value) else _stored(value, values)
    if kind is tuple:
        made = tuple(_kept(each, values) for each in value)
        return made if any(new is not old for new, old in zip(made, value, strict=True)) else value
    if kind is dict:
        changed = {key: new for key, each in value.items() if (new := _kept(each, values)) is not each}
        return {**value, **changed} if changed else value
    if kind in _WITHOUT or not isinstance(value, msgspec.Struct):
        return value
    changes: dict[str, Any] = {}
    for name in _OF_NODES if kind is Node else value.__struct_fields__:
        before = getattr(value, name)
        if before is None or type(before) is str:
            continue
        after = _kept(before, values)
        if after is not before:
            changes[name] = after
    return msgspec.structs.replace(value, **changes) if changes else value


def _stored(constant: Constant, values: Values) -> Constant | Stored:
    try:
        return Stored(values.store(constant.value)[0])
    except OutputError:
        return constant


def _is_json(value: Any) -> bool:
    """Whether JSON gives a value back as it is."""
    kind = cast(Any, type(value))
    if kind is str:
        return value.isascii() or value == value.encode(errors="ignore").decode()
    if kind is list:
        return all(map(_is_json, value))
    if kind is dict:
        return all(type(key) is str and _is_json(key) and _is_json(each) for key, each in value.items())
    return value is None or kind in (bool, int) or (kind is float and isfinite(value))


__all__ = ["with_stored_constants"]
