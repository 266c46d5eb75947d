"""Virtual time, and everything that is to happen in it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from penstock.testing.simulation.faults import Faults, Mischief

#: seconds since the epoch when a simulation begins
_EPOCH = 1_800_000_000.0
#: events in one simulation, by far; more of them are a run that never ends
_MOST = 60_000


class Violation(AssertionError):
    """A guarantee does not hold."""


class Happening(NamedTuple):
    """A line of the story."""

    at: float
    what: str
    details: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.at:10.3f}  {self.what} {' '.join(map(str, self.details))}".rstrip()


class World:
    """A seeded scheduler. Nothing happens at the same time; of what is due at once, chance decides what comes first."""

    def __init__(self, seed: int, faults: Faults) -> None:
        self.seed = seed
        self.mischief = Mischief(seed, faults)
        self.now = 0.0
        self.story: list[Happening] = []
        self._queue: list[tuple[float, float, int, Callable[[], object]]] = []
        self._order = Random(f"{seed}/order")
        self._count = 0
        self._played = 0

    def at(self, moment: float, do: Callable[[], object]) -> None:
        """Let something happen, now at the earliest."""
        self._count += 1
        heapq.heappush(self._queue, (max(moment, self.now), self._order.random(), self._count, do))

    def after(self, seconds: float, do: Callable[[], object]) -> None:
        self.at(self.now + seconds, do)

    def strikes(self, kind: str, *details: Any) -> bool:
        """Whether a fault of a kind happens now; it is told."""
        if not self.mischief.strikes(kind, self.now):
            return False
        self.tell(f"! {kind}:", *details)
        return True

    def tell(self, what: str, *details: Any) -> None:
        self.story.append(Happening(self.now, what, details))

    def pass_until(self, moment: float) -> None:
        """Let time pass, with all that happens in it."""
        while self._queue and self._queue[0][0] <= moment:
            self._step()
        self.now = max(self.now, moment)

    def play(self, done: Callable[[], bool], limit: float) -> None:
        """Go on until it is done. Raises Violation if it is not by some time."""
        while not done():
            if not self._queue or self._queue[0][0] > limit:
                raise Violation(f"nothing has ended by {min(limit, self.now):.0f} s of virtual time")
            self._step()

    def _step(self) -> None:
        self._played += 1
        if self._played > _MOST:
            raise Violation(f"more than {_MOST} things have happened by {self.now:.0f} s of virtual time")
        moment, _, _, do = heapq.heappop(self._queue)
        self.now = max(self.now, moment)
        do()


class HostClock:
    """The clocks of one host. Its wall clock may jump, its monotonic one began at some time of its own."""

    def __init__(self, world: World, chance: Random) -> None:
        self._world = world
        self._begun = chance.uniform(0, 1e6)
        self._ahead = 0.0

    def now(self) -> float:
        """Seconds since the epoch."""
        return _EPOCH + self._world.now + self._ahead

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self._begun + self._world.now

    def jump(self, seconds: float) -> None:
        """Set the wall clock to another time."""
        self._ahead += seconds


__all__ = ["Happening", "HostClock", "Violation", "World"]
