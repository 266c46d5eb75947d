"""Attempts in warm worker processes, several jobs to a message."""

from __future__ import annotations

import contextlib
import os
import selectors
import time
from collections.abc import Sequence

from penstock.executors.watching.deaths import KernelKills, fault_of_death
from penstock.executors.watching.limits import Limit
from penstock.executors.workers.remote import STUCK, RemoteWorker, name_of
from penstock.executors.workers.server import Server
from penstock.executors.workers.spinning import SPIN, AdaptiveSpin
from penstock.executors.workers.wire import Batch, Define, Exited, Forked, Kill, Release, Settings, frame
from penstock.model.work import (
    AnyReport,
    Declined,
    Done,
    Erred,
    Job,
    NotYet,
    Unstarted,
    Work,
    WorkerSettings,
)

#: how much work a worker is given ahead, in seconds and in jobs
_AHEAD = 0.01
_MOST_AHEAD = 250
#: what a job costs a worker beside the user's code, in seconds
_OVERHEAD = 25e-6
#: how often workers may die in a row before they begin anything
_STILLBORN = 3
#: how long processes may take to leave, in seconds, by whether they are killed
_PATIENCE = {False: 5.0, True: 1.0}
_CHUNK = 1 << 16

#: reports that end an attempt
_ENDS = (Done, Erred, Declined, NotYet)


