"""Timetables in plain words, for people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from penstock.model.amounts import span
from penstock.model.schedule import Calendar, Cron, Every, LateCron, Once, Recurrence, Schedule, Timetable, Together
from penstock.triggers.cron import fields_of
from penstock.triggers.zones import EPOCH

_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SHORT: Final = {"MO": 0, "TU": 1, "WE": 2, "TH": 3, "FR": 4, "SA": 5, "SU": 6}
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_UNITS: Final = {
    "YEARLY": "year",
    "MONTHLY": "month",
    "WEEKLY": "week",
    "DAILY": "day",
    "HOURLY": "hour",
    "MINUTELY": "minute",
    "SECONDLY": "second",
}
_FROM_THE_END: Final = {"-1": "last", "-2": "last but one"}
_ORDINALS: Final = {"1": "first", "2": "second", "3": "third", "4": "fourth", "5": "fifth", **_FROM_THE_END}
#: the parts of a recurrence rule that can be said in words
_SAID: Final = {"FREQ", "INTERVAL", "BYDAY", "BYMONTHDAY", "BYMONTH", "COUNT", "UNTIL", "WKST"}


def describe(timetable: Timetable) -> str:
    """When something is due, in one line: `every day at 02:00 Europe/Berlin, not on Saturdays and Sundays`. The timetable
    must be one that can be understood."""
    said = [_schedule(timetable.schedule)]
    if timetable.calendar is not None:
        said.extend(_calendar(timetable.calendar))
    if timetable.jitter:
        said.append(f"up to {span(timetable.jitter)} later")
    if timetable.start is not None:
        said.append(f"from {_moment(timetable.start)} on")
    if timetable.end is not None:
        said.append(f"until {_moment(timetable.end)}")
    return ", ".join(said)


def _schedule(schedule: Schedule) -> str:
    match schedule:
        case LateCron(expression, zone) | Cron(expression, zone):
            return f"{_cron(expression)} {zone}"
        case Every(seconds, anchor):
            return f"every {span(seconds)}" + (f" from {_moment(anchor)} on" if anchor else "")
        case Recurrence(rule, start, zone):
            return f"{_recurrence(rule, datetime.fromisoformat(start))} {zone}, from {start} on"
        case Once(at):
            return f"once, at {_moment(at[0])}" if len(at) == 1 else f"at {len(at)} moments from {_moment(at[0])} on"
        case Together(schedules):
            return "; and ".join(map(_schedule, schedules))


def _cron(expression: str) -> str:
    from cronsim.explain import explain

    text = explain(" ".join(fields_of(expression)))
    # "At 02:00 every day" -> "every day at 02:00"
    timed = re.fullmatch(r"At ((?:\d\d:\d\d(?::\d\d)?(?:, and | and |, )?)+) (.+)", text)
    return f"{timed[2]} at {timed[1]}" if timed else text[0].lower() + text[1:]


def _recurrence(rule: str, start: datetime) -> str:
    parts = dict(part.split("=", 1) for part in rule.upper().removeprefix("RRULE:").split(";") if "=" in part)
    if not parts.keys() <= _SAID or "\n" in rule:
        return f"by the rule {'; '.join(rule.split(chr(10)))}"
    interval, unit = int(parts.get("INTERVAL", 1)), _UNITS[parts["FREQ"]]
    said = f"every {unit}" if interval == 1 else f"every {interval} {unit}s"
    if "BYDAY" in parts:
        said += f" on {_together([_by_day(each) for each in parts['BYDAY'].split(',')])}"
    if "BYMONTHDAY" in parts:
        said += f" on {_together([_by_number(each) for each in parts['BYMONTHDAY'].split(',')])}"
    if "BYMONTH" in parts:
        said += f" in {_together([_MONTHS[int(each) - 1] for each in parts['BYMONTH'].split(',')])}"
    if "COUNT" in parts:
        said += f", {parts['COUNT']} times in all,"
    if "UNTIL" in parts:
        said += f", until {parts['UNTIL']},"
    return said if unit in ("hour", "minute", "second") else f"{said} at {start:%H:%M}"


def _by_day(text: str) -> str:
    day, number = _WEEKDAYS[_SHORT[text[-2:]]], text[:-2].removeprefix("+")
    return f"the {_ORDINALS.get(number, f'{number}.')} {day}" if number else day


def _by_number(text: str) -> str:
    return f"the {_ORDINALS[text]} day" if text in _FROM_THE_END else f"day {text}"


def _calendar(calendar: Calendar) -> list[str]:
    said: list[str] = []
    off = [f"{name}s" for day, name in enumerate(_WEEKDAYS) if day not in calendar.weekdays]
    if off:
        said.append(f"not on {_together(off)}")
    if calendar.excluded:
        several = len(calendar.excluded) > 3
        said.append(f"not on {len(calendar.excluded)} dates" if several else f"not on {_together(calendar.excluded)}")
    if calendar.holidays:
        said.append(f"not on public holidays of {_together(calendar.holidays)}")
    if said and calendar.otherwise != "skip":
        said.append(f"but on the {calendar.otherwise} day instead")
    return said


def _moment(moment: float) -> str:
    text = (EPOCH + timedelta(seconds=moment)).strftime("%Y-%m-%d %H:%M:%S").removesuffix(":00")
    return f"{text} UTC"


def _together(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


__all__ = ["describe"]
