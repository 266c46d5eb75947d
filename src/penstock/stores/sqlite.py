"""Runs in one SQLite file, shared by all processes of a project.

The file is in write-ahead mode: readers and the one writer at a time do not wait for each other. A process that is
killed loses nothing it committed; a power cut may lose the last turns, and never damages what was before them.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from penstock.errors import NotFoundError, StoreError
from penstock.model.event import AnyEvent, Grown
from penstock.model.graph import Graph, from_json, to_json
from penstock.model.growth import grown
from penstock.model.identity import Basis, SourceText, TaskIdentity
from penstock.model.request import Request
from penstock.model.run import AttemptRecord, Provenance, RunRecord, RunState
from penstock.model.value import Argument, Description
from penstock.ports import (
    CachedResult,
    Claimant,
    Holder,
    LoggedAttachment,
    LoggedLine,
    LoggedMetric,
    Origin,
    PoolState,
    Recorded,
    Timing,
    Turn,
)
from penstock.stores import claims, code, collection, naming, pools, rows, schema, transactions
from penstock.stores.rows import Row
from penstock.stores.transactions import Reported, Transaction, code_of

#: how many keys one query looks for; SQLite takes at least 999 values
_KEYS = 500

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
        attempt = excluded.attempt, created_at = excluded.created_at,
        claimant = NULL, claimed_node = NULL, claimed_item = NULL
"""
_RECORDED = "SELECT fingerprint, outputs, created_at FROM results WHERE outputs <> X'' AND fingerprint"
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

