"""Partitions of time as places on a line: the first one, those that are over, and where each of them starts."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import cached_property, lru_cache
from itertools import takewhile
from typing import Final, Literal, Protocol

from penstock.errors import DefinitionError
from penstock.model.partition import TimePartitions
from penstock.model.schedule import Cron
from penstock.triggers.moments import moments_of
from penstock.triggers.zones import DAY, LATEST, moment_of, stretch_at, wall_at, zone_of

_HOUR: Final = 3600
_EPOCH: Final = datetime(1970, 1, 1)
_EPOCH_DAY: Final = _EPOCH.toordinal()
#: Monday 29 December 1969, in days since the epoch
_MONDAY: Final = -3
#: seconds of moments of a cron expression that are worked out at once
_CHUNK: Final = 1 << 25
#: minutes that a unit has at least
_SHORTEST: Final = {"hour": 60, "day": 1440, "week": 7 * 1440, "month": 28 * 1440}
#: what the keys look like
_FORMATS: Final = {"day": "%Y-%m-%d", "week": "%Y-%m-%d", "month": "%Y-%m"}
_OFFSET: Final = re.compile(r"([+-])(\d\d):(\d\d)(?::(\d\d))?$")


class Grid(Protocol):
    """Places in a row, told by numbers, each with the moment at which it starts."""

    def start(self, place: int) -> float: ...

    def floor(self, moment: float) -> int:
        """The last place that starts at or before a moment."""
        ...


class Hours:
    """Every 3,600 seconds from a moment on."""

    def __init__(self, anchor: int) -> None:
        self._anchor = anchor

    def start(self, place: int) -> float:
        return float(self._anchor + place * _HOUR)

    def floor(self, moment: float) -> int:
        return int((moment - self._anchor) // _HOUR)


class Days:
    """Days, weeks or months on the clocks of a zone, from so many seconds after their beginning on."""

    def __init__(self, unit: Literal["day", "week", "month"], zone: str, shift: int) -> None:
        self._unit = unit
        self._zone = zone
        self._shift = shift

    def start(self, place: int) -> float:
        return float(moment_of(self._zone, self.wall(place)))

    def floor(self, moment: float) -> int:
        place = self.at(wall_at(self._zone, int(moment // 1)))
        # where the clocks were put back over a beginning, they show it twice
        while self.start(place) > moment:
            place -= 1
        while self.start(place + 1) <= moment:
            place += 1
        return place

    def wall(self, place: int) -> int:
        """What the clocks show at the start of a place."""
        return self._day(place) * DAY + self._shift

    def at(self, wall: int) -> int:
        """The place that a wall lies in."""
        day = (wall - self._shift) // DAY
        if self._unit == "day":
            return day
        if self._unit == "week":
            return (day - _MONDAY) // 7
        there = date.fromordinal(day + _EPOCH_DAY)
        return there.year * 12 + there.month - 1

    def _day(self, place: int) -> int:
        if self._unit == "day":
            return place
        if self._unit == "week":
            return place * 7 + _MONDAY
        return date(place // 12, place % 12 + 1, 1).toordinal() - _EPOCH_DAY


class Moments:
    """Whenever a cron expression is due, counted from the first time after a moment."""

    def __init__(self, cron: Cron, begin: float) -> None:
        self._cron = cron
        self._chunk = int(begin // _CHUNK)
        self._before = bisect_left(_due(cron, self._chunk), begin)

    def start(self, place: int) -> float:
        number, chunk = place + self._before, self._chunk
        while number >= len(due := _due(self._cron, chunk)):
            number -= len(due)
            chunk += 1
            if chunk * _CHUNK > LATEST:
                return float(LATEST)
        while number < 0:
            chunk -= 1
            number += len(_due(self._cron, chunk))
        return _due(self._cron, chunk)[number]

    def floor(self, moment: float) -> int:
        chunk = int(moment // _CHUNK)
        inside = bisect_right(_due(self._cron, chunk), moment)
        if chunk >= self._chunk:
            between = sum(len(_due(self._cron, each)) for each in range(self._chunk, chunk))
        else:
            between = -sum(len(_due(self._cron, each)) for each in range(chunk, self._chunk))
        return between + inside - self._before - 1


@lru_cache(maxsize=1024)
def _due(cron: Cron, chunk: int) -> tuple[float, ...]:
    """When a cron expression is due in one chunk of time."""
    end = (chunk + 1) * _CHUNK
    return tuple(takewhile(lambda at: at < end, moments_of(cron).after(chunk * _CHUNK - 0.5)))


class Line:
    """The partitions of one definition. Raises DefinitionError for one that cannot be understood."""

    def __init__(self, partitions: TimePartitions) -> None:
        zone_of(partitions.zone)
        self._partitions = partitions
        self._zone = partitions.zone
        self._begin = self._moment(partitions.start)
        self._grid = self._made()
        self.first = self._from(self._begin)

    def _moment(self, text: str) -> int:
        try:
            there = datetime.fromisoformat(text)
        except ValueError:
            there = None
        if there is None or there.tzinfo is not None:
            raise DefinitionError(
                f"the partitions start or end at {text!r}, which is no time without a zone",
                remedy='Write "2026-01-01" or "2026-01-01T06:00"; it is in the time of zone=.',
            )
        return moment_of(self._zone, _wall(there))

    def _made(self) -> Grid:
        unit, shift = self._partitions.unit, self._partitions.offset * 60
        if unit == "cron":
            if self._partitions.cron is None:
                raise DefinitionError("partitions by cron need an expression")
            return Moments(self._partitions.cron, self._begin)
        if not 0 <= self._partitions.offset < _SHORTEST[unit]:
            raise DefinitionError(
                f"the offset of {self._partitions.offset} minutes is not within {'an' if unit == 'hour' else 'a'} {unit}",
                remedy=f"It is a number of minutes from 0 to {_SHORTEST[unit] - 1}.",
            )
        if unit != "hour":
            return Days(unit, self._zone, shift)
        return Hours(self._begin + (shift - wall_at(self._zone, self._begin)) % _HOUR)

    @cached_property
    def end(self) -> int:
        """The place after the last that will ever be."""
        if self._partitions.end is None:
            return self._grid.floor(LATEST - 400 * DAY) if self._partitions.unit != "cron" else 1 << 62
        return max(self.first, self._from(self._moment(self._partitions.end)))

    def _from(self, moment: float) -> int:
        """The first place that starts at or after a moment."""
        place = self._grid.floor(moment)
        return place if self._grid.start(place) >= moment else place + 1

    def bounds(self, now: float) -> tuple[int, int]:
        """The first place, and the one after the last, of those that there are at a moment."""
        over = self._grid.floor(now) + self._partitions.ahead
        return self.first, max(self.first, min(over, self.end))

    def start(self, place: int) -> float:
        """When a partition starts."""
        return self._grid.start(place)

    def floor(self, moment: float) -> int:
        """The place that a moment lies in."""
        return self._grid.floor(moment)

    def count(self, begin: int, end: int) -> int:
        """How many partitions there are from one place up to another, without it."""
        return end - begin - len(self._left_out(begin, end))

    # Keys.

    def texts(self, begin: int, end: int) -> list[str]:
        """The keys from one place up to another, without it."""
        if end <= begin:
            return []
        if not isinstance(self._grid, Days):
            return self._clocked(begin, end)
        left_out = self._left_out(begin, end)
        places: Iterable[int] = range(begin, end)
        if left_out:
            places = (place for place in places if place not in left_out)
        if self._partitions.format is None and self._partitions.unit == "day":
            return [date.fromordinal(place + _EPOCH_DAY).isoformat() for place in places]
        form = self._format
        return [_shown(self._grid.wall(place)).strftime(form) for place in places]

    def text(self, place: int) -> str:
        """The key of one."""
        if isinstance(self._grid, Days):
            return _shown(self._grid.wall(place)).strftime(self._format)
        return self._clocked(place, place + 1)[0]

    @property
    def _format(self) -> str:
        return self._partitions.format or _FORMATS.get(self._partitions.unit, "")

    def _clocked(self, begin: int, end: int) -> list[str]:
        """Keys by what the clocks show, with the distance from UTC where they show it twice."""
        found: list[str] = []
        form, shown = self._partitions.format, dict[int, str]()
        upto, offset, seen, again = float("-inf"), 0, 0, 0
        for place in range(begin, end):
            moment = int(self._grid.start(place))
            if moment >= upto:
                here = stretch_at(self._zone, moment)
                following = stretch_at(self._zone, here.end)
                upto, offset, seen = here.end, here.offset, here.seen
                again = following.edge if following.edge < here.end + here.offset else here.end + here.offset
            wall = moment + offset
            if form is not None:
                text = _shown(wall).strftime(form)
            else:
                day, rest = divmod(wall, DAY)
                if day not in shown:
                    shown[day] = date.fromordinal(day + _EPOCH_DAY).isoformat()
                minute, second = divmod(rest, 60)
                text = f"{shown[day]}T{minute // 60:02d}:{minute % 60:02d}" + (f":{second:02d}" if second else "")
            found.append(text if seen <= wall < again else text + _distance(offset))
        return found

    def place(self, key: str) -> int | None:
        """The place of a key, whether or not it is over; None for a key that there cannot be."""
        read = self._read(key)
        if read is None:
            return None
        wall, offset = read
        if isinstance(self._grid, Days):
            guess = self._grid.at(wall)
        else:
            guess = self._grid.floor(wall - offset if offset is not None else moment_of(self._zone, wall))
        near = (place for place in (guess, guess + 1, guess - 1) if self.first <= place < self.end)
        return next((place for place in near if self._is(place, key)), None)

    def _is(self, place: int, key: str) -> bool:
        return self.text(place) == key and not self._left_out(place, place + 1)

    def _read(self, key: str) -> tuple[int, int | None] | None:
        """What the clocks show by a key, and their distance from UTC where it says that."""
        distance = None if isinstance(self._grid, Days) else _OFFSET.search(key)
        for text, match in ((key[: distance.start()], distance),) if distance else ((key, None),):
            try:
                there = datetime.strptime(text, self._format) if self._format else datetime.fromisoformat(text)
                return _wall(there.replace(tzinfo=None)), None if match is None else _seconds(match)
            except (ValueError, OverflowError):
                continue
        return None

    def _left_out(self, begin: int, end: int) -> frozenset[int]:
        """The days that the zone leaves out, as it changed sides of the date line."""
        if self._partitions.unit != "day" or self._zone == "UTC" or end <= begin:
            return frozenset()
        grid = self._grid
        assert isinstance(grid, Days)
        found: set[int] = set()
        here, last = stretch_at(self._zone, int(grid.start(begin)) - 2 * DAY), grid.start(end)
        while here.end <= last:
            following = stretch_at(self._zone, here.end)
            edge = here.end + here.offset
            if following.edge - edge >= DAY // 2:
                near = range(grid.at(edge) - 1, grid.at(following.edge) + 2)
                found.update(day for day in near if grid.start(day) == grid.start(day + 1))
            here = following
        return frozenset(day for day in found if begin <= day < end)

    def check(self) -> None:
        """Raise DefinitionError for partitions that there cannot be."""
        if self._partitions.ahead < 0:
            raise DefinitionError(f"ahead is {self._partitions.ahead}", remedy="It is a number from 0 up.")
        if self._partitions.end is not None and self.end <= self.first:
            raise DefinitionError(
                "no partition begins between the start and the end", remedy="Let the end be later than the start."
            )
        if self._partitions.format is None:
            return
        some = [self.first + each for each in (0, 1, 2, 24, 25, 40) if self.first + each < self.end]
        for place in some:
            text = self.text(place)
            if self.place(text) != place or any(self.text(other) == text for other in some if other != place):
                raise DefinitionError(
                    f"the format {self._partitions.format!r} does not tell partitions from each other: {text!r}",
                    remedy=f"Let it have all parts of the start that a {self._partitions.unit} needs, such as %Y-%m-%d.",
                )


def _shown(wall: int) -> datetime:
    return _EPOCH + timedelta(seconds=wall)


def _wall(there: datetime) -> int:
    return int((there - _EPOCH).total_seconds())


def _distance(offset: int) -> str:
    hours, rest = divmod(abs(offset), _HOUR)
    seconds = f":{rest % 60:02d}" if rest % 60 else ""
    return f"{'-' if offset < 0 else '+'}{hours:02d}:{rest // 60:02d}{seconds}"


def _seconds(match: re.Match[str]) -> int:
    size = int(match[2]) * _HOUR + int(match[3]) * 60 + int(match[4] or 0)
    return -size if match[1] == "-" else size


@lru_cache(maxsize=1024)
def line_of(partitions: TimePartitions) -> Line:
    """The line of a definition. Raises DefinitionError."""
    return Line(partitions)


__all__ = ["Line", "line_of"]
