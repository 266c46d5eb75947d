"""Triggers as the calls that make them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from penstock.dialects.code.formatting import Imports, call, keywords, length, literal, number, quoted
from penstock.model.occurrence import Absence, AllOf, AnyOf, Condition, Count, Debounce, EachSubject, InOrder, Pattern
from penstock.model.schedule import Calendar, Cron, Every, LateCron, Once, Recurrence, Schedule, Timetable, Together
from penstock.model.trigger import EventSource, Limits, SensorSource, Trigger, WatchSource


def trigger_text(trigger: Trigger, pipeline: str, imports: Imports) -> str | None:
    """The call that makes a trigger of a pipeline; None for one whose functions are not to be had."""
    source = _source(trigger.source, imports)
    if source is None or trigger.condition:
        return None
    given: dict[str, str] = {}
    if trigger.parameters:
        given["parameters"] = literal(trigger.parameters, imports)
    usual = Limits()
    for option in ("missed", "at_most", "overlap", "after_success"):
        value = getattr(trigger.limits, option)
        if value != getattr(usual, option):
            given[option] = literal(value, imports)
    if trigger.priority:
        given["priority"] = repr(trigger.priority)
    if trigger.tags:
        given["tags"] = literal(list(trigger.tags), imports)
    if not trigger.enabled:
        given["enabled"] = "False"
    if trigger.description:
        given["description"] = quoted(trigger.description)
    return call(imports.name("penstock", "trigger"), [pipeline, source, *keywords(given)])


def _source(source: Any, imports: Imports) -> str | None:
    match source:
        case Timetable():
            return _timetable(source, imports)
        case EventSource(condition):
            return _condition(condition, imports)
        case WatchSource():
            return _watch(source, imports)
        case SensorSource() | _:
            return None


def _timetable(timetable: Timetable, imports: Imports) -> str:
    narrowing: dict[str, str] = {}
    zone = _zone_of(timetable.schedule)
    if timetable.calendar is not None:
        narrowing["calendar"] = _calendar(timetable.calendar, zone, imports)
    if timetable.jitter:
        narrowing["jitter"] = number(timetable.jitter)
    if timetable.start is not None:
        narrowing["start"] = _moment(_begun(timetable.start, timetable.schedule), zone)
    if timetable.end is not None:
        narrowing["end"] = _moment(timetable.end, zone)
    if timetable.logical != "tick":
        narrowing["logical"] = quoted(timetable.logical)
    return _schedule(timetable.schedule, narrowing, imports)


def _schedule(schedule: Schedule, narrowing: Mapping[str, str], imports: Imports) -> str:
    given = dict(narrowing)
    match schedule:
        case LateCron(expression, zone) | Cron(expression, zone):
            own = {} if zone == "UTC" else {"zone": quoted(zone)}
            own |= {"late": "True"} if isinstance(schedule, LateCron) else {}
            return call(imports.name("penstock", "cron"), [quoted(expression), *keywords({**own, **given})])
        case Every(seconds, anchor):
            own = {"anchor": _moment(anchor, "UTC")} if anchor else {}
            return call(imports.name("penstock", "every"), [length(seconds, imports), *keywords({**own, **given})])
        case Recurrence(rule, start, zone):
            own = {"start": quoted(start)} | ({} if zone == "UTC" else {"zone": quoted(zone)})
            return call(imports.name("penstock", "recurring"), [quoted(rule), *keywords({**own, **given})])
        case Once(at):
            moments = [_moment(each, "UTC") for each in at]
            return call(imports.name("penstock", "once"), [*moments, *keywords(given)])
        case Together(schedules):
            parts = [_schedule(each, {}, imports) for each in schedules]
            return call(imports.name("penstock", "together"), [*parts, *keywords(given)])


def _zone_of(schedule: Schedule) -> str:
    return schedule.zone if isinstance(schedule, (Cron, Recurrence)) else "UTC"


def _begun(start: float, schedule: Schedule) -> float:
    """A start that lets the same ticks be; of a time just after a tick, the second after it."""
    to_minutes = isinstance(schedule, Cron) and len(schedule.expression.split()) == 5
    return start // 60 * 60 + 1 if to_minutes and 0 < start % 60 < 1 else start


def _moment(seconds: float, zone: str) -> str:
    at = datetime.fromtimestamp(seconds, UTC if zone == "UTC" else ZoneInfo(zone))
    return quoted(at.isoformat())


def _calendar(calendar: Calendar, zone: str, imports: Imports) -> str:
    given: dict[str, str] = {}
    if calendar.weekdays != Calendar().weekdays:
        given["weekdays"] = literal(list(calendar.weekdays), imports)
    if calendar.excluded:
        given["exclude"] = literal(list(calendar.excluded), imports)
    if calendar.holidays:
        given["holidays"] = literal(list(calendar.holidays), imports)
    if calendar.zone and calendar.zone != zone:
        given["zone"] = quoted(calendar.zone)
    if calendar.otherwise != "skip":
        given["otherwise"] = quoted(calendar.otherwise)
    return call(imports.name("penstock", "calendar"), keywords(given))


def _condition(condition: Condition, imports: Imports) -> str | None:
    match condition:
        case Pattern():
            return _pattern(condition, imports)
        case AllOf(conditions, within):
            name = "in_order" if isinstance(condition, InOrder) else "all_of"
            return _joined(name, conditions, {} if within is None else {"within": number(within)}, imports)
        case AnyOf(conditions):
            return _joined("any_of", conditions, {}, imports)
        case Count(inner, count, within):
            inside = _condition(inner, imports)
            given = {} if within is None else {"within": number(within)}
            found = [inside or "", repr(count), *keywords(given)]
            return None if inside is None else call(imports.name("penstock", "count_of"), found)
        case Debounce(inner, quiet, longest):
            inside = _condition(inner, imports)
            given = {} if longest is None else {"longest": number(longest)}
            found = [inside or "", number(quiet), *keywords(given)]
            return None if inside is None else call(imports.name("penstock", "debounce"), found)
        case Absence(after, expected, within):
            first, second = _condition(after, imports), _condition(expected, imports)
            given = {"after": first or "", "within": number(within)}
            found = [second or "", *keywords(given)]
            return call(imports.name("penstock", "absence_of"), found) if first and second else None
        case EachSubject(inner):
            inside = _condition(inner, imports)
            return None if inside is None else call(imports.name("penstock", "each_subject"), [inside])
        case _:
            return None


def _joined(name: str, conditions: tuple[Condition, ...], given: dict[str, str], imports: Imports) -> str | None:
    parts = [_condition(each, imports) for each in conditions]
    if any(part is None for part in parts):
        return None
    return call(imports.name("penstock", name), [*(part or "" for part in parts), *keywords(given)])


def _pattern(pattern: Pattern, imports: Imports) -> str | None:
    given: dict[str, str] = {}
    for name in ("source", "subject"):
        if getattr(pattern, name) != "*":
            given[name] = quoted(getattr(pattern, name))
    if pattern.where:
        where = {
            f"{'.'.join(map(str, each.path))}{'' if each.operator == '==' else f' {each.operator}'}": each.value
            for each in pattern.where
        }
        given["where"] = literal(where, imports)
    if pattern.fields is not None:
        return None
    if pattern.name != "event":
        given["name"] = quoted(pattern.name)
    return call(imports.name("penstock", "event"), [quoted(pattern.type), *keywords(given)])


def _watch(watch: WatchSource, imports: Imports) -> str | None:
    if watch.kind == "rows":
        return None
    given: dict[str, str] = {}
    usual = WatchSource(watch.kind, watch.place)
    for name in ("every", "settle", "together", "existing"):
        if getattr(watch, name) != getattr(usual, name):
            value = getattr(watch, name)
            given[name] = repr(value) if isinstance(value, bool) else number(value)
    return call(imports.name("penstock", watch.kind), [quoted(watch.place), *keywords(given)])


__all__ = ["trigger_text"]
