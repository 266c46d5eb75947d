"""The coming times of triggers and of cron expressions."""

from __future__ import annotations

from heapq import merge
from itertools import islice
from typing import Any

from penstock.errors import DefinitionError, NotFoundError
from penstock.model.run import timestamp
from penstock.model.schedule import Cron, Tick, Timetable
from penstock.model.trigger import Trigger
from penstock.registering.accounts import Accounts, source_words, trigger_of, zone_of
from penstock.triggers import check_timetable, ticks


def times_of(name: str | None, after: float, count: int, zone: str | None) -> list[dict[str, Any]]:
    """The next times after a moment, as data: of a trigger, to be shown in a zone (None: its own), of a cron expression in a
    zone (None: UTC), or with None of all triggers that are switched on. Raises NotFoundError, and DefinitionError for an expression that is none."""
    triggers = _all(after) if name is None else [_named(name, zone or "UTC")]
    if zone is not None:
        check_timetable(Timetable(Cron("@daily", zone)))
    schedules = [(each, each.source) for each in triggers if isinstance(each.source, Timetable)]
    if name is not None and not schedules:
        raise DefinitionError(
            f"{name} has no schedule: {source_words(triggers[0])}",
            remedy=f"What it waits for: penstock triggers show {name}.",
        )
    coming = merge(
        *(
            ((tick.at, place, tick) for tick in ticks(source, each.name, after))
            for place, (each, source) in enumerate(schedules)
        ),
    )
    return [_document(*schedules[place], tick, zone) for _, place, tick in islice(coming, count)]


def _document(trigger: Trigger, timetable: Timetable, tick: Tick, zone: str | None) -> dict[str, Any]:
    return {
        "trigger": trigger.name,
        "at": timestamp(tick.at),
        "due": timestamp(tick.due),
        "logical_time": timestamp(tick.logical_time),
        "interval": [timestamp(each) for each in tick.interval],
        "zone": zone or zone_of(timetable.schedule),
    }


def _all(now: float) -> list[Trigger]:
    from penstock.app import Services

    with Services().store_as_it_is() as store:
        if store is None:
            return []
        accounts = Accounts(store, now)
        known = [trigger_of(each) for each in store.agenda.definitions("trigger")]
        return [each for each in known if accounts.standing(each).enabled]


def _named(name: str, zone: str) -> Trigger:
    from penstock.app import Services

    with Services().store_as_it_is() as store:
        try:
            if store is not None:
                return trigger_of(store.agenda.definition("trigger", name))
        except NotFoundError:
            if not _is_expression(name):
                raise
    if not _is_expression(name):
        raise NotFoundError(f"there is no trigger {name!r}", remedy="Register it first: penstock register FILE.")
    timetable = Timetable(Cron(name, zone))
    check_timetable(timetable)
    return Trigger(name=name, source=timetable)


def _is_expression(name: str) -> bool:
    return " " in name.strip() or name.startswith("@")


__all__ = ["times_of"]
