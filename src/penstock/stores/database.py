"""What the two databases have in common: the seam that all SQL here is written against.

The SQL is what both understand, with `?` for a value or `?2` for the second one; `sqlite3.Connection` is such a
connection as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol, TypeVar

from penstock.stores.rows import Row

T = TypeVar("T")

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


class Write(Protocol):
    """Does some work in a transaction; more than once, where it has to be tried again. There is no other transaction of
    this kind beside it."""

    def __call__(self, work: Callable[[], T], /) -> T: ...


class Access(NamedTuple):
    """What the parts of a store have of its database."""

    #: what messages call it
    place: str
    connection: Connection
    write: Write
    #: within, what goes wrong with the database is raised as a StoreError that says what could not be done
    reported: Callable[[str], AbstractContextManager[None]]
    #: lets nobody else number events until the end of the transaction
    hold_order: Callable[[], None]

    def rows(self, query: str, *values: Any) -> list[Row]:
        """What a query finds."""
        with self.reported("read"):
            return self.connection.execute(query, values).fetchall()


def dropped(connection: Connection, rows: str, values: Row, *, dry: bool) -> int:
    """Delete rows, or with `dry` only count them; `rows` is what follows on DELETE. Returns how many."""
    if dry:
        return connection.execute(f"SELECT count(*) {rows}", values).fetchone()[0]
    return connection.execute(f"DELETE {rows}", values).rowcount


def looked_up(
    connection: Connection, query: str, keys: Sequence[bytes] | Sequence[str], given: Row = ()
) -> Iterator[Row]:
    """The rows of a query that takes the values `given` and ends in the name of a column, for which these are the keys."""
    for start in range(0, len(keys), _KEYS):
        some = keys[start : start + _KEYS]
        yield from connection.execute(f"{query} IN ({', '.join('?' * len(some))})", (*given, *some)).fetchall()


__all__ = ["Access", "Connection", "Cursor", "looked_up"]
