"""What is done with the file of a store: what goes wrong becomes a StoreError with a remedy.

Classes rather than generators: every turn of a run enters several of these, which are most of what Python itself spends
on recording it.
"""

from __future__ import annotations

import sqlite3
import zlib
from pathlib import Path

import msgspec

from penstock.errors import StoreError

#: seconds to wait for another process to finish writing
PATIENCE = 30.0

_RIGHTS = "Give yourself the right to read and write there, or name another folder with PENSTOCK_HOME."
_DAMAGED = (
    "Put a backup back: penstock restore FILE --force. If there is none, move the file away: penstock then makes a new one."
    " Blobs are not affected."
)
_REMEDIES = {
    sqlite3.SQLITE_BUSY: "End that process, or try again.",
    sqlite3.SQLITE_IOERR: "The disk may be full, or damaged: free some space there, and look at what the system says of it.",
    sqlite3.SQLITE_FULL: "Free some space on that disk, or name another folder with PENSTOCK_HOME.",
    sqlite3.SQLITE_READONLY: _RIGHTS,
    sqlite3.SQLITE_CANTOPEN: _RIGHTS,
    sqlite3.SQLITE_PERM: _RIGHTS,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
}


class Reported:
    """Within, what goes wrong with the file at `path` is raised as a StoreError that says what could not be done."""

    __slots__ = ("_path", "_verb")

    def __init__(self, path: Path, verb: str) -> None:
        self._path = path
        self._verb = verb

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        failed = f"cannot {self._verb} {self._path}"
        if isinstance(error, sqlite3.Error):
            code = code_of(error)
            reason = f"another process has it locked for {PATIENCE:g} s" if code == sqlite3.SQLITE_BUSY else str(error)
            raise StoreError(f"{failed}: {reason}", remedy=_REMEDIES.get(code)) from error
        if isinstance(error, OSError):
            raise StoreError(f"{failed}: {error.strerror or error}", remedy=_RIGHTS) from error
        if isinstance(error, (msgspec.MsgspecError, zlib.error, ValueError, TypeError, OverflowError)):
            raise StoreError(f"{failed}: {error}") from error


class Transaction:
    """A transaction with the right to write from its start: one that had only read could not wait for it."""

    __slots__ = ("_connection", "_reported")

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._reported = Reported(path, "write to")
        self._connection = connection

    def __enter__(self) -> None:
        with self._reported:
            self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        with self._reported:
            if error is None:
                self._commit()
            else:
                self._roll_back()
        self._reported.__exit__(kind, error, trace)

    def _commit(self) -> None:
        try:
            self._connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def code_of(error: sqlite3.Error) -> int:
    """The kind of an SQLite error, without its finer distinctions; 0 where SQLite had no part in it."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
