"""What cached nodes logged when they ran: a result from the cache brings its metrics and logged artifacts along."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from penstock.errors import NotFoundError
from penstock.model.generation import origin_of, root_of
from penstock.model.run import FRUITFUL, AttemptRecord, NodeState
from penstock.ports import LoggedAttachment, LoggedMetric, Origin, Store

#: a node, or an item of one
Cell = tuple[str, int]
_Logged = TypeVar("_Logged", LoggedMetric, LoggedAttachment)
#: node, item and attempt in the run that a result comes from -> who has the result now
_Takers = dict[tuple[str, int, int], list[Cell]]


class Logged(NamedTuple):
    """The metrics and logged artifacts of a run, those of its cached nodes included."""

    metrics: list[LoggedMetric]
    attachments: list[LoggedAttachment]
    #: where the results of cached nodes and items come from
    origins: Mapping[Cell, Origin]


def logged_in(store: Store, run_id: str, attempts: Sequence[AttemptRecord]) -> Logged:
    """What the nodes of a run logged, in this run or in the one that their result comes from."""
    origins = origins_of(store, run_id, attempts)
    by_run: dict[str, _Takers] = {}
    for cell, origin in origins.items():
        takers = by_run.setdefault(origin.run_id, {})
        takers.setdefault((origin.node, origin.item, origin.attempt), []).append(cell)
    metrics, attachments = store.metrics(run_id), store.attachments(run_id)
    for source, takers in by_run.items():
        metrics += _taken_over(store.metrics(source), takers)
        attachments += _taken_over(store.attachments(source), takers)
    return Logged(metrics, attachments, origins)


def origins_of(store: Store, run_id: str, attempts: Iterable[AttemptRecord]) -> dict[Cell, Origin]:
    """Where results were made that are not of the run itself: those from the cache, and those that an earlier generation
    has made. Of these, those are left out whose run is gone."""
    cached: dict[Cell, bytes] = {}
    kept: dict[int, list[AttemptRecord]] = {}
    for attempt in attempts:
        if generation := origin_of(attempt):
            kept.setdefault(generation, []).append(attempt)
        elif attempt.state is NodeState.CACHED and attempt.fingerprint is not None:
            cached[attempt.node, attempt.item] = attempt.fingerprint
    known = store.origins(list(cached.values()))
    found = {cell: known[fingerprint] for cell, fingerprint in cached.items() if fingerprint in known}
    for generation, records in kept.items():
        found |= _in_generation(store, f"{root_of(run_id)}.{generation}", records)
    return found


def _in_generation(store: Store, run_id: str, kept: Iterable[AttemptRecord]) -> dict[Cell, Origin]:
    """Where the results were made that were kept from a generation, which may have had them from the cache."""
    try:
        there = {_called(each): each for each in store.attempts(run_id) if each.state in FRUITFUL}
    except NotFoundError:
        return {}
    found: dict[Cell, Origin] = {}
    cached: dict[Cell, bytes] = {}
    for record in kept:
        made = there.get(_called(record))
        if made is None:
            continue
        found[record.node, record.item] = Origin(run_id, made.node, made.item, made.attempt)
        if made.state is NodeState.CACHED and made.fingerprint is not None:
            cached[record.node, record.item] = made.fingerprint
    known = store.origins(list(cached.values()))
    return found | {cell: known[fingerprint] for cell, fingerprint in cached.items() if fingerprint in known}


def _called(record: AttemptRecord) -> tuple[str, int | str]:
    return record.node, record.item if record.key is None else record.key


def _taken_over(logged: Iterable[_Logged], takers: _Takers) -> Iterable[_Logged]:
    for each in logged:
        for node, item in takers.get((each.node, each.item, each.attempt), ()):
            yield msgspec.structs.replace(each, node=node, item=item)
