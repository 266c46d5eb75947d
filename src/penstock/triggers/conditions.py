"""Conditions over events, as state machines: what is observed goes in, what starts a run comes out.

The state of a condition is JSON-able, and is the whole of what has to be kept between two times. Rules:

- Events are observed in the order of their numbers, each once: one whose number was seen changes nothing.
- Windows (`within`, `quiet`, `longest`) are measured between the times at which events happened (`Occurrence.at`), not
  between those at which they were observed, so that what comes of events does not depend on when somebody looked. The clock
  of the one who looks only says when nothing more is waited for (`elapse`).
- Of each part of `AllOf`, what happened last counts, and of `Count`, the last so many. An event that comes late counts if
  it lies within the window of these; where it is older than what is held, nothing changes. `Debounce` takes a late event into
  the burst that is under way, and lets it begin one of its own if there is none.
- What `Absence` expects counts from the time on at which it began to be expected; an event that is both what begins and what
  is expected ends one time and begins the next.
- Every event counts for every part that it meets, and once for each; what a match was made of is used up.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Any, NamedTuple, cast
from urllib.parse import quote

import msgspec

from penstock.model.occurrence import (
    Absence,
    AllOf,
    AnyOf,
    Condition,
    Count,
    Crossing,
    Debounce,
    EachSubject,
    InOrder,
    Occurrence,
    Pattern,
    Where,
)

#: characters of the key of an event, at most; a longer one is replaced by its digest
_LONGEST_KEY = 200
#: characters of a value that is told
_LONGEST_WORD = 60


class Match(msgspec.Struct, frozen=True):
    """A condition has come to hold."""

    #: tells it from the other matches of the condition; the same whoever finds it
    key: str
    #: seconds since the epoch: by the times of its events
    at: float
    #: name of a pattern -> its last event, as `document` gives it; for `Count`, `events` -> all of them
    events: dict[str, Any]


class Step(NamedTuple):
    """The state afterwards, and what came to hold."""

    state: dict[str, Any]
    matches: list[Match]


def begin(condition: Condition, after: int = 0) -> dict[str, Any]:
    """The state of a condition of which nothing was observed yet; events with numbers up to `after` do not count."""
    return {"of": _digest(msgspec.json.encode(condition)), "seen": after, "held": _nothing(condition)}


def observe(condition: Condition, state: dict[str, Any], occurrence: Occurrence, number: int) -> Step:
    """What an event leads to. A state that is of another condition (it was changed since) begins anew, after the events that
    were seen."""
    state = _fitting(condition, state)
    if number <= state["seen"]:
        return Step(state, [])
    if not any(meets(each, occurrence) for each in patterns(condition)):
        return Step({**state, "seen": number}, [])
    # what was over by then is over first, whether or not somebody looked in between
    held, before = _elapsed(condition, state["held"], occurrence.at)
    held, matches = _observed(condition, held, occurrence)
    return Step({**state, "seen": number, "held": held}, [*before, *matches])


def elapse(condition: Condition, state: dict[str, Any], now: float) -> Step:
    """What has come to hold because nothing more happened up to a moment."""
    state = _fitting(condition, state)
    held, matches = _elapsed(condition, state["held"], now)
    return Step({**state, "held": held}, matches)


def next_at(condition: Condition, state: dict[str, Any]) -> float | None:
    """When `elapse` is to be called; None for when something has happened."""
    found = _due(condition, _fitting(condition, state)["held"])
    return None if math.isinf(found) else found


def meets(pattern: Pattern, occurrence: Occurrence) -> bool:
    """Whether an event is one of a pattern."""
    return (
        fits(occurrence.type, pattern.type)
        and fits(occurrence.subject, pattern.subject)
        and fits(occurrence.source, pattern.source)
        and all(_holds(each, occurrence.data) for each in pattern.where)
    )


def patterns(condition: Condition) -> Iterable[Pattern]:
    """The patterns that a condition is made of."""
    match condition:
        case Pattern():
            yield condition
        case Crossing():
            yield condition.pattern
        case Count() | Debounce() | EachSubject():
            yield from patterns(condition.condition)
        case Absence():
            yield from patterns(condition.after)
            yield from patterns(condition.expected)
        case AllOf() | AnyOf():
            for each in condition.conditions:
                yield from patterns(each)


def several(condition: Condition) -> bool:
    """Whether a match of a condition has the list of its events (`events`)."""
    match condition:
        case Count():
            return True
        case Debounce() | EachSubject():
            return several(condition.condition)
        case Absence():
            return several(condition.after)
        case AllOf() | AnyOf():
            return any(several(each) for each in condition.conditions)
        case _:
            return False


def waiting_for(condition: Condition, state: dict[str, Any]) -> str:
    """What is missing for a condition to hold, for people."""
    return _missing(condition, _fitting(condition, state)["held"])


def event_key(occurrence: Occurrence) -> str:
    """What tells an event from all others, as the key of a firing."""
    # `#` is never left as it is, so that no two events have one key
    key = f"{quote(occurrence.source, safe='/:@.-_~')}#{quote(occurrence.id, safe='/:@.-_~')}"
    return key if len(key) <= _LONGEST_KEY else _digest(key.encode())


def document(occurrence: Occurrence) -> dict[str, Any]:
    """An event as templates, conditions and the cause of a run know it."""
    return cast("dict[str, Any]", msgspec.to_builtins(occurrence))


def value_at(data: Any, path: Sequence[str | int]) -> Any:
    """What is at a path in the data of an event. Raises LookupError."""
    for step in path:
        if isinstance(data, dict):
            data = cast("dict[str, Any]", data)[str(step)]
        elif isinstance(data, list) and isinstance(step, int):
            data = cast("list[Any]", data)[step]
        else:
            raise LookupError(step)
    return data


def fits(text: str, pattern: str) -> bool:
    """Whether a text fits a shell pattern."""
    return pattern == "*" or text == pattern or fnmatchcase(text, pattern)


def _holds(where: Where, data: Any) -> bool:
    try:
        value = value_at(data, where.path)
    except LookupError:
        return where.operator == "exists" and where.value is False
    wanted = where.value
    match where.operator:
        case "exists":
            return wanted is not False
        case "==":
            return _same(value, wanted)
        case "!=":
            return not _same(value, wanted)
        case "in":
            return any(_same(value, each) for each in wanted)
        case "matches" | "not matches":
            listed = cast("list[Any]", value) if isinstance(value, list) else [value]
            found = any(isinstance(each, str) and fnmatchcase(each, wanted) for each in listed)
            return found is (where.operator == "matches")
        case _:
            return _compared(value, where.operator, wanted)


def _same(value: Any, other: Any) -> bool:
    # to Python, True is 1
    return isinstance(value, bool) == isinstance(other, bool) and value == other


def _compared(value: Any, operator: str, other: Any) -> bool:
    numbers = all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in (value, other))
    if not numbers and not (isinstance(value, str) and isinstance(other, str)):
        return False
    order = {"<": value < other, "<=": value <= other, ">": value > other, ">=": value >= other}
    return order[operator]


def _nothing(condition: Condition) -> Any:
    match condition:
        case Pattern():
            return None
        case Crossing():
            return {}
        case AllOf():
            return {
                "parts": [_nothing(each) for each in condition.conditions],
                "met": [None] * len(condition.conditions),
            }
        case AnyOf():
            return [_nothing(each) for each in condition.conditions]
        case Count():
            return {"part": _nothing(condition.condition), "met": []}
        case Debounce():
            return {"part": _nothing(condition.condition), "burst": None}
        case Absence():
            parts = [_nothing(condition.after), _nothing(condition.expected)]
            return {"parts": parts, "begun": None, "came": None}
        case EachSubject():
            return {}


def _observed(condition: Condition, held: Any, occurrence: Occurrence) -> tuple[Any, list[Match]]:
    match condition:
        case Pattern():
            return None, [_single(condition, occurrence)] if meets(condition, occurrence) else []
        case Crossing():
            return _crossed(condition, held, occurrence)
        case AllOf() | AnyOf():
            before = held["parts"] if isinstance(condition, AllOf) else held
            steps = [_observed(each, part, occurrence) for each, part in zip(condition.conditions, before, strict=True)]
        case Count() | Debounce():
            steps = [_observed(condition.condition, held["part"], occurrence)]
        case Absence():
            both = zip((condition.after, condition.expected), held["parts"], strict=True)
            steps = [_observed(each, part, occurrence) for each, part in both]
        case EachSubject():
            before = held.get(occurrence.subject, _nothing(condition.condition))
            return _apart(condition, held, {occurrence.subject: _observed(condition.condition, before, occurrence)})
    return _combined(condition, held, steps)


def _elapsed(condition: Condition, held: Any, now: float) -> tuple[Any, list[Match]]:
    match condition:
        case Pattern() | Crossing():
            return held, []
        case AllOf() | AnyOf():
            before = held["parts"] if isinstance(condition, AllOf) else held
            steps = [_elapsed(each, part, now) for each, part in zip(condition.conditions, before, strict=True)]
        case Count() | Debounce():
            steps = [_elapsed(condition.condition, held["part"], now)]
        case Absence():
            both = zip((condition.after, condition.expected), held["parts"], strict=True)
            steps = [_elapsed(each, part, now) for each, part in both]
        case EachSubject():
            return _apart(
                condition, held, {key: _elapsed(condition.condition, part, now) for key, part in held.items()}
            )
    held, matches = _combined(condition, held, steps)
    burst = held["burst"] if isinstance(condition, Debounce) else None
    if isinstance(condition, Debounce) and burst is not None and now >= _end(condition, burst):
        return {**held, "burst": None}, [*matches, _ended(condition, burst)]
    begun = held["begun"] if isinstance(condition, Absence) else None
    if isinstance(condition, Absence) and begun is not None and now >= begun["at"] + condition.within:
        return {**held, "begun": None}, [*matches, _missed(condition, begun)]
    return held, matches


def _combined(
    condition: AllOf | AnyOf | Count | Debounce | Absence, held: Any, steps: Sequence[tuple[Any, list[Match]]]
) -> tuple[Any, list[Match]]:
    """What comes of a condition once its parts have moved on."""
    match condition:
        case AnyOf():
            found = {each.key: each for _, matches in reversed(steps) for each in matches}
            return [part for part, _ in steps], sorted(found.values(), key=lambda each: each.at)
        case AllOf():
            return _all_met(condition, held["met"], steps)
        case Count():
            return _counted(condition, held["met"], *steps[0])
        case Debounce():
            return _debounced(condition, held["burst"], *steps[0])
        case Absence():
            return _expected(condition, held, steps)


def _all_met(condition: AllOf, met: list[Any], steps: Sequence[tuple[Any, list[Match]]]) -> tuple[Any, list[Match]]:
    found: list[Match] = []
    # a part may hold several times at once, where bursts have ended meanwhile: each in its turn, by time
    turns = sorted(((place, each) for place, (_, matches) in enumerate(steps) for each in matches), key=_by_time)
    met = list(met)
    for place, each in turns:
        if met[place] is None or each.at >= met[place]["at"]:
            met[place] = msgspec.to_builtins(each)
        if all(met):
            parts = [msgspec.convert(each, Match) for each in met]
            if _within(parts, condition.within) and (not isinstance(condition, InOrder) or _follow(parts)):
                found.append(_joined(parts))
                met = [None] * len(met)
    return {"parts": [part for part, _ in steps], "met": met}, found


def _follow(parts: Sequence[Match]) -> bool:
    """Whether they happened in the order in which they stand."""
    return all(one.at <= next.at for one, next in pairwise(parts))


def _by_time(turn: tuple[int, Match]) -> float:
    return turn[1].at


def _counted(condition: Count, met: list[Any], part: Any, matches: list[Match]) -> tuple[Any, list[Match]]:
    found: list[Match] = []
    known = [msgspec.convert(each, Match) for each in met]
    for each in matches:
        known = sorted([*known, each], key=lambda each: each.at)
        if len(known) == condition.count:
            if _within(known, condition.within):
                found.append(_joined(known, listing=True))
                known = []
            else:
                known = known[1:]
    return {"part": part, "met": [msgspec.to_builtins(each) for each in known]}, found


def _debounced(condition: Debounce, burst: Any, part: Any, matches: list[Match]) -> tuple[Any, list[Match]]:
    found: list[Match] = []
    for each in matches:
        if burst is not None and each.at >= _end(condition, burst):
            found.append(_ended(condition, burst))
            burst = None
        if burst is None:
            burst = {"first": each.at, "last": each.at, "key": each.key, "events": each.events}
        else:
            newest = each.events if each.at >= burst["last"] else burst["events"]
            first, last = min(burst["first"], each.at), max(burst["last"], each.at)
            burst = {**burst, "first": first, "last": last, "events": newest}
    return {"part": part, "burst": burst}, found


def _end(condition: Debounce, burst: Any) -> float:
    """When a burst is over, if nothing more happens."""
    quiet = burst["last"] + condition.quiet
    return quiet if condition.longest is None else min(quiet, burst["first"] + condition.longest)


def _ended(condition: Debounce, burst: Any) -> Match:
    # the event that began it is a part of no other burst of the condition; another condition may end one that began with it
    end = _end(condition, burst)
    return Match(f"{burst['key']}+{end:.3f}", end, burst["events"])


def _expected(
    condition: Absence, held: dict[str, Any], steps: Sequence[tuple[Any, list[Match]]]
) -> tuple[Any, list[Match]]:
    found: list[Match] = []
    begun, came = held["begun"], held["came"]
    (first, after), (second, expected) = steps
    # of one event, what it ends comes before what it begins
    turns = [*((each, False) for each in expected), *((each, True) for each in after)]
    for each, begins in sorted(turns, key=lambda turn: turn[0].at):
        if begun is not None and each.at >= begun["at"] + condition.within:
            found.append(_missed(condition, begun))
            begun = None
        if not begins:
            came = each.at if came is None else max(came, each.at)
            begun = None if begun is not None and each.at >= begun["at"] else begun
        elif begun is None and (came is None or came <= each.at):
            begun = msgspec.to_builtins(each)
    return {"parts": [first, second], "begun": begun, "came": came}, found


def _missed(condition: Absence, begun: dict[str, Any]) -> Match:
    end = begun["at"] + condition.within
    return Match(f"{begun['key']}+{end:.3f}", end, begun["events"])


def _apart(
    condition: EachSubject, held: dict[str, Any], steps: Mapping[str, tuple[Any, list[Match]]]
) -> tuple[Any, list[Match]]:
    """What comes of the events of some subjects; nothing is kept of those of which all is as in the beginning."""
    nothing = _nothing(condition.condition)
    moved = {**held, **{subject: part for subject, (part, _) in steps.items()}}
    matches = [each for _, found in steps.values() for each in found]
    return {key: part for key, part in moved.items() if part != nothing}, sorted(matches, key=lambda each: each.at)


def _crossed(condition: Crossing, held: dict[str, bool], occurrence: Occurrence) -> tuple[Any, list[Match]]:
    if not meets(condition.pattern, occurrence):
        return held, []
    try:
        value = value_at(occurrence.data, condition.path)
    except LookupError:
        return held, []
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return held, []
    beyond = (condition.above is not None and value > condition.above) or (
        condition.below is not None and value < condition.below
    )
    before = held.get(occurrence.subject, False)
    return {**held, occurrence.subject: beyond}, (
        [_single(condition.pattern, occurrence)] if beyond and not before else []
    )


def _single(pattern: Pattern, occurrence: Occurrence) -> Match:
    return Match(event_key(occurrence), occurrence.at, {pattern.name: document(occurrence)})


def _joined(parts: Sequence[Match], *, listing: bool = False) -> Match:
    """The match of several; of parts with the same names, the last counts."""
    events: dict[str, Any] = {}
    for each in sorted(parts, key=lambda each: each.at):
        events |= each.events
    if listing:
        events["events"] = [event for each in parts for event in _listed(each)]
    key = parts[0].key if len(parts) == 1 else _digest(msgspec.json.encode([each.key for each in parts]))
    return Match(key, max(each.at for each in parts), events)


def _listed(match: Match) -> list[Any]:
    return match.events["events"] if "events" in match.events else list(match.events.values())


def _within(parts: Sequence[Match], seconds: float | None) -> bool:
    times = [each.at for each in parts]
    return seconds is None or max(times) - min(times) <= seconds


def _due(condition: Condition, held: Any) -> float:
    match condition:
        case Pattern() | Crossing():
            return math.inf
        case AllOf():
            return min(_due(each, part) for each, part in zip(condition.conditions, held["parts"], strict=True))
        case AnyOf():
            return min(_due(each, part) for each, part in zip(condition.conditions, held, strict=True))
        case Count():
            return _due(condition.condition, held["part"])
        case Debounce():
            burst = held["burst"]
            own = math.inf if burst is None else _end(condition, burst)
            return min(own, _due(condition.condition, held["part"]))
        case Absence():
            begun = held["begun"]
            own = math.inf if begun is None else begun["at"] + condition.within
            return min(own, *map(_due, (condition.after, condition.expected), held["parts"]))
        case EachSubject():
            return min((_due(condition.condition, part) for part in held.values()), default=math.inf)


def _missing(condition: Condition, held: Any) -> str:
    match condition:
        case Pattern():
            about = "" if condition.subject == "*" else f" about {condition.subject}"
            narrowed = " and ".join(_words(each) for each in condition.where)
            return f"an event {condition.type}{about}" + (f" with {narrowed}" if narrowed else "")
        case Crossing():
            line = f"above {condition.above:g}" if condition.above is not None else f"below {condition.below:g}"
            return f"{'.'.join(map(str, condition.path))} {line} in {_missing(condition.pattern, None)}"
        case AllOf():
            parts = zip(condition.conditions, held["parts"], held["met"], strict=True)
            open_parts = [_missing(each, part) for each, part, met in parts if met is None]
            in_order = ", in this order" if isinstance(condition, InOrder) else ""
            return (
                " and ".join(open_parts) + in_order if open_parts else f"all within the time that is allowed{in_order}"
            )
        case AnyOf():
            return " or ".join(_missing(each, part) for each, part in zip(condition.conditions, held, strict=True))
        case Count():
            what = _missing(condition.condition, held["part"])
            come = len(held["met"])
            return f"{condition.count} times {what}" + (f" ({come} of {condition.count} have come)" if come else "")
        case Debounce():
            if held["burst"] is None:
                return _missing(condition.condition, held["part"])
            end = datetime.fromtimestamp(_end(condition, held["burst"]), UTC)
            return f"quiet until {end.isoformat(timespec='seconds')}"
        case Absence():
            if held["begun"] is None:
                return _missing(condition.after, held["parts"][0])
            end = datetime.fromtimestamp(held["begun"]["at"] + condition.within, UTC)
            expected = _missing(condition.expected, held["parts"][1])
            return f"whether there is {expected} until {end.isoformat(timespec='seconds')}"
        case EachSubject():
            return f"{_missing(condition.condition, _nothing(condition.condition))} about one subject"


def unmet(condition: Condition, occurrence: Occurrence) -> list[str]:
    """Why an event counts for nothing though it is of a type, a source and a subject that a condition waits for: what of its
    data does not hold, for people."""
    return [
        f"{_words(each)} does not hold ({_found(each, occurrence.data)})"
        for pattern in patterns(condition)
        if meets(msgspec.structs.replace(pattern, where=()), occurrence)
        for each in pattern.where
        if not _holds(each, occurrence.data)
    ]


def _words(where: Where) -> str:
    """`size > 10`"""
    path = ".".join(map(str, where.path))
    if where.operator == "exists":
        return f"{path} there" if where.value is not False else f"no {path}"
    return f"{path} {where.operator} {msgspec.json.encode(where.value).decode()}"


def _found(where: Where, data: Any) -> str:
    try:
        text = msgspec.json.encode(value_at(data, where.path)).decode()
    except LookupError:
        return "it is not there"
    return f"it is {text if len(text) <= _LONGEST_WORD else text[:_LONGEST_WORD] + '...'}"


def _fitting(condition: Condition, state: dict[str, Any]) -> dict[str, Any]:
    """The state, or one that begins anew if it is none of this condition."""
    same = state.get("of") == _digest(msgspec.json.encode(condition))
    return state if same else begin(condition, state.get("seen", 0))


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
