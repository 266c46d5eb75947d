"""What fires, and when: pure, without a clock, a store or a network. Every moment is an argument.

Of schedules: `ticks`, `next_tick`, `last_tick`, `ticks_back`, `missed` (with its `GRACE`), `tick_key`, `check_timetable` and
`describe`.
"""

from __future__ import annotations

from penstock.triggers.describing import describe
from penstock.triggers.timetables import (
    GRACE,
    check_timetable,
    last_tick,
    missed,
    next_tick,
    tick_key,
    ticks,
    ticks_back,
)

__all__ = [
    "GRACE",
    "check_timetable",
    "describe",
    "last_tick",
    "missed",
    "next_tick",
    "tick_key",
    "ticks",
    "ticks_back",
]
