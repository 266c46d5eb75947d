"""Waits for a length of time, for which Argo suspends a workflow: nothing of it runs meanwhile."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from penstock.authoring.task import Task
from penstock.dialects.argo.attempts import duration
from penstock.dialects.argo.scripts import inputs_of
from penstock.dialects.argo.values import Value, text
from penstock.dialects.portable.programs import is_simple
from penstock.model.expression import Constant, Expression, Output
from penstock.model.graph import Node, Wait

if TYPE_CHECKING:
    from penstock.dialects.argo.dags import Dag

#: forms of values that may be a number
_NUMBERS = ("int", "float", "json")


class Pause(NamedTuple):
    """A wait for a length of time."""

    #: the node that finds out until when to wait
    begin: str
    wait: Wait


def joined(
    nodes: tuple[Node, ...], functions: Mapping[str, Task[..., Any]]
) -> tuple[tuple[Node, ...], dict[str, Pause]]:
    """Nodes, where each wait for a length of time is one node rather than two, and these waits by the ids of their nodes."""
    begins = {node.id: node for node in nodes if _calls(functions, node, "moment_after")}
    pauses: dict[str, Pause] = {}
    whole: dict[str, Node] = {}
    for node in nodes:
        when = node.bindings.get("when")
        begin = begins.get(when.node) if isinstance(when, Output) else None
        if begin is not None and node.wait is not None and _calls(functions, node, "time_reached"):
            pauses[node.id] = Pause(begin.id, node.wait)
            order = {"after": begin.after, "join": begin.join, "guard": begin.guard}
            whole[node.id] = replace(node, bindings=begin.bindings, wait=None, **order)
    hidden = {each.begin for each in pauses.values()}
    return tuple(whole.get(node.id, node) for node in nodes if node.id not in hidden), pauses


def _calls(functions: Mapping[str, Task[..., Any]], node: Node, name: str) -> bool:
    if node.task not in functions:
        return False
    function: Any = inspect.unwrap(functions[node.task].function)
    return (function.__module__, function.__name__) == ("penstock.waiting", name)


def suspended(dag: Dag, node: Node) -> tuple[dict[str, Any], dict[str, Value]]:
    """The template of a wait for a length of time, and what it is given. Raises DefinitionError, naming the node."""
    name = dag.task_of(node).name
    length = node.bindings["seconds"]
    if isinstance(length, Constant):
        return {"name": name, "suspend": {"duration": duration(_seconds(length.value))}}, {}
    given = {"seconds": _number(dag, node, length)}
    return {"name": name, **inputs_of(given), "suspend": {"duration": "{{inputs.parameters.seconds}}s"}}, given


def _seconds(length: Any) -> float:
    return length.total_seconds() if isinstance(length, timedelta) else float(length)


def _number(dag: Dag, node: Node, length: Expression) -> Value:
    if is_simple(length):
        found = dag.value(length)
        if found.mode != "json" or found.form not in _NUMBERS:
            raise dag.refuse(node.id, "waits for a length of time that is no number", "Let it be a number of seconds.")
        return found
    program = dag.manifest.writing.computation(node.id, length, dag.nodes, node)
    made = dag.helper(f"{node.id} seconds", node, program)
    return Value(f"tasks['{made}'].outputs.parameters['result']", "json")


def ended(dag: Dag, node: str) -> Value:
    """What such a wait results in: true, once it is over."""
    return Value(text("true"), "json", "bool", unless=(f"{dag.status(node)} == 'Succeeded'", "null"), computed=True)


def unlimited(node: Node, pause: Pause) -> bool:
    """Whether a wait may take longer than its time limit, which Argo has none for."""
    length = node.bindings["seconds"]
    known = _seconds(length.value) if isinstance(length, Constant) else None
    return pause.wait.timeout is not None and (known is None or known > pause.wait.timeout)


__all__ = ["Pause", "ended", "joined", "suspended", "unlimited"]
