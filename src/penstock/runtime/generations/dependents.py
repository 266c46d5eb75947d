"""What is to run again because it was chosen, or depends on what was."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from penstock.kernel.state import Frame, NodeProgress

#: the nodes whose values the body had used that called a node, before it did
Used = Callable[[NodeProgress], Iterable[NodeProgress]]


def _nothing_used(progress: NodeProgress) -> Iterable[NodeProgress]:
    return ()


class Dependents:
    """Tells what is due to run again. `names` are those of nodes, items and executions of bodies: `train`, `fit[rf]`,
    `fold[3]/fit`, `search[2]`.

    What takes over the items of a map one by one depends on them one by one; the later turns of a loop depend on those
    before, and what is in a body on all that the body is given.
    """

    def __init__(self, names: Iterable[str], used: Used = _nothing_used) -> None:
        self._names = frozenset(names)
        #: what the named ones are in
        self._around = frozenset(name[:at] for name in self._names for at, c in enumerate(name) if c in "/[")
        self.used = used
        #: by id: whether all of a node is due
        self._due: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._names)

    def named(self, progress: NodeProgress, item: int) -> bool:
        """Whether a node or an item, or something that it is in, was chosen itself."""
        if progress.id in self._names or progress.cell_id(item) in self._names:
            return True
        frame = progress.frame
        while frame.owner is not None:
            if {frame.id, frame.owner.cell_id(frame.item), frame.owner.id} & self._names:
                return True
            frame = frame.owner.frame
        return False

    def due(self, progress: NodeProgress, item: int) -> bool:
        """Whether a node or an item is to run again."""
        self._settle(progress)
        return self._due[progress.id] or self._due_at(progress, item)

    def touches(self, progress: NodeProgress) -> bool:
        """Whether something of a node, or of what is in it, is to run again."""
        if not self._names:
            return False
        self._settle(progress)
        return self._partly(progress)

    def _settle(self, progress: NodeProgress) -> None:
        """See to a node after all that it depends on. Not by recursion: chains are long."""
        waiting = [progress]
        while waiting:
            at = waiting[-1]
            unseen = [each for each in self._before(at) if each.id not in self._due]
            if unseen:
                waiting += unseen
                continue
            waiting.pop()
            self._due[at.id] = self._is_due(at)

    def _before(self, progress: NodeProgress) -> Iterable[NodeProgress]:
        yield from progress.upstream
        yield from self.used(progress)
        if progress.frame.owner is not None:
            yield progress.frame.owner

    def _is_due(self, progress: NodeProgress) -> bool:
        if progress.id in self._names or self._frame_due(progress.frame):
            return True
        whole = (each for each in progress.upstream if each not in progress.streams)
        return any(map(self._partly, whole)) or any(map(self._partly, self.used(progress)))

    def _frame_due(self, frame: Frame) -> bool:
        owner = frame.owner
        if owner is None:
            return False
        base = owner.cell_id(frame.item)
        turns = range(frame.turn if owner.node.loop is not None else 0)
        earlier = (f"{base}[{turn}]" for turn in turns)
        return (
            frame.id in self._names
            or self._due[owner.id]
            or self._due_at(owner, frame.item)
            or any(name in self._around or name in self._names for name in earlier)
        )

    def _due_at(self, progress: NodeProgress, item: int) -> bool:
        """Whether an item is due, though not all of its node is."""
        if item < 0 or progress.items is None:
            return self._due[progress.id]
        if progress.cell_id(item) in self._names:
            return True
        return any(
            self._due[each.id] or self._due_at(each, item) or each.cell_id(item) in self._around
            for each in progress.streams
        )

    def _partly(self, progress: NodeProgress) -> bool:
        """Whether something of a node is due, so that what needs all of it is."""
        return self._due[progress.id] or progress.id in self._around or any(map(self._partly, progress.streams))


__all__ = ["Dependents", "Used"]
