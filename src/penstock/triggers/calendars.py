"""Calendars: the days on which something may be due, and what becomes of what is due on others."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from itertools import islice, takewhile
from typing import Final, NamedTuple

from penstock.errors import DefinitionError
from penstock.model.schedule import Calendar
from penstock.triggers.moments import Moments
from penstock.triggers.zones import DAY, EPOCH, moment_of, wall_at, zone_of

#: seconds for which the next day that is allowed, with something due on it, is looked for
HORIZON: Final = 50 * 366 * DAY
#: days for which a day that is allowed is looked for
_PATIENCE: Final = 10 * 366
#: how often in a day something may be due that is moved to another one: all of a day, or of several, is put in order at once
_OFTEN: Final = 1440
_EPOCH_DAY: Final = EPOCH.toordinal()


class Days(NamedTuple):
    """The days of a calendar, as numbers from 1970 on."""

    weekdays: frozenset[int]
    excluded: frozenset[int]
    holidays: tuple[str, ...]
    zone: str

    def allows(self, day: int) -> bool:
        """Whether something may be due on a day."""
        # the first day of 1970 was a Thursday
        if (day + 3) % 7 not in self.weekdays or day in self.excluded:
            return False
        if not self.holidays:
            return True
        there = date.fromordinal(day + _EPOCH_DAY)
        return not any(there in _holidays(country, there.year) for country in self.holidays)

    def nearest(self, day: int, step: int) -> int | None:
        """The first day at or after one (step 1), or at or before it (-1), on which something may be due."""
        reach = range(day, day + step * _PATIENCE, step)
        return next((each for each in reach if self.allows(each)), None)

    def day_of(self, moment: float) -> int:
        return wall_at(self.zone, math.floor(moment)) // DAY

    def start_of(self, day: int) -> float:
        return float(moment_of(self.zone, day * DAY))


class OnDays(NamedTuple):
    """The moments of a schedule that lie on days of a calendar; others are dropped."""

    schedule: Moments
    days: Days

    def after(self, moment: float) -> Iterator[float]:
        limit = moment + HORIZON
        following: float | None = moment
        while following is not None:
            moment, following = following, None
            for at in self.schedule.after(moment):
                if at > limit:
                    return
                day = self.days.day_of(at)
                if self.days.allows(day):
                    yield at
                    limit = at + HORIZON
                    continue
                allowed = self.days.nearest(day, 1)
                if allowed is None:
                    return
                # on by days; clocks that go back over midnight must not lead back
                following = max(at, just_before(self.days.start_of(allowed)))
                break

    def before(self, moment: float) -> Iterator[float]:
        limit = moment - HORIZON
        following: float | None = moment
        while following is not None:
            moment, following = following, None
            for at in self.schedule.before(moment):
                if at < limit:
                    return
                day = self.days.day_of(at)
                if self.days.allows(day):
                    yield at
                    limit = at - HORIZON
                    continue
                allowed = self.days.nearest(day, -1)
                if allowed is None:
                    return
                following = min(at, self.days.start_of(allowed + 1))
                break


class Moved(NamedTuple):
    """The moments of a schedule, those on other days than the calendar's moved to the same time of the nearest of them.

    What is due on a day of the calendar comes from a *run* of days: that day, and the excluded ones before it (or after it).
    """

    schedule: Moments
    days: Days
    #: 1 for the next day, -1 for the previous one
    step: int

    def after(self, moment: float) -> Iterator[float]:
        limit = moment + HORIZON
        target = self.days.nearest(self.days.day_of(moment), 1)
        while target is not None:
            # from the first day that has something due on
            first, _ = self._run(target)
            at = next(self.schedule.after(just_before(self.days.start_of(first))), None)
            if at is None or at > limit or (target := self._target(at)) is None:
                return
            first, last = self._run(target)
            if first == last:
                begin, end = max(moment, just_before(self.days.start_of(first))), self.days.start_of(last + 1)
                yield from takewhile(end.__gt__, self.schedule.after(begin))
            else:
                yield from (each for each in self._due(target) if each > moment)
            target, limit = self.days.nearest(last + 1, 1), at + HORIZON

    def before(self, moment: float) -> Iterator[float]:
        limit = moment - HORIZON
        target = self.days.nearest(self.days.day_of(moment), -1)
        while target is not None:
            _, last = self._run(target)
            at = next(self.schedule.before(self.days.start_of(last + 1)), None)
            if at is None or at < limit or (target := self._target(at)) is None:
                return
            first, last = self._run(target)
            if first == last:
                begin, end = self.days.start_of(first), min(moment, self.days.start_of(last + 1))
                yield from takewhile(begin.__le__, self.schedule.before(end))
            else:
                yield from (each for each in reversed(self._due(target)) if each < moment)
            target, limit = self.days.nearest(first - 1, -1), at - HORIZON

    def _target(self, at: float) -> int | None:
        """The day that something is moved to."""
        return self.days.nearest(self.days.day_of(at), self.step)

    def _run(self, target: int) -> tuple[int, int]:
        """The first and the last day from which things come to a day."""
        beside = self.days.nearest(target - self.step, -self.step)
        if beside is None:
            beside = target - self.step
        return (beside + 1, target) if self.step > 0 else (target, beside - 1)

    def _due(self, target: int) -> list[float]:
        """What is due on a day, in order."""
        first, last = self._run(target)
        end = self.days.start_of(last + 1)
        due: set[float] = set()
        for at in self.schedule.after(just_before(self.days.start_of(first))):
            if at >= end:
                break
            due.add(at if self.days.day_of(at) == target else self._moved(at, target))
        return sorted(due)

    def _moved(self, at: float, target: int) -> float:
        whole = math.floor(at)
        time = wall_at(self.days.zone, whole) % DAY
        return moment_of(self.days.zone, target * DAY + time) + (at - whole)


def just_before(moment: float) -> float:
    """The last moment before one, so that what is due at that one is due after this."""
    return math.nextafter(moment, -math.inf)


@lru_cache(maxsize=1024)
def days_of(calendar: Calendar) -> Days:
    """Read a calendar. Raises DefinitionError."""
    zone_of(calendar.zone)
    if not calendar.weekdays or not set(calendar.weekdays) <= set(range(7)):
        raise DefinitionError(
            f"a calendar has no weekdays {list(calendar.weekdays)}", remedy="They are 0 for Monday to 6 for Sunday."
        )
    for country in calendar.holidays:
        _check_country(country)
    excluded = frozenset(_day(text) for text in calendar.excluded)
    return Days(frozenset(calendar.weekdays), excluded, calendar.holidays, calendar.zone)


def narrowed(schedule: Moments, calendar: Calendar) -> Moments:
    """The moments of a schedule that a calendar leaves, or moves. Raises DefinitionError."""
    days = days_of(calendar)
    if calendar.otherwise == "skip":
        return OnDays(schedule, days)
    first = next(schedule.after(0.0), 0.0)
    if sum(1 for _ in takewhile((first + DAY).__gt__, islice(schedule.after(first), _OFTEN))) == _OFTEN:
        raise DefinitionError(
            f"what is due more than {_OFTEN} times a day is not moved to another day",
            remedy='Let the calendar drop what is due on other days: otherwise="skip".',
        )
    return Moved(schedule, days, 1 if calendar.otherwise == "next" else -1)


def _day(text: str) -> int:
    try:
        return date.fromisoformat(text).toordinal() - _EPOCH_DAY
    except ValueError:
        raise DefinitionError(
            f"a calendar cannot exclude {text!r}", remedy='Dates are written as in "2026-12-24".'
        ) from None


@lru_cache(maxsize=1024)
def _holidays(country: str, year: int) -> frozenset[date]:
    from holidays import country_holidays

    code, _, part = country.partition("-")
    return frozenset(country_holidays(code, subdiv=part or None, years=year))


def _check_country(country: str) -> None:
    """Raises DefinitionError where the holidays of a country are not known, or nobody knows any."""
    try:
        from holidays import list_supported_countries
    except ImportError:
        raise DefinitionError(
            f"the holidays of {country} need a library that is not installed",
            remedy="Install it with: pip install 'penstock[calendars]'.",
        ) from None
    countries = list_supported_countries()
    code, _, part = country.partition("-")
    if code not in countries:
        raise DefinitionError(
            f"the holidays of {country!r} are not known",
            remedy='Countries have the codes of ISO 3166, such as "DE" or "US", also with a part: "DE-BY".',
        )
    if part and part not in countries[code]:
        known = ", ".join(countries[code]) or "none"
        raise DefinitionError(f"{code} has no part {part!r} with holidays of its own", remedy=f"There are: {known}.")


__all__ = ["Days", "Moved", "OnDays", "days_of", "just_before", "narrowed"]
