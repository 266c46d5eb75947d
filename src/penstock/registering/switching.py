"""Triggers switched off and on by people."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import convert
from msgspec.structs import replace

from penstock.model.firing import Advance, Standing
from penstock.model.schedule import Timetable
from penstock.model.trigger import Trigger
from penstock.ports.agenda import Agenda

#: how often a standing is read again that a daemon changes at the same time
_TIMES = 20


def switch(agenda: Agenda, names: Sequence[str], now: float, *, enabled: bool) -> list[Standing]:
    """Switch triggers off or on. A schedule that is switched on counts from now: what was due before is not made up for,
    whether there was a daemon meanwhile or not. Raises NotFoundError."""
    if enabled:
        for name in names:
            document = agenda.definition("trigger", name).document
            if isinstance(convert(document, Trigger).source, Timetable):
                _count_from(agenda, name, now)
    return [agenda.switch(name, enabled=enabled) for name in names]


def _count_from(agenda: Agenda, name: str, now: float) -> None:
    """Let a trigger that is switched off have been seen to up to a moment."""
    for _ in range(_TIMES):
        standing = next(iter(agenda.standings([name])), None)
        if standing is None or standing.enabled:
            return
        known = standing.cursor if isinstance(standing.cursor, (int, float)) else now
        if agenda.advance([Advance(standing=replace(standing, cursor=max(known, now)))]) == [True]:
            return


__all__ = ["switch"]
