"""What a trigger would start, and with which parameters: found out without recording anything."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import msgspec

from penstock.errors import DefinitionError, PenstockError
from penstock.model.firing import Standing
from penstock.model.occurrence import Condition, Occurrence
from penstock.model.registration import Definition
from penstock.model.schedule import Tick, Timetable
from penstock.model.trigger import Cause, ClockSource, EventSource, SensorSource, Trigger, WatchSource
from penstock.registering.accounts import trigger_of, zone_of
from penstock.registering.loading import load_pipeline
from penstock.triggers import conditions, last_tick, next_tick, tick_key
from penstock.triggers.templates import filled

if TYPE_CHECKING:
    from penstock.ports import Store

#: seconds that a condition may take
_PATIENCE = 60.0


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A run that would be started."""

    key: str
    cause: Cause
    #: those that the trigger or its sensor says, filled in; JSON-able
    parameters: dict[str, Any] = {}
    #: those that a sensor asks for, not filled in
    asked: dict[str, Any] = {}
    tags: tuple[str, ...] = ()
    #: why its condition would not let it start
    refused: str = ""
    #: why no run could be made of it
    fault: str = ""


class Proposals(msgspec.Struct, frozen=True, kw_only=True):
    """What a trigger would start."""

    runs: tuple[Proposal, ...] = ()
    #: why there is none
    why: str = ""
    #: what went wrong while its sensor was asked
    fault: str = ""
    #: what is worth knowing of them
    note: str = ""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a function of the user's has answered. One with a `fault` has nothing else."""

    fault: str = ""
    #: of a sensor: the runs that it asks for
    runs: tuple[Proposal, ...] = ()
    #: of a sensor, why there is none; of a condition, why not to start
    why: str = ""
    #: of a condition: whether to start
    holds: bool = True


class Asker(Protocol):
    """Asks the user's functions, so that nothing that they do does harm here. Both raise nothing that these raise."""

    def sensor(self, target: str, trigger: Trigger, cursor: Any) -> Asked:
        """Ask a sensor, in the time that it may take."""
        ...

    def coming(self, target: str, trigger: Trigger, cursor: Any, after: float, count: int) -> Asked:
        """Ask a sensor that follows the clock for what it will ask for after a moment, in the time that it may take."""
        ...

    def condition(self, target: str, cause: Cause, timeout: float) -> Asked:
        """Ask the condition of a trigger."""
        ...


