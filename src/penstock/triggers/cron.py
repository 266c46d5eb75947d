"""Cron expressions: what they say, and which times they stand for."""

from __future__ import annotations

from bisect import bisect_left
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from penstock.errors import DefinitionError
from penstock.triggers.zones import DAY, EPOCH

if TYPE_CHECKING:
    from cronsim import CronSim

MACROS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
#: name of a field -> what it may hold, for people
_FIELDS: Final = {
    "second": "0 to 59, such as 0, */10 or 0,30",
    "minute": "0 to 59, such as 0, */15, 10-20 or 0,30",
    "hour": "0 to 23, such as 2, */6, 9-17 or 8,20",
    "day of the month": "1 to 31, L for the last day or LW for the last one from Monday to Friday, such as 1, 1-7 or 1,15",
    "month": "1 to 12 or JAN to DEC, such as 1, */3, JAN-MAR or 6,12",
    "weekday": "0 to 7 or SUN to SAT (0 and 7 are Sunday), MON#2 for the second Monday or 5L for the last Friday, "
    "such as 1, MON-FRI or SAT,SUN",
}
#: years in which something has to be due: 29 February comes on one weekday every forty years at the most
_YEARS: Final = 50
_EPOCH_DAY: Final = EPOCH.toordinal()


class CronWalls(NamedTuple):
    """The times on the clock that a cron expression stands for."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    #: knows the days and the months; shared by all expressions that have the same
    days: CronSim
    at_intervals: bool
    hourly: bool

    def first(self, wall: int) -> int | None:
        """The first one at or after a wall; None if there is none in fifty years."""
        day, rest = divmod(wall, DAY)
        if self._is_on(day):
            time = self._time_from(rest)
            if time is not None:
                return day * DAY + time
        following = self._day(day, 1)
        return None if following is None else following * DAY + self._time(0, 0, 0)

    def last(self, wall: int) -> int | None:
        """The last one before a wall; None if there is none in fifty years."""
        day, rest = divmod(wall, DAY)
        if self._is_on(day):
            time = self._time_before(rest)
            if time is not None:
                return day * DAY + time
        preceding = self._day(day, -1)
        return None if preceding is None else preceding * DAY + self._time(-1, -1, -1)

    def _is_on(self, day: int) -> bool:
        there = date.fromordinal(day + _EPOCH_DAY)
        return there.month in self.days.months and self.days.match_day(there)

    def _day(self, day: int, step: int) -> int | None:
        """The nearest day after (or before) one on which it is due."""
        there = date.fromordinal(day + _EPOCH_DAY) + timedelta(days=step)
        until = there.year + step * _YEARS
        months, match = self.days.months, self.days.match_day
        while (until - there.year) * step >= 0:
            if there.month not in months:
                there = _next_month(there) if step > 0 else there.replace(day=1) - timedelta(days=1)
            elif match(there):
                return there.toordinal() - _EPOCH_DAY
            else:
                there += timedelta(days=step)
        return None

    def _time(self, hour: int, minute: int, second: int) -> int:
        """The time of the day with these places among the hours, the minutes and the seconds."""
        return self.hours[hour] * 3600 + self.minutes[minute] * 60 + self.seconds[second]

    def _time_from(self, time: int) -> int | None:
        """The first time of the day at or after one."""
        minute, second = divmod(time, 60)
        hour, minute = divmod(minute, 60)
        h, m, s = bisect_left(self.hours, hour), bisect_left(self.minutes, minute), bisect_left(self.seconds, second)
        if h == len(self.hours):
            return None
        if self.hours[h] > hour:
            return self._time(h, 0, 0)
        if m < len(self.minutes) and self.minutes[m] > minute:
            return self._time(h, m, 0)
        if m < len(self.minutes) and s < len(self.seconds):
            return self._time(h, m, s)
        if m + 1 < len(self.minutes):
            return self._time(h, m + 1, 0)
        return self._time(h + 1, 0, 0) if h + 1 < len(self.hours) else None

    def _time_before(self, time: int) -> int | None:
        """The last time of the day before one."""
        minute, second = divmod(time, 60)
        hour, minute = divmod(minute, 60)
        h, m, s = bisect_left(self.hours, hour), bisect_left(self.minutes, minute), bisect_left(self.seconds, second)
        if h < len(self.hours) and self.hours[h] == hour:
            if m < len(self.minutes) and self.minutes[m] == minute and s > 0:
                return self._time(h, m, s - 1)
            if m > 0:
                return self._time(h, m - 1, -1)
        return self._time(h - 1, -1, -1) if h > 0 else None


def _next_month(day: date) -> date:
    return date(day.year + 1, 1, 1) if day.month == 12 else date(day.year, day.month + 1, 1)


def fields_of(expression: str) -> list[str]:
    """The six fields of an expression, seconds first. Raises DefinitionError for another number of them, and for a name
    with `@` that there is not."""
    text = expression.strip()
    if text.startswith("@"):
        text = _macro(text)
    fields = text.upper().split()
    if len(fields) == 5:
        fields.insert(0, "0")
    if len(fields) != 6:
        raise DefinitionError(
            f"the cron expression {expression!r} has {len(fields)} field{'s' if len(fields) != 1 else ''}",
            remedy="It takes five, minute, hour, day of the month, month and weekday, as in '30 2 * * MON-FRI', or six "
            "with the second in front.",
        )
    return [("*" if field == "?" and place in (3, 5) else field) for place, field in enumerate(fields)]


def _macro(name: str) -> str:
    if name.lower() in MACROS:
        return MACROS[name.lower()]
    from difflib import get_close_matches

    near = get_close_matches(name.lower(), MACROS, n=1)
    remedy = f"Did you mean {near[0]}?" if near else f"There are {', '.join(MACROS)}; or write five fields."
    raise DefinitionError(f"there is no cron expression {name!r}", remedy=remedy)


@lru_cache(maxsize=16384)
def cron_walls(expression: str) -> CronWalls:
    """Read a cron expression. Raises DefinitionError, with the field that is wrong, and for what is never due."""
    from cronsim import CronSimError

    fields = fields_of(expression)
    second, minute, hour, *rest = fields
    try:
        hours = _times(hour, 2)
        walls = CronWalls(
            _times(second, 0),
            _times(minute, 1),
            hours,
            _days(*rest),
            at_intervals=len(hours) == 24 or any(field.startswith("*") for field in (second, minute, hour)),
            hourly=len(hours) == 24,
        )
    except CronSimError:
        raise _refused(expression, fields) from None
    if walls.first(0) is None:
        raise _never(expression)
    return walls


@lru_cache(maxsize=4096)
def _times(field: str, place: int) -> tuple[int, ...]:
    """The values of a field of the time of day."""
    sim = _reader(field, place)
    return tuple(sorted((sim.seconds, sim.minutes, sim.hours)[place]))


@lru_cache(maxsize=4096)
def _days(day: str, month: str, weekday: str) -> CronSim:
    from cronsim import CronSim

    return CronSim(f"0 0 {day} {month} {weekday}", EPOCH)


def _reader(field: str, place: int) -> CronSim:
    """An expression that says something in one field alone. Raises CronSimError if that is wrong."""
    from cronsim import CronSim

    fields = ["*"] * 6
    fields[place] = field
    return CronSim(" ".join(fields), EPOCH)


def _refused(expression: str, fields: list[str]) -> DefinitionError:
    from cronsim import CronSimError

    for place, (name, field) in enumerate(zip(_FIELDS, fields, strict=True)):
        try:
            _reader(field, place)
        except CronSimError:
            return DefinitionError(
                f"in the cron expression {expression!r}, {field!r} is no {name}{_why(field)}",
                remedy=f"The {name} is * or {_FIELDS[name]}.",
            )
    return _never(expression)


def _why(field: str) -> str:
    """What is wrong with a field, where that is seen at once."""
    for part in field.split(","):
        first, dash, last = part.partition("/")[0].partition("-")
        if not part:
            return ": there is nothing beside a comma"
        if part.endswith("/0"):
            return ": a step of 0 never moves on"
        if dash and first.isdigit() and last.isdigit() and int(first) > int(last):
            return f": a range goes up, so write it as two, joined by a comma, instead of {first}-{last}"
        if part.endswith("W") and part != "LW":
            return ": of days with W, there is LW alone"
    return ""


def _never(expression: str) -> DefinitionError:
    return DefinitionError(
        f"the cron expression {expression!r} is never due: no such day comes in {_YEARS} years",
        remedy="Look at the day of the month and the month. For the last day of a month there is L: '0 0 L * *'.",
    )


__all__ = ["MACROS", "CronWalls", "cron_walls", "fields_of"]
