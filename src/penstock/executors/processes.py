"""Attempts in warm worker processes, several jobs to a message."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

from penstock.errors import PenstockError
from penstock.executors.wire import Batch, Define, Exited, Fork, Forked, Incoming, Kill, Reports, Settings, frame
from penstock.model.event import Fault
from penstock.model.work import AnyReport, Done, Erred, Job, Report, Unstarted, Usage, Work, WorkerSettings

#: how much work a worker is given ahead, in seconds and in jobs
_AHEAD = 0.004
_MOST_AHEAD = 100
#: what a job costs a worker beside the user's code, in seconds
_OVERHEAD = 25e-6
#: how long a worker may be at one job before what waits behind it is taken back, in seconds
_STUCK = 0.05
#: how often workers may die in a row before they begin anything
_STILLBORN = 3
#: how long processes may take to leave, in seconds, by whether they are killed
_PATIENCE = {False: 5.0, True: 1.0}
_CHUNK = 1 << 16

#: work, item and attempt of a job
_Name = tuple[int, int, int]

_FORK_SERVER = """
import json, sys
sys.path[:] = json.loads(sys.argv.pop())
from penstock.executors.forkserver import main
main(int(sys.argv.pop()))
"""


class _Worker:
    """The driver's side of one worker."""

    def __init__(self, number: int, link: socket.socket, recall: socket.socket, page: mmap.mmap) -> None:
        self.number = number
        self.link = link
        self.recall = recall
        self.page = page
        self.pid = 0
        self.incoming = Incoming(msgspec.msgpack.Decoder(Reports))
        self.outgoing = bytearray()
        #: jobs that were sent and not answered, in order
        self.jobs: deque[Job] = deque()
        self.finished = 0
        #: about when it began the job it is at, on the monotonic clock
        self.busy_since = 0.0
        self.defined: set[int] = set()
        #: when it was last asked to give back what it has not begun
        self.recalled_at = 0.0
        #: the jobs that are to be ended
        self.stopped: set[_Name] = set()
        self.link_closed = False
        #: as of waitpid, once it is known
        self.status: int | None = None

    def begun(self) -> int:
        """How many jobs it has ever begun."""
        return int.from_bytes(self.page[:8], "little")

    def at(self) -> int:
        """The place among its jobs of the one it has begun last; -1 if it has begun none of them."""
        return self.begun() - self.finished - 1

    def alive(self) -> bool:
        return self.status is None and not self.link_closed

    def stuck(self, now: float) -> bool:
        """Whether it has been at one job for so long that nothing should wait behind it."""
        return bool(self.jobs) and now - self.busy_since > _STUCK

    def close(self) -> None:
        self.link.close()
        self.recall.close()
        self.page.close()


