"""Triggers switched off and on by people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from msgspec import convert
from msgspec.structs import replace

from penstock.model.firing import Advance, Standing
from penstock.model.schedule import Timetable
from penstock.model.trigger import ClockSource, ListenerSource, Trigger
from penstock.ports.agenda import Agenda

#: how often a standing is read again that a daemon changes at the same time
_TIMES = 20


def switch(agenda: Agenda, names: Sequence[str], now: float, *, enabled: bool) -> list[Standing]:
    """Switch triggers off or on. A schedule that is switched on counts from now: what was due before is not made up for,
    whether there was a daemon meanwhile or not. Raises NotFoundError."""
    if enabled:
        for name in names:
            source = convert(agenda.definition("trigger", name).document, Trigger).source
            if isinstance(source, (Timetable, ClockSource, ListenerSource)):
                _count_from(agenda, name, source, now)
    return [agenda.switch(name, enabled=enabled) for name in names]


def _count_from(agenda: Agenda, name: str, source: Timetable | ClockSource | ListenerSource, now: float) -> None:
    """Let a trigger that is switched off have been seen to up to a moment."""
    for _ in range(_TIMES):
        standing = next(iter(agenda.standings([name])), None)
        if standing is None or standing.enabled:
            return
        if agenda.advance([Advance(standing=replace(standing, cursor=_cursor(source, standing.cursor, now)))]) == [
            True
        ]:
            return


def _cursor(source: Timetable | ClockSource | ListenerSource, cursor: Any, now: float) -> Any:
    """The cursor of a trigger for which nothing is due up to a moment."""
    if isinstance(source, (ClockSource, ListenerSource)):
        known = cast("dict[str, Any]", cursor) if isinstance(cursor, dict) else {}
        return {**known, "since": now}
    return max(cursor, now) if isinstance(cursor, (int, float)) else now


__all__ = ["switch"]
