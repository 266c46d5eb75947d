"""Which differences of two pipelines follow, or may follow, from what else differs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from penstock.model.event import Grown
from penstock.runtime.explaining.graphs import nodes_of
from penstock.runtime.explaining.tasks import TaskDifference
from penstock.runtime.reading.cells import Cells
from penstock.runtime.reading.past import Past


class Consequences:
    """Says of a call of a task whether it may be another one only because of something else that differs.

    What a pipeline calls, and with what, it may have decided by its parameters; where it is dynamic, by what tasks before
    that have made.
    """

    def __init__(self, before: Past, after: Past, tasks: Iterable[TaskDifference], *, parameters: bool) -> None:
        #: whether a parameter has another value, by which the pipeline may have decided what it calls
        self._parameters = parameters
        self._places = [{path: place for place, path in enumerate(nodes_of(past))} for past in (after, before)]
        self._appeared = {path for past in (before, after) for path in _appeared(past)}
        changed = [task.path for task in tasks if task.outputs]
        #: where the first task stands that made something else
        self._first = [
            min((places[path] for path in changed if path in places), default=None) for places in self._places
        ]

    def follows(self, path: str) -> bool:
        """Whether the node of that path may be called otherwise because of a parameter, or of what was made before it."""
        return self._parameters or self.follows_from_tasks(path)

    def follows_from_tasks(self, path: str) -> bool:
        """Whether the node appeared while the run was under way, after a task that made something else."""
        return path in self._appeared and any(
            first is not None and path in places and first < places[path]
            for first, places in zip(self._first, self._places, strict=True)
        )


def _appeared(past: Past) -> Iterator[str]:
    """The paths of the nodes that appeared while the run was under way."""
    cells = Cells(past.graph, ())
    for _, events in past.journal:
        for event in events:
            if isinstance(event, Grown):
                inside = f"{event.frame}/" if event.frame else ""
                yield from (cells.path(f"{inside}{node.id}") for node in event.nodes)


__all__ = ["Consequences"]
