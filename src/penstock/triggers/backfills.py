"""What a backfill consists of: runs over partitions, logical times or parameters, each with a key that does not depend on
when the backfill is begun."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, Literal, NamedTuple

import msgspec

from penstock.errors import DefinitionError
from penstock.model.firing import BACKFILLING, Backfill, Firing
from penstock.model.schedule import Timetable
from penstock.model.trigger import Cause, Follows
from penstock.triggers.partitions import RANGE
from penstock.triggers.templates import filled
from penstock.triggers.timetables import tick_key, ticks

#: in which order runs are started: that of the keys, or the other way round
Order = Literal["ascending", "descending"]

#: numbers, from one up to another and with it
Spans = tuple[tuple[int, int], ...]

#: runs of one backfill, at most
MOST = 1_000_000
#: letters of a key that is made of parameters, at most
_LONG = 120


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a backfill."""

    key: str
    partitions: tuple[str, ...] = ()
    #: JSON-able
    parameters: dict[str, Any] = {}
    logical_time: float | None = None
    interval: tuple[float, float] | None = None
    zone: str = "UTC"
    #: the assets that it makes, where not all pieces make the same
    assets: str = ""
    #: the numbers of the pieces that come before it, from one up to another and with it; the first has the number 1
    after: Spans = ()
    #: what it takes of theirs: names of assets
    reads: tuple[str, ...] = ()


def spans(numbers: Iterable[int]) -> Spans:
    """Numbers as stretches without gaps, in order."""
    return joined((each, each) for each in set(numbers))


def joined(parts: Iterable[tuple[int, int]]) -> Spans:
    """Stretches of numbers, those that touch or overlap made one, in order."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(parts):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return tuple(found)


def over_partitions(keys: Sequence[str], *, batch: int = 1, order: Order = "ascending") -> list[Piece]:
    """A run for every `batch` of partitions, which are given in their order."""
    parts = [tuple(keys[start : start + batch]) for start in range(0, len(keys), batch)]
    pieces = [Piece(key=key_of(part), partitions=part) for part in parts]
    return _ordered(pieces, order)


def key_of(partitions: Sequence[str]) -> str:
    """What a run is called that makes some partitions; empty for none."""
    return (
        "" if not partitions else partitions[0] if len(partitions) == 1 else f"{partitions[0]}{RANGE}{partitions[-1]}"
    )


def over_times(
    timetable: Timetable, name: str, begin: float, end: float, *, zone: str = "UTC", order: Order = "ascending"
) -> list[Piece]:
    """A run for every tick of a trigger from one moment up to another and with it. Raises DefinitionError for more of them
    than a backfill may have."""
    due = ticks(timetable, name, begin - 1e-6, end)
    return over_requests(
        ((tick_key(each.at), each.logical_time, each.interval) for each in due), zone=zone, order=order
    )


def over_requests(
    requests: Iterable[tuple[str, float, tuple[float, float]]], *, zone: str = "UTC", order: Order = "ascending"
) -> list[Piece]:
    """A run for every time, told by its key, its logical time and its data interval. Raises DefinitionError for more of them
    than a backfill may have."""
    pieces: list[Piece] = []
    for key, logical, interval in requests:
        if len(pieces) == MOST:
            raise DefinitionError(f"a backfill has at most {MOST:,} runs", remedy="Take a shorter time.")
        pieces.append(Piece(key=key, logical_time=logical, interval=interval, zone=zone))
    return _ordered(pieces, order)


def over_parameters(rows: Iterable[Mapping[str, Any]], *, order: Order = "ascending") -> list[Piece]:
    """A run for every set of parameters; one that is there several times is run as often."""
    pieces: list[Piece] = []
    seen: dict[str, int] = {}
    for row in rows:
        key = _key(row)
        seen[key] = seen.get(key, 0) + 1
        pieces.append(Piece(key=key if seen[key] == 1 else f"{key} ({seen[key]})", parameters=dict(row)))
    return _ordered(pieces, order)


def _key(row: Mapping[str, Any]) -> str:
    text = ", ".join(f"{name}={_shown(value)}" for name, value in row.items()) or "no parameters"
    if len(text) <= _LONG:
        return text
    from blake3 import blake3

    return f"{text[: _LONG - 20]}... {blake3(text.encode()).hexdigest(8)}"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def grid(axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination of the values of several parameters; the last one changes the fastest."""
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def _ordered(pieces: list[Piece], order: Order) -> list[Piece]:
    return pieces if order == "ascending" else pieces[::-1]


def firings(backfill: Backfill, pieces: Sequence[Piece], templates: Mapping[str, Any] = {}) -> list[Firing]:
    """What starts the runs of a backfill, in the order of the pieces; `templates` are parameters that are filled in from
    their causes. Raises DefinitionError where they cannot be."""
    ids = _Ids(backfill.backfill_id, max(4, len(str(len(pieces)))))
    return [_firing(backfill, piece, number, ids, templates) for number, piece in enumerate(pieces, 1)]


class _Ids(NamedTuple):
    """The ids of the runs of a backfill, as texts in the order of their numbers."""

    backfill: str
    width: int

    def of(self, number: int) -> str:
        return f"{self.backfill}-{number:0{self.width}d}"


def _firing(backfill: Backfill, piece: Piece, number: int, ids: _Ids, templates: Mapping[str, Any]) -> Firing:
    follows = Follows(tuple((ids.of(first), ids.of(last)) for first, last in piece.after), piece.reads)
    cause = Cause(
        trigger=f"{BACKFILLING}{backfill.backfill_id}",
        key=piece.key,
        logical_time=piece.logical_time,
        interval=piece.interval,
        zone=piece.zone,
        partitions=piece.partitions,
        backfill=backfill.backfill_id,
        follows=follows if piece.after else None,
    )
    return Firing(
        run_id=ids.of(number),
        trigger=cause.trigger,
        key=piece.key,
        pipeline=backfill.pipeline,
        assets=piece.assets or backfill.assets,
        parameters={**filled(templates, cause), **piece.parameters} if templates else piece.parameters,
        cause=cause,
        priority=backfill.priority,
        tags=backfill.tags,
        created_at=backfill.created_at,
    )


def expected(each: float | None, count: int, at_most: int) -> float | None:
    """How many seconds `count` runs may take that take so long `each`, `at_most` at once; None where that is not known."""
    return None if each is None else each * -(-count // at_most)


__all__ = [
    "MOST",
    "Order",
    "Piece",
    "Spans",
    "expected",
    "firings",
    "grid",
    "joined",
    "key_of",
    "over_parameters",
    "over_partitions",
    "over_times",
    "spans",
]
