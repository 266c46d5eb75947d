"""What has gone from a pipeline and what has come to it since a run of it, as far as that can be told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from penstock.errors import DefinitionError
from penstock.kernel.state import NodeProgress, RunProgress
from penstock.model.generation import Choice
from penstock.model.graph import Node, PipelineAction, Task
from penstock.model.run import RunState
from penstock.runtime.driving.refreshing import Refreshing
from penstock.runtime.reading.nearest import nearest
from penstock.runtime.reading.past import Past


class Differences(NamedTuple):
    """How the pipeline of a generation differs from that of the one before."""

    #: the ids of nodes and items of the generation before that are no longer in the pipeline
    dropped: tuple[str, ...] = ()
    #: the ids of nodes that were not in it
    new: tuple[str, ...] = ()


def differences(past: Past, now: RunProgress) -> Differences:
    """Which nodes are no longer there, and which are new. What is in a dynamic body is only compared for the run as a whole,
    once its body has come to its end: before, nobody knows what else there will be. What is inside of something that has
    gone, or is new, is not told apart from it."""
    was, there = _paths(past.progress), _paths(now)
    gone = [] if now.root.growing or now.root.fault is not None else _outermost(was, there)
    # a dynamic body that did not come to its end may not have reached what follows
    whole = past.graph.dynamic_at is None or past.run.state is RunState.SUCCEEDED
    new = _outermost(there, was) if whole else ()
    instances: dict[str, list[str]] = {}
    for progress in past.progress.nodes.values():
        instances.setdefault(_path(progress), []).extend(_names(progress))
    return Differences(tuple(name for path in gone for name in instances.get(path, [path])), tuple(new))


def check_choice(past: Past, choice: Choice, found: Differences, now: RunProgress) -> None:
    """Raise DefinitionError for a pattern that means nothing but what is no longer in the pipeline, naming near ones."""
    dropped = frozenset(found.dropped)
    for verb, patterns in (("keep", choice.keep), ("invalidate", choice.invalidate)):
        for pattern in patterns:
            matching = Refreshing((pattern,), past.progress.tasks)
            met = [past.name(cell) for cell in past.cells() if matching.covers(past.progress_of(cell), cell[1])]
            if met and all(name in dropped or _is_inside(name, dropped) for name in met):
                near = nearest(pattern, [*found.new, *_paths(now)])
                raise DefinitionError(
                    f"there is nothing to {verb} for {pattern!r}: it is no longer in the pipeline",
                    remedy=f"Did you mean {' or '.join(near)}?" if near else "Leave it out.",
                )


def _is_inside(name: str, dropped: Iterable[str]) -> bool:
    return any(name.startswith((f"{each}/", f"{each}[")) for each in dropped)


def _outermost(paths: Iterable[str], others: Mapping[str, bool]) -> list[str]:
    """The paths that the others do not have, without those that are inside of one of these, or of what is dynamic."""
    missing: dict[str, None] = {}
    for path in paths:
        above = path.rpartition("/")[0]
        around = [above, *_around(above)] if above else []
        if path not in others and not any(each in missing or others.get(each, False) for each in around):
            missing[path] = None
    return list(missing)


def _around(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _paths(run: RunProgress) -> dict[str, bool]:
    """The ids of all nodes without their items and turns, and whether each has a dynamic body."""
    return dict(_known((progress.node for progress in run.root.nodes.values()), run.tasks))


def _known(nodes: Iterable[Node], tasks: Mapping[str, Task], prefix: str = "") -> Iterator[tuple[str, bool]]:
    for node in nodes:
        action = tasks[node.task].action
        dynamic = isinstance(action, PipelineAction) and action.dynamic
        yield prefix + node.id, dynamic
        if isinstance(action, PipelineAction) and not dynamic:
            yield from _known(action.nodes, tasks, f"{prefix}{node.id}/")


def _path(progress: NodeProgress) -> str:
    owner = progress.frame.owner
    return progress.node.id if owner is None else f"{_path(owner)}/{progress.node.id}"


def _names(progress: NodeProgress) -> list[str]:
    """The ids of the items of a node, or its own."""
    if progress.items is None:
        return [progress.id]
    return [progress.cell_id(item) for item in range(len(progress.items.phases))]


__all__ = ["Differences", "check_choice", "differences"]
