"""Runs in one SQLite file, shared by all processes of a project.

The file is in write-ahead mode: readers and the one writer at a time do not wait for each other. A process that is
killed loses nothing it committed; a power cut may lose the last turns, and never damages what was before them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from penstock.errors import StoreError
from penstock.model.event import Grown
from penstock.ports import Turn
from penstock.stores import claims, files, rows
from penstock.stores.journal import FIRST, NEXT, OF_RUNS, RUN
from penstock.stores.relational import GROW, RelationalStore
from penstock.stores.rescue import Rescue
from penstock.stores.transactions import Reported, Transaction

# Adds nothing, and so returns nothing, unless the turn is the next one of its run.
_ADVANCE = f"""
    INSERT INTO journal (id, at, events)
    SELECT {FIRST} + ?2, ?3, ?4 FROM runs
    WHERE run_id = ?1 AND ?2 = {NEXT} AND state = 'running' AND (?5 IS NULL OR token = ?5)
    RETURNING {RUN}
"""
_OF_NO_RUN = f"SELECT count(*) FROM journal WHERE {RUN} NOT IN (SELECT id FROM runs)"

T = TypeVar("T")


class SqliteStore(RelationalStore):
    """The store in the SQLite file `path`, made with its folder, private to the user, where it is not there yet.

    Several processes may use one file, each with a store of its own; a store may be used only in the thread and the
    process that made it. Methods about a run raise NotFoundError when there is none of that id, and all raise
    StoreError.

    Raises SchemaError for a file that a newer penstock wrote, which is left as it is, and StoreError for a file that
    cannot be opened or is not a store.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = Path(path)
        with self._reported("open"):
            self._connection = self._file = files.opened(self._path)
            self._rescue = Rescue(self._path, self._file)

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
                lost["journal"] = self._rows(_OF_NO_RUN)[0][0]
            gaps = self._rows(f"SELECT run_id FROM runs WHERE {NEXT} <> ({count}) ORDER BY id")
        except StoreError as error:
            return [error.what]
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
        with self._reported("close"):
            self._file.close()

    def _advance(self, run_id: str, turn: Turn) -> int:
        """Add the turn to the journal, if it is the next one. Returns the key of the run."""
        grows = Grown in map(type, turn.events)
        events = rows.events_document(turn.events) if grows else rows.encode(turn.events)
        for (key,) in self._connection.execute(_ADVANCE, (run_id, turn.number, turn.at, events, turn.token)):
            if grows:
                self._connection.execute(GROW, (key, turn.number))
            return key
        raise self._refusal(run_id, turn)

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
