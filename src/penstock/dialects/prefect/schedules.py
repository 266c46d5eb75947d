"""Prefect's schedules, as penstock's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, cast

from penstock.authoring.source import caller
from penstock.authoring.triggers.schedules import Schedule, cron, every, recurring
from penstock.dialects.prefect.noting import not_covered
from penstock.errors import DefinitionError

#: from when recurrence rules count that do not say so, as Prefect has it
_BEGINNING = "2020-01-01T00:00:00"
_DAY = 86400


class Planned:
    """A schedule with what belongs to it in a deployment."""

    def __init__(
        self,
        schedule: Schedule,
        *,
        active: bool = True,
        parameters: Mapping[str, Any] | None = None,
        slug: str | None = None,
    ) -> None:
        self.schedule = schedule
        self.active = active
        self.parameters = dict(parameters or {})
        self.slug = slug


def _planned(schedule: Schedule, options: Mapping[str, Any]) -> Planned:
    active = options.get("active")
    return Planned(
        schedule,
        active=True if active is None else bool(active),
        parameters=options.get("parameters"),
        slug=options.get("slug"),
    )


def Cron(
    cron_: str | None = None, /, timezone: str | None = None, day_or: bool | None = None, **options: Any
) -> Planned:
    """When a cron expression says."""
    if day_or is False:
        raise not_covered("day_or=False of a cron schedule", "Write two expressions, or a recurrence rule.")
    return _planned(cron(cron_ or options.pop("cron"), zone=timezone or "UTC"), options)


def Interval(
    interval: float | timedelta, anchor_date: Any = None, timezone: str | None = None, **options: Any
) -> Planned:
    """Every so often. In a zone, days are counted by its clock."""
    seconds = interval.total_seconds() if isinstance(interval, timedelta) else float(interval)
    anchor = _moment(anchor_date)
    if timezone not in (None, "UTC") and seconds % _DAY == 0:
        rule = f"FREQ=DAILY;INTERVAL={int(seconds // _DAY)}"
        return _planned(recurring(rule, start=anchor or _BEGINNING, zone=timezone), options)
    return _planned(every(seconds, anchor=anchor), options)


def _moment(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("Z", "+00:00")
    if isinstance(value, (datetime, date)) or value is None:
        return value
    raise DefinitionError(f"anchor_date must be a moment, not {value!r}", where=str(caller()))


def RRule(rrule: str, timezone: str | None = None, **options: Any) -> Planned:
    """When a recurrence rule says."""
    lines = [line for line in re.split(r"[\r\n]+", rrule.strip()) if line]
    start, rest = _BEGINNING, list[str]()
    for line in lines:
        found = re.match(r"DTSTART(?:;TZID=([^:]+))?:(\d{8}T\d{6})Z?$", line)
        if found is None:
            rest.append(line)
        else:
            start = datetime.strptime(found[2], "%Y%m%dT%H%M%S").isoformat()
            timezone = found[1] or timezone
    return _planned(recurring("\n".join(rest), start=start, zone=timezone or "UTC"), options)


def CronSchedule(cron: str, timezone: str | None = None, day_or: bool | None = None, **options: Any) -> Planned:
    return Cron(cron, timezone, day_or, **options)


IntervalSchedule = Interval
RRuleSchedule = RRule


def construct_schedule(
    interval: Any = None, anchor_date: Any = None, timezone: str | None = None, cron: Any = None, rrule: Any = None
) -> Planned:
    """The one schedule that is asked for."""
    if sum(each is not None for each in (interval, cron, rrule)) != 1:
        raise DefinitionError("exactly one of interval, cron and rrule is a schedule", where=str(caller()))
    if cron is not None:
        return Cron(cron, timezone)
    if rrule is not None:
        return RRule(rrule, timezone)
    return Interval(interval, anchor_date, timezone)


def schedules_of(options: Mapping[str, Any]) -> list[Planned]:
    """The schedules that options of a deployment ask for, in whichever form. Raises DefinitionError."""
    found: list[Planned] = []
    for name, make in (("cron", Cron), ("rrule", RRule), ("interval", Interval)):
        given = options.get(name)
        extra = {"anchor_date": options.get("anchor_date")} if name == "interval" else {}
        for each in cast("list[Any]", given if isinstance(given, (list, tuple)) else [] if given is None else [given]):
            found.append(make(each, timezone=options.get("timezone"), **extra))
    given = [*(options.get("schedules") or ())]
    if options.get("schedule") is not None:
        given.append(options["schedule"])
    return found + [_any(each) for each in given]


def _any(given: Any) -> Planned:
    if isinstance(given, Planned):
        return given
    if isinstance(given, Mapping):
        options = dict(cast("Mapping[str, Any]", given))
        inner = options.pop("schedule", None)
        if inner is not None:
            planned = _any(inner)
            planned.active = options.get("active", True)
            return planned
        for name, make in (("cron", Cron), ("interval", Interval), ("rrule", RRule)):
            if options.get(name) is not None:
                return make(
                    options.pop(name), **{key: each for key, each in options.items() if key != "day_or" or not each}
                )
    raise DefinitionError(
        f"{given!r} is no schedule", where=str(caller()), remedy='Write Cron("0 9 * * *"), or {"cron": "0 9 * * *"}.'
    )


__all__ = [
    "Cron",
    "CronSchedule",
    "Interval",
    "IntervalSchedule",
    "Planned",
    "RRule",
    "RRuleSchedule",
    "construct_schedule",
    "schedules_of",
]
