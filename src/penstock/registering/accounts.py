"""Where triggers stand, as data and in words: when they last fired, when they will, and why they do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, cast

import msgspec

from penstock.errors import NotFoundError, PenstockError, StoreError
from penstock.model.amounts import span
from penstock.model.firing import Firing, FiringState, Standing
from penstock.model.occurrence import Condition
from penstock.model.registration import Definition
from penstock.model.run import RunState, timestamp
from penstock.model.schedule import Cron, Recurrence, Schedule, Timetable, Together
from penstock.model.trigger import (
    ClockSource,
    EventSource,
    ListenerSource,
    SensorSource,
    Source,
    Trigger,
    WatchSource,
)
from penstock.observe.measures import counted, duration
from penstock.ports import Store
from penstock.runtime.reading.causes import cause_document
from penstock.triggers import conditions, describe, next_tick

#: seconds after which something that was due shows that nobody is there to see to it
_PATIENCE = 60.0
#: events that are looked through for one that nobody has seen to
_EVENTS = 1000

_KINDS = {
    Timetable: "schedule",
    EventSource: "events",
    SensorSource: "sensor",
    ClockSource: "timetable",
    ListenerSource: "events",
    WatchSource: "watch",
}


def trigger_of(definition: Definition) -> Trigger:
    """The trigger that was registered. Raises StoreError for one that this version cannot read."""
    try:
        return msgspec.convert(definition.document, Trigger)
    except msgspec.ValidationError as error:
        raise StoreError(
            f"the trigger {definition.name} cannot be read as it was registered: {error}",
            remedy=f"Register it again: penstock register {definition.origin}",
        ) from None


def source_words(trigger: Trigger) -> str:
    """When a trigger fires, in one line."""
    match trigger.source:
        case Timetable():
            return describe(trigger.source)
        case EventSource(condition):
            return conditions.waiting_for(condition, conditions.begin(condition))
        case ClockSource():
            return f"when {trigger.source.function} says"
        case ListenerSource(patterns=patterns):
            told = [conditions.waiting_for(each, conditions.begin(each)) for each in patterns]
            return f"what comes of {' and '.join(told)}"
        case SensorSource():
            return f"{trigger.source.function}(), asked every {span(trigger.source.every)}"
        case WatchSource():
            what = "" if trigger.source.kind == "files" else f"{trigger.source.kind} in "
            return f"{what}{trigger.source.place}, looked at every {span(trigger.source.every)}"


def zone_of(schedule: Schedule) -> str:
    """The zone of a schedule; of several together, that of the first that has one."""
    match schedule:
        case Cron() | Recurrence():
            return schedule.zone
        case Together():
            return next((zone for each in schedule.schedules if (zone := zone_of(each)) != "UTC"), "UTC")
        case _:
            return "UTC"


def zone_of_source(source: Source) -> str:
    """The zone of what a trigger waits for; UTC for what has none."""
    if isinstance(source, ClockSource):
        return source.zone
    return zone_of(source.schedule) if isinstance(source, Timetable) else "UTC"


class Accounts:
    """Tells of triggers, as they are recorded at one moment."""

    def __init__(self, store: Store, now: float) -> None:
        self._store = store
        self._agenda = store.agenda
        self._now = now
        self._standings = {each.trigger: each for each in self._agenda.standings()}

    def standing(self, trigger: Trigger) -> Standing:
        """Where a trigger stands."""
        return self._standings.get(trigger.name) or Standing(trigger=trigger.name, enabled=trigger.enabled)

    def brief(self, definition: Definition) -> dict[str, Any]:
        """A trigger in short, as JSON-able data. Raises StoreError for one that cannot be read."""
        trigger = trigger_of(definition)
        standing = self.standing(trigger)
        fired = standing.fired_at is not None
        last = next(iter(self._agenda.firings(trigger=trigger.name, limit=1)), None) if fired else None
        return {
            "name": trigger.name,
            "kind": _KINDS[type(trigger.source)],
            "when": source_words(trigger),
            "pipeline": trigger.pipeline,
            "assets": trigger.assets,
            "enabled": standing.enabled,
            "zone": zone_of_source(trigger.source),
            "fired_at": _at(standing.fired_at),
            "last": None if last is None else self.firing(last),
            "next_at": _at(self._next(trigger, standing)),
            "note": standing.note,
            "failures": standing.failures,
            "version": definition.version,
        }

    def full(self, definition: Definition, most: int) -> dict[str, Any]:
        """All there is to tell of a trigger, with its last firings: `reasons` says why it does not fire now, or what it waits
        for."""
        trigger = trigger_of(definition)
        standing = self.standing(trigger)
        queued = self._agenda.firings(trigger=trigger.name, states=[FiringState.QUEUED], limit=most)
        return {
            **self.brief(definition),
            "description": trigger.description,
            "parameters": trigger.parameters,
            "limits": msgspec.to_builtins(trigger.limits),
            "condition": trigger.condition,
            "priority": trigger.priority,
            "tags": list(trigger.tags),
            "target": definition.target,
            "location": str(trigger.location) if trigger.location else "",
            "registered_at": _at(definition.registered_at),
            "looked_at": _at(standing.looked_at),
            "reasons": list(self._reasons(definition, trigger, standing, queued)),
            "runs": self._agenda.progress(trigger.name)._asdict(),
            "under_way": self._agenda.under_way([trigger.name]).get(trigger.name, []),
            "firings": [self.firing(each) for each in self._agenda.firings(trigger=trigger.name, limit=most)],
        }

    def firing(self, firing: Firing) -> dict[str, Any]:
        """A firing as JSON-able data. `state` is that of its run where it has one, and then `run_state` as well, which is null
        otherwise."""
        run_state = self._run_state(firing)
        return {
            "run_id": firing.run_id,
            "trigger": firing.trigger,
            "key": firing.key,
            "state": run_state or firing.state.value,
            "run_state": run_state,
            "reason": firing.reason,
            "pipeline": firing.pipeline,
            "assets": firing.assets,
            "parameters": firing.parameters,
            "cause": cause_document(firing.cause),
            "priority": firing.priority,
            "tags": list(firing.tags),
            "created_at": timestamp(firing.created_at),
            "due": timestamp(firing.due) if firing.due else None,
            "started_at": _at(firing.started_at),
            "tries": firing.tries,
        }

    def firings(self, trigger: str | None, states: Sequence[str], most: int) -> list[dict[str, Any]]:
        """Firings of a trigger, or of all, as `firing` gives them, the latest first; only those in one of these states, if any
        are given: those of firings, and of their runs."""
        own = [each for each in FiringState if each.value in states]
        if states and any(each in states for each in RunState):
            own.append(FiringState.STARTED)
        narrowed = FiringState.STARTED in own and FiringState.STARTED.value not in states
        found = self._agenda.firings(trigger=trigger, states=own, limit=None if narrowed else most)
        told = (self.firing(each) for each in found)
        return list(islice((each for each in told if not narrowed or each["state"] in states), most))

    def _run_state(self, firing: Firing) -> str | None:
        if firing.state is not FiringState.STARTED:
            return None
        try:
            return self._store.find(firing.run_id).state.value
        except NotFoundError:
            return None

    def _next(self, trigger: Trigger, standing: Standing) -> float | None:
        """When it is due, or looked at, the next time; None if that depends on what happens, and where it is switched off."""
        if not standing.enabled:
            return None
        if isinstance(trigger.source, Timetable):
            try:
                tick = next_tick(trigger.source, trigger.name, self._now)
            except PenstockError:
                return None
            return None if tick is None else tick.due
        if isinstance(trigger.source, ClockSource) and isinstance(standing.cursor, dict):
            known = cast("dict[str, Any]", standing.cursor)
            return known.get("next_at", standing.next_at)
        return standing.next_at

    # Why it does not fire.

    def _reasons(
        self, definition: Definition, trigger: Trigger, standing: Standing, queued: Sequence[Firing]
    ) -> Iterator[str]:
        if definition.retired:
            yield "it is retired: its file no longer has it"
            return
        if not standing.enabled:
            yield f"it is switched off: penstock triggers enable {trigger.name}"
        if standing.asker:
            yield "it is being asked now"
        if standing.failures:
            yield f"it failed {counted(standing.failures, 'time')} in a row: {standing.note}"
        elif standing.note:
            yield f"the last time it was looked at: {standing.note}"
        since = self._unseen(definition, trigger, standing) if standing.enabled else None
        if since is not None:
            ago = duration(self._now - since)
            yield f"what was due {ago} ago was not seen to: no daemon seems to run here; start one: penstock up"
        yield from self._waiting(trigger, queued, known=since is not None)
        if isinstance(trigger.source, EventSource):
            state = _seen(standing) or conditions.begin(trigger.source.condition)
            yield f"it waits for {conditions.waiting_for(trigger.source.condition, state)}"
        elif isinstance(trigger.source, Timetable) and self._next(trigger, standing) is None and standing.enabled:
            yield "its schedule has no time any more"

    def _waiting(self, trigger: Trigger, queued: Sequence[Firing], *, known: bool) -> Iterator[str]:
        """What holds back its firings that are queued."""
        if not queued:
            return
        first = queued[0]
        how_many = counted(len(queued), "firing waits", "firings wait")
        if first.reason:
            yield f"{how_many}: {first.reason}"
        elif (due := min(each.due for each in queued)) > self._now:
            yield f"{how_many} for their time, {duration(due - self._now)} from now"
        elif self._now - first.created_at > _PATIENCE and not known:
            yield f"{how_many} in the queue, and no daemon seems to run here; start one: penstock up"
        else:
            yield f"{how_many} in the queue"
        under_way = self._agenda.under_way([trigger.name]).get(trigger.name, [])
        for run_id in under_way if trigger.limits.at_most is not None else ():
            yield f"run {run_id} of it is under way"
        if trigger.limits.after_success and (last := self._last_run(trigger)) is not None:
            yield f"the run before, {last}, has not succeeded: penstock resume {last}, or penstock retry {last}"

    def _last_run(self, trigger: Trigger) -> str | None:
        """The run that the next one waits for, if it has ended without success."""
        for firing in self._agenda.firings(trigger=trigger.name, states=[FiringState.STARTED], limit=1):
            if self._run_state(firing) in (RunState.FAILED, RunState.CANCELLED):
                return firing.run_id
        return None

    def _unseen(self, definition: Definition, trigger: Trigger, standing: Standing) -> float | None:
        """When something was due that nobody has seen to; None if nothing was."""
        late = self._now - _PATIENCE
        match trigger.source:
            case Timetable():
                cursor = standing.cursor if isinstance(standing.cursor, (int, float)) else 0.0
                tick = next_tick(trigger.source, trigger.name, max(cursor, definition.registered_at))
                due = None if tick is None else tick.due
            case EventSource(condition):
                state = _seen(standing)
                last = max(0, self._agenda.last_occurrence() - _EVENTS)
                due = self._unheard(condition, last if state is None else state["seen"], definition.registered_at)
            case SensorSource() | WatchSource():
                due = standing.next_at if standing.looked_at is not None else definition.registered_at
        return due if due is not None and due < late else None

    def _unheard(self, condition: Condition, seen: int, since: float) -> float | None:
        """When an event happened that concerns a trigger, and that it has not seen."""
        known = list(conditions.patterns(condition))
        for _, event in self._agenda.occurrences(seen, _EVENTS):
            if event.at >= since and any(conditions.meets(each, event) for each in known):
                return event.at
        return None


def _seen(standing: Standing) -> dict[str, Any] | None:
    """The state of the condition of a trigger that follows events; None where nobody has looked yet."""
    return cast("dict[str, Any]", standing.cursor) if isinstance(standing.cursor, dict) else None


def _at(seconds: float | None) -> str | None:
    return None if seconds is None else timestamp(seconds)


__all__ = ["Accounts", "source_words", "trigger_of", "zone_of", "zone_of_source"]
