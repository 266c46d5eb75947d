"""What is recorded, gone through as a whole, and what is dropped of it, in SQL.

Whoever goes through it takes as long as they like, and others write meanwhile. So it is read in pieces, none of which
leaves a transaction open, by keys of the records' own: SQLite may number rows anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

import msgspec

from penstock.errors import StoreError
from penstock.model.event import AnyEvent, Grown, Yielded
from penstock.model.expression import Stored
from penstock.model.graph import from_json
from penstock.model.value import Argument, Artifact, Collection, Record, Selection
from penstock.ports import CachedResult
from penstock.stores import claims, code, compaction, journal, registry, rows, versions
from penstock.stores.attempts import Attempts
from penstock.stores.database import Connection, looked_up
from penstock.stores.rows import Row

#: how many rows are read at once
_PIECE = 256

_RESULTS = """
    SELECT fingerprint, results.outputs, created_at, node, run_id FROM results LEFT JOIN runs ON runs.id = results.run
    WHERE fingerprint > ? AND length(results.outputs) > 0 ORDER BY fingerprint LIMIT ?
"""
_JOURNAL = f"""
    SELECT id, {compaction.TURNS} FROM journal WHERE id <= ? AND id > ? ORDER BY id LIMIT ?
"""
_ATTACHMENTS = f"SELECT number, {rows.ATTACHMENT} FROM attachments WHERE run = ? AND number > ? ORDER BY number LIMIT ?"
_PARAMETERS = "SELECT value FROM basis WHERE run = ? AND kind = 'parameter'"

# A claim of what is forgotten still stands.
_FORGET = "DELETE FROM results WHERE fingerprint = ? AND claimant IS NULL"
_FORGET_CLAIMED = "UPDATE results SET outputs = ?, run = 0 WHERE fingerprint = ?"

# The earlier generations of a run: `:` comes after all digits.
_EARLIER = "SELECT run_id FROM runs WHERE run_id > ? AND run_id < ? AND superseded"

# Of all that is recorded of a run, they alone do not go with it by themselves everywhere.
_REMOVE_TURNS = "DELETE FROM journal WHERE id BETWEEN ? AND ?"

#: those of runs that are under way, and the tags of runs, for ids that are to follow
DRIVEN = "SELECT run_id, pipeline FROM runs WHERE state = 'running' AND run_id"
TAGS = "SELECT run_id, tag FROM tags JOIN runs ON runs.id = tags.run WHERE run_id"

_UNUSED = """
    SELECT digest FROM identities
    WHERE kept_at < ? AND digest NOT IN (SELECT value FROM basis WHERE kind IN ('task', 'class'))
