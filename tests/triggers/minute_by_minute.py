"""The rule of schedules, said once more in the plainest way: go through a zone's time minute by minute and look at the clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)


def due(expression: str, zone: str, start: float, end: float) -> list[float]:
    """When a cron expression of five plain fields (`*`, `*/n`, numbers, lists, ranges) is due from a moment up to another."""
    fields = [_values(text, low, high) for text, (low, high) in zip(expression.split(), RANGES, strict=True)]
    texts = expression.split()
    both_days = texts[2].startswith("*") or texts[4].startswith("*")
    every_hour = len(fields[1]) == 24
    at_intervals = every_hour or texts[0].startswith("*") or texts[1].startswith("*")

    def matches(wall: datetime) -> bool:
        minute, hour, day, month, weekday = fields
        if wall.minute not in minute or wall.hour not in hour or wall.month not in month:
            return False
        by_day, by_weekday = wall.day in day, wall.isoweekday() % 7 in {each % 7 for each in weekday}
        return (by_day and by_weekday) if both_days else (by_day or by_weekday)

    return list(_walk(matches, zone, start, end, skipped=not every_hour, twice=at_intervals))


def _walk(matches, zone: str, start: float, end: float, *, skipped: bool, twice: bool) -> Iterator[float]:
    there = datetime.fromtimestamp(start, UTC).replace(second=0, microsecond=0) - timedelta(days=2)
    shown = _wall(there, zone)
    while there.timestamp() < end:
        there += MINUTE
        wall = _wall(there, zone)
        gap = _minutes(shown + MINUTE, wall) if wall > shown + MINUTE else []
        is_due = (matches(wall) and (twice or wall > shown)) or (skipped and any(matches(each) for each in gap))
        if is_due and start <= there.timestamp() < end:
            yield there.timestamp()
        shown = max(shown, wall)


def _wall(there: datetime, zone: str) -> datetime:
    return there.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def _minutes(start: datetime, end: datetime) -> list[datetime]:
    return [start + count * MINUTE for count in range(int((end - start) / MINUTE))]


RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def _values(text: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        body, _, step = part.partition("/")
        first, _, last = (f"{low}-{high}" if body == "*" else body).partition("-")
        found.update(range(int(first), int(last or first) + 1, int(step or 1)))
    return found
