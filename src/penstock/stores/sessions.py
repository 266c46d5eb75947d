"""A session with a PostgreSQL server that outlasts its connections.

When a connection breaks, what was being done is done again on a new one, with ever longer pauses, for as long as there is
patience. So that nothing is done twice by that, whether a transaction was committed whose outcome is not known is asked
of the server, by its number.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import re
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from operator import itemgetter
from typing import Any, Final, TypeAlias, TypeVar, cast

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8BinaryDumper
from psycopg.types.string import StrDumperUnknown, TextBinaryLoader

from penstock.errors import StoreError
from penstock.stores.database import Cursor
from penstock.stores.rows import Row

T = TypeVar("T")
Connected: TypeAlias = "psycopg.Connection[Row]"

#: seconds between two tries: the first time at most, and ever
_PAUSES = (0.05, 2.0)
#: seconds to wait for another process to finish writing
LOCKED = 30.0

# A server that is cut off is noticed within half a minute, whether we wait for it or it has to take something from us.
_NETWORK: Final = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
    "application_name": "penstock",
}
# Whoever stops in the middle of a transaction loses it before others lose their patience.
SETTINGS = f"""
    SET search_path = penstock, pg_temp;
    SET lock_timeout = '{LOCKED:.0f}s';
    SET idle_in_transaction_session_timeout = '{LOCKED * 2 / 3:.0f}s';
    SET client_encoding = 'UTF8'
"""
# One writes at a time, as with a file; the turns of runs are apart from that. "penstock" in ASCII.
_BEGIN = """
    BEGIN;
    SELECT pg_advisory_xact_lock(x'70656e73746f636b'::bigint);
    SELECT pg_current_xact_id()::text
"""
_STATUS = "SELECT pg_xact_status($1::text::xid8)"
_END_OTHER = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND backend_xid = $1::text::xid8::xid
"""

#: How many rows are inserted by one statement. Of few sizes, so that the server comes to know them.
_SIZES = (100, 10, 1)
_ROW = re.compile(r"VALUES (\([^)]*\))")

#: what a server says that will take connections again: it starts, or has too many now
_BUSY = ("starting up", "shutting down", "recovery mode", "not yet accepting", "too many clients", "connection slots")
#: what passes by itself: serialization failures and deadlocks
_CONFLICTS = ("40001", "40P01")
_PASSING = (psycopg.OperationalError, psycopg.InterfaceError)
#: what passes once another server has taken over
_REPLACED = ("25006", "57P01", "57P02", "57P03")

#: stands for itself and, with what follows, for the character that PostgreSQL's text cannot hold; in no language
_MARK = "\ufdd0"


class _TextDumper(StrDumperUnknown):
    def dump(self, obj: str) -> Any:
        if "\x00" in obj or _MARK in obj:
            obj = obj.replace(_MARK, f"{_MARK}1").replace("\x00", f"{_MARK}0")
        # as `SETTINGS` has it; asking the connection for its encoding takes as long as all else, for each text of a row
        return obj.encode()


class _TextLoader(TextBinaryLoader):
    def load(self, data: Any) -> Any:
        text = str(data, "utf-8")
        if _MARK in text:
            text = text.replace(f"{_MARK}0", "\x00").replace(f"{_MARK}1", _MARK)
        return text


def connect(address: str) -> Connected:
    """A connection to the database at an address. Raises psycopg.Error."""
    given = conninfo_to_dict(address)
    options: dict[str, Any] = {name: value for name, value in _NETWORK.items() if name not in given}
    connection = psycopg.connect(address, autocommit=True, cursor_factory=psycopg.RawCursor, **options)
    connection.adapters.register_dumper(int, Int8BinaryDumper)
    connection.adapters.register_dumper(str, _TextDumper)
    connection.adapters.register_loader("text", _TextLoader)
    try:
        connection.execute(SETTINGS.encode())
    except BaseException:
        connection.close()
        raise
    return connection


@functools.lru_cache(maxsize=2048)
def translated(statement: str) -> bytes:
    """A statement with its values marked as PostgreSQL marks them: `?` and `?2` become `$1` and `$2`."""
    place = 0

    def numbered(mark: re.Match[str]) -> str:
        nonlocal place
        place += 1
        return f"${mark[1] or place}"

    return re.sub(r"\?(\d*)", numbered, statement).encode()


@functools.lru_cache(maxsize=64)
def repeated(statement: str, times: int) -> bytes:
    """An INSERT of one row as one of several."""
    return translated(_ROW.sub(lambda row: f"VALUES {', '.join([row[1]] * times)}", statement))


