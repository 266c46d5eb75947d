"""What would come of a trigger: its firings for given events or a given time, without a store or a daemon."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

import msgspec

from penstock.authoring.kinds.conversion import nearest, shortened
from penstock.authoring.options.reading import moment, option
from penstock.authoring.source import caller
from penstock.authoring.triggers.schedules import zone_of
from penstock.errors import DefinitionError
from penstock.model.firing import Firing, FiringState
from penstock.model.occurrence import Condition, Occurrence
from penstock.model.schedule import Timetable
from penstock.model.trigger import Cause, EventSource, SensorSource, WatchSource
from penstock.triggers import conditions
from penstock.triggers.templates import WATCHED, filled

if TYPE_CHECKING:
    from penstock.authoring.triggers.trigger import Trigger

#: the attributes that an event may be given with
_ATTRIBUTES = ("id", "source", "type", "at", "subject", "data")


def firings_of(trigger: Trigger, causes: Iterable[Cause], at: float) -> list[Firing]:
    """The firings of a trigger for causes; one that its condition refuses is skipped. Raises DefinitionError for parameters
    that cannot be filled in, ParameterError for those that the pipeline does not take, and what the condition raises."""
    noun = trigger.noun
    found: list[Firing] = []
    for cause in causes:
        parameters = filled(noun.parameters, cause)
        if trigger.composition is not None:
            source = f"the trigger {noun.name}"
            trigger.composition.signature.resolve(given={}, config=parameters, config_source=source, cause=cause)
        why = trigger.refusal(cause)
        found.append(
            Firing(
                run_id="",
                trigger=noun.name,
                key=cause.key,
                pipeline=noun.pipeline,
                assets=noun.assets,
                parameters=parameters,
                cause=cause,
                priority=noun.priority,
                tags=noun.tags,
                created_at=at,
                state=FiringState.QUEUED if why is None else FiringState.SKIPPED,
                reason=why or "",
            )
        )
    return found


def causes_of(trigger: Trigger, event: Any, at: Any) -> tuple[list[Cause], float]:
    """The causes of the runs that a trigger would start, and the moment. Raises DefinitionError for an event of a schedule,
    and for none where there is one to be."""
    source, name = trigger.noun.source, trigger.noun.name
    if isinstance(source, SensorSource):
        raise DefinitionError(
            "a sensor follows no events",
            where=str(caller()),
            remedy="Ask it with evaluate(cursor), or call the function.",
        )
    if isinstance(source, Timetable):
        if event is not None:
            raise DefinitionError(
                "this trigger follows a schedule, and no events", where=str(caller()), remedy="Write test(at=...)."
            )
        zone = ZoneInfo(zone_of(source.schedule))
        now = time.time() if at is None else option("at", partial(moment, zone=zone), at).timestamp()
        return list(_tick(source, name, now)), now
    now = time.time() if at is None else option("at", moment, at).timestamp()
    if event is None:
        raise DefinitionError(
            "this trigger follows events, and is given none",
            where=str(caller()),
            remedy='Write test(event={"type": "...", "data": {...}}), or a list of events.',
        )
    given = cast("Sequence[Any]", event) if isinstance(event, (list, tuple)) else (event,)
    events = [_occurrence(source, each, number, now) for number, each in enumerate(given, 1)]
    if isinstance(source, EventSource):
        return [_cause(name, each) for each in _matches(source.condition, events)], now
    return [
        Cause(trigger=name, key=each.id, logical_time=each.at, events={"event": conditions.document(each)})
        for each in events
    ], now


def _tick(timetable: Timetable, name: str, now: float) -> Iterable[Cause]:
    """The first tick from a moment on."""
    from penstock.triggers.timetables import next_tick, tick_key

    tick = next_tick(timetable, name, now - 0.001)
    if tick is not None:
        yield Cause(
            trigger=name,
            key=tick_key(tick.at),
            logical_time=tick.logical_time,
            interval=tick.interval,
            zone=zone_of(timetable.schedule),
        )


def _matches(condition: Condition, events: Iterable[Occurrence]) -> Iterable[conditions.Match]:
    """What comes of events, after which nothing more happens."""
    state = conditions.begin(condition)
    for number, each in enumerate(events, 1):
        state, matches = conditions.observe(condition, state, each, number)
        yield from matches
    while (due := conditions.next_at(condition, state)) is not None:
        state, matches = conditions.elapse(condition, state, due)
        yield from matches


def _cause(name: str, match: conditions.Match) -> Cause:
    return Cause(trigger=name, key=match.key, logical_time=match.at, events=match.events)


def _occurrence(source: Any, given: Any, number: int, now: float) -> Occurrence:
    """An event as it is given: whole, or a dict of its attributes, of which all but the type may be left out, and that too
    where it can only be one."""
    if isinstance(given, Occurrence):
        return given
    if not isinstance(given, Mapping):
        raise DefinitionError(
            f"an event is a dict of its attributes, not {shortened(repr(given))}",
            where=str(caller()),
            remedy='Write {"type": "upload.done", "subject": "a.csv", "data": {"size": 3}}.',
        )
    attributes = dict(cast("Mapping[str, Any]", given))
    unknown = next((name for name in attributes if name not in _ATTRIBUTES), None)
    if unknown is not None:
        raise DefinitionError(
            f"an event has no attribute {unknown!r}{nearest(unknown, _ATTRIBUTES)}",
            where=str(caller()),
            remedy=f"The attributes are {', '.join(_ATTRIBUTES)}; anything else belongs into data.",
        )
    if "at" in attributes and not isinstance(attributes["at"], (int, float)):
        attributes["at"] = option("at", moment, attributes["at"]).timestamp()
    found = {"id": f"test-{number}", "at": now, **_usual(source, attributes.get("type")), **attributes}
    try:
        return msgspec.convert(found, Occurrence)
    except msgspec.ValidationError as error:
        raise DefinitionError(f"this is no event: {error}", where=str(caller())) from None


def _usual(source: Any, type: Any) -> dict[str, Any]:
    """The type and the source of an event that says none."""
    if isinstance(source, WatchSource):
        return {"type": WATCHED[source.kind][source.together], "source": f"penstock/{source.kind}"}
    known = list(conditions.patterns(source.condition)) if isinstance(source, EventSource) else []
    fitting = [each for each in known if type is None or conditions.fits(str(type), each.type)]
    chosen = fitting[0] if len({each.type for each in fitting}) == 1 or (fitting and type is not None) else None
    if chosen is None:
        return {"source": "test"}
    subject = {} if "*" in chosen.subject else {"subject": chosen.subject}
    return {"type": chosen.type, "source": chosen.source.replace("*", "test"), **subject}
