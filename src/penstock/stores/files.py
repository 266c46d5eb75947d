"""The file of an SQLite store: how it is opened, and how it shrinks."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

from penstock.secrets import private
from penstock.stores import schema
from penstock.stores.patience import PatientConnection
from penstock.stores.transactions import code_of

# No memory map: its page faults cost more than the reads they replace.
_PRAGMAS = (
    # A turn with one attempt touches a handful of pages, each of which is written whole. Only counts for a new file.
    "PRAGMA page_size = 2048",
    # The operating system has every commit; the disk has them at each checkpoint.
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -16384",
    "PRAGMA wal_autocheckpoint = 16000",
    "PRAGMA journal_size_limit = 67108864",
)

#: bytes in use up to which a file is written anew while runs are under way: all of them wait for it, a few seconds on a
#: slow disk
_SMALL = 1 << 28


def opened(path: Path) -> sqlite3.Connection:
    """A connection to the store in a file, which is made with its folder, or brought up to date, where it has to be. One that
    may not be written can be read, unless it has to be brought up to date.

    Raises SchemaError and StoreError as `schema.require_known` does, before anything is changed.
    """
    _refuse_unknown(path)
    try:
        return _opened_to_write(path)
    except (OSError, sqlite3.OperationalError) as error:
        if not _is_for_want_of_rights(error) or not path.exists():
            raise
        connection = _opened_to_read(path)
        if connection is None:
            raise
        return connection


def _is_for_want_of_rights(error: OSError | sqlite3.OperationalError) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
    return code_of(error) in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)


def _opened_to_read(path: Path) -> sqlite3.Connection | None:
    """A connection to a file that may not be written; None where its tables are not those of now."""
    connection = _connected(path, _reading(path))
    if schema.is_current(connection, path):
        return connection
    connection.close()
    return None


def _opened_to_write(path: Path) -> sqlite3.Connection:
    private.make_folder(path.parent)
    if str(path) != ":memory:":
        # what SQLite keeps beside the file has the rights of the file
        private.make_file(path)
    connection = sqlite3.connect(path, timeout=0, isolation_level=None, factory=PatientConnection)
    try:
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        # a new file is switched under a lock for which SQLite itself would not wait
        connection.execute("PRAGMA journal_mode = WAL")
        schema.migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def log_of(path: Path) -> Path:
    """The write-ahead log of a file."""
    return path.with_name(f"{path.name}-wal")


def _refuse_unknown(path: Path) -> None:
    """Raise if the file is of a newer penstock or another program, before anything could change it."""
    if not path.exists() or path.stat().st_size == 0:
        return
    mode = _reading(path)
    try:
        _require_known(path, mode)
    except sqlite3.DatabaseError:
        # somebody may have opened it since, and have written to it while it was read
        if mode == _reading(path):
            raise
        _require_known(path, _reading(path))


def _reading(path: Path) -> str:
    """How a file is opened that is not to be changed."""
    # Without a write-ahead log nobody has the file open, and it can be read as it lies there.
    return "mode=ro" if log_of(path).exists() else "immutable=1"


def _connected(path: Path, mode: str) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?{mode}"
    return sqlite3.connect(address, timeout=0, isolation_level=None, uri=True, factory=PatientConnection)


def _require_known(path: Path, mode: str) -> None:
    connection = _connected(path, mode)
    try:
        schema.require_known(connection, path)
    finally:
        connection.close()


def shrink(connection: sqlite3.Connection) -> None:
    """Write the file anew without what has become free, if that is worth the while and nobody keeps it busy."""
    free, pages, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_count", "page_size")
    )
    driven = connection.execute("SELECT 1 FROM runs WHERE state = 'running' LIMIT 1").fetchone() is not None
    if free * 8 < pages or (driven and (pages - free) * size > _SMALL):
        return
    try:
        connection.execute("VACUUM")
    except sqlite3.OperationalError as error:
        if code_of(error) != sqlite3.SQLITE_BUSY:
            raise
        return
    # It does not wait for readers, which would keep everybody from writing: then the file shrinks when it is closed.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def copy(connection: sqlite3.Connection, path: Path) -> None:
    """Write a store to a new file, as it is at one moment, while others go on writing to it."""
    private.make_file(path)
    target = sqlite3.connect(path)
    try:
        # in one step: of a copy in several, each begins anew when somebody has written in between
        connection.backup(target, pages=-1)
        # a file that nobody else writes to needs no log beside it
        target.execute("PRAGMA journal_mode = DELETE")
    finally:
        target.close()


__all__ = ["copy", "log_of", "opened", "shrink"]