class ProcessExecutor:
    """Keeps up to `size` worker processes, forked from a server that has imported the user's modules.

    Nothing is started before the first job. A worker that dies costs the attempt it was at, and is replaced. `server`
    is one that other executors use too. While fewer workers than `cores` have something to do, driver and workers ask each
    other for a moment before they sleep.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        size: int | None = None,
        server: Server | None = None,
        *,
        cores: float | None = None,
    ) -> None:
        self._cores = _cores() if cores is None else cores
        self.size = size or _cores()
        self._settings = settings
        self._selector = selectors.DefaultSelector()
        self._server = server or Server(settings)
        self._started = False
        self._workers: dict[int, RemoteWorker] = {}
        self._works: dict[int, Work] = {}
        #: seconds that attempts at a piece of work may take, where that is limited
        self._timeouts: dict[int, float] = {}
        #: seconds that a job takes of late
        self._pace = _AHEAD
        self._stillborn = 0
        self._spin = AdaptiveSpin()
        self._reports: list[AnyReport] = []
        self._kernel_kills = KernelKills(())

    # The port.

    def define(self, work: Work) -> None:
        self._works[work.number] = work
        if work.timeout is not None:
            self._timeouts[work.number] = work.timeout

    def room(self, *, shared: bool = False) -> int:
        now = time.monotonic()
        moving = [worker for worker in self._workers.values() if not worker.stuck(now)]
        stuck = len(self._workers) - len(moving)
        return (self.size - stuck) * self._depth() - sum(len(worker.jobs) for worker in moving)

    def submit(self, jobs: Sequence[Job]) -> None:
        kinds = {job.devices for job in jobs}
        for devices in kinds:
            fit = jobs if len(kinds) == 1 else [job for job in jobs if job.devices == devices]
            self._distribute(fit, devices)

    def _distribute(self, jobs: Sequence[Job], devices: tuple[int, ...] | None) -> None:
        """Hand out jobs that see the same devices."""
        free = self._idle(devices)
        if len(free) < len(jobs):
            self._hire(len(jobs), devices)
            free = self._idle(devices) or self._least_busy(devices)
        chosen = free[: len(jobs)]
        busy = self._busy() + sum(1 for worker in chosen if not worker.jobs)
        for index, worker in enumerate(chosen):
            self._assign(worker, list(jobs[index :: len(chosen)]), awake=busy < self._cores)

    def _idle(self, devices: tuple[int, ...] | None) -> list[RemoteWorker]:
        """The workers that see the devices and have nothing to do."""
        return [
            worker
            for worker in self._workers.values()
            if not worker.jobs and worker.devices == devices and worker.alive()
        ]

    def _least_busy(self, devices: tuple[int, ...] | None) -> list[RemoteWorker]:
        """The workers that see the devices, those with the fewest jobs first; without those that are at a long one, if
        there are others."""
        now = time.monotonic()
        alive = [worker for worker in self._workers.values() if worker.devices == devices and worker.alive()]
        workers = [worker for worker in alive if not worker.stuck(now)] or alive
        return sorted(workers, key=lambda worker: len(worker.jobs))

    def poll(self, timeout: float | None) -> list[AnyReport]:
        if not self._started:
            if timeout:
                time.sleep(timeout)
            return []
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            for key, mask in self._events(self._wait(until)):
                self._ready(key.data, mask)
            self._bury()
            self._attend()
            if self._reports or (until is not None and time.monotonic() >= until):
                reports, self._reports = self._reports, []
                return reports

    def fileno(self) -> int:
        """A descriptor that can be read when there is something to poll for."""
        return self._selector.fileno()

    def _events(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        """What happens next, within the timeout in seconds."""
        awake = (timeout is None or timeout > SPIN) and 0 < self._busy() < self._cores
        return (awake and self._spin.ask(self._events_by_now)) or self._selector.select(timeout)

    def _events_by_now(self) -> list[tuple[selectors.SelectorKey, int]]:
        return self._selector.select(0)

    def _busy(self) -> int:
        """How many workers have something to do."""
        return sum(1 for worker in self._workers.values() if worker.jobs)

    def _wait(self, until: float | None) -> float | None:
        """How long to wait for something to happen, in seconds."""
        now = time.monotonic()
        left = None if until is None else max(0.0, until - now)
        waits = [worker.patience(now) for worker in self._workers.values() if worker.limits]
        return min((wait for wait in (left, *waits) if wait is not None), default=None) if waits else left

    def stop(self, job: Job) -> None:
        for worker in self._workers.values():
            if name_of(job) in map(name_of, worker.jobs):
                worker.stop(job)
                self._end_jobs(worker)

    def interrupt(self) -> None:
        """Nothing to do: what runs, runs in other processes."""

    def close(self, *, kill: bool = False) -> None:
        if not self._started:
            self._selector.close()
            return
        self._started = False
        for worker in self._workers.values():
            self._server.tell(Kill(worker.number) if kill or worker.jobs else Release(worker.number))
            self._forget(worker)
        leaving = [number for number, worker in self._workers.items() if worker.status is None]
        self._server.await_exits(leaving, _PATIENCE[kill])
        self._selector.close()
        self._server.close(_PATIENCE[kill])

    # Workers come and go.

    def _depth(self) -> int:
        return max(1, min(_MOST_AHEAD, int(_AHEAD / self._pace)))

    def _hire(self, jobs: int, devices: tuple[int, ...] | None) -> None:
        """Have as many workers as there are jobs at hand, as far as the size allows, and one that sees the devices in
        any case."""
        alive = [worker for worker in self._workers.values() if worker.alive()]
        fit = [worker for worker in alive if worker.devices == devices]
        busy = sum(1 for worker in fit if worker.jobs)
        if len(fit) < len(alive):
            idle = [worker for worker in alive if worker.devices != devices and not worker.jobs]
            needed = len(alive) + busy + jobs - len(fit) - self.size
            for worker in idle[: max(0, needed)]:
                self._release(worker)
                alive.remove(worker)
        others = len(alive) - len(fit)
        for _ in range(len(fit), max(min(self.size - others, busy + jobs), 1)):
            self._fork(devices)

    def _release(self, worker: RemoteWorker) -> None:
        """Let an idle worker go."""
        self._server.tell(Release(worker.number))
        del self._workers[worker.number]
        self._forget(worker)

    def _fork(self, devices: tuple[int, ...] | None) -> None:
        if not self._started:
            self._selector.register(self._server.start(), selectors.EVENT_READ, None)
            self._started = True
            self._kernel_kills = KernelKills()
        number, link, recall, page = self._server.fork(self._note)
        worker = self._workers[number] = RemoteWorker(number, link, recall, page, devices)
        self._selector.register(link, selectors.EVENT_READ, worker)
        self._send(worker, frame(Settings(self._settings)))

    def _forget(self, worker: RemoteWorker) -> None:
        if not worker.link_closed:
            worker.link_closed = True
            self._selector.unregister(worker.link)
        worker.close()

    # Jobs go out.

    def _assign(self, worker: RemoteWorker, jobs: list[Job], *, awake: bool) -> None:
        if not worker.jobs:
            worker.busy_since = time.monotonic()
        message = b""
        for number in {job.work for job in jobs} - worker.defined:
            worker.defined.add(number)
            message += frame(Define(self._works[number]))
        worker.jobs.extend(jobs)
        for job in jobs:
            if job.memory or job.work in self._timeouts:
                worker.limits[name_of(job)] = Limit(self._timeouts.get(job.work), job.memory)
        self._send(worker, message + frame(Batch(jobs, awake)))

    def _send(self, worker: RemoteWorker, data: bytes) -> None:
        worker.outgoing += data
        self._push(worker)

    def _push(self, worker: RemoteWorker) -> None:
        """Write as much as the socket takes; the rest goes when it is ready for more."""
        try:
            while worker.outgoing:
                sent = worker.link.send(worker.outgoing)
                del worker.outgoing[:sent]
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            worker.outgoing.clear()
        behind = bool(worker.outgoing)
        if behind is not worker.behind and not worker.link_closed:
            worker.behind = behind
            mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if behind else 0)
            self._selector.modify(worker.link, mask, worker)

    def _attend(self) -> None:
        """Take jobs back that wait behind a long one, and end those that are to be, or are beyond their limits."""
        now = time.monotonic()
        for worker in self._workers.values():
            if worker.limits:
                worker.look_after(now)
            if len(worker.jobs) > 1 and worker.stuck(now):
                # what comes back would go straight out again, if jobs were still taken to be as short as they were
                self._pace = max(self._pace, now - worker.busy_since)
                self._recall(worker, now)
            if worker.ending:
                self._end_jobs(worker)

    def _recall(self, worker: RemoteWorker, now: float) -> None:
        if now - worker.recalled_at > STUCK:
            worker.recalled_at = now
            with contextlib.suppress(OSError):
                worker.recall.send(b"r")

    def _end_jobs(self, worker: RemoteWorker) -> None:
        """Kill a worker that is at a job which is to be ended; take such a job back from one that has not begun it."""
        begun = worker.page.begun()
        at = begun - worker.finished - 1
        for place, job in enumerate(worker.jobs):
            if name_of(job) not in worker.ending:
                continue
            if place == at:
                if worker.killed_at != begun:
                    worker.killed_at = begun
                    self._server.tell(Kill(worker.number, begun))
            elif place > at:
                self._recall(worker, time.monotonic())

    # Reports come in.

    def _ready(self, worker: RemoteWorker | None, mask: int) -> None:
        if worker is None:
            self._server.hear()
            return
        if mask & selectors.EVENT_WRITE:
            self._push(worker)
        if mask & selectors.EVENT_READ:
            self._hear(worker)

    def _hear(self, worker: RemoteWorker) -> None:
        try:
            data = worker.link.recv(_CHUNK)
        except BlockingIOError:
            if worker.status is None:
                return
            # the worker is gone, though a process that it has started may hold its end open
            data = b""
        except ConnectionResetError:
            data = b""
        if not data:
            worker.link_closed = True
            self._selector.unregister(worker.link)
            return
        for message in worker.incoming.feed(data):
            self._take(worker, message.reports)

    def _take(self, worker: RemoteWorker, reports: list[AnyReport]) -> None:
        slowest = 0.0
        for report in reports:
            if isinstance(report, _ENDS):
                worker.finish(worker.jobs.popleft())
                slowest = max(slowest, report.usage.duration)
            elif isinstance(report, Unstarted):
                report = self._give_back(worker, report)  # noqa: PLW2901
            self._reports.append(report)
        if slowest:
            self._stillborn = 0
            worker.busy_since = time.monotonic()
            self._pace = max(slowest + _OVERHEAD, 0.7 * self._pace)

    def _give_back(self, worker: RemoteWorker, report: Unstarted) -> Erred | Unstarted:
        """The answer for a job that a worker returns."""
        job = next(job for job in worker.jobs if name_of(job) == name_of(report))
        worker.jobs.remove(job)
        fault = worker.ending.get(name_of(job))
        worker.forget(job)
        return report if fault is None else worker.erred(job, fault)

    def _note(self, message: Forked | Exited) -> None:
        """Take in what has become of a worker."""
        worker = self._workers.get(message.number)
        if worker is None:
            return
        if isinstance(message, Forked):
            worker.pid = message.pid
        else:
            worker.status = message.status

    def _bury(self) -> None:
        """Answer for the jobs of workers that are gone, once all they had reported is read."""
        gone = [worker for worker in self._workers.values() if worker.status is not None]
        # the kernel may have killed several at once
        out_of_memory = bool(gone) and self._kernel_kills.any_new()
        for worker in gone:
            while not worker.link_closed:
                self._hear(worker)
            del self._workers[worker.number]
            self._answer_for(worker, out_of_memory=out_of_memory)
            worker.close()

    def _answer_for(self, worker: RemoteWorker, *, out_of_memory: bool) -> None:
        at, begun = worker.at(), worker.page.begun()
        if worker.jobs and begun == 0:
            self._stillborn += 1
            at = 0 if self._stillborn > _STILLBORN else -1
        for place, job in enumerate(worker.jobs):
            fault = worker.ending.get(name_of(job))
            if fault is None and place == at and worker.status is not None:
                fault = fault_of_death(worker.status, worker.pid, out_of_memory=out_of_memory, begun=begun > 0)
            if fault is not None:
                self._reports.append(worker.erred(job, fault))
            else:
                self._reports.append(Unstarted(job.work, job.item, job.attempt))


def _cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
