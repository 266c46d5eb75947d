"""Timetables: ticks that are due become firings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import msgspec

from penstock.daemon.alarms import Alarms
from penstock.daemon.firings import Firings
from penstock.daemon.notices import Notice, Tell
from penstock.daemon.roster import Roster, Watched
from penstock.model.firing import Advance, Firing
from penstock.model.schedule import Cron, Recurrence, Schedule, Tick, Timetable, Together
from penstock.model.trigger import Cause
from penstock.triggers.timetables import GRACE, missed, tick_key, ticks

#: triggers that are moved on in one transaction
_TOGETHER = 500


class _Upcoming(msgspec.Struct):
    """The next ticks of a trigger."""

    #: those after `coming`
    more: Iterator[Tick]
    #: the next one, and once there was time to find it, the one after
    coming: list[Tick]
    #: the firing of the first of them, once there was time to make it; it gets its run when it is due
    draft: Firing | None = None

    def peek(self, count: int) -> None:
        """Find the next ones, so many of them."""
        self.coming.extend(islice(self.more, max(0, count - len(self.coming))))


class Ticking:
    """Sees to it that every tick becomes one firing, as far as the trigger's limits want it made up for."""

    def __init__(self, roster: Roster, firings: Firings, tell: Tell) -> None:
        self._roster = roster
        self._firings = firings
        self._tell = tell
        self._alarms = Alarms()
        #: whose tick after the next is not known yet
        self._unpeeked: list[str] = []

    @property
    def next_at(self) -> float | None:
        return self._alarms.next()

    def begin(self, names: Iterable[str], now: float) -> None:
        """Watch what is registered, which has changed."""
        self._alarms = Alarms()
        self._unpeeked = []
        self._look_ahead(names)

    def step(self, now: float) -> bool:
        """Move on what is due, in one transaction. Whether there was anything to do."""
        names = self._alarms.due(now, _TOGETHER)
        if not names:
            # there is time for what would make the next ticks late
            unpeeked, self._unpeeked = self._unpeeked[:_TOGETHER], self._unpeeked[_TOGETHER:]
            self._peek(unpeeked)
            return bool(unpeeked)
        watched = [each for name in names if (each := self._roster.get(name)) is not None]
        advances = [self._advance(each, now) for each in watched]
        recorded = self._roster.record([each for each in advances if each is not None])
        self._firings.told(recorded, now)
        self._look_ahead(names)
        return True

    def _look_ahead(self, names: Iterable[str]) -> None:
        """Find out when triggers are due next."""
        for name in names:
            watched = self._roster.get(name)
            if watched is None or not isinstance(watched.trigger.source, Timetable):
                continue
            try:
                upcoming = _upcoming(watched)
            except Exception as error:  # one trigger that cannot be understood is not to stop the others
                self._cannot(watched, error)
                continue
            self._alarms.set(name, upcoming.coming[0].at if upcoming.coming else None)
            if len(upcoming.coming) == 1:
                self._unpeeked.append(name)

    def _cannot(self, watched: Watched, error: Exception) -> None:
        self._alarms.set(watched.name, None)
        text = f"{watched.name}: its next time cannot be told: {error}"
        self._tell(Notice(at=0.0, what="trouble", text=text, trigger=watched.name))

    def _peek(self, names: Iterable[str]) -> None:
        for name in names:
            watched = self._roster.get(name)
            if watched is not None and isinstance(watched.kept, _Upcoming):
                watched.kept.peek(2)
                if watched.kept.coming:
                    watched.kept.draft = self._firing(watched, watched.kept.coming[0], 0.0)

    def _advance(self, watched: Watched, now: float) -> Advance | None:
        """What becomes of a trigger whose next tick is due."""
        upcoming = _upcoming(watched)
        first = upcoming.coming[0]
        fired: Sequence[Tick]
        draft: Firing | None = None
        if first.at >= now - GRACE:
            fired, last = (first,), first.at
            del upcoming.coming[0]
            upcoming.peek(1)
            draft, upcoming.draft = upcoming.draft, None
        else:
            timetable, start = _timetable(watched), _start(watched)
            fired, last = missed(timetable, watched.name, start, now, watched.trigger.limits.missed)
            upcoming = watched.kept = None
        off = not watched.standing.enabled
        if draft is not None:
            firings = (self._firings.begun(draft, now),)
        else:
            firings = tuple(self._firing(watched, tick, now) for tick in fired)
        firings = () if off else firings
        standing = msgspec.structs.replace(
            watched.standing,
            cursor=last,
            looked_at=now,
            fired_at=now if firings else watched.standing.fired_at,
            next_at=upcoming.coming[0].at if upcoming and upcoming.coming else None,
            note=_note(fired, off=off),
            failures=0,
        )
        return Advance(standing=standing, firings=firings)

    def _firing(self, watched: Watched, tick: Tick, now: float) -> Firing:
        key = tick_key(tick.at)
        cause = Cause(
            trigger=watched.name,
            key=key,
            logical_time=tick.logical_time,
            interval=tick.interval,
            zone=_zone(_timetable(watched).schedule),
        )
        return self._firings.made(watched.trigger, key, cause, now, due=tick.due)


def _note(fired: Sequence[Tick], *, off: bool) -> str:
    if off:
        return "it is switched off"
    return "" if fired else "what was missed is not made up for"


def _timetable(watched: Watched) -> Timetable:
    assert isinstance(watched.trigger.source, Timetable)
    return watched.trigger.source


def _start(watched: Watched) -> float:
    """The moment after which ticks are due that have not fired."""
    cursor = watched.standing.cursor
    return max(watched.since, cursor) if isinstance(cursor, (int, float)) else watched.since


def _upcoming(watched: Watched) -> _Upcoming:
    if not isinstance(watched.kept, _Upcoming):
        watched.kept = _Upcoming(ticks(_timetable(watched), watched.name, _start(watched)), [])
    watched.kept.peek(1)
    return watched.kept


def _zone(schedule: Schedule) -> str:
    """The zone of a schedule; of several together, that of the first that has one."""
    match schedule:
        case Cron() | Recurrence():
            return schedule.zone
        case Together():
            return next((zone for each in schedule.schedules if (zone := _zone(each)) != "UTC"), "UTC")
        case _:
            return "UTC"


__all__ = ["Ticking"]
