"""Timetables: their ticks, one by one, and which of those that were missed are made up for. Nothing here knows the time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from functools import lru_cache
from itertools import islice, takewhile
from typing import Final, Literal

from penstock.errors import DefinitionError
from penstock.model.schedule import Calendar, Schedule, Tick, Timetable
from penstock.triggers.calendars import just_before, narrowed
from penstock.triggers.moments import Moments, moments_of
from penstock.triggers.zones import EARLIEST, EPOCH, LATEST

#: seconds by which a tick may be late and still count as one that was not missed: for a daemon that is busy, or taken over by
#: another one
GRACE: Final = 10.0
#: how many ticks are made up for at one time
MOST: Final = 1000


def ticks(timetable: Timetable, name: str, after: float, until: float | None = None) -> Iterator[Tick]:
    """The ticks of the trigger `name` that are due by the schedule after a moment, up to another one and with it (None: as
    long as there are any), worked out as they are asked for. Raises DefinitionError as `check_timetable` does.

    They come in the order of `at`; by their jitter they may be carried out (`due`) in another one.
    """
    moments = _moments(timetable.schedule, timetable.calendar)
    last = math.inf if until is None else until
    end = math.inf if timetable.end is None else timetable.end
    if timetable.start is not None:
        after = max(after, just_before(timetable.start))
    previous: float | None = None
    after = min(max(after, EARLIEST), LATEST)
    for at in takewhile(lambda at: at <= last and at < end, moments.after(after)):
        if previous is None:
            previous = next(moments.before(at), at)
        yield _tick(timetable, name, at, previous)
        previous = at


def next_tick(timetable: Timetable, name: str, after: float) -> Tick | None:
    """The first tick after a moment; None if there is none any more."""
    return next(ticks(timetable, name, after), None)


def last_tick(timetable: Timetable, name: str, before: float) -> Tick | None:
    """The last tick before a moment; None if there was none."""
    return next(ticks_back(timetable, name, before), None)


def ticks_back(timetable: Timetable, name: str, before: float) -> Iterator[Tick]:
    """The ticks that are due before a moment, from the last on."""
    moments = _moments(timetable.schedule, timetable.calendar)
    if timetable.end is not None:
        before = min(before, timetable.end)
    start = -math.inf if timetable.start is None else timetable.start
    backwards = moments.before(min(max(before, EARLIEST), LATEST))
    at = next(backwards, None)
    while at is not None and at >= start:
        previous = next(backwards, None)
        yield _tick(timetable, name, at, at if previous is None else previous)
        at = previous


def missed(
    timetable: Timetable,
    name: str,
    cursor: float,
    now: float,
    mode: Literal["all", "latest", "none"],
    *,
    grace: float = GRACE,
    most: int = MOST,
) -> tuple[list[Tick], float]:
    """Which ticks are to fire now, of those after the cursor, and the cursor from then on, which is a tick that was dealt
    with. However long nobody was there, this takes no longer than `most` ticks.

    A tick that is at most `grace` seconds old was not missed, and always fires. Of the older ones fire, by the mode: all,
    the earliest `most` of them at one time, so that the cursor may have to be moved on several times; the latest, if none
    fires that was not missed; or none. Ticks are told by when they are due by the schedule: what has a jitter may be given
    before its `due`.
    """
    if mode == "all":
        found = list(islice(ticks(timetable, name, cursor, now), most))
        return found, found[-1].at if found else cursor
    newest = last_tick(timetable, name, math.nextafter(now, math.inf))
    if newest is None or newest.at <= cursor:
        return [], cursor
    fresh = list(ticks(timetable, name, max(cursor, just_before(now - grace)), now))
    if not fresh and mode == "latest":
        fresh = [newest]
    return fresh, newest.at


def tick_key(at: float) -> str:
    """What tells a tick from the others of its trigger: the time that it is due, as ISO 8601 in UTC."""
    return (EPOCH + timedelta(seconds=at)).isoformat().replace("+00:00", "Z")


def check_timetable(timetable: Timetable, where: str | None = None) -> None:
    """Raises DefinitionError, naming the place it was written at, for a timetable that cannot be understood, or by which
    nothing is ever due."""
    try:
        _check(timetable)
    except DefinitionError as error:
        raise DefinitionError(error.what, where=where, remedy=error.remedy) from None


def _check(timetable: Timetable) -> None:
    moments = _moments(timetable.schedule, timetable.calendar)
    start, end = timetable.start, timetable.end
    if not 0 <= timetable.jitter < math.inf:
        raise DefinitionError(
            f"a jitter of {timetable.jitter:g} seconds is none", remedy="It is a number of seconds from 0 up."
        )
    if start is not None and end is not None and end <= start:
        raise DefinitionError("the schedule ends before it starts", remedy="Let its end be later than its start.")
    # with a calendar, years are looked through, so begin where the holidays of countries are known
    early = EARLIEST if timetable.calendar is None else 0.0
    first = next(moments.after(early if start is None else just_before(start)), None)
    if first is None or (end is not None and first >= end):
        raise DefinitionError(
            "the schedule is never due",
            remedy="Look at its start and its end, and at the days that its calendar leaves.",
        )


@lru_cache(maxsize=16384)
def _moments(schedule: Schedule, calendar: Calendar | None) -> Moments:
    moments = moments_of(schedule)
    return moments if calendar is None else narrowed(moments, calendar)


def _tick(timetable: Timetable, name: str, at: float, previous: float) -> Tick:
    due = at + _jitter(name, at, timetable.jitter) if timetable.jitter else at
    return Tick(at, due, at if timetable.logical == "tick" else previous, (previous, at))


def _jitter(name: str, at: float, most: float) -> float:
    """By how much a tick is late: from 0 up to the most, the same each time one asks."""
    from blake3 import blake3

    digest = blake3(f"{name}\0{tick_key(at)}".encode()).digest()
    return most * (int.from_bytes(digest[:6], "big") / 2**48)


__all__ = ["GRACE", "MOST", "check_timetable", "last_tick", "missed", "next_tick", "tick_key", "ticks", "ticks_back"]
