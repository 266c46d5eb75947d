"""Recurrence rules of RFC 5545: lines with RRULE, EXRULE, RDATE and EXDATE, in the time of a zone.

dateutil knows what a rule means, and finds it by going from the start on. To be quick years after the start, and backwards,
a rule is cut into blocks of whole periods, each of which is worked out by itself. The first block starts where the rule does.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from penstock.errors import DefinitionError
from penstock.triggers.zones import DAY, moment_of, wall_at, zone_of

if TYPE_CHECKING:
    from dateutil.rrule import rrule

#: the frequencies, with the periods that a block has about
_BLOCKS: Final = {
    "YEARLY": 4,
    "MONTHLY": 12,
    "WEEKLY": 16,
    "DAILY": 90,
    "HOURLY": 168,
    "MINUTELY": 720,
    "SECONDLY": 900,
}
#: seconds of the periods that are of the same length
_LENGTHS: Final = {"DAILY": DAY, "HOURLY": 3600, "MINUTELY": 60, "SECONDLY": 1}
_WEEKDAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
#: what says on which days something is due
_BY_DAY: Final = {"BYDAY", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYEASTER"}
_COUNT: Final = 100_000
#: how many excluded times in a row are passed over
_EXCLUDED: Final = 100_000
#: a year near the end of the calendar: a rule that has nothing from there on never has
_LATE: Final = 9780
_EPOCH: Final = datetime(1970, 1, 1)


class Rule(NamedTuple):
    """One RRULE or EXRULE. `text` says everything that would follow from the start, and no COUNT and no UNTIL."""

    text: str
    frequency: str
    interval: int
    #: the first day of the week: 0 for Monday
    week: int
    start: int
    until: int | None
    #: how often it comes in all
    times: int | None

    @property
    def at_intervals(self) -> bool:
        return self.frequency in ("HOURLY", "MINUTELY", "SECONDLY")

    @property
    def hourly(self) -> bool:
        return self.at_intervals and self.interval * _LENGTHS[self.frequency] <= 3600 and "BYHOUR" not in self.text

    def first(self, wall: int) -> int | None:
        """The first one at or after a wall."""
        found = self._listed(wall) if self.times is not None else self._found(wall)
        return None if found is None or (self.until is not None and found > self.until) else found

    def last(self, wall: int) -> int | None:
        """The last one before a wall."""
        if self.until is not None:
            wall = min(wall, self.until + 1)
        if self.times is not None:
            walls = _all(self)
            place = bisect_left(walls, wall)
            return walls[place - 1] if place else None
        if wall <= self.start:
            return None
        block = self.block(wall)
        if not self._begins_before(0, wall):
            return None
        # the last block that something is before the wall in or after: by steps that double, then by halves
        low, step = block, 1
        while not self._begins_before(low, wall):
            low, step = max(0, low - step), step * 2
        high = min(block, low + step)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._begins_before(middle, wall) else (low, middle - 1)
        walls = _walls(self, low)
        return walls[bisect_left(walls, wall) - 1]

    def block(self, wall: int) -> int:
        """The number of the block that a wall lies in."""
        periods = self._period(wall) - self._period(self.start)
        return max(0, periods // (self.interval * self._size))

    def begin(self, block: int) -> datetime:
        """The wall that a block starts at."""
        if block <= 0:
            return _as_datetime(self.start)
        period = self._period(self.start) + block * self._size * self.interval
        if self.frequency == "YEARLY":
            return datetime(period, 1, 1)
        if self.frequency == "MONTHLY":
            return datetime(period // 12, period % 12 + 1, 1)
        if self.frequency == "WEEKLY":
            return _as_datetime((period * 7 - 3 + self.week) * DAY)
        return _as_datetime(period * _LENGTHS[self.frequency])

    @property
    def _size(self) -> int:
        """How many times the rule comes round in a block."""
        return max(1, _BLOCKS[self.frequency] // self.interval)

    def _period(self, wall: int) -> int:
        """The number of the period that a wall lies in."""
        if self.frequency in _LENGTHS:
            return wall // _LENGTHS[self.frequency]
        if self.frequency == "WEEKLY":
            # the first day of 1970 was a Thursday
            return (wall // DAY + 3 - self.week) // 7
        there = _as_datetime(wall)
        return there.year if self.frequency == "YEARLY" else there.year * 12 + there.month - 1

    def _begins_before(self, block: int, wall: int) -> bool:
        """Whether something from a block on is before a wall."""
        walls = _walls(self, block)
        return bool(walls) and walls[0] < wall

    def _found(self, wall: int) -> int | None:
        walls = _walls(self, self.block(max(wall, self.start)))
        place = bisect_left(walls, wall)
        return walls[place] if place < len(walls) else None

    def _listed(self, wall: int) -> int | None:
        walls = _all(self)
        place = bisect_left(walls, wall)
        return walls[place] if place < len(walls) else None


@lru_cache(maxsize=8192)
def _walls(rule: Rule, block: int) -> tuple[int, ...]:
    """What is due in a block, and the first after it."""
    try:
        begin, end = rule.begin(block), _as_wall(rule.begin(block + 1))
    except (ValueError, OverflowError):  # beyond the year 9999
        return ()
    found: list[int] = []
    for each in _rrule(rule.text, begin):
        found.append(_as_wall(each))
        if found[-1] >= end:
            break
    return tuple(found)


@lru_cache(maxsize=256)
def _all(rule: Rule) -> tuple[int, ...]:
    """Everything that a rule with a COUNT has."""
    return tuple(map(_as_wall, islice(_rrule(rule.text, _as_datetime(rule.start)), rule.times)))


def _rrule(text: str, start: datetime) -> rrule:
    from dateutil.rrule import rrule, rrulestr

    made = rrulestr(text, dtstart=start)
    assert isinstance(made, rrule)
    return made


class RecurrenceWalls(NamedTuple):
    """The times on the clock of several rules and dates."""

    rules: tuple[Rule, ...]
    dates: tuple[int, ...]
    excluded_rules: tuple[Rule, ...]
    excluded_dates: frozenset[int]

    @property
    def at_intervals(self) -> bool:
        return any(rule.at_intervals for rule in self.rules)

    @property
    def hourly(self) -> bool:
        return bool(self.rules) and all(rule.hourly for rule in self.rules)

    def first(self, wall: int) -> int | None:
        """The first one at or after a wall."""
        for _ in range(_EXCLUDED):
            found = [each for rule in self.rules if (each := rule.first(wall)) is not None]
            place = bisect_left(self.dates, wall)
            found.extend(self.dates[place : place + 1])
            if not found:
                return None
            wall = min(found)
            if not self._is_excluded(wall):
                return wall
            wall += 1
        return None

    def last(self, wall: int) -> int | None:
        """The last one before a wall."""
        for _ in range(_EXCLUDED):
            found = [each for rule in self.rules if (each := rule.last(wall)) is not None]
            place = bisect_left(self.dates, wall)
            if place:
                found.append(self.dates[place - 1])
            if not found:
                return None
            wall = max(found)
            if not self._is_excluded(wall):
                return wall
        return None

    def _is_excluded(self, wall: int) -> bool:
        return wall in self.excluded_dates or any(rule.first(wall) == wall for rule in self.excluded_rules)


@lru_cache(maxsize=4096)
def recurrence_walls(text: str, start: str, zone: str) -> RecurrenceWalls:
    """Read a recurrence rule. Raises DefinitionError for what cannot be read, and for what is never due."""
    zone_of(zone)
    begin = _start(start)
    rules: list[Rule] = []
    dates: set[int] = set()
    excluded_rules: list[Rule] = []
    excluded: set[int] = set()
    for name, parameters, value in _lines(text):
        if name in ("RRULE", "EXRULE"):
            (rules if name == "RRULE" else excluded_rules).append(_rule(value, begin, zone))
        elif name in ("RDATE", "EXDATE"):
            (dates if name == "RDATE" else excluded).update(_dates(name, parameters, value, begin, zone))
        else:
            raise DefinitionError(
                f"a recurrence rule has no line {name}",
                remedy="Its lines are RRULE, RDATE, EXDATE and EXRULE; the start is given beside the rule.",
            )
    walls = RecurrenceWalls(tuple(rules), tuple(sorted(dates)), tuple(excluded_rules), frozenset(excluded))
    if walls.first(min([begin, *dates])) is None:
        raise DefinitionError(
            f"the recurrence rule {text!r} is never due from {start} on",
            remedy="Look at the days and the months that it names, at its UNTIL, and at what it excludes.",
        )
    return walls


def _start(text: str) -> int:
    try:
        there = datetime.fromisoformat(text)
    except ValueError:
        there = None
    if there is None or there.tzinfo is not None:
        raise DefinitionError(
            f"a recurrence rule cannot start at {text!r}",
            remedy='Its start is a time without a zone, such as "2026-01-01T09:00"; it is in the zone of the rule.',
        )
    return _as_wall(there)


def _lines(text: str) -> Iterator[tuple[str, list[str], str]]:
    """The lines of a rule: name, parameters, value. A long line may go on in the next one, behind a space."""
    unfolded = text.replace("\r\n", "\n").replace("\n ", "").replace("\n\t", "")
    lines = [line.strip() for line in unfolded.split("\n") if line.strip()]
    if not lines:
        raise DefinitionError("a recurrence rule is empty", remedy='Write one such as "FREQ=MONTHLY;BYDAY=-1FR".')
    for line in lines:
        front, colon, value = line.partition(":")
        if not colon:
            front, value = "RRULE", line
        name, *parameters = front.upper().split(";")
        yield name, parameters, value.strip()


def _rule(text: str, start: int, zone: str) -> Rule:
    """Read one RRULE, or EXRULE. Raises DefinitionError."""
    parts: dict[str, str] = {}
    for part in filter(None, text.upper().split(";")):
        name, _, value = part.partition("=")
        parts[name.strip()] = value.strip()
    try:
        until = _until(parts.pop("UNTIL", None), zone)
        count = int(parts.pop("COUNT")) if "COUNT" in parts else None
        interval = int(parts.get("INTERVAL", 1))
        if interval < 1 or (count is not None and count < 1):
            raise ValueError("INTERVAL and COUNT begin at 1")
        if parts.get("FREQ") not in _BLOCKS:
            raise ValueError(f"its FREQ is one of {', '.join(_BLOCKS)}")
        week = _WEEKDAYS.index(parts.get("WKST", "MO"))
        _complete(parts, _as_datetime(start))
        whole = ";".join(f"{name}={value}" for name, value in parts.items())
        _rrule(whole, _as_datetime(start))
    except (ValueError, OverflowError) as error:
        raise DefinitionError(
            f"the recurrence rule {text!r} cannot be read: {error}",
            remedy='Write one as in RFC 5545, such as "FREQ=MONTHLY;BYDAY=-1FR" or "FREQ=DAILY;INTERVAL=2;COUNT=10".',
        ) from None
    if count is not None and count > _COUNT:
        raise DefinitionError(
            f"a COUNT may be up to {_COUNT:,}, and not {count:,}".replace(",", " "), remedy="Give an UNTIL instead."
        )
    rule = Rule(whole, parts["FREQ"], interval, week, start, until, count)
    if not _is_ever(rule):
        raise DefinitionError(
            f"the recurrence rule {text!r} is never due",
            remedy="Look at the days and the months that it names: does one of them come in the other?",
        )
    return rule


def _complete(parts: dict[str, str], start: datetime) -> None:
    """Say what follows from the start."""
    frequency = list(_BLOCKS).index(parts["FREQ"])
    if not _BY_DAY & parts.keys():
        if parts["FREQ"] == "YEARLY":
            parts.setdefault("BYMONTH", str(start.month))
        if parts["FREQ"] in ("YEARLY", "MONTHLY"):
            parts["BYMONTHDAY"] = str(start.day)
        if parts["FREQ"] == "WEEKLY":
            parts["BYDAY"] = _WEEKDAYS[start.weekday()]
    clock = {"BYHOUR": start.hour, "BYMINUTE": start.minute, "BYSECOND": start.second}
    for place, (name, value) in enumerate(clock.items(), list(_BLOCKS).index("HOURLY")):
        if frequency < place:
            parts.setdefault(name, str(value))


def _is_ever(rule: Rule) -> bool:
    """Whether a rule has anything at all. What has not is only known at the end of the calendar, so begin near it."""
    late = _as_wall(datetime(_LATE, 1, 1))
    block = rule.block(late)
    try:
        begin = rule.begin(block)
    except (ValueError, OverflowError):  # a period is longer than the calendar: the first one decides
        begin = rule.begin(0)
    if next(iter(_rrule(rule.text, begin)), None) is not None:
        return True
    return rule.interval > 1 and bool(_walls(rule, 0))


def _until(text: str | None, zone: str) -> int | None:
    """The last wall that an UNTIL allows; one in UTC is turned into the time of the zone."""
    return None if text is None else _wall(text, zone, day_end=True)


def _wall(text: str, zone: str, *, day_end: bool = False) -> int:
    """A wall from `20260301T090000`, the same with a `Z`, or `20260301`. Raises ValueError."""
    if "T" not in text:
        day = _as_wall(datetime.strptime(text, "%Y%m%d"))
        return day + DAY - 1 if day_end else day
    wall = _as_wall(datetime.strptime(text.removesuffix("Z"), "%Y%m%dT%H%M%S"))
    return wall_at(zone, wall) if text.endswith("Z") else wall


def _dates(name: str, parameters: list[str], text: str, start: int, zone: str) -> Iterator[int]:
    """The walls of an RDATE or EXDATE. Days alone stand for the time of the start on them."""
    try:
        for each in filter(None, (part.strip() for part in text.upper().split(","))):
            wall = _wall(each, zone)
            for parameter in parameters:
                key, _, value = parameter.partition("=")
                if key == "TZID" and "Z" not in each:
                    wall = _translated(wall, value, zone)
            yield wall if "T" in each else wall + start % DAY
    except ValueError:
        raise DefinitionError(
            f"{name}:{text} cannot be read",
            remedy=f"Write dates such as {name}:20261224T090000,20261231T090000; with a Z behind them they are in UTC.",
        ) from None


def _translated(wall: int, named: str, zone: str) -> int:
    """A wall of another zone, whose name has been written in capitals, as one of this one."""
    if named == zone.upper():
        return wall
    from zoneinfo import available_timezones

    other = next((each for each in available_timezones() if each.upper() == named), named)
    return wall_at(zone, moment_of(other, wall))


def _as_datetime(wall: int) -> datetime:
    return _EPOCH + timedelta(seconds=wall)


def _as_wall(there: datetime) -> int:
    return int((there - _EPOCH) / timedelta(seconds=1))


__all__ = ["RecurrenceWalls", "Rule", "recurrence_walls"]