class Proposer:
    """Asks what a trigger would start. `definition` is that of the trigger, as it is registered."""

    def __init__(self, store: Store, definition: Definition, standing: Standing, asker: Asker) -> None:
        self._store = store
        self._definition = definition
        self._standing = standing
        self._asker = asker
        self._asks = True
        #: whether it is switched on
        self.enabled = standing.enabled
        self.trigger: Trigger = trigger_of(definition)

    def proposals(self, *, at: float | None, events: Sequence[Occurrence], now: float) -> Proposals:
        """What would be started: of a schedule, by its tick at or after a moment (None: now); of events, if these happened; of
        a sensor, which is asked, with its cursor as it is. Raises DefinitionError for what does not fit the trigger."""
        self._check_events(events)
        match self.trigger.source:
            case Timetable():
                tick = _tick_from(self.trigger.source, self.trigger.name, now if at is None else at)
                if tick is None:
                    return Proposals(why="its schedule has no time any more")
                return self._settled([Proposal(key=tick_key(tick.at), cause=self.tick_cause(tick))])
            case EventSource(condition):
                return self._of_events(condition, events)
            case ClockSource():
                return self._of_clock(now if at is None else at)
            case SensorSource():
                return self._of_sensor()
            case WatchSource():
                if not events:
                    raise DefinitionError(
                        f"{self.trigger.name} looks at {self.trigger.source.place}: say what it would find",
                        remedy="""Give it as data: --event '{"data": {"path": "incoming/a.csv"}}'.""",
                    )
                return self._settled([self._found(each) for each in events])

    def tick_cause(self, tick: Tick) -> Cause:
        """The cause of the run of a tick."""
        assert isinstance(self.trigger.source, Timetable)
        return Cause(
            trigger=self.trigger.name,
            key=tick_key(tick.at),
            logical_time=tick.logical_time,
            interval=tick.interval,
            zone=zone_of(self.trigger.source.schedule),
        )

    def by_hand(self, *, at: float | None, events: Sequence[Occurrence], now: float, asking: bool) -> Proposals:
        """What is started by hand: of a schedule, its tick at a moment, or a run for that moment where it has none (None: now);
        of a sensor, what it asks for; of anything else, what the events lead to, or without events a run of its own. Its
        condition is only asked with `asking`."""
        self._asks = asking
        source = self.trigger.source
        if isinstance(source, Timetable):
            self._check_events(events)
            moment = now if at is None else at
            tick, note = next_tick(source, self.trigger.name, moment - 1e-3), ""
            if tick is None or abs(tick.at - moment) > 1e-3:
                before = last_tick(source, self.trigger.name, moment)
                tick = Tick(moment, moment, moment, (moment if before is None else before.at, moment))
                note = "" if at is None else f"{tick_key(moment)} is none of the times of {self.trigger.name}"
            found = self._settled([Proposal(key=tick_key(tick.at), cause=self.tick_cause(tick))])
            return msgspec.structs.replace(found, note=note)
        if events or (isinstance(source, SensorSource) and not isinstance(source, ClockSource)):
            return self.proposals(at=at, events=events, now=now)
        key = f"by hand {tick_key(now)}"
        zone = source.zone if isinstance(source, ClockSource) else "UTC"
        cause = Cause(trigger=self.trigger.name, key=key, logical_time=at, zone=zone)
        return self._settled([Proposal(key=key, cause=cause)])

    def _check_events(self, events: Sequence[Occurrence]) -> None:
        """Raise DefinitionError for events of a trigger that follows none."""
        if events and isinstance(self.trigger.source, (Timetable, SensorSource)):
            scheduled = isinstance(self.trigger.source, (Timetable, ClockSource))
            raise DefinitionError(
                f"{self.trigger.name} {'follows a schedule' if scheduled else 'is a sensor'}, and no events",
                remedy="Say a time instead: --at TIME." if scheduled else "It is asked as it is: leave out --event.",
            )

    def occurrences(self, documents: Sequence[Any], now: float) -> Iterator[Occurrence]:
        """Events from data. What one needs and does not say is made up: it is of the type that the trigger waits for, and
        happens now. Raises DefinitionError."""
        known = Occurrence.__struct_fields__
        remedy = f"It is an object with some of: {', '.join(known)}."
        for place, each in enumerate(documents, 1):
            if not isinstance(each, dict):
                raise DefinitionError(f"an event is not {each!r:.80}", remedy=remedy)
            given = cast("dict[str, Any]", each)
            unknown = next((name for name in given if name not in known), None)
            if unknown is not None:
                raise DefinitionError(f"an event has no {unknown!r}", remedy=remedy)
            usual = {"id": f"by-hand-{now}-{place}", "source": "by-hand", "type": "event", "at": now}
            try:
                yield msgspec.convert({**usual, **self._usual(), **given}, Occurrence)
            except msgspec.ValidationError as error:
                raise DefinitionError(f"this is no event: {error}") from None

    def _usual(self) -> dict[str, Any]:
        """What an event is like that the trigger waits for, as far as its first pattern says."""
        if not isinstance(self.trigger.source, EventSource):
            return {}
        pattern = next(iter(conditions.patterns(self.trigger.source.condition)))
        said = {"type": pattern.type, "source": pattern.source, "subject": pattern.subject}
        return {name: text for name, text in said.items() if not set("*?[") & set(text)}

    # What sources say.

    def _of_events(self, condition: Condition, events: Sequence[Occurrence]) -> Proposals:
        if not events:
            raise DefinitionError(
                f"{self.trigger.name} waits for events: say which ones",
                remedy="""Give one or several: --event '{"type": "…", "data": {…}}', or --event FILE.""",
            )
        state, found = conditions.begin(condition), list[conditions.Match]()
        for number, event in enumerate(events, 1):
            state, matches = conditions.observe(condition, state, event, number)
            found += matches
        # what only holds once nothing more comes
        _, matches = conditions.elapse(condition, state, math.inf)
        found += matches
        refusals = [each for event in events for each in conditions.unmet(condition, event)]
        if not found and refusals:
            return Proposals(why="; ".join(dict.fromkeys(refusals)))
        if not found:
            return Proposals(why=f"it would still wait for {conditions.waiting_for(condition, state)}")
        name = self.trigger.name
        return self._settled(
            [Proposal(key=each.key, cause=Cause(trigger=name, key=each.key, events=each.events)) for each in found]
        )

    def _found(self, event: Occurrence) -> Proposal:
        cause = Cause(trigger=self.trigger.name, key=event.id, events={"event": msgspec.to_builtins(event)})
        return Proposal(key=event.id, cause=cause)

    def _of_sensor(self) -> Proposals:
        asked = self._asker.sensor(self._definition.target, self.trigger, self._standing.cursor)
        if asked.fault:
            return Proposals(fault=asked.fault)
        return self._settled(asked.runs) if asked.runs else Proposals(why=asked.why or "it asks for nothing")

    def _of_clock(self, moment: float) -> Proposals:
        """What is due first at a moment or after it."""
        after = math.nextafter(moment, -math.inf)
        asked = self._asker.coming(self._definition.target, self.trigger, self._standing.cursor, after, 1)
        if asked.fault:
            return Proposals(fault=asked.fault)
        return self._settled(asked.runs) if asked.runs else Proposals(why="its schedule has no time any more")

    # What becomes of it.

    def _settled(self, runs: Sequence[Proposal]) -> Proposals:
        return Proposals(runs=tuple(self._checked(each) for each in runs))

    def _checked(self, run: Proposal) -> Proposal:
        """A run with its parameters, and with what keeps it from starting."""
        try:
            parameters = {**filled(self.trigger.parameters, run.cause), **run.asked}
            self._check(parameters, run.cause)
        except PenstockError as error:
            if isinstance(self.trigger.source, WatchSource):
                # it is penstock that says what it has found: only an event that was made up can lack anything
                error = DefinitionError(error.what, where=error.where, remedy="Give the event that field in its data.")
            return msgspec.structs.replace(run, fault=str(error))
        run = msgspec.structs.replace(run, parameters=parameters)
        if not self.trigger.condition or not self._asks:
            return run
        asked = self._asker.condition(self._definition.target, run.cause, _PATIENCE)
        if asked.fault:
            return msgspec.structs.replace(run, fault=f"its condition failed: {asked.fault}")
        return run if asked.holds else msgspec.structs.replace(run, refused=asked.why or "its condition said so")

    def _check(self, parameters: Mapping[str, Any], cause: Cause) -> None:
        """Hold parameters to those of the pipeline. Raises DefinitionError."""
        if not self.trigger.pipeline:
            return
        definition = self._store.agenda.definition("pipeline", self.trigger.pipeline)
        load_pipeline(definition.target).signature.resolve(
            given={},
            config=parameters,
            config_source=f"the trigger {self.trigger.name}",
            environ=os.environ,
            cause=cause,
        )


def _tick_from(timetable: Timetable, name: str, moment: float) -> Tick | None:
    """The tick at a moment, or the next one after it."""
    return next_tick(timetable, name, math.nextafter(moment, -math.inf))


__all__ = ["Asked", "Asker", "Proposal", "Proposals", "Proposer"]
