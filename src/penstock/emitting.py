"""`emit`: events of the user's own, which triggers may follow."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import msgspec

from penstock.authoring.kinds.conversion import shortened
from penstock.authoring.kinds.parameters import to_json
from penstock.authoring.source import caller
from penstock.errors import DefinitionError
from penstock.model.occurrence import Occurrence

#: what events come from that say nothing of it
_SOURCE = "local"


def emit(
    type: str,
    data: Any = None,
    *,
    subject: str = "",
    source: str = _SOURCE,
    id: str | None = None,
    at: datetime | float | None = None,
    home: str | Path | None = None,
) -> str:
    """Record that something happened: triggers that follow events of this type look at it. Returns the id of the event.

    `data` is what JSON can hold; dates, paths, records and the like are written as text or dicts. `source` and `id` together
    tell an event from all others: one that comes twice counts once, and without an `id` each is an event of its own. `at` is
    when it happened (a moment, or seconds since the epoch), if that is not now. `home` is
    the folder of the project's state, for one that is not that of the working folder. Raises DefinitionError for a type, a
    source or an id that is no text, and for data that JSON cannot hold.
    """
    from penstock.app import Services
    from penstock.model.options import RunOptions

    occurrence = occurrence_of(type, data, subject=subject, source=source, id=id, at=at)
    with Services(RunOptions(home=None if home is None else str(home))).store() as store:
        store.agenda.emit([occurrence])
    return occurrence.id


def occurrence_of(
    type: str,
    data: Any = None,
    *,
    subject: str = "",
    source: str = _SOURCE,
    id: str | None = None,
    at: datetime | float | None = None,
) -> Occurrence:
    """An event that happens now, or at a moment. Raises DefinitionError as `emit` does."""
    if id is None:
        id = uuid4().hex
    for name, value in (("type", type), ("source", source), ("id", id)):
        if not isinstance(cast(Any, value), str) or not value.strip():
            raise _refused(f"the {name} of an event is a text, not {shortened(repr(value))}")
    written = to_json(data)
    try:
        msgspec.json.encode(written)
    except (TypeError, ValueError, OverflowError) as error:
        raise _refused(f"the data of the event cannot be written as JSON: {error}") from None
    return Occurrence(id=id, source=source, type=type, at=_seconds(at), subject=subject, data=written)


def _seconds(at: Any) -> float:
    if at is None:
        return time.time()
    if isinstance(at, datetime):
        return at.timestamp()
    if isinstance(at, (int, float)) and not isinstance(at, bool):
        return float(at)
    raise _refused(f"an event happens at a moment or some seconds since the epoch, not {shortened(repr(at))}")


def _refused(what: str) -> DefinitionError:
    return DefinitionError(what, where=str(caller()))


__all__ = ["emit", "occurrence_of"]
