"""The coming times of triggers and of cron expressions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from penstock.errors import DefinitionError, NotFoundError, TargetError
from penstock.model.run import timestamp
from penstock.model.schedule import Cron, Timetable
from penstock.model.trigger import ClockSource, Trigger
from penstock.registering.accounts import Accounts, source_words, trigger_of, zone_of_source
from penstock.triggers import check_timetable, ticks

if TYPE_CHECKING:
    from penstock.registering.proposing import Proposal


def times_of(name: str | None, after: float, count: int, zone: str | None) -> list[dict[str, Any]]:
    """The next times after a moment, as data: of a trigger, to be shown in a zone (None: its own), of a cron expression in a
    zone (None: UTC), or with None of all triggers that are switched on.

    Raises NotFoundError, DefinitionError for an expression that is none, and TargetError where a timetable of the
    user's own fails; of one of all triggers that is said on stderr.
    """
    if zone is not None:
        check_timetable(Timetable(Cron("@daily", zone)))
    triggers = _all(after) if name is None else [_named(name, zone or "UTC")]
    follows = [each for each in triggers if isinstance(each.trigger.source, (Timetable, ClockSource))]
    if name is not None and not follows:
        raise DefinitionError(
            f"{name} has no schedule: {source_words(triggers[0].trigger)}",
            remedy=f"What it waits for: penstock triggers show {name}.",
        )
    apart = _Apart(after, count, whole=name is None)
    coming = merge(*(_coming(each, apart, zone) for each in follows), key=lambda each: each[0])
    return [document for _, document in islice(coming, count)]


class _Found(NamedTuple):
    trigger: Trigger
    #: what loads it, and what it goes on from
    target: str = ""
    cursor: Any = None


class _Apart(NamedTuple):
    """How timetables of the user's own are asked: for so much after a moment. With `whole`, one that fails is passed over."""

    after: float
    most: int
    whole: bool

    def runs(self, found: _Found) -> Sequence[Proposal]:
        """What is coming, by the code of the user's file. Raises TargetError."""
        from penstock.app import Services
        from penstock.cli.trigger_asking import Apart

        apart = Apart(Services().project.folder)
        asked = apart.coming(found.target, found.trigger, found.cursor, self.after, self.most)
        what = f"{found.trigger.name} cannot tell when it is due: {asked.fault}"
        if asked.fault and not self.whole:
            raise TargetError(what)
        if asked.fault:
            click.echo(what, err=True)
        return asked.runs


def _coming(found: _Found, apart: _Apart, zone: str | None) -> Iterator[tuple[float, dict[str, Any]]]:
    trigger, source = found.trigger, found.trigger.source
    shown = zone or zone_of_source(source)
    if isinstance(source, Timetable):
        for tick in ticks(source, trigger.name, apart.after):
            yield tick.at, _document(trigger.name, tick.at, tick.due, tick.logical_time, tick.interval, shown)
        return
    for run in apart.runs(found):
        at = datetime.fromisoformat(run.key.partition(" ")[0]).timestamp()
        logical = at if run.cause.logical_time is None else run.cause.logical_time
        yield at, _document(trigger.name, at, at, logical, run.cause.interval or (logical, logical), shown)


def _document(
    trigger: str, at: float, due: float, logical: float, interval: tuple[float, float], zone: str
) -> dict[str, Any]:
    return {
        "trigger": trigger,
        "at": timestamp(at),
        "due": timestamp(due),
        "logical_time": timestamp(logical),
        "interval": [timestamp(each) for each in interval],
        "zone": zone,
    }


def _all(now: float) -> list[_Found]:
    from penstock.app import Services

    with Services().store_as_it_is() as store:
        if store is None:
            return []
        accounts = Accounts(store, now)
        known = [(trigger_of(each), each.target) for each in store.agenda.definitions("trigger")]
        standings = [(trigger, target, accounts.standing(trigger)) for trigger, target in known]
        return [_Found(trigger, target, each.cursor) for trigger, target, each in standings if each.enabled]


def _named(name: str, zone: str) -> _Found:
    from penstock.app import Services

    with Services().store_as_it_is() as store:
        try:
            if store is not None:
                definition = store.agenda.definition("trigger", name)
                standing = next(iter(store.agenda.standings([name])), None)
                return _Found(trigger_of(definition), definition.target, None if standing is None else standing.cursor)
        except NotFoundError:
            if not _is_expression(name):
                raise
    if not _is_expression(name):
        raise NotFoundError(f"there is no trigger {name!r}", remedy="Register it first: penstock register FILE.")
    timetable = Timetable(Cron(name, zone))
    check_timetable(timetable)
    return _Found(Trigger(name=name, source=timetable))


def _is_expression(name: str) -> bool:
    return " " in name.strip() or name.startswith("@")


__all__ = ["times_of"]