_NO_BASIS: Final = Basis()
_NEWEST_FIRST = "ORDER BY started_at DESC, id DESC"
_TIMINGS = f"""
    SELECT run, node, count(*), avg(duration), max(peak_memory) FROM attempts
    WHERE run IN (SELECT id FROM runs WHERE pipeline = ? {_NEWEST_FIRST} LIMIT ?) AND state = 'succeeded' AND duration > 0
    GROUP BY run, node
"""


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
        #: by key, what the runs that are written here have claimed
        self._claimed: dict[int, set[bytes]] = {}
        with self._reported("open"):
            self._refuse_unknown()
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self._path, timeout=transactions.PATIENCE, isolation_level=None)
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def create(self, run: RunRecord, graph: Graph, provenance: Provenance, basis: Basis = _NO_BASIS) -> None:
        """Record a new run, before anything of it happens. Raises StoreError if there is one of that id."""
        with self._writing():
            self._connection.execute(_ADD_RUN, rows.run_row(run))
            key = self._key(run.run_id)
            details = (key, rows.graph_document(graph), rows.provenance_document(provenance))
            self._connection.execute(_ADD_DETAILS, details)
            code.add_basis(self._connection, key, basis)
        self._claimed[key] = set()

    def commit(self, run_id: str, turn: Turn) -> frozenset[bytes]:
        """Record a turn in one transaction; raises StoreError if it is not the next one of its run.

        Of several results with one fingerprint, and of several descriptions of one digest, the newest is kept. Returns
        the claims that are refused, because another run that is under way has them.
        """
        refused = claims.NONE
        with self._writing():
            key = self._advance(run_id, turn)
            claimed = self._claims_of(key)
            if turn.end is not None:
                self._end(key, turn)
                claims.drop(self._connection, key, claimed)
            if turn.attempts:
                self._add(_ADD_ATTEMPT, rows.attempt_rows(key, turn))
            if turn.results:
                self._add(_ADD_RESULT, rows.result_rows(key, turn))
            if turn.disclaimed:
                claims.drop(self._connection, key, turn.disclaimed)
            if turn.claims and turn.end is None:
                refused = claims.take(self._connection, key, turn.claims)
            if turn.basis is not None:
                code.add_basis(self._connection, key, turn.basis)
            if turn.descriptions:
                self._add(_ADD_DESCRIPTION, rows.description_rows(turn))
            if turn.said:
                self._add(_ADD_LINE, rows.line_rows(key, turn))
                self._add(_ADD_METRIC, rows.metric_rows(key, turn))
                self._add(_ADD_ATTACHMENT, rows.attachment_rows(key, turn))
        claimed.difference_update(turn.results)
        claimed.update(turn.claims)
        if turn.end is not None:
            del self._claimed[key]
        return refused

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

    def recorded(self, fingerprints: Sequence[bytes]) -> dict[bytes, Recorded]:
        """What is recorded in the cache under each of the fingerprints that are known."""
        found = self._looked_up(_RECORDED, fingerprints)
        with self._reported("read"):
            return {key: Recorded(rows.decode_outputs(outputs), at) for key, outputs, at in found}

    def claimants(self, fingerprints: Sequence[bytes]) -> dict[bytes, Claimant]:
        """Who is about to make the results, of those that are claimed by a run that is under way."""
        return {row[0]: Claimant(*row[1:]) for row in self._looked_up(claims.CLAIMANTS, fingerprints)}

    def heard_of(self, run_id: str) -> float:
        """When a run was last heard of: the time of its latest turn, or of its start."""
        latest = self._of_run("SELECT at FROM journal WHERE run = ? ORDER BY number DESC LIMIT 1", run_id)
        return latest[0][0] if latest else self._run(run_id).started_at

    def disclaim(self, fingerprints: Iterable[bytes], run_id: str) -> None:
        """Drop claims of a run whose driver is gone, so that others can make the results."""
        with self._writing():
            claims.drop(self._connection, self._key(run_id), fingerprints)

    def keep(self, identities: Sequence[TaskIdentity], texts: Sequence[SourceText]) -> frozenset[bytes]:
        """Keep what code consists of, and the texts that it refers to. Returns the digests of the identities that were
        not known before."""
        with self._writing():
            return code.keep(self._connection, identities, texts, time.time())

    def identities(self, digests: Iterable[bytes]) -> dict[bytes, TaskIdentity]:
        """What is known of code, by `TaskIdentity.digest`."""
        found = self._looked_up(code.IDENTITIES, list(digests))
        with self._reported("read"):
            return {digest: code.identity_of(document) for digest, document in found}

    def texts(self, digests: Iterable[bytes]) -> dict[bytes, str]:
        """The texts of source files, by their digests, of those that are kept."""
        found = self._looked_up(code.TEXTS, list(digests))
        with self._reported("read"):
            return {digest: code.text_of(document) for digest, document in found}

    def basis(self, run_id: str) -> Basis:
        """What the fingerprints of a run are made of so far."""
        with self._reported("read"):
            return code.basis_of(self._connection, self._key(run_id))

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
            found = self._runs(start, name, f"{name}\U0010ffff", naming.NAMED + 1)
        if len(found) != 1:
            latest = [] if found else self.runs(limit=1000)
            raise naming.not_found(name, found, latest, self._path)
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

    def timings(self, pipeline: str, limit: int = 20) -> list[Timing]:
        """What the nodes of a pipeline took in its latest runs; a node with a body, from the begin of its first node to
        its end. Those that took no time are left out."""
        return [Timing(*row) for row in self._rows(_TIMINGS, pipeline, limit)]

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

    def tag(self, run_id: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> tuple[str, ...]:
        """Put tags on a run, and take some off. Returns those that it has then, sorted."""
        with self._writing():
            return collection.tag(self._connection, self._key(run_id), add, remove)

    def tags(self, run_ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The tags of those of the runs that have any."""
        return collection.grouped(self._looked_up(collection.TAGS, list(run_ids)))

    def remove(self, run_ids: Iterable[str]) -> None:
        """Forget runs, with all that is recorded of them; what they have put into the cache stays. Raises StoreError
        for a run that is under way, and passes over one that is not there."""
        removed = list(run_ids)
        for run_id, pipeline in self._looked_up(collection.DRIVEN, removed):
            raise collection.under_way(run_id, pipeline)
        for run_id in removed:
            # one by one: others have to wait for as long as it takes
            with self._writing():
                collection.remove(self._connection, run_id)

    def results(self) -> Iterator[CachedResult]:
        """All that is in the cache."""
        with self._reported("read"):
            yield from collection.results(self._connection)

    def forget(self, fingerprints: Iterable[bytes]) -> None:
        """Drop entries of the cache."""
        with self._writing():
            collection.forget(self._connection, fingerprints)

    def arguments(self) -> Iterator[Argument]:
        """Everything stored that anything recorded refers to: results, outputs of attempts and of runs, what is in
        journals, parameters, logged artifacts. One may come several times."""
        with self._reported("read"):
            yield from collection.arguments(self._connection)

    def sweep(self, before: float) -> None:
        """Drop descriptions, identities and texts that nothing recorded refers to, but no identity that somebody has
        kept since the time `before`, and give the space back."""
        sweep = collection.Sweep(self._connection)
        with self._reported("read"):
            sweep.prepare()
        with self._writing():
            sweep.carry_out(before)
        with self._reported("write to"):
            collection.shrink(self._connection)

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
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?{mode}", timeout=transactions.PATIENCE, uri=True
        )
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
        deadline = time.monotonic() + transactions.PATIENCE
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if code_of(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(0.005)

    # Writing.

    def _writing(self) -> Transaction:
        return Transaction(self._path, self._connection)

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

    def _claims_of(self, key: int) -> set[bytes]:
        """All fingerprints that a run has claimed, maybe with some that it has no more."""
        if key not in self._claimed:
            self._claimed[key] = claims.of_run(self._connection, key)
        return self._claimed[key]

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

    def _looked_up(self, query: str, keys: Sequence[bytes] | Sequence[str]) -> Iterator[Row]:
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

    def _reported(self, verb: str) -> Reported:
        return Reported(self._path, verb)


__all__ = ["SqliteStore"]
