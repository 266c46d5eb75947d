"""A worker process as the driver sees it."""

from __future__ import annotations

import socket
import time
from collections import deque

import msgspec

from penstock.errors import WorkerLostError
from penstock.executors.watching.deaths import worker_named
from penstock.executors.watching.limits import Limit, Watch
from penstock.executors.watching.page import Page
from penstock.executors.workers.wire import Incoming, Reports
from penstock.model.event import Fault
from penstock.model.fault import fault_as
from penstock.model.work import Erred, Job, Report, Usage

#: how long a worker may be at one job before what waits behind it is taken back, in seconds
STUCK = 0.05

#: work, item and attempt of a job
Name = tuple[int, int, int]


class RemoteWorker:
    """The driver's side of one worker."""

    def __init__(
        self, number: int, link: socket.socket, recall: socket.socket, page: Page, devices: tuple[int, ...] | None
    ) -> None:
        self.number = number
        #: those that its attempts see; code that has used some cannot be given others
        self.devices = devices
        self.link = link
        self.recall = recall
        self.page = page
        self.pid = 0
        self.incoming = Incoming(msgspec.msgpack.Decoder(Reports))
        self.outgoing = bytearray()
        #: whether the selector waits for the socket to take more of that
        self.behind = False
        #: jobs that were sent and not answered, in order
        self.jobs: deque[Job] = deque()
        self.finished = 0
        #: about when it began the job it is at, on the monotonic clock
        self.busy_since = 0.0
        self.defined: set[int] = set()
        #: when it was last asked to give back what it has not begun
        self.recalled_at = 0.0
        #: the jobs that are to be ended, with what is reported of them
        self.ending: dict[Name, Fault] = {}
        #: how many jobs it had begun when it was to be killed
        self.killed_at = 0
        #: of its jobs, those that have limits
        self.limits: dict[Name, Limit] = {}
        self.watch = Watch()
        self.link_closed = False
        #: as of waitpid, once it is known
        self.status: int | None = None

    def at(self) -> int:
        """The place among its jobs of the one it has begun last; -1 if it has begun none of them."""
        return self.page.begun() - self.finished - 1

    def current(self) -> tuple[Name | None, float]:
        """The job it is at, if it is at one, and when that began."""
        began_at, begun = self.page.read()
        place = begun - self.finished - 1
        return name_of(self.jobs[place]) if 0 <= place < len(self.jobs) else None, began_at

    def patience(self, now: float) -> float | None:
        """For how many seconds the limits of its jobs need not be looked at; None if they may take what they like."""
        current, began_at = self.current()
        waits: list[float] = []
        for name, limit in self.limits.items():
            if name not in self.ending:
                waits.append(limit.patience(now - began_at if name == current else 0.0))
        return min(waits, default=None)

    def look_after(self, now: float) -> None:
        """Have the job that it is at ended if that is beyond its limits."""
        name, began_at = self.current()
        if name is None or name not in self.limits or name in self.ending or not self.pid:
            return
        fault = self.watch.fault(self.limits[name], pid=self.pid, began_at=began_at, now=now)
        if fault is not None:
            self.ending[name] = fault

    def finish(self, job: Job) -> None:
        """Take note that a job has ended."""
        self.finished += 1
        if self.limits or self.ending:
            self.forget(job)

    def forget(self, job: Job) -> None:
        """Let a job have no more limits, and not be ended any more."""
        self.watch.most = 0
        self.limits.pop(name_of(job), None)
        self.ending.pop(name_of(job), None)

    def stop(self, job: Job) -> None:
        """Have a job ended because that was asked for."""
        text = f"the attempt was stopped{worker_named(self.pid)}"
        self.ending.setdefault(name_of(job), fault_as(WorkerLostError, text, infrastructure=True))

    def erred(self, job: Job, fault: Fault) -> Erred:
        """The report of a job that it cannot report itself."""
        current, began_at = self.current()
        duration = time.monotonic() - (began_at if current == name_of(job) else self.busy_since)
        usage = Usage(time.time() - duration, duration, peak_memory=self.watch.most, worker=self.pid)
        return Erred(job.work, job.item, job.attempt, fault, usage)

    def alive(self) -> bool:
        return self.status is None and not self.link_closed

    def stuck(self, now: float) -> bool:
        """Whether it has been at one job for so long that nothing should wait behind it."""
        return bool(self.jobs) and now - self.busy_since > STUCK

    def close(self) -> None:
        self.link.close()
        self.recall.close()
        self.page.close()


def name_of(thing: Job | Report) -> Name:
    """The job that something is about."""
    return thing.work, thing.item, thing.attempt
