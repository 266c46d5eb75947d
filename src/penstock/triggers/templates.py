"""Parameters that are filled in from what started a run.

`"{event.data.path}"` is a place, and takes what is there; a text that is one place alone takes it with its type, and in any
other text it is written out. `{place:format}` formats it as Python does (`{logical_time:%Y-%m-%d}`), `{{` and `}}` are
braces. Dicts and lists are filled in throughout. The places:

- `logical_time`, `interval.start`, `interval.end`: moments in the time of the trigger's zone; alone, ISO 8601 text. For
  events without a tick, `logical_time` is when the last of them happened.
- `partition`, and `partitions` for the list of several
- `trigger` and `key`: the name of the trigger, and what tells this firing from its others
- `event`, or the name that was given to the pattern: `.id`, `.source`, `.type`, `.subject`, `.time` (`.at`), and
  `.data.field.0.field`; a key with a dot in it is written `.data[a.b]`
- `events`: of `count_of`, all events as a list
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, Literal, NamedTuple, cast

import msgspec

from penstock.errors import DefinitionError
from penstock.model.occurrence import Condition, Pattern
from penstock.model.schedule import Timetable
from penstock.model.trigger import Cause, ClockSource, EventSource, Source, WatchSource
from penstock.triggers.conditions import patterns, several

#: what a place, or a field of the data of an event, is
Type = Literal["str", "int", "float", "bool", "list", "dict", "moment", "any"]
Fields = Mapping[str, Type]

_RUN: Fields = {
    "run_id": "str",
    "pipeline": "str",
    "state": "str",
    "tags": "list",
    "outputs": "dict",
    "metrics": "dict",
    "artifacts": "list",
    "parameters": "dict",
}
#: the data of penstock's own events
OWN_FIELDS: Mapping[str, Fields] = {
    "run.succeeded": _RUN,
    "run.failed": _RUN,
    "run.cancelled": _RUN,
    "asset.materialized": {
        "asset": "str",
        "partition": "str",
        "version": "int",
        "run_id": "str",
        "digest": "str",
    },
    "model.promoted": {"model": "str", "version": "any", "stage": "str"},
    "file.arrived": {"path": "str", "name": "str", "folder": "str", "size": "int", "modified": "float"},
    "files.arrived": {"paths": "list", "files": "list"},
    "object.arrived": {
        "url": "str",
        "bucket": "str",
        "key": "str",
        "size": "int",
        "modified": "float",
        "etag": "str",
    },
    "objects.arrived": {"urls": "list", "objects": "list"},
    "rows.arrived": {"rows": "list"},
}
#: what is looked at -> the type of its events: one by one, and together
WATCHED = {
    "files": ("file.arrived", "files.arrived"),
    "objects": ("object.arrived", "objects.arrived"),
    "rows": ("row.arrived", "rows.arrived"),
}

_ATTRIBUTES: Mapping[str, Type] = {
    "id": "str",
    "source": "str",
    "type": "str",
    "subject": "str",
    "time": "moment",
    "at": "moment",
    "data": "any",
}
_PLAIN: Mapping[str, Type] = {"trigger": "str", "key": "str", "partition": "str", "partitions": "list"}
#: names that no pattern can have
RESERVED = frozenset({"logical_time", "interval", "events", *_PLAIN})

_SAMPLES: Mapping[str, Any] = {
    "str": "text",
    "int": 7,
    "float": 0.5,
    "bool": True,
    "moment": datetime(2026, 3, 1, 2, 30, tzinfo=UTC),
}
_DIRECTIVE = re.compile(r"%[-_0^#:]*[^-_0^#:]?")
_STEP = re.compile(r"\.([^.\[\]]+)|\[([^\[\]]+)\]")


class Known(NamedTuple):
    """What the source of a trigger tells about each run."""

    #: name of a pattern -> the fields of the data of its events; None where they are not declared
    events: Mapping[str, Fields | None]
    #: whether there are ticks, with data intervals
    ticks: bool = False
    #: whether there is a logical time
    times: bool = False
    #: whether there is the list `events`
    listed: bool = False


class Place(NamedTuple):
    """A place in a template: `{event.data.path:>8}`."""

    path: tuple[str, ...]
    format: str
    #: as it is written
    text: str


def known_of(source: Source) -> Known:
    """What templates may use under a source."""
    match source:
        case Timetable() | ClockSource():
            return Known({}, ticks=True, times=True)
        case EventSource():
            return Known(_fields_of(source.condition), times=True, listed=several(source.condition))
        case WatchSource():
            return Known({"event": OWN_FIELDS.get(WATCHED[source.kind][source.together])}, times=True)
        case _:
            return Known({})


def check(template: Any, known: Known) -> list[str]:
    """Everything that is wrong with a template, or with the templates in a dict or a list; empty if nothing is."""
    faults: list[str] = []
    for text in _texts(template):
        try:
            places = places_of(text)
        except DefinitionError as error:
            faults.append(error.what)
            continue
        for place in places:
            fault = _fault(place, known)
            faults += [fault] if fault else []
    return faults


def type_of(template: Any, known: Known) -> Type:
    """What a template (one that `check` finds nothing wrong with) gives, as far as that is known."""
    if not isinstance(template, str):
        return "any"
    parts = _parsed(template)
    if len(parts) != 1 or isinstance(parts[0], str):
        return "str"
    found = _type_of(parts[0], known)
    return "str" if parts[0].format else found


def sample(template: str, known: Known) -> Any:
    """What a template could give, for one without texts that nobody knows; None for others."""
    parts = _parsed(template)
    types = [_type_of(part, known) for part in parts if not isinstance(part, str)]
    if any(each not in ("int", "float", "bool", "moment") for each in types):
        return None
    values = [part if isinstance(part, str) else (part, _SAMPLES[_type_of(part, known)]) for part in parts]
    return _written(values)


def filled(parameters: Mapping[str, Any], cause: Cause) -> dict[str, Any]:
    """The parameters of a run, filled in. Raises DefinitionError as `render` does."""
    return {name: render(template, cause) for name, template in parameters.items()}


def render(template: Any, cause: Cause) -> Any:
    """A template, filled in: JSON-able, as it is. Raises DefinitionError for a place that the cause does not have."""
    if isinstance(template, str):
        if "{" not in template and "}" not in template:
            return template
        return _written([part if isinstance(part, str) else (part, _value(part, cause)) for part in _parsed(template)])
    if isinstance(template, Mapping):
        return {key: render(each, cause) for key, each in cast("Mapping[str, Any]", template).items()}
    if isinstance(template, (list, tuple)):
        return [render(each, cause) for each in cast("list[Any]", template)]
    return template


def places_of(text: str) -> list[Place]:
    """The places in a text. Raises DefinitionError for braces that are not closed, or hold no place."""
    return [part for part in _parsed(text) if not isinstance(part, str)]


def _texts(template: Any) -> Iterator[str]:
    if isinstance(template, str):
        yield template
    elif isinstance(template, Mapping):
        for each in cast("Mapping[Any, Any]", template).values():
            yield from _texts(each)
    elif isinstance(template, (list, tuple)):
        for each in cast("list[Any]", template):
            yield from _texts(each)


def _parsed(text: str) -> list[str | Place]:
    """Texts, with braces as they are to be written, and places."""
    parts: list[str | Place] = []
    plain = ""
    at = 0
    while at < len(text):
        character = text[at]
        if character in "{}" and text[at : at + 2] == character * 2:
            plain += character
            at += 2
        elif character == "{":
            end = text.find("}", at)
            inside = text[at + 1 : end] if end > 0 else ""
            if end < 0 or "{" in inside:
                raise DefinitionError(f"in {text!r}, a brace is opened and not closed", remedy="Write {{ for a brace.")
            parts += [plain] if plain else []
            plain = ""
            parts.append(_place(inside, text))
            at = end + 1
        elif character == "}":
            raise DefinitionError(f"in {text!r}, a brace is closed and was not opened", remedy="Write }} for a brace.")
        else:
            plain += character
            at += 1
    return [*parts, plain] if plain or not parts else parts


def _place(inside: str, text: str) -> Place:
    # a colon in brackets is a part of a key
    found = re.fullmatch(r"((?:[^:\[\]]|\[[^\[\]]*\])*)(?::(.*))?", inside, re.DOTALL)
    path = "" if found is None else found[1].strip()
    steps: list[str] = [step[1] or step[2] for step in _STEP.finditer(f".{path}")]
    if found is None or _STEP.sub("", f".{path}") or not steps:
        raise DefinitionError(f"in {text!r}, {{{inside}}} is no place", remedy="Write such as {event.data.path}.")
    return Place(tuple(steps), found[2] or "", f"{{{inside}}}")


def _fields_of(condition: Condition) -> dict[str, Fields | None]:
    found: dict[str, Fields | None] = {}
    for pattern in patterns(condition):
        fields = _declared(pattern)
        if pattern.name in found:
            before = found[pattern.name]
            # what is in the one and not in the other would be missing now and then
            fields = _common(before, fields)
        found[pattern.name] = fields
    return found


def _common(one: Fields | None, other: Fields | None) -> Fields | None:
    return None if one is None or other is None else {name: kind for name, kind in one.items() if name in other}


def _declared(pattern: Pattern) -> Fields | None:
    if pattern.fields is not None:
        return cast(Fields, pattern.fields)
    own = [fields for type, fields in OWN_FIELDS.items() if fnmatchcase(type, pattern.type)]
    # a pattern that other events meet as well says nothing about fields
    closed = pattern.type in OWN_FIELDS or pattern.type.startswith("run.")
    return own[0] if own and closed else None


def _fault(place: Place, known: Known) -> str | None:
    """What is wrong with a place; None if nothing is."""
    name, *rest = place.path
    names = _names(known)
    if name not in names:
        unavailable = _unavailable(name, known)
        what = unavailable or f"there is no {name!r}{_near(name, names)} (there is: {', '.join(names)})"
        return f"{place.text}: {what}"
    if name == "interval":
        if rest not in (["start"], ["end"]):
            return f"{place.text}: an interval has start and end"
    elif name in known.events:
        fault = _event_fault(rest, known.events[name])
        if fault:
            return f"{place.text}: {fault}"
    elif rest and name not in ("events", "partitions"):
        return f"{place.text}: {name} has no fields; to write it another way, give a format: {{{name}:...}}"
    return _format_fault(place, known)


def _names(known: Known) -> list[str]:
    times = [*(["logical_time"] if known.times else []), *(["interval"] if known.ticks else [])]
    return [*known.events, *times, *_PLAIN, *(["events"] if known.listed else [])]


def _unavailable(name: str, known: Known) -> str | None:
    """Why a name that other sources know is not there."""
    if name == "interval":
        return "only a schedule has data intervals"
    if name == "logical_time":
        return "a sensor tells no time; let it give it as a parameter of RunRequest"
    if name == "events":
        return "only count_of() gives several events under one name"
    if name == "event" and not known.events:
        return "no event starts these runs"
    return None


def _event_fault(rest: list[str], fields: Fields | None) -> str | None:
    if not rest:
        return None
    if rest[0] not in _ATTRIBUTES:
        where = "; fields of the data are below `.data`" if fields is not None and rest[0] in fields else ""
        return f"an event has no {rest[0]!r}{where or _near(rest[0], _ATTRIBUTES)} (it has: {', '.join(_ATTRIBUTES)})"
    if rest[0] != "data" or len(rest) == 1:
        return f"{rest[0]} of an event has no fields" if len(rest) > 1 else None
    if fields is None:
        return None
    if rest[1] not in fields:
        has = f"it has: {', '.join(fields)}" if fields else "it has none"
        return f"the data of the event has no field {rest[1]!r}{_near(rest[1], fields)} ({has})"
    if len(rest) > 2 and fields[rest[1]] not in ("dict", "list", "any"):
        return f"the field {rest[1]!r} is {fields[rest[1]]}, and has no fields itself"
    return None


def _format_fault(place: Place, known: Known) -> str | None:
    kind = _type_of(place, known)
    if not place.format or kind == "any":
        return None
    if kind not in _SAMPLES:
        return f"{place.text}: a {kind} has no formats"
    try:
        format(_SAMPLES[kind], place.format)
    except (ValueError, TypeError) as error:
        return f"{place.text}: the format {place.format!r} does not fit ({error})"
    directives = _DIRECTIVE.findall(place.format) if kind == "moment" else []
    # what is not known is written out as it is
    unknown = next((each for each in directives if each != "%%" and _SAMPLES[kind].strftime(each) == each), None)
    return None if unknown is None else f"{place.text}: there is no {unknown!r} in a format of moments"


def _type_of(place: Place, known: Known) -> Type:
    name, *rest = place.path
    if name in ("logical_time", "interval"):
        return "moment"
    if name in _PLAIN or name == "events":
        return "any" if rest else _PLAIN.get(name, "list")
    if not rest:
        return "dict"
    if rest[0] != "data":
        return _ATTRIBUTES[rest[0]]
    fields = known.events.get(name)
    if fields is None or len(rest) != 2:
        return "any" if len(rest) > 1 or fields is None else "dict"
    return fields[rest[1]]


def _near(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _written(parts: list[Any]) -> Any:
    """The text of parts; of a place alone, its value."""
    if len(parts) == 1 and not isinstance(parts[0], str) and not parts[0][0].format:
        value = parts[0][1]
        return value.isoformat() if isinstance(value, datetime) else value
    return "".join(part if isinstance(part, str) else _text(*part) for part in parts)


def _text(place: Place, value: Any) -> str:
    if place.format:
        try:
            return format(value, place.format)
        except (ValueError, TypeError) as error:
            raise DefinitionError(
                f"{place.text}: the format does not fit {value!r} ({error})",
                remedy="Leave out the format, or check what the event holds.",
            ) from None
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _value(place: Place, cause: Cause) -> Any:
    name, *rest = place.path
    match name:
        case "logical_time":
            return _moment(logical_time_of(cause), cause, place)
        case "interval":
            at = None if cause.interval is None else cause.interval[0 if rest == ["start"] else 1]
            return _moment(at, cause, place)
        case "trigger" | "key":
            return getattr(cause, name)
        case "partition":
            if len(cause.partitions) != 1:
                count = f"{len(cause.partitions)} partitions" if cause.partitions else "no partition"
                raise DefinitionError(f"{place.text}: the run is about {count}")
            return cause.partitions[0]
        case "partitions":
            return _inner(list(cause.partitions), rest, place)
        case "events":
            return _inner(cause.events.get("events"), rest, place)
        case _:
            return _of_event(name, rest, cause, place)


def _of_event(name: str, rest: list[str], cause: Cause, place: Place) -> Any:
    if name not in cause.events:
        there = ", ".join(cause.events) or "none"
        raise DefinitionError(f"{place.text}: the run was started by no event {name!r} (events: {there})")
    event: Any = cause.events[name]
    if rest[:1] in (["time"], ["at"]):
        return _moment(event.get("at"), cause, place)
    return _inner(event, rest, place)


def _inner(value: Any, path: list[str], place: Place) -> Any:
    for step in path:
        if isinstance(value, dict) and step in value:
            value = cast("dict[str, Any]", value)[step]
        elif isinstance(value, list) and step.lstrip("-").isdigit() and -len(value) <= int(step) < len(value):  # pyright: ignore[reportUnknownArgumentType]
            value = cast("list[Any]", value)[int(step)]
        else:
            raise DefinitionError(
                f"{place.text}: there is no {step!r} in {_shown(value)}",
                remedy="Let only events with this field through: event(..., where={'FIELD exists': True}).",
            )
    return value


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return f"what is there ({', '.join(map(str, cast('dict[Any, Any]', value))) or 'nothing'})"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def logical_time_of(cause: Cause) -> float | None:
    """The time that a run is about; of one without a tick, when the last of its events happened."""
    if cause.logical_time is not None:
        return cause.logical_time
    events = [cast("dict[str, Any]", each) for each in cause.events.values() if isinstance(each, dict)]
    times: list[float] = [each["at"] for each in events if "at" in each]
    return max(times, default=None)


def _moment(at: float | None, cause: Cause, place: Place) -> datetime:
    if at is None:
        raise DefinitionError(f"{place.text}: the run is about no such time")
    from zoneinfo import ZoneInfo

    return datetime.fromtimestamp(at, ZoneInfo(cause.zone))
