"""Databases that rows are read from: files of SQLite, and PostgreSQL servers."""

from __future__ import annotations

import math
import re
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from penstock.errors import DefinitionError, StoreError

#: seconds that a query may take
_LONGEST: Final = 60.0
_CURSOR: Final = re.compile(r"(?<![:\w]):cursor\b")
_REMEDY: Final = "Try the query in the database itself, with a value in the place of :cursor."
#: type of PostgreSQL -> the least value of it, as text
_LEAST: Final = {
    16: "false",
    21: str(-(2**15)),
    23: str(-(2**31)),
    20: str(-(2**63)),
    700: "-Infinity",
    701: "-Infinity",
    1700: "-1e1000",
    25: "",
    1042: "",
    1043: "",
    1082: "-infinity",
    1114: "-infinity",
    1184: "-infinity",
    2950: "00000000-0000-0000-0000-000000000000",
}


def open_database(folder: Path, address: str, query: str, column: str) -> SqliteDatabase | PostgresDatabase:
    """The database at an address, with a query, for reading. Raises StoreError, and DefinitionError for an address that is
    none. No message shows the address itself: there may be a password in it."""
    scheme = address.partition("://")[0]
    inner = query.strip().rstrip(";")
    if scheme == "sqlite":
        return SqliteDatabase(folder, address, inner, column)
    if scheme in ("postgresql", "postgres"):
        return PostgresDatabase(address, inner, column)
    raise DefinitionError(
        "the address of the database is none that rows can be read from",
        remedy="Write such as sqlite:///shop.db or postgresql://user@host:5432/shop.",
    )


def _quoted(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _in_order(query: str, column: str) -> str:
    # a comment at its end ends with the line
    return f"SELECT * FROM ({query}\n) AS found ORDER BY {_quoted(column)} LIMIT "


def _greatest(query: str, column: str) -> str:
    return f"SELECT max({_quoted(column)}) FROM ({query}\n) AS found"


def _check_column(names: Sequence[str], column: str) -> None:
    if column not in names:
        raise DefinitionError(
            f"the query gives no column {column!r} (it gives: {', '.join(names)})",
            remedy="Name the column in the query, or another one in rows(...).",
        )


class SqliteDatabase:
    """A file of SQLite, opened for reading: `sqlite:///relative.db`, `sqlite:////absolute.db`."""

    def __init__(self, folder: Path, address: str, query: str, column: str) -> None:
        name = unquote(address.removeprefix("sqlite://").removeprefix("/"))
        self._path = folder / name
        self._query, self._column = query, column
        if not self._path.is_file():
            raise StoreError(f"there is no database {self._path}", remedy="Make it, or correct the address.")
        try:
            self._connection = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
        except sqlite3.Error as error:
            raise self._failed(error) from None
        until = time.monotonic() + _LONGEST
        self._connection.set_progress_handler(lambda: int(time.monotonic() > until), 100_000)

    def rows(self, cursor: Any, most: int) -> list[dict[str, Any]]:
        """The first rows after a cursor, in order."""
        names, found = self._asked(f"SELECT * FROM ({self._query}\n) AS found LIMIT 0", cursor)
        # an unknown name in quotes is a text to SQLite
        _check_column(names, self._column)
        names, found = self._asked(_in_order(self._query, self._column) + str(most), cursor)
        return [dict(zip(names, row, strict=True)) for row in found]

    def last(self, cursor: Any) -> Any:
        """The greatest value of the column after a cursor."""
        names, _ = self._asked(f"SELECT * FROM ({self._query}\n) AS found LIMIT 0", cursor)
        _check_column(names, self._column)
        return self._asked(_greatest(self._query, self._column), cursor)[1][0][0]

    def close(self) -> None:
        self._connection.close()

    def _asked(self, query: str, cursor: Any) -> tuple[list[str], list[Any]]:
        # less than every number, and as text less than all that is usual
        value = -math.inf if cursor is None else cursor
        try:
            with self._connection:
                answer = self._connection.execute(query, {"cursor": value})
                return [each[0] for each in answer.description], answer.fetchall()
        except sqlite3.Error as error:
            raise self._failed(error) from None

    def _failed(self, error: sqlite3.Error) -> StoreError:
        what = f"the query took longer than {_LONGEST:g} s" if str(error) == "interrupted" else str(error)
        return StoreError(f"rows cannot be read from {self._path}: {what}", remedy=_REMEDY)


class PostgresDatabase:
    """A PostgreSQL database, for reading."""

    def __init__(self, address: str, query: str, column: str) -> None:
        try:
            import psycopg
        except ImportError:
            raise DefinitionError(
                "rows of PostgreSQL need the package psycopg, which is not installed",
                remedy="Install it: pip install 'penstock[postgres]'",
            ) from None
        from penstock.stores.troubles import place_of

        self._place = place_of(address)
        # a percent sign is something else to the driver
        self._query, self._column = _CURSOR.sub("%(cursor)s", query.replace("%", "%%")), column
        self._least: str | None = None
        options = f"-c default_transaction_read_only=on -c statement_timeout={_LONGEST * 1000:.0f}"
        try:
            self._connection = psycopg.connect(address, connect_timeout=10, options=options, autocommit=True)
        except psycopg.Error as error:
            raise self._failed(error) from None
        try:
            self._least = self._least_of(_CURSOR.sub("$1", query))
        except BaseException:
            self._connection.close()
            raise

    def rows(self, cursor: Any, most: int) -> list[dict[str, Any]]:
        """The first rows after a cursor, in order."""
        names, found = self._asked(_in_order(self._query, self._column) + str(most), cursor)
        return [dict(zip(names, row, strict=True)) for row in found]

    def last(self, cursor: Any) -> Any:
        """The greatest value of the column after a cursor."""
        return self._asked(_greatest(self._query, self._column), cursor)[1][0][0]

    def close(self) -> None:
        self._connection.close()

    def _least_of(self, query: str) -> str | None:
        """The least value of the type that the server takes the cursor for; None where it is not known."""
        connection = self._connection.pgconn
        for answer in (connection.prepare(b"", query.encode()), connection.describe_prepared(b"")):
            if answer.error_message:
                message = answer.error_message.decode(errors="replace").strip()
                raise StoreError(f"rows cannot be read from {self._place}: {message}", remedy=_REMEDY)
        described = connection.describe_prepared(b"")
        if not described.nparams:
            return None
        if described.param_type(0) not in _LEAST:
            raise DefinitionError(
                "the server cannot tell where the query begins: the type of :cursor is not one that has a least value",
                remedy="Write the type of the column behind it: :cursor::bigint.",
            )
        return _LEAST[described.param_type(0)]

    def _asked(self, query: str, cursor: Any) -> tuple[list[str], list[Any]]:
        import psycopg

        # as text, which the server reads as what the query compares it with
        value = self._least if cursor is None else str(cursor)
        try:
            answer = self._connection.execute(query.encode(), {"cursor": value})
            return [each.name for each in answer.description or ()], answer.fetchall()
        except psycopg.Error as error:
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> StoreError:
        lines = [line for line in str(error).splitlines() if line.strip()]
        return StoreError(
            f"rows cannot be read from {self._place}: {lines[0] if lines else type(error).__name__}", remedy=_REMEDY
        )


__all__ = ["PostgresDatabase", "SqliteDatabase", "open_database"]
