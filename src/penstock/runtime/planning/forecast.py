"""How long a plan takes, and how much memory, from what earlier runs took."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from statistics import median
from typing import NamedTuple

from penstock.kernel.state import Frame, NodeProgress
from penstock.ports import Timing
from penstock.runtime.planning.plan import PlannedTask, State

#: the items and turns in an id that tell the executions of a body apart
_BRACKETS = re.compile(r"(\[[^/]*?\])+(?=/)")
_OPEN: tuple[State, ...] = ("would_run", "unknown")


class Usual(NamedTuple):
    """What a node takes, as the median of its latest runs."""

    #: seconds, of one attempt
    duration: float
    #: bytes, the most of any attempt
    peak_memory: int
    #: how many attempts there were in a run
    attempts: float


class Needed(NamedTuple):
    """What something of a plan takes."""

    #: seconds from its begin to its end
    span: float = 0.0
    #: seconds of all attempts together
    work: float = 0.0
    #: how many nodes and items are in it of which nothing is known
    unmeasured: int = 0


class Forecast:
    """What the tasks of a plan take on so many workers. `tasks` are those of the plan, `frames` the executions of bodies by
    the node whose bodies they are."""

    def __init__(
        self,
        timings: Iterable[Timing],
        tasks: Iterable[PlannedTask],
        frames: Mapping[str, list[Frame]],
        workers: int,
    ) -> None:
        self._usual = _usual(timings)
        self._tasks = {task.id: task for task in tasks}
        self._frames = frames
        self._workers = workers
        #: what would run, or may
        self.needed: dict[str, Needed] = {}

    def usual(self, task: PlannedTask) -> Usual | None:
        """What a task takes; None where it never ran."""
        return self._usual.get(task.path)

    def of_frame(self, frame: Frame) -> Needed:
        """What is in an execution of a body, or in the run: each node begins when those before it have ended, and no more
        work is done at once than there are workers."""
        ends: dict[str, float] = {}
        work, unmeasured = 0.0, 0
        for progress in frame.nodes.values():
            needed = self._of_node(progress)
            begin = max((ends[other.id] for other in progress.upstream), default=0.0)
            ends[progress.id] = begin + needed.span
            work += needed.work
            unmeasured += needed.unmeasured
        return Needed(max(max(ends.values(), default=0.0), work / self._workers), work, unmeasured)

    def _of_node(self, progress: NodeProgress) -> Needed:
        task = self._tasks[progress.id]
        if task.state not in _OPEN:
            return Needed()
        needed = self._of_body(progress, task) if task.body else self._of_attempts(progress, task)
        self.needed[progress.id] = needed
        return needed

    def _of_attempts(self, progress: NodeProgress, task: PlannedTask) -> Needed:
        usual = self.usual(task)
        each = progress.node.each
        count = sum(task.counts.get(state, 0) for state in _OPEN)
        if usual is None:
            return Needed(unmeasured=count)
        if each is not None and task.items is None:
            count = max(1, round(usual.attempts))
        at_once = self._workers if each is None or each.max_parallel is None else min(self._workers, each.max_parallel)
        work = count * usual.duration
        return Needed(max(usual.duration, work / at_once), work)

    def _of_body(self, progress: NodeProgress, task: PlannedTask) -> Needed:
        inside = [self.of_frame(frame) for frame in self._frames.get(progress.id, ())]
        span = max((needed.span for needed in inside), default=0.0)
        work = sum(needed.work for needed in inside)
        unmeasured = sum(needed.unmeasured for needed in inside)
        # what is in a body that has yet to begin, or grows with every turn, is known as a whole only
        bare = sum(task.counts.get(state, 0) for state in _OPEN)
        usual = self.usual(task)
        grows = progress.node.loop is not None or (progress.body is not None and progress.body.dynamic)
        if usual is None:
            unmeasured += bare
        elif bare or grows:
            span = max(span, usual.duration)
            work = max(work, usual.duration * max(1, bare))
        return Needed(max(span, work / self._workers), work, unmeasured)


def _usual(timings: Iterable[Timing]) -> dict[str, Usual]:
    """By the id of a node without items and turns."""
    runs: dict[str, dict[int, list[Timing]]] = {}
    for timing in timings:
        path = _BRACKETS.sub("", timing.node) if "/" in timing.node else timing.node
        runs.setdefault(path, {}).setdefault(timing.run, []).append(timing)
    return {path: _typical(list(by_run.values())) for path, by_run in runs.items()}


def _typical(runs: list[list[Timing]]) -> Usual:
    counts = [sum(timing.count for timing in run) for run in runs]
    means = [sum(t.duration * t.count for t in run) / count for run, count in zip(runs, counts, strict=True)]
    peaks = [max(timing.peak_memory for timing in run) for run in runs]
    return Usual(median(means), round(median(peaks)), median(counts))


__all__ = ["Forecast", "Needed", "Usual"]
