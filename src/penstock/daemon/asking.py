"""Sensors and watches: asked again and again, and what they find becomes firings, recorded together with their cursor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from penstock.daemon.alarms import Alarms
from penstock.daemon.firings import Firings
from penstock.daemon.inquiries import Answer, Inquirer, Inquiry
from penstock.daemon.notices import Notice, Tell, tell_printed
from penstock.daemon.roster import Roster, Watched
from penstock.model.firing import Advance, Firing, Standing
from penstock.model.trigger import Cause, ClockSource, ListenerSource, SensorSource, WatchSource
from penstock.ports import Clock
from penstock.ports.agenda import Agenda
from penstock.runtime.surroundings.leases import INTERVAL
from penstock.runtime.surroundings.processes import has_ended
from penstock.triggers.conditions import document

#: what the ids of its questions begin with
PREFIX = "sensor "
#: seconds beyond its time that are given to an answer before somebody else asks
_SLACK = 15.0
#: seconds that a look of a watch may take, and between two looks that failed, at most
_LOOK, _LONGEST = 120.0, 600.0
#: seconds after which it is told again of what still fails in the same way
_REMIND = 3600.0


class Asking:
    """Sees to it that sensors and watches are asked at their times, by one daemon at a time."""

    def __init__(
        self,
        agenda: Agenda,
        roster: Roster,
        firings: Firings,
        inquirer: Inquirer,
        clock: Clock,
        tell: Tell,
        process: str,
    ) -> None:
        self._agenda = agenda
        self._roster = roster
        self._clock = clock
        self._process = process
        self._firings = firings
        self._inquirer = inquirer
        self._tell = tell
        self._alarms = Alarms()
        #: standings as they were when the question was asked, by trigger
        self._open: dict[str, Standing] = {}
        self._answers: list[Answer] = []
        #: those that are to be asked again, since something has happened after they were
        self._woken: set[str] = set()
        #: what was told of those that fail, and when, by trigger
        self._told: dict[str, tuple[str, float]] = {}
        #: those that others ask, and when it is looked next whether they still do, by the monotonic clock
        self._others: set[str] = set()
        self._look_at = 0.0

    @property
    def next_at(self) -> float | None:
        return None if self._inquirer.room() <= 0 else self._alarms.next()

    @property
    def busy(self) -> bool:
        """Whether there are open questions."""
        return bool(self._open)

    def begin(self, names: Iterable[str], now: float) -> None:
        """Watch what is registered, which has changed."""
        self._alarms = Alarms()
        self._others = set()
        for name in names:
            self._set(name, now)

    def give_back(self) -> None:
        """Leave what is asked here to others."""
        now = self._clock.now()
        given = [Advance(standing=msgspec.structs.replace(each, asker="", next_at=now)) for each in self._open.values()]
        self._open.clear()
        if given:
            self._roster.record(given)

    def wake(self, name: str, now: float) -> None:
        """Ask a sensor at once, since something has happened that it looks for. One that fails keeps its time."""
        watched = self._roster.get(name)
        if watched is None or not watched.standing.enabled or watched.standing.failures or name in self._others:
            return
        if name in self._open:
            self._woken.add(name)
        else:
            self._alarms.set(name, now)

    def take(self, answer: Answer) -> None:
        """Take an answer in, for the next step."""
        self._answers.append(answer)
        tell_printed(self._tell, answer.id.removeprefix(PREFIX), answer.printed, self._clock.now())

    def step(self, now: float) -> bool:
        """Record an answer, or ask what is due; one transaction. Whether there was anything to do."""
        if self._answers:
            self._answered(self._answers[0], now)
            # not before it is recorded, in case that fails
            del self._answers[0]
            return True
        self._look_for_left(now)
        due = self._alarms.due(now, min(self._inquirer.room(), 50))
        watched = [each for name in due if (each := self._roster.get(name)) is not None and name not in self._open]
        if watched:
            self._ask(watched, now)
        return bool(due)

    def _set(self, name: str, now: float) -> None:
        """Set the alarm of a trigger by where it stands."""
        watched = self._roster.get(name)
        if watched is None or not isinstance(watched.trigger.source, (SensorSource, WatchSource)):
            return
        moment = watched.standing.next_at or 0.0
        if moment > now + max(_times(watched)) + _timeout(watched) + 2 * _SLACK:
            # the clock by which that was said was ahead
            moment = now
        asker = watched.standing.asker
        (self._others.add if asker and name not in self._open else self._others.discard)(name)
        if name in self._others and (asker == self._process or has_ended(asker)):
            moment = now
        self._alarms.set(name, moment if watched.standing.enabled else None)

    def _look_for_left(self, now: float) -> None:
        """Ask at once what was asked by a daemon that is gone."""
        if self._others and self._clock.monotonic() >= self._look_at:
            self._look_at = self._clock.monotonic() + INTERVAL
            for name in sorted(self._others):
                self._set(name, now)

    def _ask(self, watched: list[Watched], now: float) -> None:
        """Ask, after it is recorded that nobody else need to for a while."""
        advances = [Advance(standing=self._asked(each, now)) for each in watched]
        recorded = {each.standing.trigger for each in self._roster.record(advances)}
        for each in watched:
            if each.name in recorded:
                self._open[each.name] = each.standing
                self._inquirer.ask(_inquiry(each))
            self._set(each.name, now)

    def _asked(self, watched: Watched, now: float) -> Standing:
        """Where a trigger stands while it is asked: should this daemon be gone, somebody else asks, at once where it can be
        seen, and later where it cannot."""
        moment = now + _timeout(watched) + _SLACK
        return msgspec.structs.replace(watched.standing, next_at=moment, looked_at=now, asker=self._process)

    def _answered(self, answer: Answer, now: float) -> None:
        name = answer.id.removeprefix(PREFIX)
        asked, watched = self._open.get(name), self._roster.get(name)
        if asked is None or watched is None:
            self._open.pop(name, None)
            return
        standing, firings = self._outcome(watched, asked, answer, now)
        recorded = self._roster.record([Advance(standing=standing, firings=firings)])
        self._open.pop(name, None)
        self._firings.told(recorded, now)
        if recorded:
            self._tell_of(name, answer, now)
        self._set(name, now)
        if name in self._woken:
            self._woken.remove(name)
            self.wake(name, now)

    def _tell_of(self, name: str, answer: Answer, now: float) -> None:
        """Tell of one that failed; of one that fails again in the same way, once an hour."""
        if not answer.error:
            self._told.pop(name, None)
            return
        text, at = self._told.get(name, ("", 0.0))
        if text != answer.error or abs(now - at) >= _REMIND:
            self._told[name] = answer.error, now
            self._tell(Notice(at=now, what="trouble", text=f"{name} failed: {answer.error}", trigger=name))

    def _outcome(
        self, watched: Watched, asked: Standing, answer: Answer, now: float
    ) -> tuple[Standing, tuple[Firing, ...]]:
        """Where a trigger stands after an answer, and what fires."""
        every, longest = _times(watched)
        if answer.error:
            failures = asked.failures + 1
            pause = min(every * 2**failures, max(longest, every))
            return msgspec.structs.replace(
                asked, next_at=now + pause, looked_at=now, note=answer.error, failures=failures, asker=""
            ), ()
        firings = self._new(tuple(self._found(watched, answer, now)))
        return msgspec.structs.replace(
            asked,
            cursor=answer.cursor if answer.moved else asked.cursor,
            next_at=now + every if answer.again is None else max(now, min(now + every, answer.again)),
            looked_at=now,
            fired_at=now if firings else asked.fired_at,
            note=""
            if firings
            else answer.why
            or ("there was nothing new" if answer.requests or answer.occurrences else "there was nothing"),
            failures=0,
            asker="",
        ), firings

    def _new(self, firings: Sequence[Firing]) -> tuple[Firing, ...]:
        """Those whose keys have not fired before: of the others nothing comes, and nothing is told."""
        if not firings:
            return ()
        known = self._agenda.known_keys(firings[0].trigger, {each.key for each in firings})
        new: dict[str, Firing] = {}
        for each in firings:
            if each.key not in known:
                new.setdefault(each.key, each)
        return tuple(new.values())

    def _found(self, watched: Watched, answer: Answer, now: float) -> Iterable[Firing]:
        trigger = watched.trigger
        for request in answer.requests:
            cause, more = request.cause(trigger.name), request.parameters
            yield self._firings.made(trigger, request.key, cause, now, parameters=more, tags=request.tags)
        for found in answer.occurrences:
            event = {"event": document(found)}
            cause = Cause(trigger=trigger.name, key=found.id, logical_time=found.at, events=event)
            yield self._firings.made(trigger, found.id, cause, now)


def _timeout(watched: Watched) -> float:
    return watched.trigger.source.timeout if isinstance(watched.trigger.source, SensorSource) else _LOOK


def _inquiry(watched: Watched) -> Inquiry:
    source, cursor = watched.trigger.source, _cursor(watched)
    identity = f"{PREFIX}{watched.name}"
    if isinstance(source, SensorSource):
        return Inquiry(
            id=identity,
            kind="sensor",
            target=watched.target,
            function=source.function,
            cursor=cursor,
            timeout=source.timeout,
        )
    assert isinstance(source, WatchSource)
    return Inquiry(id=identity, kind="watch", watch=source, cursor=cursor, timeout=_LOOK)


def _cursor(watched: Watched) -> Any:
    """What a trigger is to go on from. What follows the clock, or looks through events, begins when it was registered, or
    came back."""
    cursor: object = watched.standing.cursor
    if not isinstance(watched.trigger.source, (ClockSource, ListenerSource)) or isinstance(cursor, dict):
        return watched.standing.cursor
    return {"since": max(cursor, watched.since) if isinstance(cursor, (int, float)) else watched.since}


def _times(watched: Watched) -> tuple[float, float]:
    """Seconds between two times, and at most where they fail."""
    source = watched.trigger.source
    if isinstance(source, SensorSource):
        return source.every, source.longest
    assert isinstance(source, WatchSource)
    return source.every, _LONGEST


__all__ = ["PREFIX", "Asking"]
