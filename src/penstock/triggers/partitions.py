"""The partitions that there are at a moment: their keys, how many, and the time that each of them stands for.

Moments are seconds since the epoch. Partitions of time follow each other without gaps; a day that a zone leaves out is none.
An hour is always 3,600 seconds long, whatever the clocks do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import permutations, product
from math import prod
from typing import Final
from zoneinfo import ZoneInfo

from penstock.errors import DefinitionError, NotFoundError
from penstock.model.partition import (
    JOINT,
    DynamicPartitions,
    ManyDimensions,
    Partitions,
    StaticPartitions,
    TimePartitions,
)
from penstock.triggers.stretches import Line, line_of

#: tells the keys of dynamic partitions by their name
Dynamic = Callable[[str], Sequence[str]]
#: between the first and the last key of a range
RANGE: Final = ".."
#: what stands for partitions where keys are named
WORDS: Final = ("latest", "missing", "failed", "stale", "all")
#: in the place of the key of a dimension: all of them
_ALL: Final = "*"


def keys(partitions: Partitions, now: float, dynamic: Dynamic) -> Sequence[str]:
    """The keys of all partitions that there are at a moment, in order."""
    match partitions:
        case TimePartitions():
            line = line_of(partitions)
            return line.texts(*line.bounds(now))
        case StaticPartitions(known):
            return known
        case DynamicPartitions(name):
            return dynamic(name)
        case ManyDimensions():
            each = [keys(dimension, now, dynamic) for dimension in dimensions(partitions).values()]
            return [JOINT.join(combined) for combined in product(*each)]


def count(partitions: Partitions, now: float, dynamic: Dynamic) -> int:
    """How many partitions there are at a moment; those of time are not listed for that."""
    match partitions:
        case TimePartitions():
            line = line_of(partitions)
            return line.count(*line.bounds(now))
        case StaticPartitions(known):
            return len(known)
        case DynamicPartitions(name):
            return len(dynamic(name))
        case ManyDimensions():
            return prod(count(dimension, now, dynamic) for dimension in dimensions(partitions).values())


def contains(partitions: Partitions, key: str, now: float, dynamic: Dynamic) -> bool:
    """Whether there is a partition at a moment; those of time are not listed for that."""
    match partitions:
        case TimePartitions():
            line = line_of(partitions)
            place = line.place(key)
            first, end = line.bounds(now)
            return place is not None and first <= place < end
        case StaticPartitions(known):
            return key in known
        case DynamicPartitions(name):
            return key in dynamic(name)
        case ManyDimensions():
            parts = key.split(JOINT)
            known = dimensions(partitions).values()
            return len(parts) == len(known) and all(
                contains(dimension, part, now, dynamic) for dimension, part in zip(known, parts, strict=True)
            )


def latest(partitions: Partitions, most: int, now: float, dynamic: Dynamic) -> Sequence[str]:
    """The keys of the last partitions, so many at most; those of time before them are not listed."""
    if isinstance(partitions, TimePartitions):
        line = line_of(partitions)
        first, end = line.bounds(now)
        # one more, since a day may be none
        return line.texts(max(first, end - most - 1), end)[-most:]
    return keys(partitions, now, dynamic)[-most:]


def window(partitions: TimePartitions, key: str) -> tuple[float, float]:
    """The time that a partition stands for, from its start up to its end, which is the start of the next. Raises
    NotFoundError for a key that none can have."""
    line = line_of(partitions)
    place = line.place(key)
    if place is None:
        raise NotFoundError(
            f"there is no {partitions.unit if partitions.unit != 'cron' else 'time'} {key!r} among the partitions",
            remedy=f"Keys look like {line.text(line.first)}.",
        )
    return line.start(place), line.start(place + 1)


def has_time(partitions: Partitions | None) -> bool:
    """Whether partitions are of time, or have one dimension that is."""
    return partitions is not None and _time_of(partitions) is not None


def window_of(partitions: Partitions, key: str) -> tuple[str, tuple[float, float]] | None:
    """The zone and the time of a partition, also of one of several dimensions of which one is of time; None for one that
    has none. Raises NotFoundError for a key that none can have."""
    found = _time_of(partitions)
    if found is None:
        return None
    name, times = found
    part = key
    if isinstance(partitions, ManyDimensions):
        if key.count(JOINT) + 1 != len(partitions.dimensions):
            raise NotFoundError(f"there is no partition {key!r}")
        part = parts_of(partitions, key)[name]
    return times.zone, window(times, part)


def _time_of(partitions: Partitions) -> tuple[str, TimePartitions] | None:
    """The dimension of time, if there is one alone, by its name."""
    if isinstance(partitions, TimePartitions):
        return "", partitions
    if not isinstance(partitions, ManyDimensions):
        return None
    found = [(name, each) for name, each in partitions.dimensions.items() if isinstance(each, TimePartitions)]
    return found[0] if len(found) == 1 else None


def key_of(partitions: TimePartitions, moment: float) -> str | None:
    """The key of the partition that a moment lies in; None before the first, and where none begins any more."""
    line = line_of(partitions)
    place = line.floor(moment)
    return line.text(place) if line.first <= place < line.end else None


def between(partitions: Partitions, first: str, last: str, now: float, dynamic: Dynamic) -> Sequence[str]:
    """The keys from one up to another and with it; an empty text stands for the first, or the last, that there is. Raises
    NotFoundError for one that is not there, and where the last one is before the first."""
    for key in (first, last):
        if key and not contains(partitions, key, now, dynamic):
            raise unknown(partitions, key, now, dynamic)
    if isinstance(partitions, TimePartitions):
        line = line_of(partitions)
        begin, end = line.bounds(now)
        low, high = (line.place(first) if first else begin), (line.place(last) if last else end - 1)
        assert low is not None and high is not None
        _check_range(first, last, low, high)
        return line.texts(low, high + 1)
    known = list(keys(partitions, now, dynamic))
    low, high = known.index(first) if first else 0, known.index(last) if last else len(known) - 1
    _check_range(first, last, low, high)
    return known[low : high + 1]


def _check_range(first: str, last: str, low: int, high: int) -> None:
    if first and last and low > high:
        raise NotFoundError(
            f"there is nothing from {first!r} to {last!r}, which is before it", remedy=f"Write {last}{RANGE}{first}."
        )


def expanded(partitions: Partitions, text: str, now: float, dynamic: Dynamic) -> Sequence[str]:
    """The keys that a text means: a key, a range of them (`A..B`, `A..`, `..B`), or `*` for all. Of several dimensions, one
    of these for each, joined by `|`, in the order of the names of the dimensions.

    Raises NotFoundError for a key that is not there.
    """
    if isinstance(partitions, ManyDimensions):
        named = dimensions(partitions)
        parts = text.split(JOINT)
        if len(parts) == len(named):
            _check_order(named, parts, now, dynamic)
            each = [expanded(named[name], part, now, dynamic) for name, part in zip(named, parts, strict=True)]
            return [JOINT.join(combined) for combined in product(*each)]
        raise NotFoundError(
            f"there is no partition {text!r}",
            remedy=f"A key is {JOINT.join(named)}; in the place of each there may be a range (A..B), or {_ALL}.",
        )
    if text == _ALL:
        return keys(partitions, now, dynamic)
    first, dots, last = text.partition(RANGE)
    if dots:
        return between(partitions, first, last, now, dynamic)
    if not contains(partitions, text, now, dynamic):
        raise unknown(partitions, text, now, dynamic)
    return (text,)


def _check_order(
    named: Mapping[str, TimePartitions | StaticPartitions | DynamicPartitions],
    parts: Sequence[str],
    now: float,
    dynamic: Dynamic,
) -> None:
    """Raise NotFoundError for the keys of dimensions in another order than that of their names."""
    if all(
        part == _ALL or RANGE in part or contains(named[n], part, now, dynamic)
        for n, part in zip(named, parts, strict=True)
    ):
        return
    for turned in permutations(parts):
        if all(contains(named[n], part, now, dynamic) for n, part in zip(named, turned, strict=True)):
            raise NotFoundError(
                f"there is no partition {JOINT.join(parts)!r}: a key is {JOINT.join(named)}, in the order of these names",
                remedy=f"Did you mean {JOINT.join(turned)}?",
            )


def unknown(partitions: Partitions, key: str, now: float, dynamic: Dynamic) -> NotFoundError:
    """What to raise for a partition that is not there."""
    there = count(partitions, now, dynamic)
    if not there:
        dynamic_one = isinstance(partitions, DynamicPartitions)
        named = f" of {partitions.name!r}; add it: penstock assets partitions ASSET --add {key}" if dynamic_one else ""
        return NotFoundError(f"there is no partition {key!r}", remedy=f"There are none yet{named}.")
    if isinstance(partitions, TimePartitions):
        line = line_of(partitions)
        begin, end = line.bounds(now)
        place = line.place(key)
        why = "" if place is None else ": it is before the first" if place < begin else ": it is not over yet"
        twice = _twice(partitions, line, key) if place is None else []
        if twice:
            return NotFoundError(
                f"there is no partition {key!r}: its time comes twice, as clocks are set back",
                remedy=f"Say which: {' or '.join(twice)}.",
            )
        known = f"from {line.text(begin)} to {line.text(end - 1)}"
        return NotFoundError(f"there is no partition {key!r}{why}", remedy=f"There are {there:,}, {known}.")
    from difflib import get_close_matches

    listed = keys(partitions, now, dynamic)
    near = get_close_matches(key, listed[:1000], n=2)
    remedy = f"Did you mean {' or '.join(near)}?" if near else f"There are {there:,}, from {listed[0]} to {listed[-1]}."
    return NotFoundError(f"there is no partition {key!r}", remedy=remedy)


def _twice(partitions: TimePartitions, line: Line, key: str) -> list[str]:
    """The keys of a time that clocks show twice."""
    try:
        wall = datetime.fromisoformat(key)
    except ValueError:
        return []
    if wall.tzinfo is not None:
        return []
    there = wall.replace(tzinfo=ZoneInfo(partitions.zone))
    moments = (there.timestamp(), there.replace(fold=1).timestamp())
    found = [line.text(line.floor(each)) for each in moments] if moments[0] < moments[1] else []
    return [each for each in dict.fromkeys(found) if each.startswith(key)]


def dimensions(partitions: ManyDimensions) -> Mapping[str, TimePartitions | StaticPartitions | DynamicPartitions]:
    """The dimensions in the order of their names, which is that of the parts of a key."""
    return dict(sorted(partitions.dimensions.items()))


def parts_of(partitions: ManyDimensions, key: str) -> dict[str, str]:
    """The key of each dimension in a key."""
    return dict(zip(dimensions(partitions), key.split(JOINT), strict=True))


def check_partitions(partitions: Partitions, where: str | None = None) -> None:
    """Raise DefinitionError, naming the place they were written at, for partitions that cannot be."""
    try:
        for problem in _problems(partitions):
            raise problem
    except DefinitionError as error:
        raise DefinitionError(error.what, where=where, remedy=error.remedy) from None


def _problems(partitions: Partitions) -> Iterator[DefinitionError]:
    match partitions:
        case TimePartitions():
            line_of(partitions).check()
        case StaticPartitions(known):
            yield from _static_problems(known)
        case DynamicPartitions(name):
            if not name:
                yield DefinitionError("dynamic partitions need a name", remedy='Write dynamic("customers").')
        case ManyDimensions():
            yield from _dimension_problems(partitions)


def _static_problems(known: Sequence[str]) -> Iterator[DefinitionError]:
    if not known:
        yield DefinitionError("static partitions need a key", remedy='Write static(["eu", "us"]).')
    twice = next((key for place, key in enumerate(known) if key in known[:place]), None) if len(known) < 1000 else None
    if len(set(known)) != len(known):
        yield DefinitionError(f"a key is there twice among the partitions{f': {twice!r}' if twice else ''}")
    for key in known:
        check_key(key)


def check_key(key: str, *, dimension: bool = False) -> None:
    """Raise DefinitionError for a key that a partition cannot have, or none that may be of one `dimension` of several."""
    rule = _broken(key) or (f"a text without {JOINT}, which joins dimensions" if dimension and JOINT in key else "")
    if rule:
        raise DefinitionError(
            f"a partition cannot have the key {key!r}",
            remedy=f"Use {rule}.",
        )


def _broken(key: str) -> str:
    """The rule that a key does not keep, so that it could not be named; empty where it keeps all."""
    if not key.strip():
        return "a text that is not empty"
    if key != key.strip() or not key.isprintable():
        return "a text without space around it, and without line breaks"
    if key == _ALL or key in WORDS:
        return f"another word: {_ALL}, {', '.join(WORDS)} stand for partitions themselves"
    sign = next((each for each in (RANGE, ",") if each in key), None)
    told = {RANGE: "which is for ranges", ",": "which is between keys"}
    return f"a text without {sign}, {told[sign]}" if sign else ""


def _dimension_problems(partitions: ManyDimensions) -> Iterator[DefinitionError]:
    if len(partitions.dimensions) < 2:
        yield DefinitionError(
            "several dimensions are two or more", remedy="Write dimensions(day=daily(...), region=static([...]))."
        )
    for dimension in partitions.dimensions.values():
        yield from _problems(dimension)
        listed = dimension.keys if isinstance(dimension, StaticPartitions) else ()
        joint = next((key for key in listed if JOINT in key), None)
        if joint is not None:
            yield DefinitionError(
                f"a key of one of several dimensions has a {JOINT!r} in it: {joint!r}", remedy="Use another sign."
            )


__all__ = [
    "RANGE",
    "WORDS",
    "Dynamic",
    "Line",
    "between",
    "check_key",
    "check_partitions",
    "contains",
    "count",
    "dimensions",
    "expanded",
    "has_time",
    "key_of",
    "keys",
    "latest",
    "line_of",
    "parts_of",
    "unknown",
    "window",
    "window_of",
]
