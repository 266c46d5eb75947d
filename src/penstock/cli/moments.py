"""Times as people type them, and as they read them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from penstock.observe.measures import duration


def moment_of(text: str, option: str) -> float:
    """Seconds since the epoch, from an ISO 8601 text; without an offset, it is in UTC. Raises ParameterError."""
    from penstock.registering.backfill_times import moment

    return moment(text, "UTC", option)


def shown(seconds: float | None, zone: str = "UTC") -> str:
    """`2026-11-21 02:00:00 CET`, with the seconds only where there are some; empty for none."""
    if seconds is None:
        return ""
    found = datetime.fromtimestamp(seconds, ZoneInfo(zone))
    clock = "%H:%M" if not found.second and not found.microsecond else "%H:%M:%S"
    return f"{found:%Y-%m-%d {clock} %Z}"


def away(seconds: float, now: float) -> str:
    """How far a time is from now: `in 3 min 02 s`, `42 s ago`, `now` within a second."""
    if abs(seconds - now) < 1:
        return "now"
    return f"in {duration(seconds - now)}" if seconds > now else f"{duration(now - seconds)} ago"


__all__ = ["away", "moment_of", "shown"]
