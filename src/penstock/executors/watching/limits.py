"""Limits of time and memory: finding the attempt that goes beyond them."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from math import inf
from types import FrameType
from typing import NamedTuple

from msgspec import structs

from penstock.errors import OutOfMemoryError, TaskTimeoutError
from penstock.executors.watching.deaths import worker_named
from penstock.executors.watching.descendants import memory_of
from penstock.model.amounts import size
from penstock.model.event import Fault
from penstock.model.fault import fault_as, user_traceback

#: how often the memory of a worker is looked at, in seconds
_INTERVAL = 0.05
#: at most this part of the time goes into looking at it
_SHARE = 0.1
#: what an interval timer takes for the shortest time, in seconds: none at all would stop it
_MOMENT = 1e-6


class Limit(NamedTuple):
    """What an attempt may take: seconds, None for as many as it likes; bytes of memory, 0 for any number."""

    seconds: float | None
    memory: int

    def patience(self, taken: float) -> float:
        """For how many seconds it need not be looked at, after the attempt has taken so many."""
        rest = inf if self.seconds is None else max(0.0, self.seconds - taken)
        return min(rest, _INTERVAL) if self.memory else rest


class Watch:
    """Watches over the attempts of one worker process."""

    def __init__(self) -> None:
        #: when its memory is to be looked at again, on the monotonic clock
        self._next_look = 0.0
        #: the most memory that an attempt was seen to use, where it has a limit
        self.most = 0

    def fault(self, limit: Limit, *, pid: int, began_at: float, now: float) -> Fault | None:
        """What an attempt is to be ended for, if it is."""
        if limit.seconds is not None and now - began_at >= limit.seconds:
            return overtime(limit.seconds, worker_named(pid))
        if not limit.memory or now < self._next_look:
            return None
        used = memory_of(pid, limit.memory)
        self.most = max(self.most, used)
        self._next_look = now + max(_INTERVAL, (time.monotonic() - now) / _SHARE)
        if used <= limit.memory:
            return None
        message = f"the attempt used {size(used)} of memory, {size(limit.memory)} are allowed{worker_named(pid)}"
        return fault_as(OutOfMemoryError, message, cause="memory")


def overtime(seconds: float, worker: str = "") -> Fault:
    """The fault of an attempt that took longer than the seconds it is allowed."""
    message = f"the attempt took longer than the {seconds:g} s that are allowed{worker}"
    return fault_as(TaskTimeoutError, message, cause="timeout")


def want_of_memory(message: str, held: int, allowed: int) -> str:
    """The message of a MemoryError, with how much the process held and how much it may."""
    limit = f"{size(allowed)} are allowed" if allowed else "no limit is set"
    return f"{message or 'out of memory'} (the process held {size(held)}, {limit})"


class Overdue(BaseException):
    """Raised in the code of a task whose time is over. Not an Exception: that, tasks catch and go on."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def fault(self) -> Fault:
        """What is recorded, with the place that the task had got to."""
        fault = overtime(self.seconds)
        *trace, _ = user_traceback(self).splitlines()
        return structs.replace(fault, traceback="\n".join([*trace, f"{fault.type}: {fault.message}\n"]))


@contextmanager
def alarm(seconds: float | None) -> Generator[None]:
    """Raise Overdue in the block when it has taken so long.

    That needs the main thread of the process, and a system with interval timers: elsewhere the block takes as long as
    it likes. Compiled code is only interrupted when it returns.
    """
    main = threading.current_thread() is threading.main_thread()
    if seconds is None or not main or not hasattr(signal, "setitimer"):
        yield
        return
    armed = True

    def ring(number: int, at: FrameType | None) -> None:
        if armed:
            raise Overdue(seconds)

    handler = signal.signal(signal.SIGALRM, ring)
    before, interval = signal.setitimer(signal.ITIMER_REAL, max(seconds, _MOMENT))
    began = time.monotonic()
    try:
        try:
            yield
        finally:
            armed = False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if before:
            rest = before - (time.monotonic() - began)
            signal.setitimer(signal.ITIMER_REAL, max(rest, _MOMENT), interval)