class Session:
    """What a store does with a PostgreSQL server: at most one connection at a time.

    For the thread that made it, and for each process that is forked from it, which gets a connection of its own.
    `patience` is for how many seconds a server that is gone is waited for, `opening` the same for the first connection.
    Methods raise psycopg.Error, and StoreError when the session was closed.
    """

    def __init__(self, address: str, patience: float, opening: float) -> None:
        self._address = address
        self._patience = patience
        self._owner = (os.getpid(), threading.get_ident())
        self._connection: Connected | None = None
        #: connections of a parent process, which are not ours to end
        self._inherited: list[Connected | None] = []
        self._closed = False
        #: whether what is carried out is part of something that is tried again as a whole
        self.within = False
        self.ride_out(self.connected, opening)

    def connected(self) -> Connected:
        """The connection, made where there is none."""
        if self._closed:
            raise StoreError("the store is closed")
        if self._owner != (os.getpid(), threading.get_ident()):
            self._change_owner()
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._address)
        return self._connection

    def _change_owner(self) -> None:
        if self._owner[0] == os.getpid():
            raise StoreError("a store can only be used in the thread that made it")
        self._owner = (os.getpid(), threading.get_ident())
        self._inherited.append(self._connection)
        self._connection = None

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> Cursor:
        """Carry out a statement; again, if the connection breaks. So it must be one that may be carried out twice, unless
        it is part of a transaction."""
        if self.within:
            return self._execute(statement, values)
        return self.ride_out(lambda: self._execute(statement, values))

    def _execute(self, statement: str, values: Sequence[Any]) -> Cursor:
        return self.connected().execute(translated(statement), values, binary=True)

    def executemany(self, statement: str, values: Iterable[Row], /) -> None:
        """Carry out a statement for each of the rows of values, as part of a transaction. They are ordered by their first
        value, so that of two sessions that change the same rows, none waits for the other in a circle."""
        ordered = sorted(values, key=itemgetter(0))
        connection = self.connected()
        if not statement.lstrip().startswith("INSERT"):
            connection.cursor().executemany(translated(statement), ordered)
            return
        place = 0
        for size in _SIZES:
            several = repeated(statement, size)
            while len(ordered) - place >= size:
                connection.execute(several, [value for row in ordered[place : place + size] for value in row])
                place += size

    def write(self, work: Callable[[], T]) -> T:
        """Do some work in a transaction, beside which there is no other of this kind."""
        uncertain: tuple[str, T] | None = None

        def once() -> T:
            nonlocal uncertain
            if uncertain is not None and self._was_committed(uncertain[0]):
                return uncertain[1]
            uncertain = None
            with self._as_one():
                begun = self.connected().execute(_BEGIN)
                while begun.nextset():
                    pass
                [number] = cast("tuple[str]", begun.fetchone())
                made = work()
                uncertain = number, made
                self.connected().execute("COMMIT")
            return made

        return self.ride_out(once)

    @contextlib.contextmanager
    def pipeline(self) -> Generator[None]:
        """What is carried out within is sent at once, and is one transaction; what it has found can be read afterwards."""
        failed: BaseException | None = None
        with self._as_one():
            connection = self.connected()
            try:
                with connection.pipeline():
                    try:
                        yield
                    except BaseException as error:
                        # The end of a pipeline commits what it has of the transaction, were it in order or not.
                        failed = error
                        connection.close()
            except psycopg.Error:
                if failed is None:
                    raise
        if failed is not None:
            raise failed

    @contextlib.contextmanager
    def _as_one(self) -> Generator[None]:
        self.within = True
        try:
            yield
        finally:
            self.within = False

    def ride_out(self, work: Callable[[], T], patience: float | None = None) -> T:
        """Do some work, again and again while the server is gone, or while what others do is in the way."""
        patience = self._patience if patience is None else patience
        longest, limit = _PAUSES
        deadline: float | None = None
        while True:
            try:
                return work()
            except BaseException as error:
                lost = self._let_go(error)
                if not isinstance(error, _PASSING) or not (lost or error.sqlstate in _CONFLICTS):
                    raise
                if deadline is None:
                    deadline = time.monotonic() + (LOCKED if _is_busy(error) else patience)
                if time.monotonic() > deadline:
                    raise
            time.sleep(random.uniform(longest / 4, longest))
            longest = min(2 * longest, limit)

    def _let_go(self, error: BaseException) -> bool:
        """End the transaction that an error was in. Returns whether there is no connection any more."""
        connection = self._connection
        if connection is None or self._owner != (os.getpid(), threading.get_ident()):
            return connection is None and not self._closed
        if getattr(error, "sqlstate", None) in _REPLACED or not isinstance(error, Exception):
            connection.close()
        if not connection.closed and connection.info.transaction_status != TransactionStatus.IDLE:
            try:
                connection.execute("ROLLBACK")
            except psycopg.Error:
                connection.close()
        if connection.closed:
            self._connection = None
        return connection.closed

    def _was_committed(self, number: str) -> bool:
        """Whether the transaction with a number was; one that is still under way is ended."""
        while True:
            try:
                status: Any = self._execute(_STATUS, (number,)).fetchone()
            except psycopg.errors.InvalidParameterValue:
                # a server that has taken over has never heard of it
                return False
            if status[0] != "in progress":
                return status[0] == "committed"
            self._execute(_END_OTHER, (number,))
            time.sleep(_PAUSES[0])

    def close(self) -> None:
        """End the session. Closing twice does no harm."""
        self._closed = True
        if self._connection is not None and self._owner[0] == os.getpid():
            self._connection.close()


def _is_busy(error: BaseException) -> bool:
    return any(words in str(error) for words in _BUSY)


__all__ = ["LOCKED", "Connected", "Session", "connect", "translated"]
