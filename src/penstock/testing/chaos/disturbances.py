"""What befalls a command of penstock: a fault at a named point, or a kill at some moment."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from penstock.testing.faults import Fault

#: who is killed at some moment; `machine` is all of them at once
VICTIMS: Final = ("driver", "worker", "server", "machine")


class Disturbance(NamedTuple):
    """A fault at a point, or the kill of a victim after so many seconds."""

    kind: str
    fault: Fault | None = None
    after: float = 0.0

    def __str__(self) -> str:
        return str(self.fault) if self.fault is not None else f"{self.kind} after {self.after:.3f} s"


class Chances:
    """Draws disturbances. `reached` says how many times an undisturbed command reaches each point, `lasts` how many
    seconds it takes."""

    def __init__(self, chance: random.Random, reached: Mapping[str, int], lasts: float) -> None:
        self._chance = chance
        self._reached = reached
        self._lasts = lasts

    def draw(self, number: int | None = None) -> Disturbance:
        """A disturbance; with a number, that of the points which is its turn."""
        points = sorted(self._reached)
        if not points:
            return Disturbance("driver", after=self._chance.uniform(0, self._lasts))
        if number is not None or self._chance.random() < 0.4:
            return self.at(self._chance.choice(points) if number is None else points[number % len(points)])
        victim = self._chance.choice(VICTIMS)
        return Disturbance(victim, after=self._chance.uniform(0.02, self._lasts))

    def at(self, point: str) -> Disturbance:
        """A kill at a point, at one of the times that it is reached."""
        return Disturbance("point", Fault(point, self._occurrence(self._reached[point])))

    def _occurrence(self, most: int) -> int:
        """Early ones as often as late ones: where something begins, more goes on than in its middle."""
        return min(most, int(math.exp(self._chance.uniform(0, math.log(most + 1)))))


def only(reached: Mapping[str, int], names: Sequence[str]) -> dict[str, int]:
    """Those of the points that belong to one of some places."""
    return {point: count for point, count in reached.items() if point.rpartition(":")[0] in names}


__all__ = ["VICTIMS", "Chances", "Disturbance", "only"]
