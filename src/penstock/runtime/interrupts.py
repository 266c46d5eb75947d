"""Ctrl-C: once ends a run cleanly, twice kills what still runs."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

from penstock.runtime.driver import Driver

#: why such a run is cancelled
INTERRUPTED = "interrupted"


@contextmanager
def interruptible(driver: Driver) -> Generator[None]:
    """While the block runs, SIGINT and SIGTERM end the run in place of the process.

    The first lets attempts under way finish and starts nothing more; the second, or a SIGTERM, stops them. Only the main thread can
    listen to signals; in another one this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    times = 0

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal times
        times += 1
        stop = times > 1 or number == signal.SIGTERM
        driver.interrupt(INTERRUPTED, stop=stop)
        if stop:
            driver.executor.interrupt()

    before: dict[int, Any] = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    # a task that runs in this thread is stopped as well when another process takes the run over
    driver.lease.when_lost = partial(_thread.interrupt_main, signal.SIGTERM)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