class ProcessExecutor:
    """Keeps up to `size` worker processes, forked from a server that has imported the user's modules.

    Nothing is started before the first job. A worker that dies costs the attempt it was at, and is replaced.
    """

    def __init__(self, settings: WorkerSettings, size: int | None = None) -> None:
        self.size = size or _cores()
        self._settings = settings
        self._selector = selectors.DefaultSelector()
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._control_incoming = Incoming(msgspec.msgpack.Decoder(Forked | Exited))
        self._workers: dict[int, _Worker] = {}
        self._works: dict[int, Work] = {}
        self._numbers = 0
        #: seconds that a job takes of late
        self._pace = _AHEAD
        self._stillborn = 0
        self._reports: list[AnyReport] = []

    # The port.

    def define(self, work: Work) -> None:
        self._works[work.number] = work

    def room(self) -> int:
        now = time.monotonic()
        moving = [worker for worker in self._workers.values() if not worker.stuck(now)]
        stuck = len(self._workers) - len(moving)
        return (self.size - stuck) * self._depth() - sum(len(worker.jobs) for worker in moving)

    def submit(self, jobs: Sequence[Job]) -> None:
        self._hire(len(jobs))
        now = time.monotonic()
        alive = [worker for worker in self._workers.values() if worker.alive()]
        workers = [worker for worker in alive if not worker.stuck(now)] or alive
        workers.sort(key=lambda worker: len(worker.jobs))
        free = [worker for worker in workers if not worker.jobs] or workers
        for index, worker in enumerate(free):
            share = list(jobs[index :: len(free)])
            if share:
                self._assign(worker, share)

    def poll(self, timeout: float | None) -> list[AnyReport]:
        if self._server is None:
            if timeout:
                time.sleep(timeout)
            return []
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            wait = None if until is None else max(0.0, until - time.monotonic())
            for key, mask in self._selector.select(wait):
                self._ready(key.data, mask)
            self._bury()
            self._attend()
            if self._reports or (until is not None and time.monotonic() >= until):
                reports, self._reports = self._reports, []
                return reports

    def stop(self, job: Job) -> None:
        for worker in self._workers.values():
            if _name(job) in map(_name, worker.jobs):
                worker.stopped.add(_name(job))
                self._end_stopped(worker)

    def interrupt(self) -> None:
        """Nothing to do: what runs, runs in other processes."""

    def close(self, *, kill: bool = False) -> None:
        if self._server is None or self._control is None:
            return
        for worker in self._workers.values():
            if kill or worker.jobs:
                self._tell_server(Kill(worker.number))
            self._forget(worker)
        patience = _PATIENCE[kill]
        with contextlib.suppress(OSError):
            self._wait_for_exits(patience)
        self._control.close()
        self._selector.close()
        try:
            self._server.wait(patience)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._server = None

    # Workers come and go.

    def _depth(self) -> int:
        return max(1, min(_MOST_AHEAD, int(_AHEAD / self._pace)))

    def _hire(self, jobs: int) -> None:
        """Have as many workers as there are jobs at hand, as far as the size allows."""
        alive = [worker for worker in self._workers.values() if worker.alive()]
        busy = sum(1 for worker in alive if worker.jobs)
        for _ in range(len(alive), min(self.size, busy + jobs)):
            self._fork()

    def _fork(self) -> None:
        control = self._control or self._start_server()
        number = self._numbers = self._numbers + 1
        link, their_link = socket.socketpair()
        recall, their_recall = socket.socketpair()
        with tempfile.TemporaryFile() as file:
            file.truncate(8)
            page = mmap.mmap(file.fileno(), 8)
            descriptors = [their_link.fileno(), their_recall.fileno(), file.fileno()]
            # a server that is gone shows when it is listened to
            with contextlib.suppress(BrokenPipeError):
                socket.send_fds(control, [frame(Fork(number))], descriptors)
        their_link.close()
        their_recall.close()
        link.setblocking(False)
        recall.setblocking(False)
        worker = self._workers[number] = _Worker(number, link, recall, page)
        self._selector.register(link, selectors.EVENT_READ, worker)
        self._send(worker, frame(Settings(self._settings)))

    def _start_server(self) -> socket.socket:
        control, theirs = socket.socketpair()
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, "-P", "-c", _FORK_SERVER, str(theirs.fileno()), json.dumps(self._settings.path)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._control = control
        self._selector.register(control, selectors.EVENT_READ, None)
        self._tell_server(Settings(self._settings))
        return control

    def _tell_server(self, message: Any) -> None:
        assert self._control is not None
        with contextlib.suppress(BrokenPipeError):
            self._control.sendall(frame(message))

    def _forget(self, worker: _Worker) -> None:
        if not worker.link_closed:
            worker.link_closed = True
            self._selector.unregister(worker.link)
        worker.close()

    def _wait_for_exits(self, patience: float) -> None:
        """Let workers leave in their own time, for a while."""
        assert self._control is not None
        self._control.settimeout(patience)
        waiting = {number for number, worker in self._workers.items() if worker.status is None}
        while waiting:
            data = self._control.recv(_CHUNK)
            if not data:
                return
            waiting -= {m.number for m in self._control_incoming.feed(data) if isinstance(m, Exited)}

    # Jobs go out.

    def _assign(self, worker: _Worker, jobs: list[Job]) -> None:
        if not worker.jobs:
            worker.busy_since = time.monotonic()
        message = b""
        for number in {job.work for job in jobs} - worker.defined:
            worker.defined.add(number)
            message += frame(Define(self._works[number]))
        worker.jobs.extend(jobs)
        self._send(worker, message + frame(Batch(jobs)))

    def _send(self, worker: _Worker, data: bytes) -> None:
        worker.outgoing += data
        self._push(worker)

    def _push(self, worker: _Worker) -> None:
        """Write as much as the socket takes; the rest goes when it is ready for more."""
        try:
            while worker.outgoing:
                sent = worker.link.send(worker.outgoing)
                del worker.outgoing[:sent]
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            worker.outgoing.clear()
        mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.outgoing else 0)
        if not worker.link_closed and self._selector.get_key(worker.link).events != mask:
            self._selector.modify(worker.link, mask, worker)

    def _attend(self) -> None:
        """Take jobs back that wait behind a long one, and end those that are to be."""
        now = time.monotonic()
        for worker in self._workers.values():
            if len(worker.jobs) > 1 and worker.stuck(now):
                # what comes back would go straight out again, if jobs were still taken to be as short as they were
                self._pace = max(self._pace, now - worker.busy_since)
                self._recall(worker, now)
            if worker.stopped:
                self._end_stopped(worker)

    def _recall(self, worker: _Worker, now: float) -> None:
        if now - worker.recalled_at > _STUCK:
            worker.recalled_at = now
            with contextlib.suppress(OSError):
                worker.recall.send(b"r")

    def _end_stopped(self, worker: _Worker) -> None:
        """Kill a worker that is at a job which is to be ended; take such a job back from one that has not begun it."""
        at = worker.at()
        for place, job in enumerate(worker.jobs):
            if _name(job) not in worker.stopped:
                continue
            if place == at:
                self._tell_server(Kill(worker.number))
            elif place > at:
                self._recall(worker, time.monotonic())

    # Reports come in.

    def _ready(self, worker: _Worker | None, mask: int) -> None:
        if worker is None:
            self._hear_server()
            return
        if mask & selectors.EVENT_WRITE:
            self._push(worker)
        if mask & selectors.EVENT_READ:
            self._hear(worker)

    def _hear(self, worker: _Worker) -> None:
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

    def _take(self, worker: _Worker, reports: list[AnyReport]) -> None:
        slowest = 0.0
        for report in reports:
            if isinstance(report, (Done, Erred)):
                worker.stopped.discard(_name(worker.jobs.popleft()))
                worker.finished += 1
                slowest = max(slowest, report.usage.duration)
            elif isinstance(report, Unstarted):
                report = self._give_back(worker, report)  # noqa: PLW2901
            self._reports.append(report)
        if slowest:
            self._stillborn = 0
            worker.busy_since = time.monotonic()
            self._pace = max(slowest + _OVERHEAD, 0.7 * self._pace)

    def _give_back(self, worker: _Worker, report: Unstarted) -> Erred | Unstarted:
        """The answer for a job that a worker returns."""
        job = next(job for job in worker.jobs if _name(job) == _name(report))
        worker.jobs.remove(job)
        if _name(job) not in worker.stopped:
            return report
        worker.stopped.discard(_name(job))
        return _stopped(worker, job)

    def _hear_server(self) -> None:
        assert self._control is not None and self._server is not None
        try:
            data = self._control.recv(_CHUNK)
        except ConnectionResetError:
            data = b""
        if not data:
            code = self._server.wait()
            raise PenstockError(
                f"the process that starts workers {_ending(code)}",
                remedy='Look for its message above, or run with executor="inline".',
            )
        for message in self._control_incoming.feed(data):
            worker = self._workers.get(message.number)
            if worker is None:
                continue
            if isinstance(message, Forked):
                worker.pid = message.pid
            else:
                worker.status = message.status

    def _bury(self) -> None:
        """Answer for the jobs of workers that are gone, once all they had reported is read."""
        for number, worker in list(self._workers.items()):
            if worker.status is None:
                continue
            while not worker.link_closed:
                self._hear(worker)
            del self._workers[number]
            self._answer_for(worker, worker.status)
            worker.close()

    def _answer_for(self, worker: _Worker, status: int) -> None:
        at = worker.at()
        if worker.jobs and worker.begun() == 0:
            self._stillborn += 1
            at = 0 if self._stillborn > _STILLBORN else -1
        for place, job in enumerate(worker.jobs):
            if _name(job) in worker.stopped:
                self._reports.append(_stopped(worker, job))
            elif place == at and not worker.stopped:
                self._reports.append(_lost(worker, job, _reason(status)))
            else:
                self._reports.append(Unstarted(job.work, job.item, job.attempt))


def _name(thing: Job | Report) -> _Name:
    return thing.work, thing.item, thing.attempt


def _stopped(worker: _Worker, job: Job) -> Erred:
    return _lost(worker, job, "the attempt was stopped")


def _lost(worker: _Worker, job: Job, reason: str) -> Erred:
    duration = time.monotonic() - worker.busy_since
    usage = Usage(time.time() - duration, duration, worker=worker.pid)
    fault = Fault("penstock.WorkerLostError", f"{reason} (worker process {worker.pid})", infrastructure=True)
    return Erred(job.work, job.item, job.attempt, fault, usage)


def _reason(status: int) -> str:
    """What the end of a worker means, for people; `status` as of `waitpid`."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"the worker left with exit code {code} in the middle of the task"
    if -code == signal.SIGKILL:
        return "the worker was killed (SIGKILL); when nobody did it, the machine ran out of memory"
    if -code == signal.SIGSEGV:
        return "the worker crashed with a segmentation fault (SIGSEGV), in compiled code"
    if -code == signal.SIGABRT:
        return "the worker aborted (SIGABRT), in compiled code"
    return f"the worker {_ending(code)}"


def _ending(code: int) -> str:
    """How a process ended, by its exit code, which is negative for a signal."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
