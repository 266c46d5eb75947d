"""What no run can have: constructs of other systems that have no counterpart here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from penstock.errors import DefinitionError
from penstock.model.action import OpaqueAction
from penstock.model.graph import Node, Task
from penstock.runtime.capacity.demand import nodes_of


def check_runnable(nodes: Iterable[Node], tasks: Mapping[str, Task]) -> None:
    """Raise DefinitionError if there is a node among these, or in their bodies, that penstock cannot run."""
    problem = refusal(nodes, tasks)
    if problem is not None:
        raise problem


def refusal(nodes: Iterable[Node], tasks: Mapping[str, Task]) -> DefinitionError | None:
    """Why nodes cannot be run, for those among these, or in their bodies, that penstock cannot run."""
    found = [
        (node, task.action)
        for node in nodes_of(nodes, tasks)
        if (task := tasks.get(node.task)) is not None and type(task.action) is OpaqueAction
    ]
    if not found:
        return None
    node, action = found[0]
    others = ", ".join(each.id for each, _ in found[1:])
    return DefinitionError(
        f"{node.id} is a {action.kind}, for which penstock has no counterpart, so that it cannot be run"
        f"{f'; nor can {others}' if others else ''}",
        where=str(action.location),
        remedy="Write what it does as a task. What there is can be shown (penstock graph), and written for the system that "
        f"it comes from (penstock export --to {action.dialect}).",
    )


__all__ = ["check_runnable", "refusal"]
