"""What is asked of what is recorded, in the SQL that both databases understand."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from penstock.errors import NotFoundError
from penstock.model.event import AnyEvent, Grown
from penstock.model.generation import is_earlier
from penstock.model.graph import from_json, to_json
from penstock.model.growth import grown
from penstock.model.identity import Basis, TaskIdentity
from penstock.model.request import Request
from penstock.model.run import AttemptRecord, Provenance, RunRecord
from penstock.model.value import Argument, Description
from penstock.ports import (
    CachedResult,
    Claimant,
    LoggedAttachment,
    LoggedLine,
    LoggedMetric,
    Origin,
    PoolState,
    Pulse,
    Recorded,
    Timing,
)
from penstock.stores import claims, code, collection, compaction, journal, naming, pools, rows
from penstock.stores.attempts import Attempts
from penstock.stores.database import Connection, looked_up
from penstock.stores.journal import NEXT, OF_RUNS
from penstock.stores.rows import Row

_GROWTH = f"""
    SELECT {compaction.TURNS} FROM growth JOIN journal ON journal.id = (growth.run << 32) + growth.number
    WHERE growth.run = ? ORDER BY growth.number
"""
_JOURNAL = f"SELECT {compaction.TURNS} FROM journal WHERE id BETWEEN ? AND ? ORDER BY id"
_PULSE = f"SELECT token, beats, {NEXT} FROM runs WHERE run_id = ?"
_HEARD_OF = f"""
    SELECT started_at, beat_at, (SELECT at FROM journal WHERE {OF_RUNS} ORDER BY journal.id DESC LIMIT 1)
    FROM runs WHERE id = ?
