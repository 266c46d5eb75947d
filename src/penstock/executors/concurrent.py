"""Many attempts at once in one worker process: on its event loop, or in threads of it."""

from __future__ import annotations

import selectors
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from penstock.errors import WorkerLostError
from penstock.executors.watching.deaths import KernelKills, fault_of_death, worker_named
from penstock.executors.watching.limits import overtime
from penstock.executors.workers.server import Ends, Server
from penstock.executors.workers.wire import (
    Batch,
    Break,
    Define,
    Exited,
    Forked,
    Incoming,
    Kill,
    Release,
    Reports,
    Settings,
    frame,
)
from penstock.model.event import Fault
from penstock.model.fault import fault_as
from penstock.model.work import AnyReport, Done, Erred, Job, Report, Told, Unstarted, Usage, Work, WorkerSettings, Yield

#: how many attempts are made at once, unless said otherwise
AT_ONCE = 64
#: how long an attempt that is to end may take to do so, before the process is ended, in seconds
_PATIENCE = 0.5
#: the same where the process is still being started
_PATIENCE_AT_START = 1.5
#: how long a job may wait for another one to end, before it is given back, in seconds
_STUCK = 0.05
#: how often the process may die in a row before it is ready
_STILLBORN = 3
#: how long processes may take to leave, in seconds, by whether they are killed
_LEAVE = {False: 5.0, True: 1.0}
_CHUNK = 1 << 16

#: work, item and attempt of a job
_Name = tuple[int, int, int]


class _UnderWay(NamedTuple):
    """An attempt that the process has been given."""

    job: Job
    #: seconds since the epoch
    since: float
    #: how many attempts the process had been given before
    place: int


class _Process:
    """The driver's side of the process."""

    def __init__(self, ends: Ends) -> None:
        self.number = ends.number
        self.link = ends.link
        #: shared with the process: how many attempts it has begun, in the order in which they were given
        self.page = ends.page
        self.pid = 0
        self.incoming = Incoming(msgspec.msgpack.Decoder(Reports))
        self.outgoing = bytearray()
        self.defined: set[int] = set()
        self.given = 0
        self.under_way: dict[_Name, _UnderWay] = {}
        #: those that are to end, with what is reported of them
        self.ending: dict[_Name, Fault] = {}
        #: when something is to be done about an attempt: it is to end, or should have ended; on the monotonic clock
        self.due: dict[_Name, float] = {}
        self.ready = False
        self.killed = False
        self.link_closed = False
        #: as of waitpid, once it is known
        self.status: int | None = None
        ends.recall.close()

    def begun(self) -> int:
        """How many of those under way it has begun."""
        count = self.page.begun()
        return sum(1 for each in self.under_way.values() if each.place < count)

    def erred(self, name: _Name, fault: Fault) -> Erred:
        """The report of an attempt that the process cannot report itself."""
        since = self.under_way[name].since
        return Erred(*name, fault, Usage(since, time.time() - since, worker=self.pid))


