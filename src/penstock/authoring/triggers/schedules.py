"""When a trigger is due by the clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, Literal, TypedDict, Unpack, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from penstock.authoring.kinds.conversion import nearest, shortened
from penstock.authoring.options.policy import Seconds
from penstock.authoring.options.reading import Refused, duration, moment, option
from penstock.authoring.source import caller
from penstock.errors import DefinitionError
from penstock.model import schedule as nouns
from penstock.triggers.timetables import check_timetable, ticks, ticks_back

#: a moment: aware, or in the time of the zone of the schedule; text is ISO 8601
Moment = datetime | date | str
Weekdays = str | int | Iterable[str | int]

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Narrowing(TypedDict, total=False):
    """What narrows a schedule."""

    #: the days on which it may be due
    calendar: nouns.Calendar | None
    #: by how much each tick may be late, by an amount that is always the same for a tick
    jitter: Seconds | str
    #: nothing is due from then on
    end: Moment | None
    #: what the logical time of a tick is: the tick (the default), or the start of its data interval
    logical: Literal["tick", "start"]


class NarrowingWithStart(Narrowing, total=False):
    """What narrows a schedule whose beginning is not a part of its rule."""

    #: nothing is due before
    start: Moment | None


class Schedule:
    """When something is due by the clock. `one | other` is due whenever one of them is."""

    def __init__(self, timetable: nouns.Timetable) -> None:
        self.timetable = timetable

    def __or__(self, other: Schedule) -> Schedule:
        if not isinstance(other, Schedule):  # pyright: ignore[reportUnnecessaryIsInstance]
            return NotImplemented
        return together(self, other)

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Its times after an aware moment, in UTC, from the first on."""
        return (_in_utc(tick) for tick in ticks(self.timetable, "", moment.timestamp()))

    def before(self, moment: datetime) -> Iterator[datetime]:
        """Its times before an aware moment, in UTC, from the last on."""
        return (_in_utc(tick) for tick in ticks_back(self.timetable, "", moment.timestamp()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schedule) and self.timetable == other.timetable

    def __hash__(self) -> int:
        return hash(msgspec.json.encode(self.timetable))

    def __repr__(self) -> str:
        return f"<schedule {self.timetable}>"


def cron(
    expression: str, *, zone: str = "UTC", late: bool = False, **narrowing: Unpack[NarrowingWithStart]
) -> Schedule:
    """When a cron expression says, in the time of a zone (an IANA name such as `Europe/Berlin`).

    Five fields, or six with seconds in front; names of months and weekdays, `@daily` and the like, `L`, `W` and `#`. A time of
    the day that the clocks skip is due at the first moment after that, and one that they show twice the first time; with `late`,
    as in Airflow, as much later as they skip, and the second time. Raises DefinitionError for an expression that is none or that
    never fires, and for a zone that does not exist.
    """
    kind = nouns.LateCron if late else nouns.Cron
    return _schedule(kind(_text("the cron expression", expression), _zone(zone)), narrowing)


def every(length: Seconds | str, *, anchor: Moment | None = None, **narrowing: Unpack[NarrowingWithStart]) -> Schedule:
    """Every so often: seconds, a timedelta, or text such as "15m" or "1h 30m", counted from `anchor` on (by default from
    midnight of 1 January 1970 in UTC, so that `every("1h")` is due at full hours).

    Raises DefinitionError for what is no length of time.
    """
    seconds = option("every", duration, length)
    return _schedule(nouns.Every(seconds, 0.0 if anchor is None else _moment("anchor", anchor, "UTC")), narrowing)


def recurring(rule: str, *, start: Moment, zone: str = "UTC", **narrowing: Unpack[Narrowing]) -> Schedule:
    """When a recurrence rule of RFC 5545 says: `recurring("FREQ=MONTHLY;BYDAY=-1FR", start="2026-01-01T09:00")`.

    `start` is its DTSTART, in the time of the zone. Several lines may hold RDATE, EXDATE and EXRULE as well. Raises
    DefinitionError for a rule that cannot be read.
    """
    zone = _zone(zone)
    begins = datetime.fromtimestamp(_moment("start", start, zone), ZoneInfo(zone)).replace(tzinfo=None)
    return _schedule(nouns.Recurrence(_text("the rule", rule), begins.isoformat(), zone), {**narrowing})


def once(*moments: Moment, zone: str = "UTC", **narrowing: Unpack[Narrowing]) -> Schedule:
    """At one moment, or several. Those that say no zone are in the time of `zone`. Raises DefinitionError for what is no
    moment, and for none at all."""
    if not moments:
        raise DefinitionError("once() needs a moment", where=str(caller()), remedy='Write once("2026-12-24T18:00").')
    zone = _zone(zone)
    at = sorted({_moment("once", each, zone) for each in moments})
    return _schedule(nouns.Once(tuple(at)), {**narrowing}, zone)


def together(*schedules: Schedule, **narrowing: Unpack[NarrowingWithStart]) -> Schedule:
    """Whenever one of several schedules is due; a moment at which several are counts once. What narrows them is said here,
    and not of each. Raises DefinitionError."""
    if not schedules or not all(isinstance(each, Schedule) for each in schedules):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DefinitionError(
            "together() needs schedules", where=str(caller()), remedy='Write together(cron("0 9 * * *"), every("6h")).'
        )
    for each in schedules:
        if each.timetable != nouns.Timetable(each.timetable.schedule):
            raise DefinitionError(
                "a schedule that is combined with others cannot be narrowed by itself",
                where=str(caller()),
                remedy="Say it of all of them: together(one, other, calendar=..., jitter=..., start=..., end=...).",
            )
    parts: list[nouns.Schedule] = []
    for each in schedules:
        part = each.timetable.schedule
        parts.extend(part.schedules if isinstance(part, nouns.Together) else (part,))
    return _schedule(nouns.Together(tuple(dict.fromkeys(parts))) if len(parts) > 1 else parts[0], narrowing)


def calendar(
    *,
    weekdays: Weekdays | None = None,
    exclude: Iterable[date | str] = (),
    holidays: str | Iterable[str] = (),
    zone: str | None = None,
    otherwise: Literal["skip", "next", "previous"] = "skip",
) -> nouns.Calendar:
    """The days on which something may be due.

    `weekdays` are names ("mon-fri", "sat, sun", ["monday"]) or numbers (0 for Monday), all by default; nothing is due on the
    dates of `exclude`, and on the public holidays of the countries in `holidays` (ISO 3166, also with a subdivision:
    "DE-BY"). The days are those of `zone`, by default the zone of the schedule. `otherwise` says what becomes of a moment on
    another day: it is dropped, or moved to the same time of the next or the previous day that is allowed. Raises
    DefinitionError.
    """
    return nouns.Calendar(
        tuple(range(7)) if weekdays is None else option("weekdays", _weekdays, weekdays),
        option("exclude", _dates, exclude),
        option("holidays", _countries, holidays),
        "" if zone is None else _zone(zone),
        option("otherwise", partial(_one_of, ("skip", "next", "previous")), otherwise),
    )


def _schedule(schedule: nouns.Schedule, narrowing: NarrowingWithStart, zone: str | None = None) -> Schedule:
    known = NarrowingWithStart.__annotations__
    unknown = next((name for name in narrowing if name not in known), None)
    if unknown is not None:
        raise DefinitionError(
            f"there is no option {unknown!r} of a schedule{nearest(unknown, known)}",
            where=str(caller()),
            remedy=f"The options of a schedule are: {', '.join(known)}.",
        )
    zone = zone or zone_of(schedule)
    moments: dict[str, float | None] = {
        name: None if value is None else _moment(name, value, zone)
        for name, value in narrowing.items()
        if name in ("start", "end")
    }  # type: ignore[misc]
    days = narrowing.get("calendar")
    if days is not None and not isinstance(days, nouns.Calendar):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DefinitionError(
            f"calendar must be a calendar, not {shortened(repr(days))}",
            where=str(caller()),
            remedy='Write calendar=calendar(weekdays="mon-fri").',
        )
    if days is not None and not days.zone:
        days = msgspec.structs.replace(days, zone=zone)
    jitter = narrowing.get("jitter", 0)
    timetable = nouns.Timetable(
        schedule,
        days,
        0.0 if jitter == 0 else option("jitter", duration, jitter),
        moments.get("start"),
        moments.get("end"),
        option("logical", partial(_one_of, ("tick", "start")), narrowing.get("logical", "tick")),
    )
    start, end = timetable.start, timetable.end
    if start is not None and end is not None and end <= start:
        raise DefinitionError("the schedule ends before it starts", where=str(caller()))
    check_timetable(timetable, str(caller()))
    return Schedule(timetable)


def zone_of(schedule: nouns.Schedule) -> str:
    """The zone that a schedule is in; of several, the first that is not UTC."""
    if isinstance(schedule, nouns.Together):
        zones = (zone_of(each) for each in schedule.schedules)
        return next((zone for zone in zones if zone != "UTC"), "UTC")
    return schedule.zone if isinstance(schedule, (nouns.Cron, nouns.Recurrence)) else "UTC"


def _in_utc(tick: nouns.Tick) -> datetime:
    return datetime.fromtimestamp(tick.at, UTC)


def _zone(name: Any) -> str:
    """The name of a zone. Raises DefinitionError."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        from zoneinfo import available_timezones

        near = nearest(name, available_timezones())
        raise DefinitionError(
            f"there is no time zone {name!r}{near}",
            where=str(caller()),
            remedy=None if near else 'Use a name of the IANA database, such as "Europe/Berlin" or "UTC".',
        ) from None
    return name


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise DefinitionError(f"{name} must be a text, not {shortened(repr(value))}", where=str(caller()))
    return value.strip()


def _one_of(allowed: tuple[Any, ...], value: Any) -> Any:
    if value not in allowed:
        raise Refused(" or ".join(f'"{each}"' for each in allowed))
    return value


def _moment(name: str, value: Any, zone: str) -> float:
    return option(name, partial(moment, zone=ZoneInfo(zone)), value).timestamp()


def _weekdays(value: Any) -> tuple[int, ...]:
    listed: list[Any]
    if isinstance(value, str):
        listed = [part for part in value.replace(",", " ").split() if part]
    elif isinstance(value, Iterable):
        listed = list(cast(Iterable[Any], value))
    else:
        listed = [value]
    found: set[int] = set()
    for each in listed:
        first, dash, last = each.partition("-") if isinstance(each, str) else (each, "", each)
        begin, end = _weekday(first), _weekday(last if dash or last else first)
        found.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    if not found:
        raise Refused('weekdays such as "mon-fri", "sat, sun" or [0, 2]')
    return tuple(sorted(found))


def _weekday(value: Any) -> int:
    if type(value) is int and 0 <= value <= 6:
        return value
    name = value.strip().lower() if isinstance(value, str) else ""
    for number, day in enumerate(_DAYS):
        if len(name) >= 2 and day.startswith(name):
            return number
    raise Refused('weekdays such as "mon-fri", "sat, sun" or [0, 2] (0 for Monday)')


def _dates(value: Any) -> tuple[str, ...]:
    if isinstance(value, (str, date)):
        value = (value,)
    if not isinstance(value, Iterable):
        raise Refused("dates")
    return tuple(sorted({_date(each) for each in cast(Iterable[Any], value)}))


def _date(value: Any) -> str:
    if isinstance(value, datetime):
        value = value.date()
    try:
        return (value if isinstance(value, date) else date.fromisoformat(value)).isoformat()
    except (ValueError, TypeError):
        raise Refused('dates such as "2026-12-24"') from None


def _countries(value: Any) -> tuple[str, ...]:
    listed = (value,) if isinstance(value, str) else value
    if not isinstance(listed, Iterable) or not all(
        isinstance(each, str) and each for each in cast(Iterable[Any], listed)
    ):
        raise Refused('countries such as "DE", "US" or "DE-BY"')
    return tuple(dict.fromkeys(cast(Iterable[str], listed)))


__all__ = ["Schedule", "calendar", "cron", "every", "once", "recurring", "together"]
