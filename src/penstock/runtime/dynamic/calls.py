"""What a dynamic body has called, in the form of the journal, and whether it is what it had called before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any, TypeVar, cast

import msgspec

from penstock.errors import OutputError
from penstock.kernel.state import RunProgress
from penstock.model.action import PythonAction
from penstock.model.expression import Constant, Expression, Stored, describe
from penstock.model.graph import Node, PipelineAction, Task, ordered
from penstock.model.place import Location
from penstock.model.policy import Policy
from penstock.runtime.inputs.revealed import check_nodes, check_result, check_tasks
from penstock.values import Values

T = TypeVar("T")

#: the largest whole numbers that the journal holds as they are
_LARGEST = 1 << 63


class Calls:
    """Turns nodes and tasks into what the journal can hold: of their constants, all but plain scalars are stored."""

    def __init__(self, values: Values, run: RunProgress) -> None:
        self._values = values
        self._run = run

    def nodes(self, nodes: Iterable[Node]) -> tuple[Node, ...]:
        """Nodes in an order in which each follows what it waits for. Raises OutputError for a constant that cannot be
        stored, DefinitionError if they wait for each other, or for a secret that they are given as it is."""
        found = ordered(tuple(nodes))
        check_nodes(found, self._values)
        return tuple(self._node(node) for node in found)

    def _node(self, node: Node) -> Node:
        try:
            return self._kept(node)
        except OutputError as error:
            raise OutputError(
                f"an input of {node.id} cannot be stored: {error.what}",
                where=str(node.location),
                remedy="Make it inside the task, or pass what it is made from.",
            ) from None

    def tasks(self, tasks: Mapping[str, Task]) -> dict[str, Task]:
        """Those that the run does not know."""
        new = {key: task for key, task in list(tasks.items()) if key not in self._run.tasks}
        check_tasks(new, self._values)
        return {key: self._kept(task) for key, task in new.items()}

    def expression(self, expression: Expression) -> Expression:
        """What a body returns, without constants that the journal cannot hold."""
        check_result(expression, self._values)
        return self._kept(expression)

    def _kept(self, value: T) -> T:
        return cast(T, self._rewritten(value))

    def _rewritten(self, value: Any) -> Any:
        kind = cast(Any, type(value))
        if kind is Constant:
            return value if _is_plain(value.value) else Stored(self._values.store(value.value)[0])
        if kind is tuple:
            return tuple(map(self._rewritten, value))
        if kind is dict:
            return {key: self._rewritten(each) for key, each in value.items()}
        if not isinstance(value, msgspec.Struct) or kind in (Policy, Location, Stored):
            return value
        changes: dict[str, Any] = {}
        for name in value.__struct_fields__:
            before = getattr(value, name)
            after = self._rewritten(before)
            if after is not before:
                changes[name] = after
        return msgspec.structs.replace(value, **changes) if changes else value


def _is_plain(value: Any) -> bool:
    kind = cast(Any, type(value))
    if kind is int:
        return -_LARGEST <= value < _LARGEST
    if kind is str:
        return value == value.encode(errors="ignore").decode()
    return value is None or kind is bool or (kind is float and isfinite(value))


def difference(old: Node, new: Node, old_tasks: Mapping[str, Task], new_tasks: Mapping[str, Task]) -> str | None:
    """How a call differs from the recorded one in its place; None where it does not."""
    if old.id != new.id:
        return f"{new.id} is called, and before it was {old.id} ({old.location})"
    if _identity(old_tasks[old.task]) != _identity(new_tasks[new.task]):
        return f"{new.id} is another task than before ({old.location})"
    for name in sorted(old.bindings.keys() | new.bindings.keys()):
        before, now = old.bindings.get(name), new.bindings.get(name)
        if _shape(before) != _shape(now):
            told = "" if before is None or now is None else f": {describe(now)}, and before {describe(before)}"
            return f"{new.id} is given another {name!r} than before{told} ({old.location})"
    if _shape((old.after, old.guard, old.each, old.join)) != _shape((new.after, new.guard, new.each, new.join)):
        return f"{new.id} waits for other tasks, or is mapped over something else, than before ({old.location})"
    return None


def counterparts(old: Node, new: Node, old_tasks: Mapping[str, Task], new_tasks: Mapping[str, Task]) -> dict[str, str]:
    """The tasks that a call brings with it, its fallback and those in its body included, of one that is the same as
    before: key then -> key now."""
    found = {old.task: new.task}
    if old.fallback is not None and old.fallback.task and new.fallback is not None and new.fallback.task:
        found[old.fallback.task] = new.fallback.task
    before, now = old_tasks[old.task].action, new_tasks[new.task].action
    if isinstance(before, PipelineAction) and isinstance(now, PipelineAction):
        for inner, same in zip(before.nodes, now.nodes, strict=False):
            found |= counterparts(inner, same, old_tasks, new_tasks)
    return found


def _identity(task: Task) -> Any:
    action = task.action
    if isinstance(action, PipelineAction) and action.dynamic:
        # what it calls is compared as it is called again
        return (task.name, "dynamic")
    called = (action.module, action.qualname) if isinstance(action, PythonAction) else _shape(action)
    return (task.name, called)


def _shape(value: Any) -> Any:
    """What has to be the same of an expression, or of what holds some."""
    kind = cast(Any, type(value))
    if kind is Constant:
        return ("constant", type(value.value).__name__, value.value)
    if kind is Stored:
        return ("constant", value.value.digest)
    if kind in (tuple, list):
        return tuple(map(_shape, value))
    if kind is dict:
        return tuple((key, _shape(each)) for key, each in sorted(value.items()))
    if kind in (Policy, Location):
        return None
    if isinstance(value, msgspec.Struct):
        return (kind.__name__, *(_shape(getattr(value, name)) for name in value.__struct_fields__))
    return value
