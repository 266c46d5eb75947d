"""When something is due by the clock: schedules, and the calendars that they keep to.

Moments are seconds since the epoch. What is said in the time of a zone (an IANA name, `Europe/Berlin`) keeps to one rule
where its clocks are changed: a moment in the hour that does not exist is due at the first moment after the gap, unless it
comes every hour, since the next hour follows at once; of an hour that comes twice, a fixed time of the day is due the first
time alone, and what comes every so many minutes both times.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Cron(msgspec.Struct, frozen=True, tag="cron"):
    """A cron expression: five fields, or six with seconds in front; names, `@daily` and the like, `L`, `LW` and `#`."""

    expression: str
    zone: str = "UTC"


class LateCron(Cron, frozen=True, tag="late_cron"):
    """The same by another rule where clocks are changed, that of Airflow and croniter: a time that the clocks skip is due as much
    later as they skip, and one that they show twice the second time; unless it comes every hour."""


class Every(msgspec.Struct, frozen=True, tag="every"):
    """Every so many seconds, counted from a moment on."""

    seconds: float
    #: the moment that the count is from; it may lie in the past or in the future
    anchor: float = 0.0


class Recurrence(msgspec.Struct, frozen=True, tag="recurrence"):
    """A recurrence rule of RFC 5545 (`FREQ=MONTHLY;BYDAY=-1FR`, several lines for RDATE, EXDATE and EXRULE)."""

    rule: str
    #: its DTSTART: ISO 8601 without a zone, in the time of `zone`
    start: str
    zone: str = "UTC"


class Once(msgspec.Struct, frozen=True, tag="once"):
    """At given moments."""

    at: tuple[float, ...]


class Together(msgspec.Struct, frozen=True, tag="together"):
    """Whenever one of several schedules is due; a moment that is due by several of them counts once."""

    schedules: tuple[Schedule, ...]


Schedule = Cron | LateCron | Every | Recurrence | Once | Together


class Calendar(msgspec.Struct, frozen=True):
    """The days on which something may be due, in the time of a zone."""

    #: 0 for Monday to 6 for Sunday
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    #: ISO 8601 dates on which nothing is due
    excluded: tuple[str, ...] = ()
    #: ISO 3166 countries, or with subdivision (`DE-BY`), whose public holidays are excluded
    holidays: tuple[str, ...] = ()
    zone: str = "UTC"
    #: what becomes of a moment on an excluded day: it is dropped, or moved to the same time of the nearest day
    otherwise: Literal["skip", "next", "previous"] = "skip"


class Timetable(msgspec.Struct, frozen=True, tag="timetable"):
    """A schedule, with all that narrows it."""

    schedule: Schedule
    calendar: Calendar | None = None
    #: seconds by which each tick may be late, by a number that follows from the trigger's name and the tick alone
    jitter: float = 0.0
    #: nothing is due before, and nothing from then on
    start: float | None = None
    end: float | None = None
    #: what the logical time of a tick is: the tick, or the start of its data interval, which is the tick before
    logical: Literal["tick", "start"] = "tick"


class Tick(msgspec.Struct, frozen=True):
    """One time that a timetable is due."""

    #: when it is due by the schedule; the key of the tick is its ISO 8601 text in UTC
    at: float
    #: when it is carried out, jitter included
    due: float
    logical_time: float
    #: from the tick before to this one
    interval: tuple[float, float]
