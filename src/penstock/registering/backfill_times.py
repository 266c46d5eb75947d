"""The logical times that a backfill is over: the schedule that tells them, and from when to when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from zoneinfo import ZoneInfo

import msgspec

from penstock.errors import DefinitionError, ParameterError
from penstock.model.registration import Definition
from penstock.model.schedule import Timetable
from penstock.model.trigger import ClockSource, Trigger
from penstock.registering.accounts import zone_of_source
from penstock.triggers.backfills import Order, Piece, over_requests, over_times

if TYPE_CHECKING:
    from penstock.ports import Store
    from penstock.registering.backfills import Request


class Stretch(NamedTuple):
    """From one moment up to another and with it, in seconds since the epoch, and what is left out of it."""

    begin: float
    end: float
    notes: tuple[str, ...] = ()


def stretch(request: Request, zone: str, now: float) -> Stretch:
    """The stretch that is asked for, by the clocks of a zone where no other is named; what is still to come is left out.
    Raises DefinitionError and ParameterError."""
    if request.begin is None:
        raise DefinitionError("it is not said from when on", remedy="Say it: --from 2026-01-01.")
    begin = moment(request.begin, zone, "--from")
    end = now if request.end is None else moment(request.end, zone, "--to", whole_day=True)
    if begin > now:
        raise DefinitionError(
            f"{_shown(begin, zone)} is still to come", remedy="A backfill is over times that have gone by."
        )
    if begin > end:
        raise DefinitionError(
            f"{_shown(begin, zone)} is after {_shown(end, zone)}", remedy="Give the earlier one with --from."
        )
    # a day that is not over is asked for as a whole
    return Stretch(begin, end) if end <= now else Stretch(begin, now, ("what is still to come is left out",))


def moment(value: float | str, zone: str, option: str, *, whole_day: bool = False) -> float:
    """Seconds since the epoch, from ISO 8601 text; of a date alone, the start of the day, or the end of the `whole_day`.
    Raises ParameterError."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ParameterError(
            f"{option} takes a time, not {value!r}",
            remedy=f"Write such as 2026-11-21, 2026-11-21T02:00 (in {zone or 'the zone of the schedule'}), or 2026-11-21T02:00+01:00.",
        ) from None
    if found.tzinfo is not None:
        return found.timestamp()
    there = ZoneInfo(zone or "UTC")
    if whole_day and "T" not in text and " " not in text:
        return (found + timedelta(days=1)).replace(tzinfo=there).timestamp() - 1e-3
    return found.replace(tzinfo=there).timestamp()


def _shown(at: float, zone: str) -> str:
    return f"{datetime.fromtimestamp(at, ZoneInfo(zone)):%Y-%m-%d %H:%M %Z}"


def scheduled(store: Store, pipeline: Definition, request: Request) -> tuple[Trigger, Definition]:
    """The trigger whose schedule tells the times. Raises DefinitionError where there is none, or several."""
    known = [(msgspec.convert(each.document, Trigger), each) for each in store.agenda.definitions("trigger")]
    fit = [
        (trigger, each)
        for trigger, each in known
        if trigger.pipeline == pipeline.name and isinstance(trigger.source, (Timetable, ClockSource))
    ]
    wanted = request.trigger or (request.target if request.target != pipeline.name else "")
    chosen = [each for each in fit if each[0].name == wanted] if wanted else fit
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(each.name for each, _ in fit)
    if not fit:
        raise DefinitionError(
            f"{pipeline.name} has no trigger with a schedule, which tells the times",
            remedy='Define one, switched off if it is only for this: trigger(pipeline, cron("0 2 * * *"), enabled=False).',
        )
    raise DefinitionError(
        f"{pipeline.name} has no such trigger with a schedule: {wanted}"
        if wanted
        else f"{pipeline.name} has several schedules: {names}",
        remedy=f"Say which: --trigger {fit[0][0].name}. There are: {names}.",
    )


def pieces_between(trigger: Trigger, definition: Definition, meant: Stretch, order: Order) -> list[Piece]:
    """A run for every time of a trigger within a stretch. Raises DefinitionError for more of them than a backfill may have, and
    what the timetable raises where it is the user's own."""
    zone = zone_of_source(trigger.source)
    if isinstance(trigger.source, Timetable):
        return over_times(trigger.source, trigger.name, meant.begin, meant.end, zone=zone, order=order)
    from penstock.authoring.triggers.sensors import Sensor
    from penstock.registering.loading import load_object

    found = load_object(definition.target)
    if not isinstance(found, Sensor):
        raise DefinitionError(
            f"{definition.target} does not tell its times any more", remedy=f"Register it anew: {definition.origin}"
        )
    requests = cast("Sensor[..., Any]", found).between(*(datetime.fromtimestamp(each, UTC) for each in meant[:2]))
    return over_requests(
        (
            (each.key, each.logical_time.timestamp(), (each.interval[0].timestamp(), each.interval[1].timestamp()))
            for each in requests
            if each.logical_time is not None and each.interval is not None
        ),
        zone=zone,
        order=order,
    )


__all__ = ["Stretch", "moment", "pieces_between", "scheduled", "stretch"]
