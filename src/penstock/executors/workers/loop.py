"""The process in which many attempts are made at once: on one event loop, or each in a thread.

A thread reads what the driver sends, so that an attempt that blocks the loop does not keep others from being ended.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import socket
import threading
import time
from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Generator
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Generic, TypeVar, cast
from weakref import WeakSet

import msgspec

from penstock.executors.attempts.attempt import Attempts, End, Result, load_code
from penstock.executors.attempts.capture import Capture
from penstock.executors.attempts.telling import Telling
from penstock.executors.attempts.threads import AttemptThread, ContextPool, Interrupted
from penstock.executors.watching.page import Page
from penstock.executors.workers.wire import Batch, Break, Define, Incoming, Reports, Settings, frame, receive
from penstock.model.fault import fault_of
from penstock.model.work import AnyReport, Erred, Job, Local, Pickled, Usage, Work, WorkerSettings
from penstock.secrets import masking

T = TypeVar("T")

#: work, item and attempt of a job
_Name = tuple[int, int, int]


class LoopWorker:
    """A worker process that makes all attempts it is given at once, from its first message to the end of its socket.

    What it sends first, when it is ready, is an empty list of reports.
    """

    def __init__(self, link: socket.socket, page: Page, scratch: Path) -> None:
        self._link = link
        #: shared with the driver: how many jobs were begun, in the order in which they came
        self._page = page
        self._begun = 0
        self._scratch = scratch
        #: what is to be sent, in order
        self._reports: deque[AnyReport] = deque()
        self._sending = threading.Lock()
        self._telling = Telling(self._report, prompt=True)
        self._capture = Capture(self._telling.speaker, through=False)
        self._works: dict[int, Work] = {}
        #: functions that were pickled, by the key of their work, so that threads share what they refer to
        self._functions: dict[str, Callable[..., Any]] = {}
        self._tasks: dict[_Name, asyncio.Task[End]] = {}
        self._threads: dict[_Name, AttemptThread] = {}
        #: for threads, one at a time
        self._idle: deque[Attempts] = deque()

    def serve(self) -> None:
        """Work until the driver closes the link."""
        incoming = Incoming(msgspec.msgpack.Decoder(Settings | Define | Batch | Break))
        messages = receive(self._link, incoming)
        if not messages:
            return
        self._settings = messages.pop(0).settings
        self._attempts = self._new_attempts()
        self._capture.begin()
        os.register_at_fork(after_in_child=self._leave_to_parent)
        # not closed: that would wait for threads which tasks have left behind
        self._runner = asyncio.Runner()
        self._runner.run(self._loop_until_end(incoming, messages))

    async def _loop_until_end(self, incoming: Incoming, messages: list[Any]) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_default_executor(ContextPool(thread_name_prefix="penstock-pool"))
        self._loop.set_task_factory(_task_of_family)
        ended = asyncio.Event()
        self._link.sendall(frame(Reports([])))
        reader = threading.Thread(target=self._read, args=(incoming, messages, ended), name="penstock-reader")
        reader.daemon = True
        reader.start()
        await ended.wait()

    def _leave_to_parent(self) -> None:
        """In a child process that a task has forked: it is no worker, and must not speak for one."""
        self._capture.abandon()
        self._link.close()

    def _new_attempts(self) -> LoopAttempts:
        settings: WorkerSettings = self._settings
        return LoopAttempts(
            settings.make_values(),
            settings.parameters,
            self._telling,
            self._functions,
            scratch=self._scratch,
            settings=settings,
            shared=True,
        )

    # What comes in.

    def _read(self, incoming: Incoming, messages: list[Any], ended: asyncio.Event) -> None:
        self._obey(messages)
        while messages := receive(self._link, incoming):
            self._obey(messages)
        self._loop.call_soon_threadsafe(ended.set)

    def _obey(self, messages: list[Any]) -> None:
        for message in messages:
            if isinstance(message, Define):
                self._define(message.work)
            elif isinstance(message, Batch):
                for job in message.jobs:
                    self._begin(job)
            else:
                for name in message.jobs:
                    self._break(tuple(name))

    def _define(self, work: Work) -> None:
        if isinstance(work.code, Pickled):
            key = str(work.number)
            try:
                self._functions[key] = load_code(work.code, {})
            except BaseException:
                # each attempt will find that out for itself, and report it
                pass
            else:
                work = msgspec.structs.replace(work, code=Local(key))
        self._works[work.number] = work

    def _begin(self, job: Job) -> None:
        work = self._works[job.work]
        self._begun += 1
        self._page.begin(self._begun)
        if work.run_in == "loop":
            self._loop.call_soon_threadsafe(self._begin_on_loop, work, job)
            return
        name = job.work, job.item, job.attempt
        thread = AttemptThread(lambda: self._make_in_thread(work, job), lambda end: self._ended_thread(job, end))
        self._threads[name] = thread
        thread.start()

    def _break(self, name: _Name) -> None:
        thread = self._threads.get(name)
        if thread is not None:
            thread.interrupt()
        else:
            self._loop.call_soon_threadsafe(self._cancel, name)

    def _cancel(self, name: _Name) -> None:
        task = self._tasks.get(name)
        if task is not None:
            task.cancel()

    # Attempts on the loop.

    def _begin_on_loop(self, work: Work, job: Job) -> None:
        task = self._loop.create_task(self._make_on_loop(work, job))
        self._tasks[job.work, job.item, job.attempt] = task
        task.add_done_callback(lambda task: self._ended_on_loop(job, task))

    async def _make_on_loop(self, work: Work, job: Job) -> End:
        self._attempts.define(work)
        speech = self._telling.begin(job, self._attempts.values)
        end = await self._attempts.make_beside_others(job)
        self._capture.flush(speech)
        self._telling.end(speech)
        return end

    def _ended_on_loop(self, job: Job, task: asyncio.Task[End]) -> None:
        del self._tasks[job.work, job.item, job.attempt]
        # it may have been cancelled before it began
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        end = task.result() if error is None else _lost(job, error)
        self._reports.append(end)
        # others may end in the same turn of the loop: they go in one message
        self._loop.call_soon(self._send)

    # Attempts in threads.

    def _make_in_thread(self, work: Work, job: Job) -> AnyReport:
        try:
            attempts = self._idle.pop()
        except IndexError:
            attempts = self._new_attempts()
        attempts.define(work)
        speech = self._telling.begin(job, attempts.values)
        try:
            end = attempts.make(job)
            self._capture.flush(speech)
        finally:
            self._telling.end(speech)
        # not if it was interrupted: who knows where
        if not attempts.spent:
            self._idle.append(attempts)
        return end

    def _ended_thread(self, job: Job, end: AnyReport | Interrupted) -> None:
        del self._threads[job.work, job.item, job.attempt]
        self._report(_lost(job, end) if isinstance(end, Interrupted) else end)

    # What goes out.

    def _report(self, report: AnyReport) -> None:
        """Report something, after all that was to be reported before."""
        self._reports.append(report)
        if isinstance(threading.current_thread(), AttemptThread):
            # it may be interrupted in the midst of sending
            self._loop.call_soon_threadsafe(self._send)
        else:
            self._send()

    def _send(self) -> None:
        with self._sending:
            reports: list[AnyReport] = []
            while self._reports:
                reports.append(self._reports.popleft())
            if reports:
                self._link.sendall(frame(Reports(reports)))


def _lost(job: Job, error: BaseException) -> Erred:
    return Erred(job.work, job.item, job.attempt, fault_of(error), Usage(time.time(), 0.0, worker=os.getpid()))


class LoopAttempts(Attempts):
    """Makes attempts in this process, also several at once on its event loop.

    Inputs are loaded and outputs put away between the steps of others.
    """

    async def make_beside_others(self, job: Job) -> End:
        """Make one attempt while others are made. As `make`, and cancellation too becomes an Erred."""
        work = self._works[job.work]
        meter = _Meter()
        with self._bounds(work, job, meter.read) as bounds:
            bounds.result = await _with_family(_Metered(self._awaited_result(work, job), meter))
        return bounds.end()

    async def _awaited_result(self, work: Work, job: Job) -> Result:
        if work.allow_secrets:
            # the context is that of this attempt alone
            masking.allowed.set(True)
        known, inputs = self._prepared(work, job)
        value = known.begin(inputs)
        if not work.yields:
            return self._stored(work, await value if inspect.isawaitable(value) else value)
        if isinstance(value, AsyncIterable):
            values = cast(AsyncIterable[Any], value)
            outputs = [self._yielded(index, each) async for index, each in _enumerated(values)]
        else:
            outputs = [self._yielded(index, each) for index, each in enumerate(value)]
        return self._listed(outputs)


async def _enumerated(values: AsyncIterable[T]) -> AsyncIterable[tuple[int, T]]:
    index = 0
    async for value in values:
        yield index, value
        index += 1


class _Meter:
    """The processor time that an attempt has taken so far, in seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def read(self) -> float:
        return self.seconds


