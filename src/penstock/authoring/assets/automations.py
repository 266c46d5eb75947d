"""When an asset is materialised by itself, as an author says it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from penstock.authoring.options.reading import Refused
from penstock.authoring.source import caller
from penstock.authoring.triggers.schedules import Schedule, together
from penstock.errors import DefinitionError
from penstock.model.asset import Automation


def eager() -> Automation:
    """As soon as one of its inputs has a new version, and all are there."""
    return Automation(("eager",))


def when_ready() -> Automation:
    """Once each of its inputs has a new version since the last time."""
    return Automation(("ready",))


def when_missing(backlog: int = 1) -> Automation:
    """Where it was never made and its inputs are there; of one with partitions, the latest `backlog` are looked at. Raises
    DefinitionError."""
    if type(backlog) is not int or backlog < 1:
        raise DefinitionError(f"backlog must be a number from 1 up, not {backlog!r}", where=str(caller()))
    return Automation(("missing",), backlog=backlog)


def on_schedule(schedule: Schedule) -> Automation:
    """At each tick of a schedule, such as `cron("0 6 * * *")`, once its inputs are there. Of one with partitions, the latest
    is made. Raises DefinitionError."""
    if not isinstance(schedule, Schedule):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DefinitionError(
            f"on_schedule() takes a schedule, not {schedule!r:.80}",
            where=str(caller()),
            remedy='Write on_schedule(cron("0 6 * * *")).',
        )
    return Automation(("schedule",), schedule.timetable)


def on_code_change() -> Automation:
    """When another version of its code is registered. Of one with partitions, the latest is made."""
    return Automation(("code",))


def automation_of(value: Any) -> Automation | None:
    """What several rules come to: any of them that holds starts it. Raises Refused."""
    if value is None or isinstance(value, Automation):
        return value
    rules = tuple(cast(Iterable[Any], value)) if isinstance(value, (list, tuple)) else ()
    if not rules or not all(isinstance(each, Automation) for each in rules):
        raise Refused("a rule such as eager(), or a list of them")
    timetables = [each.timetable for each in rules if each.timetable is not None]
    return Automation(
        tuple(dict.fromkeys(name for each in rules for name in each.rules)),
        together(*map(Schedule, timetables)).timetable if len(timetables) > 1 else next(iter(timetables), None),
        max(each.backlog for each in rules),
    )


__all__ = ["automation_of", "eager", "on_code_change", "on_schedule", "when_missing", "when_ready"]
