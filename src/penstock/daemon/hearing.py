"""Events: what was recorded since the last time is held against the conditions that triggers wait for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, cast

import msgspec

from penstock.daemon.alarms import Alarms
from penstock.daemon.firings import Firings
from penstock.daemon.notices import Tell
from penstock.daemon.roster import Roster, Watched
from penstock.model.firing import Advance, Firing
from penstock.model.occurrence import Condition, Occurrence, Pattern
from penstock.model.trigger import Cause, EventSource, ListenerSource
from penstock.ports.agenda import Agenda
from penstock.triggers import conditions
from penstock.triggers.conditions import Step

#: events that are read at once, and triggers that are moved on in one transaction
_PAGE, _TOGETHER = 500, 500
#: events that a standing may be behind, at most, though none of them concerned it
_BEHIND: Final = 1000
#: how many events before the last one are looked through for the first that a new trigger has to see
_BACK = (10, 100, 1000, 10_000, 100_000)
#: seconds for which events are kept: as long, one that comes again is known; and seconds between two times that old ones are
#: dropped
KEPT: Final = 30 * 86400.0
_FORGET = 3600.0
_WILD = frozenset("*?[")


class Hearing:
    """Sees to it that every event is held against every condition once, in the order in which they were recorded."""

    def __init__(
        self, agenda: Agenda, roster: Roster, firings: Firings, tell: Tell, wake: Callable[[str, float], None]
    ) -> None:
        self._agenda = agenda
        self._roster = roster
        self._firings = firings
        self._tell = tell
        self._alarms = Alarms()
        #: type of events -> names of the triggers that may have to do with them; those with wild cards under ""
        self._listeners: dict[str, list[str]] = {}
        #: of the sensors that look through events, which `wake` has asked: what they look for, and their names
        self._sensors: list[tuple[Pattern, str]] = []
        self._wake = wake
        #: number of the last event that all have seen
        self._read = 0
        #: number of the last event that all standings say they have seen
        self._flushed = 0
        #: those whose standing is to say what they have seen
        self._to_flush: list[str] = []
        #: when old events were last dropped
        self._forgot = 0.0

    @property
    def next_at(self) -> float | None:
        return self._alarms.next()

    def begin(self, names: Iterable[str], now: float) -> None:
        """Watch what is registered, which has changed."""
        self._alarms = Alarms()
        self._to_flush = []
        listeners: dict[str, list[str]] = defaultdict(list)
        self._sensors = []
        last = self._agenda.last_occurrence()
        self._read = self._flushed = last
        for watched in filter(None, map(self._roster.get, names)):
            if isinstance(watched.trigger.source, ListenerSource):
                self._sensors += [(each, watched.name) for each in watched.trigger.source.patterns]
                # something may have happened while nobody listened
                self._wake(watched.name, now)
            if not isinstance(watched.trigger.source, EventSource):
                continue
            condition = watched.trigger.source.condition
            types = {each.type for each in conditions.patterns(condition)}
            for kind in {"" if _WILD & set(each) else each for each in types}:
                listeners[kind].append(watched.name)
            self._look_back(watched, condition, last)
        self._listeners = dict(listeners)

    def step(self, now: float) -> bool:
        """Take in the next events, or what comes of there being none; one transaction. Whether there was anything to do."""
        if self._to_flush:
            names, self._to_flush = self._to_flush[:_TOGETHER], self._to_flush[_TOGETHER:]
            self._record({name: self._seen(name) for name in names}, now)
            return True
        if self._listeners or self._sensors:
            events = self._agenda.occurrences(self._read, _PAGE)
            if events:
                self._take(events, now)
                return True
        if abs(now - self._forgot) > _FORGET:
            self._forgot = now
            self._forget(now)
            return True
        due = self._alarms.due(now, _TOGETHER)
        self._record({name: _elapsed(watched, now) for name in due if (watched := self._roster.get(name))}, now)
        return bool(due)

    def _forget(self, now: float) -> None:
        """Drop old events that all triggers have seen, as is recorded."""
        waiting = [each for each in self._roster if isinstance(each.trigger.source, EventSource)]
        seen = [_state(each)["seen"] for each in waiting if each.standing.cursor]
        if len(seen) == len(waiting):
            self._agenda.forget_occurrences(now - KEPT, up_to=min(seen, default=self._read))

    def _look_back(self, watched: Watched, condition: Condition, last: int) -> None:
        """See where a trigger has to go on."""
        cursor = watched.standing.cursor
        if isinstance(cursor, dict):
            watched.kept = cursor
        else:
            watched.kept = conditions.begin(condition, self._first(watched.since, last))
            self._to_flush.append(watched.name)
        self._read = min(self._read, watched.kept["seen"])
        self._flushed = self._read
        self._alarms.set(watched.name, conditions.next_at(condition, watched.kept))

    def _first(self, since: float, last: int) -> int:
        """The number of the last event that happened before a trigger was registered, of those that are near it."""
        after = last
        for back in _BACK:
            start = max(0, last - back)
            before = [number for number, event in self._agenda.occurrences(start, back) if event.at < since]
            if before:
                return max(before)
            after = start
            if start == 0:
                break
        return after

    def _take(self, events: Sequence[tuple[int, Occurrence]], now: float) -> None:
        """Hold events against all conditions that they may have to do with."""
        changed: dict[str, Step] = {}
        for number, event in events:
            for name in (*self._listeners.get(event.type, ()), *self._listeners.get("", ())):
                watched = self._roster.get(name)
                if watched is None:
                    continue
                condition = _condition(watched)
                before, matches = changed.get(name, Step(_state(watched), []))
                if not any(conditions.meets(each, event) for each in conditions.patterns(condition)):
                    continue
                state, more = conditions.observe(condition, before, event, number)
                if more or state["held"] != before["held"]:
                    changed[name] = Step(state, [*matches, *more])
            for pattern, name in self._sensors:
                if conditions.meets(pattern, event):
                    self._wake(name, now)
        self._read = events[-1][0]
        self._record(changed, now)
        if self._read - self._flushed > _BEHIND:
            self._flushed = self._read
            self._to_flush = [name for names in self._listeners.values() for name in names]

    def _seen(self, name: str) -> Step:
        """A trigger with what it has seen, none of which concerned it."""
        state = _state(self._roster[name])
        return Step({**state, "seen": max(state["seen"], self._read)}, [])

    def _record(self, changed: dict[str, Step], now: float) -> None:
        """Record what events led to."""
        if not changed:
            return
        recorded = self._roster.record([self._advance(self._roster[name], step, now) for name, step in changed.items()])
        self._firings.told(recorded, now)
        for name in changed:
            watched = self._roster[name]
            state = _state(watched)
            if watched.kept is None:
                # somebody else was quicker, and may have seen less
                self._read = min(self._read, state["seen"])
            watched.kept = state
            self._alarms.set(name, conditions.next_at(_condition(watched), state))

    def _advance(self, watched: Watched, step: Step, now: float) -> Advance:
        firings = tuple(self._fired(watched, step, now)) if watched.standing.enabled else ()
        standing = msgspec.structs.replace(
            watched.standing,
            cursor=step.state,
            looked_at=now,
            fired_at=now if firings else watched.standing.fired_at,
            next_at=conditions.next_at(_condition(watched), step.state),
            note="" if firings else f"waits for {conditions.waiting_for(_condition(watched), step.state)}",
            failures=0,
        )
        return Advance(standing=standing, firings=firings)

    def _fired(self, watched: Watched, step: Step, now: float) -> Iterable[Firing]:
        for match in step.matches:
            cause = Cause(trigger=watched.name, key=match.key, logical_time=match.at, events=match.events)
            yield self._firings.made(watched.trigger, match.key, cause, now)


def _condition(watched: Watched) -> Condition:
    assert isinstance(watched.trigger.source, EventSource)
    return watched.trigger.source.condition


def _state(watched: Watched) -> dict[str, Any]:
    """The state of a trigger's condition, as far as this daemon knows."""
    return cast("dict[str, Any]", watched.standing.cursor or watched.kept)


def _elapsed(watched: Watched, now: float) -> Step:
    return conditions.elapse(_condition(watched), _state(watched), now)


__all__ = ["KEPT", "Hearing"]
