"""The process that makes attempts: reads jobs, makes them one after the other, reports.

A second socket takes jobs back: a byte on it makes the worker return what it has not begun, so that no job waits
behind a long one while another worker is idle. A thread listens there; the jobs themselves take no detour.
"""

from __future__ import annotations

import atexit
import os
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from penstock.executors.attempts.attempt import Attempts
from penstock.executors.attempts.capture import Capture
from penstock.executors.attempts.telling import Telling
from penstock.executors.context import own_process
from penstock.executors.watching.page import Page
from penstock.executors.workers.spinning import AdaptiveSpin
from penstock.executors.workers.wire import Batch, Define, Reports, frame, receive, to_worker
from penstock.model.work import AnyReport, Job, Told, Unstarted, WorkerSettings, Yield

#: how long a finished attempt may wait for others before it is reported, in seconds
_GATHER = 0.002


class UnfitError(Exception):
    """This process cannot be a worker; the message says why."""


class Worker:
    """One worker process, from its first message to the end of its socket."""

    def __init__(self, link: socket.socket, recall: socket.socket, page: Page, scratch: Path) -> None:
        self._link = link
        self._incoming = to_worker()
        self._spin = AdaptiveSpin()
        #: whether there is a core for that
        self._awake = False
        self._reading = threading.Lock()
        self._recall = recall
        #: shared with the driver: how many jobs were begun, so that it knows which one a dead worker was at
        self._page = page
        #: where the scratch folders of attempts are made
        self._scratch = scratch
        self._begun = 0
        self._queue: deque[Job] = deque()
        self._reports: list[AnyReport] = []
        self._sending = threading.Lock()
        self._attempts: Attempts | None = None

    def serve(self) -> None:
        """Work until the driver closes the link, or this process is not fit for more."""
        while self._read():
            self._work()
            if self._attempts is not None and self._attempts.spent:
                return

    def _read(self, flags: int = 0) -> bool:
        """Take in the next messages. Returns whether there were any: else the link is at its end, or, where the flags
        forbid to wait, nothing is there."""
        with self._reading:
            messages = self._spin.ask(self._messages_by_now) if self._awake and not flags else None
            messages = messages or receive(self._link, self._incoming, flags)
            for message in messages:
                if isinstance(message, Batch):
                    self._queue.extend(message.jobs)
                    self._awake = message.awake
                elif isinstance(message, Define):
                    assert self._attempts is not None
                    self._attempts.define(message.work)
                else:
                    self._prepare(message.settings)
        return bool(messages)

    def _messages_by_now(self) -> list[Any]:
        return receive(self._link, self._incoming, socket.MSG_DONTWAIT)

    def _prepare(self, settings: WorkerSettings) -> None:
        # of a process that was forked, they are there already
        sys.path[:0] = [entry for entry in settings.path if entry not in sys.path]
        values = settings.make_values()
        self._telling = Telling(self._tell, prompt=True)
        self._attempts = Attempts(values, settings.parameters, self._telling, scratch=self._scratch, settings=settings)
        self._capture = Capture(self._telling.speaker, through=False)
        self._capture.begin()
        os.register_at_fork(after_in_child=self._leave_to_parent)
        try:
            threading.Thread(target=self._give_back, name="penstock-recall", daemon=True).start()
        except RuntimeError as error:
            # the process itself was the last one that there may be
            raise UnfitError(str(error)) from None

    def _leave_to_parent(self) -> None:
        """In a child process that a task has forked: it is no worker, and must not speak for one."""
        self._queue.clear()
        self._capture.abandon()
        self._link.close()
        self._recall.close()

    def _work(self) -> None:
        sent = time.perf_counter()
        while True:
            job = self._next()
            if job is None:
                break
            report = self._attempt(job)
            with self._sending:
                self._reports.append(report)
            if self._attempts is not None and self._attempts.spent:
                self._return()
                return
            now = time.perf_counter()
            if now - sent > _GATHER:
                self._send()
                sent = now
        self._send()

    def _next(self) -> Job | None:
        """Take the next job. Not while others are given back: the driver is to hear of those first, because it takes
        the end of a job to be that of the first one that it has sent and that has not come back."""
        with self._sending:
            return self._queue.popleft() if self._queue else None

    def _attempt(self, job: Job) -> AnyReport:
        assert self._attempts is not None
        if job.memory and self._attempts.unfit(job):
            self._attempts.spent = True
            return Unstarted(job.work, job.item, job.attempt)
        self._begun += 1
        self._page.begin(self._begun)
        speech = self._telling.begin(job, self._attempts.values)
        report = self._attempts.make(job)
        self._capture.flush()
        self._telling.end(speech)
        return report

    def _tell(self, told: Told | Yield) -> None:
        self._send(told)

    def _send(self, *more: AnyReport) -> None:
        """Report what has finished. The order of reports is that of the attempts."""
        with self._sending:
            self._write(more)

    def _write(self, more: Iterable[AnyReport]) -> None:
        reports, self._reports = self._reports, []
        reports += more
        if reports:
            self._link.sendall(frame(Reports(reports)))

    def _give_back(self) -> None:
        while self._recall.recv(1):
            # jobs may still lie in the socket, because the thread that reads it is at a job
            while self._read(socket.MSG_DONTWAIT):
                pass
            self._return()

    def _return(self) -> None:
        """Give back all that has not begun."""
        with self._sending:
            returned: list[AnyReport] = []
            while self._queue:
                job = self._queue.popleft()
                returned.append(Unstarted(job.work, job.item, job.attempt))
            self._write(returned)


def _draw_afresh() -> None:
    """Have random numbers of its own. Python sees to that for `random` in every fork; numpy does not."""
    numpy_random: Any = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def run_worker(link: socket.socket, recall: socket.socket, page: Page, scratch: Path) -> None:
    """Be a worker that makes one attempt after the other, until the driver is gone, then leave the process."""
    be_worker(Worker(link, recall, page, scratch).serve)


def be_worker(serve: Callable[[], None]) -> None:
    """Serve until the driver is gone, then leave the process."""
    status = 0
    try:
        own_process()
        _draw_afresh()
        serve()
    except (BrokenPipeError, ConnectionResetError):
        status = 0
    except UnfitError as error:
        print(f"penstock: a worker cannot begin: {error}", file=sys.__stderr__, flush=True)
        status = os.EX_OSERR
    except BaseException:
        import traceback

        traceback.print_exc(file=sys.__stderr__)
        status = 1
    finally:
        atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
