"""Journals of runs that have ended, made smaller without loss, in SQL.

*Stretches* of turns that follow one another are put together and compressed, each in the row of its last turn. So what
asks for the end of a journal finds it as before, a run that is compacted in part is as sound as any, and no row becomes
too large to be read at once. Nothing is ever added to the journal of a run that has ended, so what is read of it before
the transaction that replaces it still holds then.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from penstock.model.event import AnyEvent
from penstock.stores import journal, rows
from penstock.stores.database import Connection
from penstock.stores.rows import Row

#: bytes of events from which a stretch is full
_FULL = 1 << 20
#: how many rows are read at once
_PIECE = 256

#: the columns that `turns_of` reads
TURNS = "at, events, turns"

_ENDED = "state IN ('succeeded', 'failed', 'cancelled')"
COMPACTABLE = f"SELECT run_id FROM runs WHERE NOT compacted AND {_ENDED} AND finished_at < ? ORDER BY id"
_KEY = f"SELECT id FROM runs WHERE run_id = ? AND NOT compacted AND {_ENDED}"
_PLAIN = f"""
    SELECT {journal.NUMBER}, at, events FROM journal WHERE id BETWEEN ? AND ? AND turns = 1 ORDER BY id LIMIT ?
"""
_WITHIN = "id BETWEEN ? AND ?"
_PUT = "INSERT INTO journal (id, at, events, turns) VALUES (?, ?, ?, ?)"
_SHRINK = "DELETE FROM growth WHERE run = ? AND number BETWEEN ? AND ?"
_MARK = "UPDATE runs SET compacted = TRUE WHERE id = ?"

_decode = msgspec.msgpack.Decoder(list[tuple[float, list[AnyEvent]]]).decode


class Stretch(NamedTuple):
    """Turns of a journal from `first` to `last`, compressed."""

    first: int
    last: int
    #: the time of the last one
    at: float
    document: bytes
    #: how many bytes fewer they are than before
    saved: int

    @property
    def turns(self) -> int:
        return self.last - self.first + 1


def turns_of(found: Iterable[Row]) -> Iterator[tuple[float, list[AnyEvent]]]:
    """The turns in rows of a journal that have the columns `TURNS`."""
    for at, events, turns in found:
        if turns == 1:
            yield at, rows.decode_events(events)
        else:
            yield from _decode(zlib.decompress(events))


def key_of(connection: Connection, run_id: str) -> int | None:
    """The key of a run whose journal can be compacted; None where it is already, or the run has not ended."""
    found = connection.execute(_KEY, (run_id,)).fetchone()
    return None if found is None else found[0]


def stretches(connection: Connection, run: int) -> Iterator[Stretch]:
    """The stretches that the journal of a run can be divided into; what is small enough as it is, is in none."""
    gathered: list[Row] = []
    size = 0
    for row in _plain(connection, run):
        # where another stretch lies between, this one ends before it
        if gathered and (row[0] != gathered[-1][0] + 1 or (size >= _FULL and len(gathered) > 1)):
            yield from _stretch(gathered)
            gathered, size = [], 0
        gathered.append(row)
        size += len(row[2])
    yield from _stretch(gathered)


def _plain(connection: Connection, run: int) -> Iterator[Row]:
    following = 0
    while found := connection.execute(_PLAIN, (*journal.span(run, following), _PIECE)).fetchall():
        yield from found
        following = found[-1][0] + 1


def _stretch(turns: list[Row]) -> Iterator[Stretch]:
    if len(turns) > 1:
        document = zlib.compress(rows.encode([(at, msgspec.Raw(events)) for _, at, events in turns]))
        saved = sum(len(events) for *_, events in turns) - len(document)
        if saved > 0:
            yield Stretch(turns[0][0], turns[-1][0], turns[-1][1], document, saved)


def put(connection: Connection, run: int, stretch: Stretch) -> bool:
    """Put a stretch in the place of its turns, in a transaction of the caller's. Returns whether they were still there
    as they were: somebody else may have been quicker, or removed the run."""
    within = journal.span(run, stretch.first, stretch.last)
    query = f"SELECT count(*) FROM journal WHERE {_WITHIN} AND turns = 1"
    [(there,)] = connection.execute(query, within).fetchall()
    if there != stretch.turns:
        return False
    connection.execute(f"DELETE FROM journal WHERE {_WITHIN}", within)
    connection.execute(_PUT, (journal.key(run, stretch.last), stretch.at, stretch.document, stretch.turns))
    # what has grown in one of the turns is now found in the row of the last
    if connection.execute(_SHRINK, (run, stretch.first, stretch.last)).rowcount:
        connection.execute("INSERT INTO growth (run, number) VALUES (?, ?)", (run, stretch.last))
    return True


def mark(connection: Connection, run: int) -> None:
    """Record that there is nothing left to compact of a run."""
    connection.execute(_MARK, (run,))


__all__ = ["COMPACTABLE", "TURNS", "Stretch", "key_of", "mark", "put", "stretches", "turns_of"]