class ConcurrentExecutor:
    """Makes up to `size` attempts at once in one worker process, forked from a server that has imported the user's
    modules: those at `async def` tasks on one event loop, all others each in a thread. Nothing is started before the
    first job.

    An attempt that is to end, because it was stopped or takes too long, is cancelled on the loop; in a thread, an
    exception is raised as soon as it runs Python code. One that has not ended half a second later is ended with the
    process. The others that were under way then come back Unstarted, because it is no fault of theirs, and are made
    again from their beginning in the next process; save those that yield values, which count as lost, since some of
    what they yielded may be in use. When the process dies by itself, all that were under way are lost, because any of
    them may be the cause.

    The attempts share the process: no limits of memory are kept, and all of them see the same devices. `server` is one
    that other executors use too.
    """

    def __init__(self, settings: WorkerSettings, size: int = AT_ONCE, server: Server | None = None) -> None:
        self.size = size
        self._settings = settings
        self._server = server or Server(settings)
        self._started = False
        self._selector = selectors.DefaultSelector()
        self._process: _Process | None = None
        self._works: dict[int, Work] = {}
        #: jobs that the process was not given yet
        self._waiting: deque[Job] = deque()
        #: since when they do, without one being handed out, on the monotonic clock
        self._waiting_since = 0.0
        self._reports: list[AnyReport] = []
        self._stillborn = 0
        self._kernel_kills = KernelKills(())

    # The port.

    def define(self, work: Work) -> None:
        self._works[work.number] = work

    def room(self, *, shared: bool = False) -> int:
        under_way = 0 if self._process is None else len(self._process.under_way)
        return self.size - under_way - len(self._waiting)

    def submit(self, jobs: Sequence[Job]) -> None:
        if not self._waiting:
            self._waiting_since = time.monotonic()
        self._waiting.extend(jobs)
        self._hand_out()

    def poll(self, timeout: float | None) -> list[AnyReport]:
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            for key, mask in self._selector.select(self._wait(until)):
                self._ready(key.data, mask)
            self._bury()
            self._end_overdue()
            if self._waiting:
                self._hand_out()
                self._give_back()
            if self._reports or (until is not None and time.monotonic() >= until):
                reports, self._reports = self._reports, []
                return reports

    def fileno(self) -> int:
        """A descriptor that can be read when there is something to poll for."""
        return self._selector.fileno()

    def stop(self, job: Job) -> None:
        name = _name(job)
        process = self._process
        fault = fault_as(WorkerLostError, "the attempt was stopped", infrastructure=True)
        if process is not None and name in process.under_way:
            self._break(process, name, fault)
        elif job in self._waiting:
            self._waiting.remove(job)
            self._reports.append(Erred(*name, fault, Usage(time.time(), 0.0)))

    def interrupt(self) -> None:
        """Nothing to do: what runs, runs in another process."""

    def close(self, *, kill: bool = False) -> None:
        if not self._started:
            self._selector.close()
            return
        self._started = False
        process = self._process
        if process is not None:
            kill_it = kill or process.under_way
            self._server.tell(Kill(process.number) if kill_it else Release(process.number))
            self._hang_up(process)
            process.page.close()
            if process.status is None:
                self._server.await_exits([process.number], _LEAVE[kill])
        self._selector.close()
        self._server.close(_LEAVE[kill])

    # The process comes and goes.

    def _hire(self) -> _Process:
        if not self._started:
            self._selector.register(self._server.start(), selectors.EVENT_READ, None)
            self._started = True
            self._kernel_kills = KernelKills()
        process = self._process = _Process(self._server.fork(self._note, shared=True))
        self._selector.register(process.link, selectors.EVENT_READ, process)
        process.outgoing += frame(Settings(self._settings))
        return process

    def _hang_up(self, process: _Process) -> None:
        if not process.link_closed:
            process.link_closed = True
            self._selector.unregister(process.link)
            process.link.close()

    def _kill(self, process: _Process) -> None:
        if not process.killed:
            process.killed = True
            self._server.tell(Kill(process.number))

    def _bury(self) -> None:
        """Answer for the attempts of a process that is gone, once all it had reported is read."""
        process = self._process
        if process is None or process.status is None:
            return
        while not process.link_closed:
            self._hear(process)
        self._process = None
        if process.given and not process.page.begun():
            self._stillborn += 1
        hopeless = not process.ready and self._stillborn > _STILLBORN
        death = None if process.killed else self._death(process, process.status)
        begun = process.page.begun()
        for name, under_way in process.under_way.items():
            fault = process.ending.get(name)
            if fault is None and (under_way.place < begun or hopeless):
                fault = death or self._collateral(process, name)
            self._reports.append(Unstarted(*name) if fault is None else process.erred(name, fault))
        process.page.close()

    def _collateral(self, process: _Process, name: _Name) -> Fault | None:
        """The fault of an attempt whose process was ended because of another one, if it cannot just be made again."""
        if not self._works[name[0]].yields:
            return None
        text = f"the process was ended because of another attempt in it{worker_named(process.pid)}"
        return fault_as(WorkerLostError, text, infrastructure=True)

    def _death(self, process: _Process, status: int) -> Fault:
        """The fault of attempts whose process has died by itself."""
        count = process.begun()
        out_of_memory = self._kernel_kills.any_new()
        fault = fault_of_death(status, process.pid, out_of_memory=out_of_memory, begun=count == 1)
        if count < 2:
            return fault
        text = f"{fault.message}; {count} attempts were under way in it"
        return msgspec.structs.replace(fault, message=text, infrastructure=True)

    # Jobs go out.

    def _hand_out(self) -> None:
        process = self._process or self._hire()
        if process.killed or process.link_closed:
            return
        jobs: list[Job] = []
        while self._waiting and len(process.under_way) < self.size:
            # devices are for processes: in one that is shared, whoever came last would decide for all
            job = msgspec.structs.replace(self._waiting.popleft(), devices=None)
            process.under_way[_name(job)] = _UnderWay(job, time.time(), process.given)
            process.given += 1
            jobs.append(job)
        if jobs:
            self._waiting_since = time.monotonic()
        if process.ready:
            self._limit(process, jobs)
        for number in {job.work for job in jobs} - process.defined:
            process.defined.add(number)
            process.outgoing += frame(Define(self._works[number]))
        if jobs:
            process.outgoing += frame(Batch(jobs))
        self._push(process)

    def _give_back(self) -> None:
        """Give back what waits for long because everything is taken."""
        if self._is_full() and time.monotonic() - self._waiting_since > _STUCK:
            self._reports += [Unstarted(*_name(job)) for job in self._waiting]
            self._waiting.clear()

    def _is_full(self) -> bool:
        return self._process is not None and len(self._process.under_way) >= self.size

    def _limit(self, process: _Process, jobs: Sequence[Job]) -> None:
        """Note when attempts that begin now must have ended."""
        now = time.monotonic()
        for job in jobs:
            timeout = self._works[job.work].timeout
            if timeout is not None:
                process.due.setdefault(_name(job), now + timeout)

    def _push(self, process: _Process) -> None:
        """Write as much as the socket takes; the rest goes when it is ready for more."""
        try:
            while process.outgoing:
                sent = process.link.send(process.outgoing)
                del process.outgoing[:sent]
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            process.outgoing.clear()
        mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if process.outgoing else 0)
        if not process.link_closed and self._selector.get_key(process.link).events != mask:
            self._selector.modify(process.link, mask, process)

    # Attempts are ended.

    def _break(self, process: _Process, name: _Name, fault: Fault) -> None:
        """Have an attempt end."""
        if name in process.ending:
            return
        text = f"{fault.message}{worker_named(process.pid)}"
        process.ending[name] = msgspec.structs.replace(fault, message=text)
        process.due[name] = time.monotonic() + (_PATIENCE if process.ready else _PATIENCE_AT_START)
        process.outgoing += frame(Break([name]))
        if not process.link_closed:
            self._push(process)

    def _end_overdue(self) -> None:
        process = self._process
        if process is None or not process.due:
            return
        now = time.monotonic()
        for name in [name for name, due in process.due.items() if due <= now]:
            timeout = self._works[name[0]].timeout
            if name in process.ending:
                del process.due[name]
                self._kill(process)
            elif timeout is not None:
                self._break(process, name, overtime(timeout))

    def _wait(self, until: float | None) -> float | None:
        """How long to wait for something to happen, in seconds."""
        dues = [] if self._process is None else list(self._process.due.values())
        if until is not None:
            dues.append(until)
        if self._waiting and self._is_full():
            dues.append(self._waiting_since + _STUCK)
        return max(0.0, min(dues) - time.monotonic()) if dues else None

    # Reports come in.

    def _ready(self, process: _Process | None, mask: int) -> None:
        if process is None:
            self._server.hear()
            return
        if mask & selectors.EVENT_WRITE:
            self._push(process)
        if mask & selectors.EVENT_READ:
            self._hear(process)

    def _note(self, message: Forked | Exited) -> None:
        """Take in what has become of the process."""
        process = self._process
        if process is None or process.number != message.number:
            return
        if isinstance(message, Forked):
            process.pid = message.pid
        else:
            process.status = message.status

    def _hear(self, process: _Process) -> None:
        try:
            data = process.link.recv(_CHUNK)
        except BlockingIOError:
            if process.status is None:
                return
            # the process is gone, though another one that it has started may hold its end open
            data = b""
        except ConnectionResetError:
            data = b""
        if not data:
            self._hang_up(process)
            return
        for message in process.incoming.feed(data):
            if not process.ready:
                process.ready = True
                self._stillborn = 0
                process.due = dict.fromkeys(process.ending, time.monotonic() + _PATIENCE)
                self._limit(process, [each.job for each in process.under_way.values()])
            for report in message.reports:
                self._take(process, report)

    def _take(self, process: _Process, report: AnyReport) -> None:
        if not isinstance(report, (Told, Yield)):
            name = _name(report)
            del process.under_way[name]
            process.due.pop(name, None)
            fault = process.ending.pop(name, None)
            if fault is not None and not isinstance(report, (Done, Unstarted)):
                report = Erred(*name, _placed(fault, report), report.usage)
        self._reports.append(report)


def _name(thing: Job | Report) -> _Name:
    return thing.work, thing.item, thing.attempt


def _placed(fault: Fault, report: Report) -> Fault:
    """The fault with the place that the attempt had got to."""
    if not isinstance(report, Erred):
        return fault
    *trace, _ = report.fault.traceback.splitlines() or [""]
    return msgspec.structs.replace(fault, traceback="\n".join([*trace, f"{fault.type}: {fault.message}\n"]))
