"""Whether the latest version of an asset is old, by the rule that it has for that."""

from __future__ import annotations

from penstock.model.amounts import span
from penstock.model.asset import Freshness
from penstock.triggers.timetables import last_tick


def late_since(rule: Freshness, made_at: float | None, now: float) -> float | None:
    """Since when it is late that nothing newer was made, in seconds since the epoch; None where it is not late. What was
    never made is late from the beginning."""
    if made_at is None:
        return 0.0
    if rule.timetable is None:
        due = made_at + rule.within
        return due if due < now else None
    # by the last tick of which the grace is over, there is to be a version that was made after it
    tick = last_tick(rule.timetable, "", now - rule.within)
    return None if tick is None or made_at >= tick.at else tick.at + rule.within


def told(rule: Freshness) -> str:
    """The rule in words."""
    if rule.timetable is None:
        return f"no older than {span(rule.within)}"
    return f"made within {span(rule.within)} of each tick of its schedule"


__all__ = ["late_since", "told"]
