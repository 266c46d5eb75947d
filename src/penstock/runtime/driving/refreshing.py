"""The nodes that a run is to make anew, though there are results of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from penstock.authoring.kinds.conversion import nearest
from penstock.errors import DefinitionError
from penstock.kernel.state import NodeProgress
from penstock.model.graph import Graph, Node, PipelineAction, Task
from penstock.model.run import item_id

#: whether a name is meant
_Matches = Callable[[str], object]

#: ids that are compared with one that was not found, and those that are then named
_COMPARED, _NAMED = 1000, 3
#: the item or the turn in an id: `[3]`
_ITEM = re.compile(r"\[[^\]]*\]")


class Refreshing:
    """Tells which nodes are meant by patterns.

    A pattern is the name of a task, the id of a node with or without its items and turns (`fold/fit`, `fold[3]/fit`), of
    an item (`fit[3]`, `fit[rf]`), or of what nodes are in (`fold`); `*` and `?` stand for any characters, and for any
    one.
    """

    def __init__(self, patterns: Sequence[str], tasks: Mapping[str, Task]) -> None:
        self._patterns = {pattern: _compiled(pattern) for pattern in patterns}
        self._tasks = tasks
        #: by instance: whether all of it is meant
        self._whole: dict[str, bool] = {}
        self._unmet = dict.fromkeys(patterns)

    def covers(self, progress: NodeProgress, item: int) -> bool:
        """Whether a node, or an item of it, is to be made anew."""
        whole = self._whole.get(progress.id)
        if whole is None:
            names = [self._tasks[progress.node.task].name, *_above(progress.id), *_above(_path(progress))]
            whole = self._whole[progress.id] = self._any(names)
        if whole or item < 0:
            return whole
        path = _path(progress)
        names = [item_id(progress.id, item), progress.cell_id(item), item_id(path, item)]
        return self._any([*names, path + progress.cell_id(item).removeprefix(progress.id)])

    def complaints(self, nodes: Iterable[NodeProgress]) -> list[str]:
        """What to tell of patterns for which nothing was found, once the run is over; `nodes` are all that it has had."""
        if not self._unmet:
            return []
        nodes = list(nodes)
        return [
            f"nothing called {pattern!r} was reached, so that nothing was refreshed for it{_near(pattern, nodes)}"
            for pattern in self._unmet
            if not self._is_kept(pattern, nodes)
        ]

    def _is_kept(self, pattern: str, nodes: Iterable[NodeProgress]) -> bool:
        """Whether a pattern means nodes that an earlier generation has made, so that it was not asked about them."""
        matches = self._patterns[pattern]
        return any(
            matches(name)
            for each in nodes
            if each.phase.fruitful
            for name in (self._tasks[each.node.task].name, *_above(each.id), *_above(_path(each)))
        )

    def _any(self, names: Sequence[str]) -> bool:
        met = [pattern for pattern, matches in self._patterns.items() if any(map(matches, names))]
        for pattern in met:
            self._unmet.pop(pattern, None)
        return bool(met)


def check_patterns(graph: Graph, patterns: Sequence[str]) -> None:
    """Raise DefinitionError for a pattern that means nothing in a graph of which all nodes are known."""
    if not patterns:
        return
    bodies = [task.action for task in graph.tasks.values() if isinstance(task.action, PipelineAction)]
    if graph.dynamic_at is not None or any(body.dynamic for body in bodies):
        return
    known = dict.fromkeys(name for path, task in _known(graph.nodes, graph.tasks) for name in (*_above(path), task))
    for pattern in patterns:
        if not any(map(_compiled(_ITEM.sub("", pattern)), known)):
            near = nearest(pattern, known)
            listed = f"The nodes are: {', '.join(list(known)[:20])}{', ...' if len(known) > 20 else ''}."
            raise DefinitionError(
                f"there is nothing called {pattern!r} to refresh in {graph.name}{near}", remedy=None if near else listed
            )


def _near(pattern: str, nodes: Sequence[NodeProgress]) -> str:
    """Advice for a pattern that was not met: what there is of the same node, or a node with a name like it."""
    from difflib import get_close_matches

    bare = _ITEM.sub("", pattern)
    matches = _compiled(bare)
    same = [progress for progress in nodes if matches(_path(progress)) or matches(progress.id)]
    if not same:
        return nearest(pattern, dict.fromkeys(map(_path, nodes)))
    ids = [each for progress in same for each in _ids(progress)]
    if not ids:
        return f"; {bare} has no items"
    # as many as are worth comparing
    named = sorted(get_close_matches(pattern, ids[:_COMPARED], n=_NAMED, cutoff=0), key=ids.index)
    more = len(ids) - len(named)
    return f"; there {'is' if len(ids) == 1 else 'are'} {', '.join(named)}{f' and {more:,} more' if more else ''}"


def _ids(progress: NodeProgress) -> Iterator[str]:
    """The ids of the items of a node, or its own."""
    if progress.node.each is None:
        yield progress.id
    elif progress.items is not None:
        yield from map(progress.cell_id, range(len(progress.items.phases)))


def _known(nodes: Iterable[Node], tasks: Mapping[str, Task], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The nodes, and those of bodies in them: path, and name of the task."""
    for node in nodes:
        task = tasks[node.task]
        yield prefix + node.id, task.name
        if isinstance(task.action, PipelineAction):
            yield from _known(task.action.nodes, tasks, f"{prefix}{node.id}/")


def _compiled(pattern: str) -> _Matches:
    text = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(text, re.DOTALL).fullmatch


def _above(name: str) -> Iterator[str]:
    """An id, and those of what it is in: `a/b/c`, `a/b`, `a`."""
    while name:
        yield name
        name = name.rpartition("/")[0]


def _path(progress: NodeProgress) -> str:
    """The id without items and turns."""
    owner = progress.frame.owner
    return progress.node.id if owner is None else f"{_path(owner)}/{progress.node.id}"
