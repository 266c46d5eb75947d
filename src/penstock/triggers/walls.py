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


class LateInZone(NamedTuple):
    """The moments at which the clocks of a zone show certain times, by the other rule: what they skip is due as much later as
    they skip, what they show twice the second time.

    After a time that was moved on, what comes next is what comes after the time that the clocks show then, as where somebody goes
    from one to the next.
    """

    walls: Walls
    zone: str

    def after(self, moment: float) -> Iterator[float]:
        """Those after a moment, from the first on."""
        position = math.floor(max(moment, EARLIEST))
        here = stretch_at(self.zone, position)
        following = stretch_at(self.zone, here.end)
        # what is shown twice may still come, and so may what was skipped just before
        wall = min(position + here.offset, following.start + following.offset)
        found = self.walls.first(wall - DAY if position - here.start < DAY else wall)
        while found is not None and found < LATEST:
            at = self._due(found)
            if at is not None and at > moment:
                yield float(at)
            found = self.walls.first(found + 1)

    def before(self, moment: float) -> Iterator[float]:
        """Those before a moment, from the last on."""
        position = math.ceil(min(moment, LATEST))
        found = self.walls.last(position + stretch_at(self.zone, position).offset + 1)
        while found is not None and found > EARLIEST:
            at = self._due(found)
            if at is not None and at < moment:
                yield float(at)
            found = self.walls.last(found)

    def _due(self, wall: int) -> int | None:
        """When a time is due; None where it is passed over, by one that the clocks skip."""
        here = stretch_at(self.zone, wall - DAY)
        passed, goes_on = False, True
        while goes_on:
            there = stretch_at(self.zone, here.end)
            passed = passed or self._is_passed(wall, here.end + here.offset, there.offset - here.offset)
            goes_on = wall - there.offset >= there.start
            here = there if goes_on else here
        return None if passed else wall - here.offset

    def _is_passed(self, wall: int, skipped: int, gap: int) -> bool:
        """Whether a time lies between one that the clocks skip, from `skipped` on, and what they show when that is due."""
        if not 0 < wall - skipped <= 2 * gap:
            return False
        first = self.walls.first(skipped)
        return first is not None and first < skipped + gap and first < wall <= first + gap


__all__ = ["InZone", "LateInZone", "Walls"]
