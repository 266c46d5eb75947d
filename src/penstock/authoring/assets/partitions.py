"""How an asset is divided into partitions, and which partitions of another it is made from, as an author says it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from typing import Any, TypedDict, TypeVar, Unpack, cast

from penstock.authoring.kinds.conversion import nearest, shortened
from penstock.authoring.options.policy import Seconds
from penstock.authoring.options.reading import Refused, duration, option, texts
from penstock.authoring.source import caller, location_of
from penstock.errors import DefinitionError
from penstock.model import partition as nouns
from penstock.model.schedule import Cron
from penstock.triggers.partitions import check_partitions

P = TypeVar("P", bound=nouns.Partitions)

#: in the time of the zone
Day = date | datetime | str
#: names, for a key, the key above, or several
Chooser = Callable[[str], str | Sequence[str]]


class TimeOptions(TypedDict, total=False):
    """What there is to say of partitions of time."""

    #: nothing begins from then on
    end: Day | None
    #: IANA name; UTC by default
    zone: str
    #: how many partitions there are that are not over yet; 0 by default
    ahead: int
    #: `strftime` of the keys
    format: str | None


class ShiftedOptions(TimeOptions, total=False):
    """What there is to say of hours, days, weeks and months."""

    #: how long after the beginning of the unit a partition starts: seconds, a timedelta, or text such as "6h"
    offset: Seconds | str


def hourly(start: Day, **options: Unpack[ShiftedOptions]) -> nouns.TimePartitions:
    """A partition for every hour from `start` on: `2026-03-01T14:00`. Where clocks show an hour twice, its key has the
    distance from UTC as well. Raises DefinitionError."""
    return _time("hour", start, options)


def daily(start: Day, **options: Unpack[ShiftedOptions]) -> nouns.TimePartitions:
    """A partition for every day from `start` on: `2026-03-01`. It is there once the day is over; with `ahead=1`, as soon as it
    begins. Raises DefinitionError."""
    return _time("day", start, options)


def weekly(start: Day, **options: Unpack[ShiftedOptions]) -> nouns.TimePartitions:
    """A partition for every week from Monday on, the first one that begins at `start` or after it: `2026-03-02`. For weeks
    that begin on Sunday, `offset="6d"`. Raises DefinitionError."""
    return _time("week", start, options)


def monthly(start: Day, **options: Unpack[ShiftedOptions]) -> nouns.TimePartitions:
    """A partition for every month, the first one that begins at `start` or after it: `2026-03`. Raises DefinitionError."""
    return _time("month", start, options)


def partitioned_by_cron(expression: str, start: Day, **options: Unpack[TimeOptions]) -> nouns.TimePartitions:
    """A partition from each time that a cron expression is due to the next: `2026-03-01T06:00`. Raises DefinitionError."""
    return _time("cron", start, {**options}, Cron(expression, options.get("zone", "UTC")))


def static(keys: Iterable[str]) -> nouns.StaticPartitions:
    """Partitions with given keys. Raises DefinitionError."""
    return _checked(nouns.StaticPartitions(option("keys", texts, keys)))


def dynamic(name: str) -> nouns.DynamicPartitions:
    """Partitions whose keys are added and removed while the project lives: `penstock assets partitions --add`. Assets with
    the same `name` share them. Raises DefinitionError."""
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DefinitionError(f"dynamic partitions have a name, not {shortened(repr(name))}", where=str(caller()))
    return _checked(nouns.DynamicPartitions(name))


def dimensions(**each: nouns.TimePartitions | nouns.StaticPartitions | nouns.DynamicPartitions) -> nouns.ManyDimensions:
    """Every combination of the partitions of several dimensions: `dimensions(day=daily("2026-01-01"), region=static(["eu",
    "us"]))`. A key is that of each, in the order of the names: `2026-01-01|eu`. Raises DefinitionError."""
    for name, partitions in each.items():
        if not isinstance(partitions, nouns.TimePartitions | nouns.StaticPartitions | nouns.DynamicPartitions):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DefinitionError(
                f"the dimension {name} must be partitions, not {shortened(repr(partitions))}",
                where=str(caller()),
                remedy=f'Write {name}=daily("2026-01-01"), or static([...]).',
            )
    return _checked(nouns.ManyDimensions(dict(sorted(each.items()))))


def _time(unit: Any, start: Day, options: Any, cron: Cron | None = None) -> nouns.TimePartitions:
    known = TimeOptions.__annotations__ if cron else ShiftedOptions.__annotations__
    unknown = next((name for name in options if name not in known), None)
    if unknown is not None:
        raise DefinitionError(
            f"there is no option {unknown!r} of partitions{nearest(unknown, known)}",
            where=str(caller()),
            remedy=f"They are: {', '.join(known)}.",
        )
    end, offset = options.get("end"), options.get("offset", 0)
    seconds = 0.0 if offset == 0 else option("offset", duration, offset)
    if seconds % 60:
        raise DefinitionError(f"the offset must be whole minutes, not {offset!r}", where=str(caller()))
    return _checked(
        nouns.TimePartitions(
            unit,
            option("start", _clock, start),
            None if end is None else option("end", _clock, end),
            options.get("zone", "UTC"),
            int(seconds // 60),
            cron,
            options.get("ahead", 0),
            options.get("format"),
        )
    )


def _clock(value: Any) -> str:
    """What the clocks show, as ISO 8601 text. Raises Refused."""
    try:
        found = datetime.fromisoformat(value.strip()) if isinstance(value, str) else value
    except ValueError:
        found = None
    if isinstance(found, datetime) and found.tzinfo is None:
        return found.isoformat() if found.time() != datetime.min.time() else found.date().isoformat()
    if isinstance(found, date) and not isinstance(found, datetime):
        return found.isoformat()
    raise Refused('a day or a time without a zone, which is zone=: "2026-01-01", or a date')


def _checked(partitions: P) -> P:
    check_partitions(partitions, str(caller()))
    return partitions


# Which partitions of another.


def same() -> nouns.Same:
    """The partition with the same key; of several dimensions, with the same keys in those that both have."""
    return nouns.Same()


def last(count: int, *, offset: int = 0) -> nouns.Last:
    """The partition with the same key and those before it, `count` in all; with `offset=1`, all of them one earlier. The
    function takes a dict from their keys to their values. Raises DefinitionError."""
    if type(count) is not int or count < 1 or type(offset) is not int or offset < 0:
        raise DefinitionError(
            f"last() takes a number of partitions from 1 up, and an offset from 0 up, not {count!r} and {offset!r}",
            where=str(caller()),
        )
    return nouns.Last(count, offset)


def all_partitions() -> nouns.Everything:
    """All partitions that there are when the run is put together."""
    return nouns.Everything()


def by_time() -> nouns.ByTime:
    """The partitions whose time lies within that of the partition, or, where they last longer, the one that it begins in."""
    return nouns.ByTime()


def mapping_of(value: Any) -> nouns.Mapping | None:
    """A mapping, from one or from a function that names the keys. Raises DefinitionError."""
    if value is None or isinstance(value, nouns.Mapping):
        return value
    if not callable(value):
        raise DefinitionError(
            f"a mapping is wanted here, and not {shortened(repr(value))}",
            where=str(caller()),
            remedy="Write same(), last(7), all_partitions(), by_time(), or a function from a key to a key, or to several.",
        )
    function = cast(Any, value)
    qualname = getattr(function, "__qualname__", "<lambda>")
    if "<" in qualname:
        raise DefinitionError(
            "a function that names partitions has to be at the top level of its module, under its own name",
            where=str(location_of(function)),
        )
    return nouns.Chosen(f"{function.__module__}:{qualname}")


__all__ = [
    "ShiftedOptions",
    "TimeOptions",
    "all_partitions",
    "by_time",
    "daily",
    "dimensions",
    "dynamic",
    "hourly",
    "last",
    "mapping_of",
    "monthly",
    "partitioned_by_cron",
    "same",
    "static",
    "weekly",
]
