"""Runs in one SQLite file, shared by all processes of a project.

The file is in write-ahead mode: readers and the one writer at a time do not wait for each other. A process that is
killed loses nothing it committed; a power cut may lose the last turns, and never damages what was before them.
"""

from __future__ import annotations

import sqlite3
import time
import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from penstock.errors import NotFoundError, StoreError
from penstock.model.event import AnyEvent, Grown
from penstock.model.graph import Graph, from_json, to_json
from penstock.model.growth import grown
from penstock.model.request import Request
from penstock.model.run import AttemptRecord, Provenance, RunRecord, RunState, timestamp
from penstock.model.value import Argument, Description
from penstock.ports import Holder, LoggedAttachment, LoggedLine, LoggedMetric, Origin, PoolState, Turn
from penstock.stores import pools, rows, schema
from penstock.stores.rows import Row

#: seconds to wait for another process to finish writing
_PATIENCE = 30.0
#: how many keys one query looks for; SQLite takes at least 999 values
_KEYS = 500
#: how many runs a message names
_NAMED = 5

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

_RIGHTS = "Give yourself the right to read and write there, or name another folder with PENSTOCK_HOME."
_DAMAGED = "Put a copy back, or move the file away: penstock then makes a new one. Blobs are not affected."
_REMEDIES = {
    sqlite3.SQLITE_BUSY: "End that process, or try again.",
    sqlite3.SQLITE_FULL: "Free some space on that disk, or name another folder with PENSTOCK_HOME.",
    sqlite3.SQLITE_READONLY: _RIGHTS,
    sqlite3.SQLITE_CANTOPEN: _RIGHTS,
    sqlite3.SQLITE_PERM: _RIGHTS,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
}

_NEXT = "(SELECT coalesce(max(number) + 1, 0) FROM journal WHERE run = runs.id)"
# Adds nothing, and so returns nothing, unless the turn is the next one of its run.
_ADVANCE = f"""
    INSERT INTO journal (run, number, at, events)
    SELECT id, ?2, ?3, ?4 FROM runs WHERE run_id = ?1 AND ?2 = {_NEXT} AND state = 'running'
    RETURNING run
"""
_GROW = "INSERT INTO growth (run, number) VALUES (?, ?)"
_GROWTH = "SELECT events FROM growth JOIN journal USING (run, number) WHERE run = ? ORDER BY number"
_END = "UPDATE runs SET state = ?, finished_at = ?, outputs = ? WHERE id = ?"
_PAUSE = "UPDATE runs SET state = ? WHERE id = ?"
_REOPEN = f"""
    UPDATE runs SET state = 'running', driver = ?2
    WHERE run_id = ?1 AND state IN ('running', 'paused') AND (?3 IS NULL OR driver = ?3)
    RETURNING {rows.RUN}
"""


def _insertion(table: str, columns: str) -> str:
    marks = ", ".join("?" for _ in columns.split(","))
    return f"INSERT INTO {table} ({columns}) VALUES ({marks})"


_ADD_RUN = _insertion("runs", rows.RUN)
_ADD_DETAILS = _insertion("run_details", "run, graph, provenance")
_ADD_ATTEMPT = _insertion("attempts", f"run, {rows.ATTEMPT}")
# The newest result wins: a run without the cache is how its user refreshes a result, and an entry whose bytes are gone
# would otherwise stay in the way of those that replace them.
_ADD_RESULT = f"""{_insertion("results", rows.RESULT)}
    ON CONFLICT (fingerprint) DO UPDATE SET
        outputs = excluded.outputs, run = excluded.run, node = excluded.node, item = excluded.item,
        attempt = excluded.attempt, created_at = excluded.created_at
"""
_ADD_DESCRIPTION = f"""{_insertion("descriptions", rows.DESCRIPTION)}
    ON CONFLICT (digest) DO UPDATE SET preview = excluded.preview WHERE preview <> excluded.preview
"""
_ADD_LINE = _insertion("lines", f"run, {rows.LINE}")
_ADD_METRIC = _insertion("metrics", f"run, {rows.METRIC}")
_ASK = _insertion("requests", "run, request")
_ADD_ATTACHMENT = _insertion("attachments", f"run, {rows.ATTACHMENT}")

#: state of a run -> what happened to it
_ENDINGS = {
    "running": "is under way",
    "paused": "is paused",
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "was cancelled",
}

_NEWEST_FIRST = "ORDER BY started_at DESC, id DESC"


