"""Whether a task can take the place of another that has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.authoring.source import caller
from penstock.errors import DefinitionError

if TYPE_CHECKING:
    from penstock.authoring.task import Task


def check_fallback(task: Task[..., Any], other: Task[..., Any]) -> None:
    """Raise DefinitionError if a fallback cannot take the inputs of a task."""
    names = {port.name for port in task.noun.inputs}
    taken = {port.name for port in other.noun.inputs}
    needed = {port.name for port in other.noun.inputs if port.required}
    anything = any(port.kind == "kwargs" for port in other.noun.inputs)
    if (anything or names <= taken) and needed <= names:
        return
    raise DefinitionError(
        f"{other.name} cannot stand in for {task.name}: it takes {', '.join(sorted(taken)) or 'nothing'}, and is given "
        f"{', '.join(sorted(names)) or 'nothing'}",
        where=str(caller()),
        remedy="Let it take the same inputs, by the same names.",
    )
