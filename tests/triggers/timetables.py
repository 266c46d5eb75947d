"""What the tests of schedules share: moments as people write them."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

from penstock.model.schedule import Cron, Recurrence, Schedule, Timetable
from penstock.triggers import ticks


def at(text: str, zone: str = "UTC") -> float:
    """The moment of a local time; `+` behind it for the second time that it comes."""
    return datetime.fromisoformat(text.rstrip("+")).replace(tzinfo=ZoneInfo(zone), fold=int("+" in text)).timestamp()


def said(moment: float, zone: str = "UTC") -> str:
    """The local time of a moment, with its distance from UTC: `03-29 03:00 +0200`."""
    there = datetime.fromtimestamp(moment, ZoneInfo(zone))
    return there.strftime("%m-%d %H:%M:%S %z" if there.second else "%m-%d %H:%M %z")


def due(schedule: Schedule | Timetable, after: str, count: int, zone: str | None = None) -> list[str]:
    """The next local times that something is due."""
    timetable = schedule if isinstance(schedule, Timetable) else Timetable(schedule)
    zone = zone or zone_of(timetable.schedule)
    found = islice(ticks(timetable, "nightly", at(after, zone)), count)
    return [said(tick.at, zone) for tick in found]


def zone_of(schedule: Schedule) -> str:
    return schedule.zone if isinstance(schedule, (Cron, Recurrence)) else "UTC"
