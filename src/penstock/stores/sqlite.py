"""Runs in one SQLite file, shared by all processes of a project.

The file is in write-ahead mode: readers and the one writer at a time do not wait for each other. A process that is
killed loses nothing it committed; a power cut may lose the last turns, and never damages what was before them.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from penstock.errors import StoreError
from penstock.model.event import Grown
from penstock.ports import Turn
from penstock.stores import claims, files, rows
from penstock.stores.attempts import BY_NUMBER
from penstock.stores.journal import FIRST, NEXT, OF_RUNS, RUN, run_of
from penstock.stores.relational import GROW, RelationalStore
from penstock.stores.rescue import Rescue
from penstock.stores.settling import Settling
from penstock.stores.transactions import Reported, Transaction

# Has a key that is no number, which the table refuses, unless the turn is the next one of its run. To add what a query
# finds, or to return what was added, SQLite makes a table for each time, which takes twice as long.
_ADVANCE = f"""
    INSERT INTO journal (id, at, events) VALUES (
        coalesce((
            SELECT {FIRST} + ?2 FROM runs
            WHERE run_id = ?1 AND ?2 = {NEXT} AND state = 'running' AND (?5 IS NULL OR token = ?5)
        ), ''), ?3, ?4
    )
"""
#: the tables whose rows do not refer to that of their run
_NUMBERED = ("journal", "attempts")
_OF_NO_RUN = f"WHERE {RUN} NOT IN (SELECT id FROM runs)"
_TWICE = f"SELECT {RUN} FROM attempts GROUP BY {RUN}, node, item, attempt HAVING count(*) > 1"

T = TypeVar("T")


class SqliteStore(RelationalStore):
    """The store in the SQLite file `path`, made with its folder, private to the user, where it is not there yet.

    Several processes may use one file, each with a store of its own; a store may be used only in the thread and the
    process that made it. Methods about a run raise NotFoundError when there is none of that id, and all raise
    StoreError.

    Raises SchemaError for a file that a newer penstock wrote, which is left as it is, and StoreError for a file that
    cannot be opened or is not a store.
    """

    _attempts = BY_NUMBER

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = Path(path)
        with self._reported("open"):
            self._connection = self._file = files.opened(self._path)
            self._rescue = Rescue(self._path, self._file)
            self._settling = Settling(self._path, self._file)

    def commit(self, run_id: str, turn: Turn) -> frozenset[bytes]:
        """Record a turn; see `RelationalStore.commit`."""
        refused = claims.NONE
        # nobody would hear of it after the end of the run
        if turn.end is not None or self._rescue.is_due():
            with self._reported("write to"):
                self._rescue.require_in_place()
        with Transaction(self._path, self._file):
            key = self._advance(run_id, turn)
            self._record(key, turn)
            if turn.claims and turn.end is None:
                refused = claims.take(self._file, key, turn.claims)
            if turn.occurrences:
                self._announce(turn)
        self._note_claims(key, turn)
        if turn.end is not None:
            self._settling.begin()
        return refused

    def check(self, *, full: bool = False) -> list[str]:
        """What is wrong with the file, a sentence each; empty when it is sound. Reads all of it; with `full`, compares
        indexes with their tables as well, and all that refers to something with what is there."""
        count = f"SELECT coalesce(sum(turns), 0) FROM journal WHERE {OF_RUNS}"
        try:
            check = "PRAGMA integrity_check" if full else "PRAGMA quick_check"
            found = [text for (text,) in self._rows(check) if text != "ok"]
            lost = Counter(row[0] for row in self._rows("PRAGMA foreign_key_check")) if full else Counter[str]()
            if full:
                for table in _NUMBERED:
                    lost[table] = self._rows(f"SELECT count(*) FROM {table} {_OF_NO_RUN}")[0][0]
            twice = self._rows(f"SELECT run_id FROM runs WHERE id IN ({_TWICE}) ORDER BY id") if full else []
            gaps = self._rows(f"SELECT run_id FROM runs WHERE {NEXT} <> ({count}) ORDER BY id")
        except StoreError as error:
            return [error.what]
        found += [f"run {run_id} has attempts that are recorded twice" for (run_id,) in twice]
        found += [f"{count} rows of the table {table} belong to no run" for table, count in lost.items() if count]
        return found + [f"the journal of run {run_id} has gaps" for (run_id,) in gaps]

    def copy_to(self, path: Path) -> None:
        """Write the store to a new file, as it is at one moment. Others may write to it meanwhile."""
        with self._reported("copy"):
            files.copy(self._file, path)

    def settle(self) -> None:
        """Move what is in the write-ahead log to the file itself, as far as those who read it allow."""
        with self._reported("write to"):
            self._file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def summary(self) -> dict[str, int]:
        """`schema` (its version), `runs` (how many) and `size` (bytes, the write-ahead log included)."""
        [(version,)] = self._rows("PRAGMA user_version")
        [(runs,)] = self._rows("SELECT count(*) FROM runs")
        log = files.log_of(self._path)
        with self._reported("read"):
            size = self._path.stat().st_size + (log.stat().st_size if log.exists() else 0)
        return {"schema": version, "runs": runs, "size": size}

    def close(self) -> None:
        """Let go of the file. Closing twice does no harm."""
        self._settling.end()
        with self._reported("close"):
            self._file.close()

    def _advance(self, run_id: str, turn: Turn) -> int:
        """Add the turn to the journal, if it is the next one. Returns the key of the run."""
        grows = Grown in map(type, turn.events)
        events = rows.events_document(turn.events) if grows else rows.encode(turn.events)
        try:
            added = self._file.execute(_ADVANCE, (run_id, turn.number, turn.at, events, turn.token))
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_MISMATCH:
                raise
            raise self._refusal(run_id, turn) from None
        assert added.lastrowid is not None
        key = run_of(added.lastrowid)
        if grows:
            self._file.execute(GROW, (key, turn.number))
        return key

    def _write(self, work: Callable[[], T]) -> T:
        with Transaction(self._path, self._file):
            return work()

    def _hold_turns(self, key: int | None = None) -> None:
        """Nothing to do: whoever writes is alone with the file."""

    def _hold_order(self) -> None:
        """Nothing to do: whoever writes is alone with the file."""

    def _shrink(self) -> None:
        with self._reported("write to"):
            files.shrink(self._file)

    def _reported(self, verb: str) -> Reported:
        return Reported(self._path, verb)


__all__ = ["SqliteStore"]
