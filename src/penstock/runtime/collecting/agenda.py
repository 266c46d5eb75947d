"""What is dropped of the past of triggers and assets."""

from __future__ import annotations

import sys
from typing import Any, cast

import msgspec

from penstock.model.firing import BACKFILLING, BackfillState
from penstock.model.schedule import Timetable
from penstock.model.trigger import EventSource, Trigger
from penstock.ports import Store
from penstock.ports.agenda import Agenda
from penstock.runtime.collecting.retention import Retention


def forget(store: Store, retention: Retention, now: float, *, dry: bool) -> dict[str, int]:
    """Drop old versions of assets, events and firings; with `dry`, only count them. Returns how many of each kind."""
    agenda, before = store.agenda, now - retention.events_older_than
    triggers = [msgspec.convert(each.document, Trigger) for each in agenda.definitions("trigger", retired=True)]
    listening = [each.name for each in triggers if isinstance(each.source, EventSource)]
    # a sensor or a watch may come to an old key again
    past = [each.name for each in triggers if isinstance(each.source, (EventSource, Timetable))]
    ended = agenda.backfills(states=(BackfillState.FINISHED, BackfillState.CANCELLED), limit=sys.maxsize)
    past += [f"{BACKFILLING}{each.backfill_id}" for each in ended]
    return {
        "versions": store.catalog.forget_versions(
            now - retention.versions_older_than, keep=retention.keep_versions, dry=dry
        ),
        "events": agenda.forget_occurrences(before, up_to=_seen_by_all(agenda, listening), dry=dry),
        "firings": agenda.forget_firings(before, past, dry=dry),
    }


def _seen_by_all(agenda: Agenda, triggers: list[str]) -> int | None:
    """The number of the latest event that all of these triggers have looked at, of those that are switched on."""
    standings = [each for each in agenda.standings(triggers) if each.enabled]
    return min((_seen(each.cursor) for each in standings), default=None)


def _seen(cursor: Any) -> int:
    return cast("dict[str, int]", cursor).get("seen", 0) if isinstance(cursor, dict) else 0


__all__ = ["forget"]
