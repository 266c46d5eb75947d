"""What is to happen at a time, soonest first."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple


class Wake(NamedTuple):
    """The delay before an attempt is over."""

    node: str
    item: int
    attempt: int


class QueueLimit(NamedTuple):
    """An attempt that has not started by now is given up."""

    node: str
    item: int
    attempt: int


class TotalLimit(NamedTuple):
    """A node or an item that has not ended by now is given up."""

    node: str
    item: int


class WaitLimit(NamedTuple):
    """What is waited for must be there by now."""

    node: str
    item: int


class AnswerLimit(NamedTuple):
    """An approval must have been answered by now."""

    node: str
    item: int


class RunLimit(NamedTuple):
    """The run must have ended by now."""


Due = Wake | QueueLimit | TotalLimit | WaitLimit | AnswerLimit | RunLimit


class Timers:
    """Times are on the monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Due]] = []
        self._count = count()
        #: how many delays are not over
        self.delays = 0

    def at(self, moment: float, due: Due) -> None:
        heapq.heappush(self._heap, (moment, next(self._count), due))
        self.delays += isinstance(due, Wake)

    def due(self, now: float) -> Iterator[Due]:
        """What is due, which is forgotten."""
        while self._heap and self._heap[0][0] <= now:
            due = heapq.heappop(self._heap)[2]
            self.delays -= isinstance(due, Wake)
            yield due

    def patience(self, now: float, longest: float) -> float:
        """How long nothing is due, at most `longest`."""
        return longest if not self._heap else min(longest, max(0.0, self._heap[0][0] - now))
