"""When schedules are due: their moments, forwards and backwards from any other."""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from penstock.errors import DefinitionError
from penstock.model.schedule import Cron, Every, LateCron, Once, Recurrence, Schedule, Together
from penstock.triggers.cron import cron_walls
from penstock.triggers.recurrence import recurrence_walls
from penstock.triggers.walls import InZone, LateInZone
from penstock.triggers.zones import EARLIEST, LATEST, zone_of

#: the shortest interval, in seconds
SHORTEST: Final = 0.001


class Moments(Protocol):
    """Moments in seconds since the epoch, none of them twice, worked out as they are asked for."""

    def after(self, moment: float) -> Iterator[float]:
        """Those after a moment, from the first on."""
        ...

    def before(self, moment: float) -> Iterator[float]:
        """Those before a moment, from the last on."""
        ...


class AtIntervals(NamedTuple):
    """Every so many seconds from an anchor on, to the microsecond."""

    seconds: float
    anchor: float

    def after(self, moment: float) -> Iterator[float]:
        number = max(0, math.floor((moment - self.anchor) / self.seconds) - 1)
        while self._at(number) <= moment:
            number += 1
        while (at := self._at(number)) < LATEST:
            yield at
            number += 1

    def before(self, moment: float) -> Iterator[float]:
        number = math.ceil((moment - self.anchor) / self.seconds) + 1
        while number >= 0 and self._at(number) >= moment:
            number -= 1
        while number >= 0:
            yield self._at(number)
            number -= 1

    def _at(self, number: int) -> float:
        return round(self.anchor + number * self.seconds, 6)


class Listed(NamedTuple):
    """Moments that are all known."""

    at: tuple[float, ...]

    def after(self, moment: float) -> Iterator[float]:
        return iter(self.at[bisect_right(self.at, moment) :])

    def before(self, moment: float) -> Iterator[float]:
        return reversed(self.at[: bisect_left(self.at, moment)])


class Union(NamedTuple):
    """The moments of several schedules."""

    parts: tuple[Moments, ...]

    def after(self, moment: float) -> Iterator[float]:
        return _once_each(heapq.merge(*(part.after(moment) for part in self.parts)))

    def before(self, moment: float) -> Iterator[float]:
        return _once_each(heapq.merge(*(part.before(moment) for part in self.parts), reverse=True))


def _once_each(moments: Iterable[float]) -> Iterator[float]:
    last = None
    for moment in moments:
        if moment != last:
            yield moment
            last = moment


@lru_cache(maxsize=16384)
def moments_of(schedule: Schedule) -> Moments:
    """When a schedule is due. Raises DefinitionError for one that cannot be understood, and one that is never due."""
    match schedule:
        case LateCron(expression, zone):
            zone_of(zone)
            walls = cron_walls(expression)
            return InZone(walls, zone) if walls.hourly else LateInZone(walls, zone)
        case Cron(expression, zone):
            zone_of(zone)
            return InZone(cron_walls(expression), zone)
        case Every(seconds, anchor):
            return _at_intervals(seconds, anchor)
        case Recurrence(rule, start, zone):
            return InZone(recurrence_walls(rule, start, zone), zone)
        case Once(at):
            return _listed(at)
        case Together(schedules):
            if not schedules:
                raise DefinitionError("several schedules together are none", remedy="Name at least one.")
            return Union(tuple(map(moments_of, schedules)))


def _at_intervals(seconds: float, anchor: float) -> AtIntervals:
    if not SHORTEST <= seconds < math.inf:
        raise DefinitionError(
            f"an interval of {seconds:g} seconds is {'too short' if seconds < SHORTEST else 'none'}",
            remedy=f"It is a number of seconds, {SHORTEST:g} or more.",
        )
    _check(anchor)
    return AtIntervals(seconds, anchor)


def _listed(at: tuple[float, ...]) -> Listed:
    if not at:
        raise DefinitionError("a schedule of given moments has none", remedy="Name at least one.")
    for each in at:
        _check(each)
    return Listed(tuple(sorted(set(at))))


def _check(moment: float) -> None:
    if not EARLIEST <= moment <= LATEST:
        raise DefinitionError(
            f"a moment of {moment:g} seconds since 1970 is out of reach",
            remedy=f"Moments lie between {_year(EARLIEST)} and {_year(LATEST)}.",
        )


def _year(moment: int) -> int:
    return datetime.fromtimestamp(moment, UTC).year


__all__ = ["AtIntervals", "Listed", "Moments", "Union", "moments_of"]