class SqliteStore:
    """The store in the SQLite file `path`, made with its folder, private to the user, where it is not there yet.

    Several processes may use one file, each with a store of its own; a store may be used only in the thread and the
    process that made it. Methods about a run raise NotFoundError when there is none of that id, and all raise
    StoreError.

    Raises SchemaError for a file that a newer penstock wrote, which is left as it is, and StoreError for a file that
    cannot be opened or is not a store.
    """

    def __init__(self, path: Path) -> None:
        self._path = Path(path)
        with self._reported("open"):
            self._refuse_unknown()
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self._path, timeout=_PATIENCE, isolation_level=None)
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def create(self, run: RunRecord, graph: Graph, provenance: Provenance) -> None:
        """Record a new run, before anything of it happens. Raises StoreError if there is one of that id."""
        with self._writing():
            key = self._connection.execute(_ADD_RUN, rows.run_row(run)).lastrowid
            details = (key, rows.graph_document(graph), rows.provenance_document(provenance))
            self._connection.execute(_ADD_DETAILS, details)

    def commit(self, run_id: str, turn: Turn) -> None:
        """Record a turn in one transaction; raises StoreError if it is not the next one of its run.

        Of several results with one fingerprint, and of several descriptions of one digest, the newest is kept.
        """
        with self._writing():
            key = self._advance(run_id, turn)
            if turn.end is not None:
                self._end(key, turn)
            if turn.attempts:
                self._add(_ADD_ATTEMPT, rows.attempt_rows(key, turn))
            if turn.results:
                self._add(_ADD_RESULT, rows.result_rows(key, turn))
            if turn.descriptions:
                self._add(_ADD_DESCRIPTION, rows.description_rows(turn))
            if turn.said:
                self._add(_ADD_LINE, rows.line_rows(key, turn))
                self._add(_ADD_METRIC, rows.metric_rows(key, turn))
                self._add(_ADD_ATTACHMENT, rows.attachment_rows(key, turn))

    def reopen(self, run_id: str, driver: str, instead_of: str | None = None) -> RunRecord:
        """Let another driver go on with a run that is paused, or whose driver is gone; it is `running` again.

        With `instead_of`, only in the place of that driver, so that of two who take it for gone only one goes on.
        Raises NotFoundError, and StoreError for a run that has ended, or that has another driver by now.
        """
        with self._writing():
            found = self._connection.execute(_REOPEN, (run_id, driver, instead_of)).fetchall()
            if found:
                return rows.run_of(found[0])
        run = self._run(run_id)
        if run.state in (RunState.RUNNING, RunState.PAUSED):
            raise StoreError(f"run {run_id} is driven by {run.driver} by now", remedy="Leave it to that process.")
        raise StoreError(f"run {run_id} has ended: it {_ENDINGS[run.state]}", remedy="Start a new run.")

    def recorded(self, fingerprints: Sequence[bytes]) -> dict[bytes, tuple[Argument, ...]]:
        """Outputs recorded in the cache under each of the fingerprints that are known."""
        found = self._looked_up("SELECT fingerprint, outputs FROM results WHERE fingerprint", fingerprints)
        with self._reported("read"):
            return {fingerprint: rows.decode_outputs(outputs) for fingerprint, outputs in found}

    def origins(self, fingerprints: Sequence[bytes]) -> dict[bytes, Origin]:
        """Where the results in the cache come from, of those whose run is still recorded."""
        of_runs = "results JOIN runs ON runs.id = results.run"
        query = f"SELECT fingerprint, run_id, node, item, attempt FROM {of_runs} WHERE fingerprint"
        return {row[0]: Origin(*row[1:]) for row in self._looked_up(query, fingerprints)}

    def find(self, name: str) -> RunRecord:
        """The run with an id, an unambiguous start of one, or `latest`. Raises NotFoundError, naming near ones."""
        name = rows.plain(name)
        found = self._runs("WHERE run_id = ?", name)
        if not found and name == "latest":
            found = self.runs(limit=1)
        elif not found and name:
            # A range takes the name as it is, without wildcards, and uses the index.
            start = f"WHERE run_id >= ? AND run_id < ? {_NEWEST_FIRST} LIMIT ?"
            found = self._runs(start, name, f"{name}\U0010ffff", _NAMED + 1)
        if len(found) != 1:
            raise self._not_found(name, found)
        return found[0]

    def runs(self, *, pipeline: str | None = None, state: str | None = None, limit: int = 20) -> list[RunRecord]:
        """The latest runs, newest first."""
        where = "WHERE (?1 IS NULL OR pipeline = ?1) AND (?2 IS NULL OR state = ?2)"
        return self._runs(f"{where} {_NEWEST_FIRST} LIMIT ?3", pipeline, state, limit)

    def graph(self, run_id: str) -> bytes:
        """The graph of a run, as JSON; of a dynamic one, with all the nodes that have appeared so far."""
        [(graph,)] = self._of_run("SELECT graph FROM run_details WHERE run = ?", run_id)
        turns = self._of_run(_GROWTH, run_id)
        with self._reported("read"):
            document = rows.graph_of(graph)
            growth = [event for (events,) in turns for event in rows.decode_events(events) if isinstance(event, Grown)]
            return to_json(grown(from_json(document), growth)) if growth else document

    def provenance(self, run_id: str) -> Provenance:
        """What a run depended on besides its parameters."""
        [(provenance,)] = self._of_run("SELECT provenance FROM run_details WHERE run = ?", run_id)
        with self._reported("read"):
            return rows.provenance_of(provenance)

    def attempts(self, run_id: str, node: str | None = None) -> list[AttemptRecord]:
        """All attempts so far, in the order of node, item, attempt; with `node`, those at it and its items."""
        order = "ORDER BY node, item, attempt"
        if node is None:
            found = self._of_run(f"SELECT {rows.ATTEMPT} FROM attempts WHERE run = ? {order}", run_id)
        else:
            found = self._of_run(
                f"SELECT {rows.ATTEMPT} FROM attempts WHERE run = ? AND node = ? {order}", run_id, node
            )
        with self._reported("read"):
            return [rows.attempt_of(row) for row in found]

    def journal(self, run_id: str) -> list[tuple[float, list[AnyEvent]]]:
        """Every turn's time and events, in order."""
        found = self._of_run("SELECT at, events FROM journal WHERE run = ? ORDER BY number", run_id)
        with self._reported("read"):
            return [(at, rows.decode_events(events)) for at, events in found]

    def lines(self, run_id: str, node: str | None = None, after: int = 0) -> list[tuple[int, LoggedLine]]:
        """Log lines with their sequence numbers, in order, those with a number greater than `after`.

        The numbers rise, not always by one. With `node`, only the lines of that node and its items.
        """
        where = "WHERE run = ?1 AND number > ?2 AND (?3 IS NULL OR node = ?3)"
        found = self._of_run(f"SELECT number, {rows.LINE} FROM lines {where} ORDER BY number", run_id, after, node)
        return [(row[0], rows.line_of(row[1:])) for row in found]

    def metrics(self, run_id: str) -> list[LoggedMetric]:
        """The metrics of a run, as they were logged."""
        found = self._of_run(f"SELECT {rows.METRIC} FROM metrics WHERE run = ? ORDER BY number", run_id)
        return [rows.metric_of(row) for row in found]

    def attachments(self, run_id: str) -> list[LoggedAttachment]:
        """The logged artifacts of a run, as they were logged."""
        found = self._of_run(f"SELECT {rows.ATTACHMENT} FROM attachments WHERE run = ? ORDER BY number", run_id)
        with self._reported("read"):
            return [rows.attachment_of(row) for row in found]

    def ask(self, run_id: str, request: Request) -> None:
        """Leave a request for whoever drives the run, now or later."""
        with self._writing():
            self._connection.execute(_ASK, (self._key(run_id), rows.request_document(request)))

    def requests(self, run_id: str, after: int = 0) -> list[tuple[int, Request]]:
        """Requests with their sequence numbers, in order, those with a number greater than `after`."""
        found = self._of_run("SELECT number, request FROM requests WHERE run = ? AND number > ?", run_id, after)
        with self._reported("read"):
            return [(number, rows.request_of(request)) for number, request in found]

    def size_pools(self, sizes: Mapping[str, int]) -> None:
        """Create pools, or change their sizes. What is held stays held. Raises StoreError for a size below 0."""
        with self._writing():
            pools.set_sizes(self._connection, sizes)

    def hold(self, holder: Holder, needs: Mapping[str, int], until: float) -> bool:
        """Take parts of pools, all or none; whether there was enough. Holding lapses at the time `until` (seconds since
        the epoch) unless it is renewed.

        A need greater than the whole pool is met when nobody else holds any of it. A holder that is refused has its
        place before those of other runs that ask later, for as long as it asks every other second. What the holder has
        already is given back when it is given anew. Raises NotFoundError for a pool that does not exist, StoreError
        for a run that is not under way.
        """
        with self._writing():
            return pools.hold(self._connection, self._driven(holder.run_id), holder, needs, until, time.time())

    def renew(self, run_id: str, until: float) -> None:
        """Let everything that is held for a run lapse only at a later time."""
        with self._writing():
            pools.renew(self._connection, self._key(run_id), until)

    def release(self, holder: Holder) -> None:
        """Give back what a holder has; for a holder with an empty node, all that its run has."""
        with self._writing():
            pools.give_back(self._connection, self._key(holder.run_id), holder)

    def pools(self) -> list[PoolState]:
        """All pools by name, and who holds how much of them."""
        with self._reported("read"):
            return pools.states(self._connection, time.time())

    def descriptions(self, digests: Sequence[bytes]) -> dict[bytes, Description]:
        """What can be shown of each of the artifacts that were described."""
        found = self._looked_up(f"SELECT {rows.DESCRIPTION} FROM descriptions WHERE digest", digests)
        with self._reported("read"):
            return {row[0]: rows.description_of(row) for row in found}

    def check(self) -> list[str]:
        """What is wrong with the file, a sentence each; empty when it is sound. Reads all of it."""
        count = "SELECT count(*) FROM journal WHERE run = runs.id"
        try:
            found = [text for (text,) in self._rows("PRAGMA quick_check") if text != "ok"]
            gaps = self._rows(f"SELECT run_id FROM runs WHERE {_NEXT} <> ({count}) ORDER BY id")
        except StoreError as error:
            return [error.what]
        return found + [f"the journal of run {run_id} has gaps" for (run_id,) in gaps]

    def summary(self) -> dict[str, int]:
        """`schema` (its version), `runs` (how many) and `size` (bytes, the write-ahead log included)."""
        [(version,)] = self._rows("PRAGMA user_version")
        [(runs,)] = self._rows("SELECT count(*) FROM runs")
        log = self._log()
        with self._reported("read"):
            size = self._path.stat().st_size + (log.stat().st_size if log.exists() else 0)
        return {"schema": version, "runs": runs, "size": size}

    def close(self) -> None:
        """Let go of the file. Closing twice does no harm."""
        with self._reported("close"):
            self._connection.close()

    # Opening.

    def _log(self) -> Path:
        return self._path.with_name(f"{self._path.name}-wal")

    def _refuse_unknown(self) -> None:
        """Raise if the file is of a newer penstock or another program, before anything could change it."""
        if not self._path.exists() or self._path.stat().st_size == 0:
            return
        # Without a write-ahead log nobody has the file open, and it can be read as it lies there.
        mode = "mode=ro" if self._log().exists() else "immutable=1"
        connection = sqlite3.connect(f"{self._path.absolute().as_uri()}?{mode}", timeout=_PATIENCE, uri=True)
        try:
            schema.require_known(connection, self._path)
        finally:
            connection.close()

    def _prepare(self) -> None:
        for pragma in _PRAGMAS:
            self._connection.execute(pragma)
        self._write_ahead()
        schema.migrate(self._connection, self._path)

    def _write_ahead(self) -> None:
        # A new file is switched under a lock for which SQLite does not wait, whatever its timeout.
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(0.005)

    # Writing.

    @contextmanager
    def _writing(self) -> Generator[None]:
        """A transaction with the right to write from its start: one that had only read could not wait for it."""
        with self._reported("write to"):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _advance(self, run_id: str, turn: Turn) -> int:
        """Add the turn to the journal, if it is the next one. Returns the key of the run."""
        grows = Grown in map(type, turn.events)
        events = rows.events_document(turn.events) if grows else rows.encode(turn.events)
        for (key,) in self._connection.execute(_ADVANCE, (run_id, turn.number, turn.at, events)).fetchall():
            if grows:
                self._connection.execute(_GROW, (key, turn.number))
            return key
        found = self._connection.execute(f"SELECT {_NEXT}, state FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        refused = f"cannot record turn {turn.number}"
        if found is None:
            raise StoreError(f"{refused}: there is no run {run_id} in {self._path}")
        if found[1] != RunState.RUNNING:
            raise StoreError(f"{refused} of run {run_id}: it {_ENDINGS[found[1]]}", remedy="Nothing was changed.")
        raise StoreError(
            f"{refused} of run {run_id}: the next one is turn {found[0]}",
            remedy="Another process drives the run, or this turn is recorded already. Nothing was changed.",
        )

    def _end(self, key: int, turn: Turn) -> None:
        if turn.end is RunState.PAUSED:
            self._connection.execute(_PAUSE, (str(turn.end), key))
        else:
            self._connection.execute(_END, (str(turn.end), turn.at, rows.encode(turn.outputs), key))
        pools.give_back(self._connection, key)

    def _key(self, run_id: str) -> int:
        """The number by which the tables refer to a run. Raises NotFoundError."""
        for (key,) in self._connection.execute("SELECT id FROM runs WHERE run_id = ?", (run_id,)):
            return key
        raise NotFoundError(f"there is no run {run_id} in {self._path}")

    def _driven(self, run_id: str) -> int:
        """The number of a run that is under way."""
        key = self._key(run_id)
        [(state,)] = self._connection.execute("SELECT state FROM runs WHERE id = ?", (key,)).fetchall()
        if state != RunState.RUNNING:
            raise StoreError(f"run {run_id} can hold nothing: it {_ENDINGS[state]}")
        return key

    def _add(self, statement: str, added: Iterable[Row]) -> None:
        self._connection.executemany(statement, added)

    # Reading.

    def _rows(self, query: str, *values: Any) -> list[Row]:
        with self._reported("read"):
            return self._connection.execute(query, values).fetchall()

    def _of_run(self, query: str, run_id: str, *values: Any) -> list[Row]:
        """The rows of a query whose first value is the key of a run. Raises NotFoundError."""
        with self._reported("read"):
            return self._connection.execute(query, (self._key(run_id), *values)).fetchall()

    def _looked_up(self, query: str, keys: Sequence[bytes]) -> Iterator[Row]:
        """The rows of a query that ends in the name of a column, for which these are the keys."""
        for start in range(0, len(keys), _KEYS):
            some = keys[start : start + _KEYS]
            yield from self._rows(f"{query} IN ({', '.join('?' * len(some))})", *some)

    def _run(self, run_id: str) -> RunRecord:
        [found] = self._runs("WHERE id = ?", self._key(run_id))
        return found

    def _runs(self, rest: str, *values: Any) -> list[RunRecord]:
        found = self._rows(f"SELECT {rows.RUN} FROM runs {rest}", *values)
        with self._reported("read"):
            return [rows.run_of(row) for row in found]

    # What goes wrong.

    def _not_found(self, name: str, ambiguous: list[RunRecord]) -> NotFoundError:
        if ambiguous:
            return NotFoundError(f"several runs start with {name!r}", remedy=_listed("Say which:", ambiguous))
        latest = self.runs(limit=1000)
        if not latest:
            return NotFoundError(f"there is no run {name!r}: none is recorded in {self._path}")
        return NotFoundError(f"there is no run {name!r}", remedy=_listed("The nearest are:", _nearest(name, latest)))

    @contextmanager
    def _reported(self, verb: str) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = _code(error)
            reason = f"another process has it locked for {_PATIENCE:g} s" if code == sqlite3.SQLITE_BUSY else str(error)
            raise StoreError(f"cannot {verb} {self._path}: {reason}", remedy=_REMEDIES.get(code)) from error
        except OSError as error:
            raise StoreError(f"cannot {verb} {self._path}: {error.strerror or error}", remedy=_RIGHTS) from error
        except (msgspec.MsgspecError, zlib.error, ValueError, TypeError, OverflowError) as error:
            raise StoreError(f"cannot {verb} {self._path}: {error}") from error


def _code(error: sqlite3.Error) -> int:
    """The kind of an SQLite error, without its finer distinctions; 0 where SQLite had no part in it."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _nearest(name: str, runs: list[RunRecord]) -> list[RunRecord]:
    from difflib import get_close_matches

    by_id = {run.run_id: run for run in runs}
    return [by_id[run_id] for run_id in get_close_matches(name, by_id, n=_NAMED)] or runs[:_NAMED]


def _listed(lead: str, runs: list[RunRecord]) -> str:
    named = [f"\n    {run.run_id}  {run.pipeline}, started {timestamp(run.started_at)}" for run in runs[:_NAMED]]
    return lead + "".join(named) + ("\n    ..." if len(runs) > _NAMED else "")


__all__ = ["SqliteStore"]
