"""An executor made of several: each piece of work goes to the one for its kind."""

from __future__ import annotations

import contextlib
import selectors
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from penstock.errors import WorkerLostError
from penstock.model.fault import fault_as
from penstock.model.work import AnyReport, Erred, Job, Usage, Work
from penstock.ports import Executor

#: executors see to limits and the like while they are polled, so none is left alone for longer, in seconds
_LOOK = 0.05


def kind_of(work: Work) -> str:
    """How an attempt shares its process with others: `process`, `thread` or `loop`. What needs a Python environment of
    its own does not."""
    return "process" if work.environment is not None else work.run_in


class _Member:
    """One of the executors, with the jobs that it has no room for yet."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.waiting: deque[Job] = deque()
        #: whether it was ever given a job
        self.used = False

    def room(self) -> int:
        return self.executor.room() - len(self.waiting)

    def hand_out(self) -> None:
        """Pass on as many jobs as there is room for."""
        if self.waiting and (room := self.executor.room()) > 0:
            self.used = True
            self.executor.submit([self.waiting.popleft() for _ in range(min(room, len(self.waiting)))])


class RoutingExecutor:
    """Passes each piece of work to the executor of its kind. `members` are the executors by kind.

    Those with a `fileno()`, a descriptor that can be read when there is something to poll for, are waited for all at
    once; others are asked every few hundredths of a second.

    No executor gets more jobs than it has room for; the others wait here.
    """

    def __init__(self, members: Mapping[str, Executor], kind_of: Callable[[Work], str] = kind_of) -> None:
        self._members = {kind: _Member(executor) for kind, executor in members.items()}
        self._kind_of = kind_of
        #: by the number of the work
        self._by_work: dict[int, _Member] = {}
        self._reports: list[AnyReport] = []
        self._selector = selectors.DefaultSelector()
        for executor in members.values():
            descriptor: Callable[[], int] | None = getattr(executor, "fileno", None)
            if descriptor is not None:
                self._selector.register(descriptor(), selectors.EVENT_READ)

    # The port.

    def define(self, work: Work) -> None:
        member = self._by_work[work.number] = self._members[self._kind_of(work)]
        member.executor.define(work)

    def room(self, *, shared: bool = False) -> int:
        wanted = (member for kind, member in self._members.items() if shared is (kind != "process"))
        return sum(max(0, member.room()) for member in wanted)

    def submit(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._by_work[job.work].waiting.append(job)
        for member in self._members.values():
            member.hand_out()

    def poll(self, timeout: float | None) -> list[AnyReport]:
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            for member in self._members.values():
                member.hand_out()
                if member.used:
                    self._reports += member.executor.poll(0)
            left = _LOOK if until is None else until - time.monotonic()
            if self._reports or left <= 0:
                reports, self._reports = self._reports, []
                return reports
            self._selector.select(min(left, _LOOK))

    def stop(self, job: Job) -> None:
        member = self._by_work[job.work]
        if job in member.waiting:
            member.waiting.remove(job)
            fault = fault_as(WorkerLostError, "the attempt was stopped", infrastructure=True)
            self._reports.append(Erred(job.work, job.item, job.attempt, fault, Usage(time.time(), 0.0)))
        else:
            member.executor.stop(job)

    def interrupt(self) -> None:
        for member in self._members.values():
            member.executor.interrupt()

    def close(self, *, kill: bool = False) -> None:
        self._selector.close()
        with contextlib.ExitStack() as closing:
            for member in self._members.values():
                member.waiting.clear()
                closing.callback(member.executor.close, kill=kill)