"""
_RECORDED = "SELECT fingerprint, outputs, created_at FROM results WHERE length(outputs) > 0 AND fingerprint"
_NEWEST_FIRST = "ORDER BY started_at DESC, id DESC"
_LATEST = f"(SELECT id FROM runs WHERE pipeline = ? {_NEWEST_FIRST} LIMIT ?) AS runs"


class Records(ABC):
    """What is recorded in a relational database, for whoever only reads. Methods about a run raise NotFoundError when there
    is none of that id, and all raise StoreError.

    `place` is what messages call it.
    """

    _connection: Connection
    _attempts: Attempts

    def __init__(self, place: str) -> None:
        self._place = place

    @abstractmethod
    def _reported(self, verb: str) -> AbstractContextManager[None]:
        """Within, what goes wrong with the database is raised as a StoreError that says what could not be done."""

    def recorded(self, fingerprints: Sequence[bytes]) -> dict[bytes, Recorded]:
        """What is recorded in the cache under each of the fingerprints that are known."""
        with self._reported("read"):
            found = looked_up(self._connection, _RECORDED, fingerprints)
            return {key: Recorded(rows.decode_outputs(outputs), at) for key, outputs, at in found}

    def claimants(self, fingerprints: Sequence[bytes]) -> dict[bytes, Claimant]:
        """Who is about to make the results, of those that are claimed by a run that is under way."""
        return {row[0]: Claimant(*row[1:]) for row in self._looked_up(claims.CLAIMANTS, fingerprints)}

    def heard_of(self, run_id: str) -> float:
        """When a run was last heard of: the time of its latest turn or heartbeat, or of its start."""
        [times] = self._of_run(_HEARD_OF, run_id)
        return max(at for at in times if at is not None)

    def pulse(self, run_id: str) -> Pulse:
        """What changes for as long as the driver of a run lives."""
        for row in self._rows(_PULSE, run_id):
            return Pulse(*row)
        raise self._no_run(run_id)

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
        """The run with an id, an unambiguous start of one, or `latest`; with a number after that (`latest.1`), an earlier
        generation of it. Raises NotFoundError, naming near ones."""
        name = rows.plain(name)
        found = self._named(name)
        root, _, generation = name.rpartition(".")
        if not found and generation.isdecimal():
            found = self._named(root)
            if len(found) == 1:
                found = self._generation(found[0], int(generation))
        if len(found) != 1:
            latest = [] if found else self.runs(limit=1000)
            raise naming.not_found(name, found, latest, self._place)
        return found[0]

    def runs(self, *, pipeline: str | None = None, state: str | None = None, limit: int = 20) -> list[RunRecord]:
        """The latest runs, newest first."""
        # only a condition that is there can be looked up in an index
        given = {"pipeline = ?": pipeline, "state = ?": state}
        asked = {condition: value for condition, value in given.items() if value is not None}
        where = " AND ".join(("WHERE NOT superseded", *asked))
        return self._runs(f"{where} {_NEWEST_FIRST} LIMIT ?", *asked.values(), limit)

    def graph(self, run_id: str) -> bytes:
        """The graph of a run, as JSON; of a dynamic one, with all the nodes that have appeared so far."""
        [(graph,)] = self._of_run("SELECT graph FROM run_details WHERE run = ?", run_id)
        turns = self._of_run(_GROWTH, run_id)
        with self._reported("read"):
            document = rows.graph_of(graph)
            events = (event for _, events in compaction.turns_of(turns) for event in events)
            growth = [event for event in events if isinstance(event, Grown)]
            return to_json(grown(from_json(document), growth)) if growth else document

    def provenance(self, run_id: str) -> Provenance:
        """What a run depended on besides its parameters."""
        [(provenance,)] = self._of_run("SELECT provenance FROM run_details WHERE run = ?", run_id)
        with self._reported("read"):
            return rows.provenance_of(provenance)

    def attempts(self, run_id: str, node: str | None = None) -> list[AttemptRecord]:
        """All attempts so far, in the order of node, item, attempt; with `node`, those at it and its items."""
        query = f"SELECT {rows.ATTEMPT} FROM attempts WHERE {self._attempts.of_run}"
        order = "ORDER BY node, item, attempt"
        if node is None:
            found = self._of_run(f"{query} {order}", run_id)
        else:
            found = self._of_run(f"{query} AND node = ?2 {order}", run_id, node)
        with self._reported("read"):
            return [rows.attempt_of(row) for row in found]

    def timings(self, pipeline: str, limit: int = 20) -> list[Timing]:
        """What the nodes of a pipeline took in its latest runs; a node with a body, from the begin of its first node to
        its end. Those that took no time are left out."""
        query = f"""
            SELECT runs.id, node, count(*), avg(duration), max(peak_memory)
            FROM {_LATEST} JOIN attempts ON {self._attempts.of_runs}
            WHERE state = 'succeeded' AND duration > 0 GROUP BY runs.id, node
        """
        return [Timing(*row) for row in self._rows(query, pipeline, limit)]

    def journal(self, run_id: str) -> list[tuple[float, list[AnyEvent]]]:
        """Every turn's time and events, in order."""
        with self._reported("read"):
            found = self._connection.execute(_JOURNAL, journal.span(self._key(run_id))).fetchall()
            return list(compaction.turns_of(found))

    def lines(self, run_id: str, node: str | None = None, after: int = 0) -> list[tuple[int, LoggedLine]]:
        """Log lines with their sequence numbers, in order, those with a number greater than `after`.

        The numbers rise, not always by one. With `node`, only the lines of that node and its items.
        """
        where = "WHERE run = ?1 AND number > ?2 AND node = coalesce(?3, node)"
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

    def descriptions(self, digests: Sequence[bytes]) -> dict[bytes, Description]:
        """What can be shown of each of the artifacts that were described."""
        found = self._looked_up(f"SELECT {rows.DESCRIPTION} FROM descriptions WHERE digest", digests)
        with self._reported("read"):
            return {row[0]: rows.description_of(row) for row in found}

    def tags(self, run_ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The tags of those of the runs that have any."""
        return collection.grouped(self._looked_up(collection.TAGS, list(run_ids)))

    def results(self) -> Iterator[CachedResult]:
        """All that is in the cache."""
        with self._reported("read"):
            yield from collection.results(self._connection)

    def arguments(self) -> Iterator[Argument]:
        """Everything stored that anything recorded refers to: results, outputs of attempts and of runs, what is in
        journals, parameters, logged artifacts. One may come several times."""
        with self._reported("read"):
            yield from collection.arguments(self._connection, self._attempts)

    def compactable(self, before: float) -> list[str]:
        """The runs that ended before a time (seconds since the epoch) and whose journals can be made smaller; of a run
        that was begun several times, each generation."""
        return [run_id for (run_id,) in self._rows(compaction.COMPACTABLE, before)]

    def requests(self, run_id: str, after: int = 0) -> list[tuple[int, Request]]:
        """Requests with their sequence numbers, in order, those with a number greater than `after`."""
        found = self._of_run(
            "SELECT number, request FROM requests WHERE run = ? AND number > ? ORDER BY number", run_id, after
        )
        with self._reported("read"):
            return [(number, rows.request_of(request)) for number, request in found]

    def pools(self) -> list[PoolState]:
        """All pools by name, and who holds how much of them."""
        with self._reported("read"):
            return pools.states(self._connection, time.time())

    # How it is read.

    def _key(self, run_id: str) -> int:
        """The number by which the tables refer to a run. Raises NotFoundError."""
        for (key,) in self._connection.execute("SELECT id FROM runs WHERE run_id = ?", (run_id,)):
            return key
        raise self._no_run(run_id)

    def _no_run(self, run_id: str) -> NotFoundError:
        return NotFoundError(f"there is no run {run_id} in {self._place}")

    def _rows(self, query: str, *values: Any) -> list[Row]:
        with self._reported("read"):
            return self._connection.execute(query, values).fetchall()

    def _of_run(self, query: str, run_id: str, *values: Any) -> list[Row]:
        """The rows of a query whose first value is the key of a run. Raises NotFoundError."""
        with self._reported("read"):
            return self._connection.execute(query, (self._key(run_id), *values)).fetchall()

    def _looked_up(self, query: str, keys: Sequence[bytes] | Sequence[str]) -> Iterator[Row]:
        with self._reported("read"):
            yield from looked_up(self._connection, query, keys)

    def _generation(self, run: RunRecord, number: int) -> list[RunRecord]:
        """A generation of a run. Raises NotFoundError where it has no such."""
        if number == run.generation:
            return [run]
        found = self._runs("WHERE run_id = ?", f"{run.run_id}.{number}")
        if not found and not is_earlier(run):
            raise naming.no_generation(run, number)
        return found

    def _named(self, name: str) -> list[RunRecord]:
        """The runs that may be meant by a name: an id, the start of one, or `latest`."""
        found = self._runs("WHERE run_id = ?", name)
        if not found and name == "latest":
            return self.runs(limit=1)
        if not found and name:
            # A range takes the name as it is, without wildcards, and uses the index.
            start = f"WHERE run_id >= ? AND run_id < ? AND NOT superseded {_NEWEST_FIRST} LIMIT ?"
            return self._runs(start, name, f"{name}\U0010ffff", naming.NAMED + 1)
        return found

    def _run(self, run_id: str) -> RunRecord:
        [found] = self._runs("WHERE id = ?", self._key(run_id))
        return found

    def _runs(self, rest: str, *values: Any) -> list[RunRecord]:
        found = self._rows(f"SELECT {rows.RUN} FROM runs {rest}", *values)
        with self._reported("read"):
            return [rows.run_of(row) for row in found]


__all__ = ["NEXT", "Records"]
