"""`schedule:`: what starts runs of the pipeline."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

import msgspec

from penstock.authoring.triggers import schedules
from penstock.authoring.triggers.options import trigger_fields
from penstock.dialects.yaml.inputs import Find
from penstock.dialects.yaml.literals import read_literal
from penstock.dialects.yaml.source import Fields, Part
from penstock.errors import DefinitionError
from penstock.model.schedule import Calendar, Cron, Every, LateCron, Once, Recurrence, Timetable
from penstock.model.trigger import Trigger

#: what says when -> how it is made
_WHEN = ("cron", "every", "rule", "at")
_NARROWING = ("calendar", "jitter", "start", "end", "logical")
_OPTIONS = (
    *("name", "parameters", "missed", "at_most", "overlap", "after_success"),
    *("priority", "tags", "enabled", "description"),
)
KEYS = (*_WHEN, "timezone", "zone", "late", "anchor", *_NARROWING, *_OPTIONS)
_CALENDAR = ("weekdays", "exclude", "holidays", "zone", "otherwise")


class Scheduled(NamedTuple):
    """A trigger of the pipeline, as data but for its target."""

    noun: Trigger


def read_schedules(part: Part, pipeline: str, find: Find) -> list[Scheduled]:
    """One schedule, or a list of them: a cron expression, or a mapping. What is wrong is noted."""
    parts = part.items() if part.is_list else [part]
    found: list[Scheduled] = []
    for each in parts:
        if each.is_null:
            continue
        default = pipeline if not found else f"{pipeline}-{len(found) + 1}"
        read = _read(each, pipeline, default, find)
        if read is not None:
            found.append(read)
    return found


def _read(part: Part, pipeline: str, default: str, find: Find) -> Scheduled | None:
    part.called = "schedule"
    if part.is_text:
        schedule, fields = _made(part, lambda: schedules.cron(part.written)), {}
    else:
        fields = part.fields(KEYS, "schedule")
        schedule = _of_fields(part, fields, find)
    if schedule is None:
        return None
    options = {name: read_literal(fields[name], find) for name in _OPTIONS if name in fields}
    options.setdefault("name", default)
    if isinstance(options.get("tags"), str):
        options["tags"] = [options["tags"]]
    values = _made(part, lambda: trigger_fields(options))
    if values is None:
        return None
    return Scheduled(Trigger(source=schedule.timetable, pipeline=pipeline, location=part.location, **values))


def _of_fields(part: Part, fields: Fields, find: Find) -> schedules.Schedule | None:
    said = [name for name in _WHEN if name in fields]
    if len(said) != 1:
        told = " and ".join(said) or "nothing"
        part.refuse(
            f"a schedule says when by one of {', '.join(_WHEN)}, and this one says {told}", 'Write cron: "0 2 * * *".'
        )
        return None
    if "timezone" in fields and "zone" in fields:
        fields["zone"].refuse("timezone and zone are the same", "Keep one of them.")
    zone = fields.get("timezone") or fields.get("zone")
    named: dict[str, Any] = {} if zone is None else {"zone": zone.written}
    narrowing = {name: read_literal(fields[name], find) for name in _NARROWING if name in fields and name != "calendar"}
    if "calendar" in fields:
        days = fields["calendar"].fields(_CALENDAR, "calendar")
        given = {name: read_literal(value, find) for name, value in days.items()}
        narrowing["calendar"] = _made(fields["calendar"], lambda: schedules.calendar(**given))
    what = fields[said[0]]
    value = read_literal(what, find)
    if zone is not None and _made(zone, lambda: schedules.cron("@daily", zone=zone.written)) is None:
        # what is wrong besides the zone is told as well
        named = {}
    if said[0] == "cron":
        late = bool(read_literal(fields["late"], find)) if "late" in fields else False
        return _made(what, lambda: schedules.cron(value, late=late, **named, **narrowing))
    if said[0] == "every":
        anchor = {"anchor": read_literal(fields["anchor"], find)} if "anchor" in fields else {}
        return _made(what, lambda: schedules.every(value, **anchor, **narrowing))
    if said[0] == "rule":
        return _made(what, lambda: schedules.recurring(value, **named, **narrowing))
    moments = cast("list[Any]", value) if isinstance(value, list) else [value]
    return _made(what, lambda: schedules.once(*moments, **named, **narrowing))


def _made(part: Part, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except DefinitionError as error:
        part.refuse(error.what, error.remedy or "")
    except TypeError as error:
        part.refuse(f"this schedule cannot be: {error}")
    return None


# Writing.


def write_schedule(trigger: Trigger, pipeline: str) -> dict[str, Any] | None:
    """A trigger as a schedule; None for one that is none, or that functions of the user's belong to."""
    source = trigger.source
    if not isinstance(source, Timetable) or trigger.condition:
        return None
    found = _written(source)
    if found is None:
        return None
    if trigger.name != pipeline:
        found["name"] = trigger.name
    for name in ("parameters", "priority", "tags", "enabled", "description"):
        value: Any = getattr(trigger, name)
        if value and value is not True:
            found[name] = list(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else value
    if not trigger.enabled:
        found["enabled"] = False
    limits = msgspec.to_builtins(trigger.limits)
    found.update({name: value for name, value in limits.items() if value != _LIMITS[name]})
    return found


_LIMITS: dict[str, Any] = {"missed": "latest", "at_most": None, "overlap": "queue", "after_success": False}


def _written(timetable: Timetable) -> dict[str, Any] | None:
    match timetable.schedule:
        case Cron(expression, zone):
            found: dict[str, Any] = {"cron": expression} | ({} if zone == "UTC" else {"timezone": zone})
            found |= {"late": True} if isinstance(timetable.schedule, LateCron) else {}
        case Every(seconds, anchor):
            found = {"every": seconds} | ({} if not anchor else {"anchor": _moment(anchor)})
        case Recurrence(rule, start, zone):
            found = {"rule": rule, "start": start} | ({} if zone == "UTC" else {"timezone": zone})
        case Once(at):
            found = {"at": [_moment(each) for each in at]}
        case _:
            return None
    if timetable.calendar is not None:
        found["calendar"] = _calendar(timetable.calendar)
    if timetable.jitter:
        found["jitter"] = timetable.jitter
    for name in ("start", "end"):
        at = getattr(timetable, name)
        if at is not None:
            found[name] = _moment(at)
    if timetable.logical != "tick":
        found["logical"] = timetable.logical
    return found


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def _calendar(days: Calendar) -> dict[str, Any]:
    found: dict[str, Any] = {"weekdays": list(days.weekdays), "zone": days.zone}
    if days.excluded:
        found["exclude"] = list(days.excluded)
    if days.holidays:
        found["holidays"] = list(days.holidays)
    if days.otherwise != "skip":
        found["otherwise"] = days.otherwise
    return found


__all__ = ["KEYS", "Scheduled", "read_schedules", "write_schedule"]
