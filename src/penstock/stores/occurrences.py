"""Events from outside of runs, in SQL. What writes runs inside a transaction of its caller's.

They are numbered in the order in which their transactions are committed: whoever adds some first sees to it that nobody
else numbers any until the transaction ends (`Access.hold_order`). So one who reads on from the last number that was seen
misses none.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from penstock.model.occurrence import Occurrence
from penstock.stores.database import Connection, dropped
from penstock.stores.rows import Row, json_document, plain

# First what all that are added at once have in common: so they keep their order.
_COLUMNS: Final = "recorded_at, id, source, type, at, subject, data"
_ADD = f"INSERT INTO occurrences ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (source, id) DO NOTHING"
_LAST = "SELECT coalesce(max(number), 0) FROM occurrences"
# The latest stays, so that the numbers that are given out after it are known to be greater.
_OLD = f"FROM occurrences WHERE at < ? AND number <= ? AND number < ({_LAST})"


def add(connection: Connection, occurrences: Sequence[Occurrence], at: float) -> None:
    """Add what happened, but for what is known. Nobody else may number any meanwhile."""
    connection.executemany(_ADD, (_row(each, at) for each in occurrences))


def last(connection: Connection) -> int:
    """The number of the latest; 0 if there was none."""
    return connection.execute(_LAST).fetchone()[0]


def count_after(connection: Connection, number: int) -> int:
    return connection.execute("SELECT count(*) FROM occurrences WHERE number > ?", (number,)).fetchone()[0]


def after(connection: Connection, number: int, limit: int, type: str | None) -> list[tuple[int, Occurrence]]:
    """Those with a greater number, in order, with their numbers."""
    which, values = ("", (number, limit)) if type is None else ("AND type = ?3", (number, limit, plain(type)))
    query = f"SELECT number, {_COLUMNS} FROM occurrences WHERE number > ?1 {which} ORDER BY number LIMIT ?2"
    return [(row[0], _occurrence_of(row[1:])) for row in connection.execute(query, values).fetchall()]


def forget(connection: Connection, before: float, up_to: int, *, dry: bool) -> int:
    """Drop those that happened before a time, up to a number, but for the latest of all."""
    return dropped(connection, _OLD, (before, up_to), dry=dry)


def _row(occurrence: Occurrence, at: float) -> Row:
    return (
        at,
        plain(occurrence.id),
        plain(occurrence.source),
        plain(occurrence.type),
        occurrence.at,
        plain(occurrence.subject),
        json_document(occurrence.data),
    )


def _occurrence_of(row: Row) -> Occurrence:
    _, id, source, type, at, subject, data = row
    return Occurrence(id=id, source=source, type=type, at=at, subject=subject, data=json.loads(data))


__all__ = ["add", "after", "count_after", "forget", "last"]
