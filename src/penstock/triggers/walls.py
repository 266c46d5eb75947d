"""From times on the clocks of a zone to moments: the one rule for the days on which clocks are changed.

- A time that the clocks skip is due at the first moment after the gap; several such times are due there once. What comes
  every hour is not: it loses nothing, as the next hour follows at once.
- A time that comes twice is due the first time; what comes at intervals rather than at fixed times is due both times.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from penstock.triggers.zones import DAY, EARLIEST, LATEST, stretch_at


class Walls(Protocol):
    """Times on the clock, whatever the zone."""

    @property
    def at_intervals(self) -> bool:
        """Whether they are due both times where the clocks show them twice."""
        ...

    @property
    def hourly(self) -> bool:
        """Whether they are not made up for where the clocks skip them."""
        ...

    def first(self, wall: int) -> int | None:
        """The first one at or after a wall."""
        ...

    def last(self, wall: int) -> int | None:
        """The last one before a wall."""
        ...


class InZone(NamedTuple):
    """The moments at which the clocks of a zone show certain times."""

    walls: Walls
    zone: str

    def after(self, moment: float) -> Iterator[float]:
        """Those after a moment, from the first on."""
        position = math.floor(max(moment, EARLIEST)) + 1
        while position < LATEST:
            here = stretch_at(self.zone, position)
            finish = here.end + here.offset
            if position == here.start and self._in_gap(here.seen, here.edge):
                yield float(position)
                position += 1
            floor = position + here.offset
            wall = self.walls.first(floor if self.walls.at_intervals else max(floor, here.seen))
            while wall is not None and wall < finish:
                yield float(wall - here.offset)
                wall = self.walls.first(wall + 1)
            # Nothing is passed over up to two days before the next time: clocks are not changed by more than one.
            near = self.walls.first(finish - 2 * DAY)
            if near is None:
                return
            position = max(here.end, near - 2 * DAY)

    def before(self, moment: float) -> Iterator[float]:
        """Those before a moment, from the last on."""
        position = math.ceil(min(moment, LATEST))
        while position > EARLIEST:
            here = stretch_at(self.zone, position - 1)
            floor = here.edge if self.walls.at_intervals else max(here.edge, here.seen)
            wall = self.walls.last(position + here.offset)
            lowest = None
            while wall is not None and wall >= floor:
                yield float(wall - here.offset)
                lowest, wall = wall, self.walls.last(wall)
            if lowest != here.edge and self._in_gap(here.seen, here.edge):
                yield float(here.start)
            near = self.walls.last(here.edge + 2 * DAY)
            if near is None:
                return
            position = min(here.start, near + 2 * DAY)

    def _in_gap(self, seen: int, edge: int) -> bool:
        """Whether something is to be made up for that would have been due between two walls."""
        if seen >= edge or self.walls.hourly:
            return False
        wall = self.walls.first(seen)
        return wall is not None and wall < edge


__all__ = ["InZone", "Walls"]
