"""Attempts in threads of their own, which can be interrupted as far as Python allows it."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar

from penstock.model.work import AnyReport

P = ParamSpec("P")
T = TypeVar("T")


class Interrupted(BaseException):
    """Raised in a thread whose attempt is to end. Not an Exception: that, tasks catch and go on."""


class AttemptThread(threading.Thread):
    """Makes one attempt: calls `make` and hands over what it returns; or, if it was interrupted so late that there is
    no report of the attempt, the exception.
    """

    def __init__(self, make: Callable[[], AnyReport], hand_over: Callable[[AnyReport | Interrupted], None]) -> None:
        super().__init__(name="penstock-attempt", daemon=True)
        self._make = make
        self._hand_over = hand_over
        self._lock = threading.Lock()
        #: whether an exception may be raised in it now
        self._open = False
        self._interrupted = False

    def run(self) -> None:
        try:
            self._begin()
            end: AnyReport | Interrupted = self._make()
            self._close()
            # what was raised in the last moment is raised before this is called
            _pass()
        except Interrupted as interruption:
            end = interruption
        self._hand_over(end)

    def interrupt(self) -> None:
        """Raise Interrupted in the thread, once, as soon as it runs Python code. What waits in a system call, or
        computes in compiled code, goes on until that returns."""
        with self._lock:
            if self._interrupted:
                return
            self._interrupted = True
            if self._open and self.ident is not None:
                thread, raised = ctypes.c_ulong(self.ident), ctypes.py_object(Interrupted)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, raised)

    def _begin(self) -> None:
        with self._lock:
            if self._interrupted:
                raise Interrupted
            self._open = True

    def _close(self) -> None:
        with self._lock:
            self._open = False


def _pass() -> None:
    """Nothing."""


class ContextPool(ThreadPoolExecutor):
    """Threads that run each function in a copy of the context that it was submitted in, so that it is known whose it
    is."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        context: Any = copy_context()
        return super().submit(context.run, fn, *args, **kwargs)
