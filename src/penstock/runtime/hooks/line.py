"""The calls of hooks: one after the other, in a thread of their own, so that a run does not wait for them."""

from __future__ import annotations

import heapq
import inspect
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple, cast

from penstock.model.fault import user_traceback
from penstock.secrets import masking


@dataclass(frozen=True)
class HookContext:
    """What a hook is told. Of a pipeline, what is about one task is empty or None."""

    #: `start`, `success`, `failure`, `retry`, `skip`, `cancel` or `deadline`
    event: str
    run_id: str
    pipeline: str
    #: values of the pipeline's parameters, by name
    parameters: Mapping[str, Any]
    #: id of the node: `train`, `fold[3]/fit`
    node: str = ""
    #: name of the task
    task: str = ""
    #: place in a fan-out, from 0
    item: int | None = None
    #: what the item is called, where it does not go by number
    key: str | None = None
    #: counts from 1; 0 where nothing was attempted (taken from the cache, skipped)
    attempt: int = 0
    #: as in the run document: `succeeded`, `cached`, `failed`, `running`, ...
    state: str = ""
    #: the exception's class: `ValueError`
    error_type: str = ""
    error_message: str = ""
    traceback: str = field(default="", repr=False)
    #: why it was skipped or cancelled
    reason: str = ""
    #: seconds: of the attempt; of the run
    duration: float = 0.0
    #: of the attempt; of the run
    started_at: datetime | None = None


class Complaint(NamedTuple):
    """What went wrong with a hook; the node is empty where it is the pipeline's."""

    node: str
    item: int
    attempt: int
    text: str


class Call(NamedTuple):
    """A call of a hook that is due."""

    hook: Callable[..., Any]
    context: HookContext

    def complaint(self, text: str) -> Complaint:
        told = f"the hook on_{self.context.event} ({getattr(self.hook, '__name__', self.hook)}) {masking.mask(text)}"
        item = self.context.item
        return Complaint(self.context.node, -1 if item is None else item, self.context.attempt, told)


class Line:
    """Calls that are due, made one after the other in a thread; and such that may come due."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._calls: deque[Call] = deque()
        #: (when, on the monotonic clock; number, so that no two are compared further; call; the state it depends on)
        self._later: list[tuple[float, int, Call, Callable[[], str]]] = []
        self._complaints: list[Complaint] = []
        self._changed = threading.Condition()
        #: the call that is being made, and since when
        self._current: tuple[Call, float] | None = None
        #: the thread whose turn it is
        self._thread: threading.Thread | None = None
        self._closed = False
        self._numbers = 0

    def add(self, hooks: Sequence[Callable[..., Any]], context: HookContext) -> None:
        with self._changed:
            self._calls.extend(Call(hook, context) for hook in hooks)
            self._wake()

    def add_later(self, when: float, call: Call, state: Callable[[], str]) -> None:
        """Make a call at a time on the monotonic clock, if `state` then tells what to put as the state, and not ``."""
        with self._changed:
            self._numbers += 1
            heapq.heappush(self._later, (when, self._numbers, call, state))
            self._wake()

    def take_complaints(self) -> list[Complaint]:
        with self._changed:
            taken, self._complaints = self._complaints, []
        return taken

    def look_after(self) -> None:
        """See whether a call takes too long, and let the others go on without it if it does."""
        with self._changed:
            if self._current is not None and time.monotonic() - self._current[1] > self._limit:
                call, _ = self._current
                text = f"takes more than {self._limit:g} seconds; the run does not wait for it"
                self._complaints.append(call.complaint(text))
                self._current = None
                self._start()

    def wait(self, seconds: float) -> int:
        """Wait until no call is due. Returns how many still are after so many seconds."""
        until = time.monotonic() + seconds
        while True:
            self.look_after()
            with self._changed:
                left = len(self._calls) + (self._current is not None)
                if not left or time.monotonic() >= until:
                    return left
                self._changed.wait(min(0.05, max(0.0, until - time.monotonic())))

    def close(self) -> None:
        """Make no more calls."""
        with self._changed:
            self._closed = True
            self._calls.clear()
            self._later.clear()
            self._changed.notify_all()

    def _wake(self) -> None:
        if self._thread is None:
            self._start()
        self._changed.notify_all()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._serve, name="penstock-hooks", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            with self._changed:
                call = self._next()
                if call is None:
                    return
                self._current = call, time.monotonic()
            complaint = _made(call)
            with self._changed:
                if complaint is not None:
                    self._complaints.append(complaint)
                # another thread has taken over from one that took too long
                if self._thread is not threading.current_thread():
                    return
                self._current = None
                self._changed.notify_all()

    def _next(self) -> Call | None:
        """The next call, waiting for it; None when there is none to come for this thread."""
        while not self._closed and self._thread is threading.current_thread():
            now = time.monotonic()
            while self._later and self._later[0][0] <= now:
                _, _, call, state = heapq.heappop(self._later)
                if told := state():
                    self._calls.append(call._replace(context=replace(call.context, state=told)))
            if self._calls:
                return self._calls.popleft()
            self._changed.wait(self._later[0][0] - now if self._later else None)
        return None


def _made(call: Call) -> Complaint | None:
    """Make a call. Returns what went wrong."""
    try:
        returned: object = call.hook(call.context) if _takes_context(call.hook) else call.hook()
        if isinstance(returned, Awaitable):
            import asyncio

            asyncio.run(_awaited(cast("Awaitable[object]", returned)))
    except BaseException as error:
        return call.complaint(f"failed, which changes nothing for the run:\n{user_traceback(error).rstrip()}")
    return None


async def _awaited(returned: Awaitable[object]) -> None:
    await returned


def _takes_context(hook: Callable[..., Any]) -> bool:
    """Whether a hook takes an argument; one that is optional is not meant for the context."""
    try:
        parameters = inspect.signature(hook).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(
        parameter.kind is parameter.VAR_POSITIONAL
        or (parameter.default is parameter.empty and parameter.kind in _BY_POSITION)
        for parameter in parameters
    )


_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
