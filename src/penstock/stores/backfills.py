"""Backfills, in SQL. What writes runs inside a transaction of its caller's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from msgspec import convert
from msgspec.structs import replace

from penstock.errors import NotFoundError, StoreError
from penstock.model.firing import BACKFILLING, Backfill, BackfillState
from penstock.model.run import timestamp
from penstock.stores import firings
from penstock.stores.database import Connection
from penstock.stores.rows import Row, json_document, plain

_COLUMNS: Final = "state, finished_at, document"
_ADD = f"INSERT INTO backfills (backfill_id, {_COLUMNS}) VALUES (?, ?, ?, ?)"
_MOVE = "UPDATE backfills SET state = ?2, finished_at = ?3 WHERE backfill_id = ?1"
_ENDED = (BackfillState.CANCELLED, BackfillState.FINISHED)


def begin(connection: Connection, backfill: Backfill, queued: Sequence[Row]) -> None:
    """Add a backfill with the rows of its firings."""
    row = (plain(backfill.backfill_id), str(backfill.state), backfill.finished_at, json_document(backfill))
    connection.execute(_ADD, row)
    firings.add(connection, queued)


def named(connection: Connection, name: str, place: str) -> Backfill:
    """The one with an id, an unambiguous start of one, or `latest`. Raises NotFoundError."""
    name = plain(name)
    found = _found(connection, "WHERE backfill_id = ?", [name])
    if not found and name == "latest":
        found = latest(connection, (), 1)
    elif not found and name:
        found = _found(
            connection,
            "WHERE backfill_id >= ? AND backfill_id < ? ORDER BY number DESC LIMIT 5",
            [name, f"{name}\U0010ffff"],
        )
    if len(found) == 1:
        return found[0]
    if found:
        raise NotFoundError(f"several backfills start with {name!r}", remedy=_listed("Say which:", found))
    known = latest(connection, (), 5)
    if not known:
        raise NotFoundError(f"there is no backfill {name!r}: none is recorded in {place}")
    raise NotFoundError(f"there is no backfill {name!r}", remedy=_listed("The latest are:", known))


def latest(connection: Connection, states: Sequence[BackfillState], limit: int) -> list[Backfill]:
    """The latest first."""
    which = f"WHERE state IN ({', '.join('?' * len(states))})" if states else ""
    return _found(connection, f"{which} ORDER BY number DESC LIMIT ?", [*map(str, states), limit])


def move(connection: Connection, backfill_id: str, state: BackfillState, at: float) -> Backfill:
    """Pause, resume, cancel or finish a backfill. Raises NotFoundError, and StoreError for one that has ended."""
    for backfill in _found(connection, "WHERE backfill_id = ?", [plain(backfill_id)]):
        if backfill.state in _ENDED:
            raise StoreError(f"backfill {backfill_id} has ended: it is {backfill.state}", remedy="Begin another one.")
        moved = replace(backfill, state=state, finished_at=at if state in _ENDED else None)
        connection.execute(_MOVE, (plain(backfill_id), str(state), moved.finished_at))
        if state is BackfillState.CANCELLED:
            firings.cancel_queued(connection, f"{BACKFILLING}{backfill_id}", "the backfill was cancelled")
        return moved
    raise NotFoundError(f"there is no backfill {backfill_id}")


def _found(connection: Connection, rest: str, values: Sequence[Any]) -> list[Backfill]:
    return [
        _backfill_of(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM backfills {rest}", values).fetchall()
    ]


def _backfill_of(row: Row) -> Backfill:
    state, finished_at, document = row
    begun = convert(json.loads(document), Backfill)
    return replace(begun, state=BackfillState(state), finished_at=finished_at)


def _listed(lead: str, backfills: Sequence[Backfill]) -> str:
    what = ((each, each.pipeline or each.assets) for each in backfills)
    return lead + "".join(
        f"\n    {each.backfill_id}  {name}, begun {timestamp(each.created_at)}" for each, name in what
    )


__all__ = ["begin", "latest", "move", "named"]
