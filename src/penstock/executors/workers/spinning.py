"""Asking again and again for a moment before sleeping.

A process that sleeps until a message comes takes tens of microseconds to wake up, in a virtual machine a hundred and more,
which is as long as a short job takes. Whoever asks instead has its answer at once, but keeps a core busy; where the other
side has to wait for that core, nothing is won. So the time is short, and who asks in vain does not ask the next times:
adaptive spinning, as mutexes of operating systems do it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: how long to ask at most, in seconds: a turn of the driver, or a short job, with some to spare
SPIN: float = 300e-6
#: after so many times in vain in a row, how often it is left out does not grow any more: it is 127 times then
_MOST_IN_VAIN = 7


class AdaptiveSpin:
    """Asks for a moment, as long as that tends to be answered."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        #: how many times in a row it was in vain
        self._in_vain = 0
        #: how many times are yet to be left out
        self._pause = 0

    def ask(self, question: Callable[[], T]) -> T | None:
        """The first answer that is true; None if there was none in time, or nobody asked."""
        if self._pause:
            self._pause -= 1
            return None
        end = self._clock() + SPIN
        while self._clock() < end:
            answer = question()
            if answer:
                self._in_vain = 0
                return answer
        self._in_vain = min(self._in_vain + 1, _MOST_IN_VAIN)
        self._pause = 2**self._in_vain - 1
        return None


__all__ = ["SPIN", "AdaptiveSpin"]