"""


def results(connection: Connection) -> Iterator[CachedResult]:
    """All that is in the cache."""
    for fingerprint, outputs, created_at, node, run_id in _pieces(connection, _RESULTS, (), (b"",)):
        yield CachedResult(fingerprint, rows.decode_outputs(outputs), created_at, node, run_id)


def arguments(connection: Connection, attempts: Attempts) -> Iterator[Argument]:
    """Everything stored that anything recorded refers to."""
    for result in results(connection):
        yield from result.outputs
    for run in _runs(connection):
        yield from _of_run(connection, attempts, run)
    yield from (value for _, value in versions.values(connection))


def _runs(connection: Connection) -> Iterator[int]:
    return (run for (run,) in _pieces(connection, "SELECT id FROM runs WHERE id > ? ORDER BY id LIMIT ?", (), (0,)))


def _of_run(connection: Connection, attempts: Attempts, run: int) -> Iterator[Argument]:
    for outputs, graph in connection.execute(
        "SELECT outputs, graph FROM runs JOIN run_details ON run = id WHERE id = ?", (run,)
    ).fetchall():
        yield from rows.decode_results(outputs).values()
        yield from _in_graph(rows.graph_of(graph))
    for (value,) in connection.execute(_PARAMETERS, (run,)).fetchall():
        yield rows.decode_argument(value)
    for *_, outputs in _pieces(connection, attempts.outputs, (run,), attempts.before):
        yield from rows.decode_outputs(outputs)
    first, last = journal.span(run)
    turns = (tuple(row[1:]) for row in _pieces(connection, _JOURNAL, (last,), (first - 1,)))
    for _, events in compaction.turns_of(turns):
        for event in events:
            yield from _in_event(event)
    for _, *attachment in _pieces(connection, _ATTACHMENTS, (run,), (0,)):
        yield rows.attachment_of(tuple(attachment)).attachment.artifact


def _pieces(connection: Connection, query: str, of: Row, after: Row) -> Iterator[Row]:
    """The rows of a query that takes `of`, the key that its rows come after, and how many to read at once."""
    while found := connection.execute(query, (*of, *after, _PIECE)).fetchall():
        yield from found
        after = found[-1][: len(after)]


def _in_event(event: AnyEvent) -> Iterable[Argument]:
    if isinstance(event, Yielded):
        return (event.output,)
    if isinstance(event, Grown):
        return _stored(event)
    return getattr(event, "outputs", ())


def _in_graph(document: bytes) -> Iterable[Argument]:
    # most have none, and are not worth reading for it
    return _stored(from_json(document)) if b'"stored"' in document else ()


def _stored(value: Any) -> Iterator[Argument]:
    """The values that the expressions in a part of a graph hold."""
    if isinstance(value, Stored):
        yield value.value
        return
    if isinstance(value, msgspec.Struct):
        inner: Iterable[Any] = (getattr(value, name) for name in value.__struct_fields__)
    elif isinstance(value, dict):
        inner = cast("dict[str, Any]", value).values()
    else:
        inner = cast("list[Any]", value) if isinstance(value, (tuple, list)) else ()
    for each in inner:
        yield from _stored(each)


def tag(connection: Connection, run: int, add: Iterable[str], remove: Iterable[str]) -> tuple[str, ...]:
    """Put tags on a run, and take some off. Returns those that it has then, sorted."""
    added = ((run, rows.plain(tag)) for tag in add)
    connection.executemany("INSERT INTO tags (run, tag) VALUES (?, ?) ON CONFLICT DO NOTHING", added)
    removed = ((run, rows.plain(tag)) for tag in remove)
    connection.executemany("DELETE FROM tags WHERE run = ? AND tag = ?", removed)
    return tuple(sorted(tag for (tag,) in connection.execute("SELECT tag FROM tags WHERE run = ?", (run,)).fetchall()))


def grouped(found: Iterable[Row]) -> dict[str, tuple[str, ...]]:
    """The tags by run, sorted, of rows that `TAGS` has found."""
    tags: dict[str, list[str]] = {}
    for run_id, each in found:
        tags.setdefault(run_id, []).append(each)
    return {run_id: tuple(sorted(of_run)) for run_id, of_run in tags.items()}


def remove(connection: Connection, attempts: Attempts, run_id: str) -> None:
    """Forget a run, with its earlier generations and all that refers to them. Raises StoreError for one that is under
    way."""
    for _, pipeline in connection.execute(f"{DRIVEN} = ?", (run_id,)).fetchall():
        raise under_way(run_id, pipeline)
    earlier = connection.execute(_EARLIER, (f"{run_id}.", f"{run_id}.:")).fetchall()
    of_run = [each for (each,) in earlier if each.removeprefix(f"{run_id}.").isdigit()]
    removed = list(looked_up(connection, "SELECT id FROM runs WHERE run_id", [*of_run, run_id]))
    connection.executemany(_REMOVE_TURNS, (journal.span(run) for (run,) in removed))
    connection.executemany(f"DELETE FROM attempts WHERE {attempts.of_run}", removed)
    connection.executemany("DELETE FROM runs WHERE id = ?", removed)


def under_way(run_id: str, pipeline: str) -> StoreError:
    """That a run cannot be removed now."""
    return StoreError(
        f"run {run_id} of {pipeline} cannot be removed: it is under way",
        remedy=f"Wait for its end, or cancel it: penstock cancel {run_id}.",
    )


def forget(connection: Connection, fingerprints: Iterable[bytes]) -> None:
    """Drop entries of the cache."""
    forgotten = list(fingerprints)
    connection.executemany(_FORGET, ((fingerprint,) for fingerprint in forgotten))
    connection.executemany(_FORGET_CLAIMED, ((b"", fingerprint) for fingerprint in forgotten))


# Sweeping. What nothing refers to is looked for before anybody has to wait: of a run that has ended nothing changes any
# more, so that only the others are gone through while no one may write.


class Sweep:
    """Drops what nothing recorded refers to: `prepare` outside of a transaction, then `carry_out` within one."""

    def __init__(self, connection: Connection, attempts: Attempts) -> None:
        self._connection = connection
        self._attempts = attempts
        #: the runs that have been gone through
        self._seen: set[int] = set()
        #: the number of the latest version of an asset that has been gone through
        self._latest = 0
        #: digests of descriptions that nothing refers to, as far as is known
        self._unreferred: set[bytes] = set()

    def prepare(self) -> None:
        """Go through the cache and the runs that have ended."""
        connection = self._connection
        self._unreferred = {digest for (digest,) in connection.execute("SELECT digest FROM descriptions").fetchall()}
        ended = connection.execute("SELECT id FROM runs WHERE state NOT IN ('running', 'paused')").fetchall()
        self._seen = {run for (run,) in ended}
        for result in results(connection):
            self._spare(result.outputs)
        for run in self._seen:
            self._spare(_of_run(connection, self._attempts, run))
        self._spare_versions()

    def carry_out(self, before: float) -> None:
        """Drop descriptions, identities and texts, but no identity that somebody has kept since the time `before`."""
        connection = self._connection
        for run in _runs(connection):
            if run not in self._seen:
                self._spare(_of_run(connection, self._attempts, run))
        self._spare_versions()
        connection.executemany("DELETE FROM descriptions WHERE digest = ?", ((key,) for key in self._unreferred))
        gone = {digest for (digest,) in connection.execute(_UNUSED, (before,)).fetchall()} - registry.code(connection)
        connection.executemany("DELETE FROM identities WHERE digest = ?", ((digest,) for digest in gone))
        unused = {digest for (digest,) in connection.execute("SELECT digest FROM texts").fetchall()}
        for (document,) in connection.execute("SELECT document FROM identities").fetchall():
            identity = code.identity_of(document)
            unused.difference_update(part.text for part in identity.parts)
            unused.difference_update(module.text for module in identity.modules)
        connection.executemany("DELETE FROM texts WHERE digest = ?", ((digest,) for digest in unused))
        claims.sweep(connection)

    def _spare_versions(self) -> None:
        for number, value in versions.values(self._connection, self._latest):
            self._latest = number
            self._spare([value])

    def _spare(self, referred: Iterable[Argument]) -> None:
        if self._unreferred:
            self._unreferred.difference_update(digest for argument in referred for digest in _digests(argument))


def _digests(argument: Argument) -> Iterator[bytes]:
    match argument:
        case Artifact():
            yield argument.digest
        case Collection(items=items) | Record(items=items):
            for item in items:
                yield from _digests(item)
        case Selection(of=of):
            yield from _digests(of)


__all__ = [
    "DRIVEN",
    "TAGS",
    "Sweep",
    "arguments",
    "forget",
    "grouped",
    "remove",
    "results",
    "tag",
    "under_way",
]
