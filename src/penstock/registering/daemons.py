"""Which daemons serve a project: each leaves word of itself every few seconds, in one standing for all of them."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from penstock.model.firing import Standing
from penstock.model.run import shown_driver
from penstock.runtime.surroundings.processes import has_ended

if TYPE_CHECKING:
    from penstock.ports.agenda import Agenda
    from penstock.services import Services

#: the name of the standing whose cursor has the daemons; no trigger can have it
STANDING: Final = "daemons:"
#: seconds between two times that a daemon leaves word, and after which one elsewhere that leaves none counts as gone
INTERVAL: Final = 10.0
_SILENCE: Final = 60.0


class Serving(NamedTuple):
    """A daemon that serves a project."""

    #: the process, as drivers of runs are recorded
    process: str
    #: seconds since the epoch
    since: float
    heard_of: float


def running(services: Services) -> list[str]:
    """The daemons that serve a project, a line for each: `host:pid, since 2026-03-01 02:00:00`. Empty where there is none.
    Raises StoreError."""
    if not services.has_store:
        return []
    with services.store() as store:
        return [
            f"{shown_driver(each.process)}, since {datetime.fromtimestamp(each.since):%Y-%m-%d %H:%M:%S}"
            for each in serving(standing(store.agenda), time.time())
        ]


def standing(agenda: Agenda) -> Standing:
    """Where daemons leave word of themselves."""
    return next(iter(agenda.standings([STANDING])), Standing(trigger=STANDING))


def serving(known: Standing, now: float) -> list[Serving]:
    """The daemons that are there by a standing, the oldest first. One elsewhere counts as there for as long as it has left
    word within the last minute, by the clocks of both machines."""
    cursor = cast("dict[str, Any]", known.cursor) if isinstance(known.cursor, dict) else {}
    found = [Serving(process, *times) for process, times in cursor.items()]
    there = [
        each for each in found if abs(now - each.heard_of) <= _SILENCE and not has_ended(each.process, each.heard_of)
    ]
    return sorted(there, key=lambda each: (each.since, each.process))


__all__ = ["INTERVAL", "STANDING", "Serving", "running", "serving", "standing"]
