"""Times as people type them, and as they read them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from penstock.errors import ParameterError
from penstock.observe.measures import duration


def moment_of(text: str, option: str) -> float:
    """Seconds since the epoch, from an ISO 8601 text; without an offset, it is in UTC. Raises ParameterError."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ParameterError(
            f"{option} takes a time, not {text!r}",
            remedy="Write such as 2026-11-21, 2026-11-21T02:00 (in UTC), or 2026-11-21T02:00+01:00.",
        ) from None
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


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