class _Metered(Generic[T]):
    """A coroutine whose own steps are measured, not what others do in between."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], meter: _Meter) -> None:
        self._coroutine = coroutine
        self._meter = meter

    def __await__(self) -> Generator[Any, Any, T]:
        step: Callable[[Any], Any] = self._coroutine.send
        given: Any = None
        while True:
            began = time.thread_time()
            try:
                waited_for = step(given)
            except StopIteration as end:
                return end.value
            finally:
                self._meter.seconds += time.thread_time() - began
            try:
                given = yield waited_for
                step = self._coroutine.send
            except BaseException as error:
                step, given = self._coroutine.throw, error


#: the tasks that the attempt at hand has started on the loop
_family: ContextVar[WeakSet[asyncio.Task[Any]] | None] = ContextVar("penstock_family", default=None)


def _task_of_family(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
    family = _family.get()
    if family is not None:
        family.add(task)
    return task


async def _with_family(awaitable: Awaitable[T]) -> T:
    """Wait for something, then end the tasks that it has started and left behind, as `asyncio.run` does."""
    family: WeakSet[asyncio.Task[Any]] = WeakSet()
    _family.set(family)
    try:
        return await awaitable
    finally:
        _family.set(None)
        left = [task for task in family if not task.done()]
        for task in left:
            task.cancel()
        if left:
            await asyncio.gather(*left, return_exceptions=True)
