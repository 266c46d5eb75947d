"""What cannot be made again by itself, and what to do instead."""

from __future__ import annotations

import shlex
from itertools import islice

from penstock.errors import DefinitionError, NotFoundError
from penstock.model.action import ApprovalAction, ContainerAction
from penstock.model.graph import PipelineAction
from penstock.runtime.driving.nodes import Cell
from penstock.runtime.reading.past import Past
from penstock.runtime.replaying.debugging import Stop

#: nodes or items that a message names
_NAMED = 5


def check(past: Past, cell: Cell, stop: Stop | None, *, has_engine: bool) -> None:
    """Raise DefinitionError for what cannot be replayed, and NotFoundError where nothing is kept of the code."""
    progress = past.progress_of(cell)
    task = past.progress.tasks[progress.node.task]
    name, run = past.name(cell), past.run.run_id
    if progress.node.each is not None and cell[1] < 0:
        raise DefinitionError(f"{name} is mapped over several items", remedy=_one_of(past, _items(past, cell)))
    if isinstance(task.action, ApprovalAction):
        raise DefinitionError(
            f"{name} is a question to people, which is answered and not run",
            remedy=f"See what was answered: penstock show {run}",
        )
    if isinstance(task.action, PipelineAction):
        inside = [each for each in past.progress.nodes if each.startswith((f"{name}/", f"{name}["))]
        raise DefinitionError(f"{name} is a pipeline, with tasks inside of it", remedy=_one_of(past, inside))
    if past.identity(cell) is None:
        raise NotFoundError(
            f"nothing is kept of the code of {name} in run {run}",
            remedy="The run was made by an older penstock; run the pipeline again.",
        )
    if isinstance(task.action, ContainerAction) and not has_engine:
        raise DefinitionError(
            f"{name} runs in a container, and there is no container engine here",
            remedy=f"Install podman or docker, or replay it where one is. Its inputs: penstock artifacts list {run}",
        )
    if stop is not None and (task.environment is not None or not hasattr(task.action, "qualname")):
        what = "runs in a Python environment of its own" if task.environment is not None else "is a command"
        raise DefinitionError(f"{name} {what}, which the debugger does not reach", remedy="Leave out --pdb.")


def _items(past: Past, cell: Cell) -> list[str]:
    items = past.progress_of(cell).items
    count = 0 if items is None else len(items.phases)
    return [past.name((cell[0], item)) for item in islice(range(count), _NAMED + 1)]


def _one_of(past: Past, names: list[str]) -> str:
    if not names:
        return f"None of it was reached: penstock show {past.run.run_id}"
    more = ", ..." if len(names) > _NAMED else ""
    example = f"penstock replay {past.run.run_id} {shlex.quote(names[0])}"
    return f"Replay one of: {', '.join(names[:_NAMED])}{more} ({example})"


__all__ = ["check"]
