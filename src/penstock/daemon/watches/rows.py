"""Rows that appear in a database.

The query says with `:cursor` where to go on. It is asked for as a part of a query of our own, which puts the rows in order and
takes so many at once; nothing is ever written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import quote

import msgspec

from penstock.authoring.kinds.parameters import to_json
from penstock.daemon.watches.databases import open_database
from penstock.daemon.watches.seen import digest, told
from penstock.errors import DefinitionError, SecretError, StoreError
from penstock.model.occurrence import OWN_SOURCE, Occurrence
from penstock.model.trigger import WatchSource

#: rows that are taken in one look
_MOST: Final = 1000
#: how often the end is looked for at first, of a query that has a limit of its own
_STEPS: Final = 10_000
_ENV = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")


class Row(NamedTuple):
    """A row."""

    #: JSON-able
    values: dict[str, Any]
    #: of the column that grows, as the next query takes it
    at: Any


def look_at_rows(folder: Path, source: WatchSource, cursor: Any, now: float) -> tuple[list[Occurrence], Any]:
    """Rows that the query finds after a cursor, in the order of its column, at most 1,000. The query may ask for those from the
    cursor on (`>=`) as well: what was seen of these does not count again.

    In the first look, the end of what is there is found. Raises StoreError for a database that cannot be read, and
    DefinitionError for a query or a column that is wrong.
    """
    known: dict[str, Any] | None = cursor
    if known is None and source.existing:
        known = {"value": None, "seen": []}
    with closing(open_database(folder, address_of(source.place), source.query, source.column)) as database:
        if known is None:
            return [], _end(database, source)
        rows = [Row(values, _at(values, source)) for values in map(_plain, database.rows(known["value"], _MOST + 1))]
    if len(rows) > _MOST:
        # those that have the same value as the next one come with it
        rows = [row for row in rows[:_MOST] if row.at != rows[_MOST].at]
        if not rows:
            raise StoreError(
                f"more than {_MOST:,} rows have the same {source.column}",
                remedy="Choose a column of which each row has a value of its own, such as a number that counts up.",
            )
    marks = [digest(msgspec.json.encode(row.values).decode()).hex() for row in rows]
    seen: list[str] = known["seen"]
    events = [
        _event(source, row, mark, now)
        for row, mark in zip(rows, marks, strict=True)
        if not (row.at == known["value"] and mark in seen)
    ]
    last = rows[-1].at if rows else known["value"]
    kept = seen if last == known["value"] else []
    at_last = [mark for row, mark in zip(rows, marks, strict=True) if row.at == last and mark not in kept]
    return told("row", source.column, events, now, many="rows", together=source.together), {
        "value": last,
        "seen": [*kept, *at_last],
    }


class Database(Protocol):
    """A database, with the query, for reading."""

    def rows(self, cursor: Any, most: int) -> Sequence[dict[str, Any]]:
        """The first rows after a cursor (None: all), in order."""
        ...

    def last(self, cursor: Any) -> Any:
        """The greatest value of the column after a cursor (None: of all); None if there is none."""
        ...

    def close(self) -> None: ...


def _end(database: Database, source: WatchSource) -> dict[str, Any]:
    """The cursor behind all that is there."""
    value = None
    for _ in range(_STEPS):
        found = to_json(database.last(value))
        if found is None or found == value:
            break
        value = found
    if value is None:
        return {"value": None, "seen": []}
    # with >=, the last ones will be found again
    there = [each for each in map(_plain, database.rows(value, _MOST)) if each[source.column] == value]
    return {"value": value, "seen": [digest(msgspec.json.encode(each).decode()).hex() for each in there]}


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """A row as JSON holds it."""
    return {name: value.hex() if isinstance(value, bytes) else to_json(value) for name, value in values.items()}


def _at(values: dict[str, Any], source: WatchSource) -> Any:
    value = values[source.column]
    if value is None or not isinstance(value, (int, float, str)):
        raise StoreError(f"a row has no value in the column {source.column} that one could go on from")
    return value


def address_of(place: str) -> str:
    """An address, with what it refers to in the environment. Raises DefinitionError."""

    def value(found: re.Match[str]) -> str:
        text = os.environ.get(found[1])
        if text is None:
            raise DefinitionError(
                f"the address of the database needs the variable {found[1]}, which is not set",
                remedy=f"Start penstock up with {found[1]} set.",
            )
        return text if found[0] == place else quote(text, safe="")

    if place.partition(":")[0] in ("file", "keyring"):
        from penstock.secrets.sources import look_up

        try:
            return look_up(place)
        except SecretError as error:
            raise DefinitionError(error.what, remedy=error.remedy) from None
    return _ENV.sub(value, place)


def _event(source: WatchSource, row: Row, mark: str, now: float) -> Occurrence:
    return Occurrence(
        id=f"{row.at}#{mark}",
        source=f"{OWN_SOURCE}/rows",
        type="row.arrived",
        at=now,
        subject=str(row.at),
        data=row.values,
    )


__all__ = ["Row", "address_of", "look_at_rows"]
