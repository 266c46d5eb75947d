"""What the two databases have in common: the seam that all SQL here is written against.

The SQL is what both understand, with `?` for a value or `?2` for the second one; `sqlite3.Connection` is such a
connection as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from penstock.stores.rows import Row

#: how many keys one query looks for; SQLite takes at least 999 values
_KEYS = 500


class Cursor(Protocol):
    """What a statement has found."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection to a database."""

    def execute(self, statement: str, values: Sequence[Any] = ..., /) -> Cursor: ...

    def executemany(self, statement: str, values: Iterable[Row], /) -> object:
        """Carry out a statement for each of the rows of values."""
        ...


def looked_up(connection: Connection, query: str, keys: Sequence[bytes] | Sequence[str]) -> Iterator[Row]:
    """The rows of a query that ends in the name of a column, for which these are the keys."""
    for start in range(0, len(keys), _KEYS):
        some = keys[start : start + _KEYS]
        yield from connection.execute(f"{query} IN ({', '.join('?' * len(some))})", tuple(some)).fetchall()


__all__ = ["Connection", "Cursor", "looked_up"]
