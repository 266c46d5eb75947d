"""What cached nodes logged when they ran: a result from the cache brings its metrics and logged artifacts along."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from penstock.model.run import AttemptRecord, NodeState
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
    origins = _origins(store, attempts)
    by_run: dict[str, _Takers] = {}
    for cell, origin in origins.items():
        takers = by_run.setdefault(origin.run_id, {})
        takers.setdefault((origin.node, origin.item, origin.attempt), []).append(cell)
    metrics, attachments = store.metrics(run_id), store.attachments(run_id)
    for source, takers in by_run.items():
        metrics += _taken_over(store.metrics(source), takers)
        attachments += _taken_over(store.attachments(source), takers)
    return Logged(metrics, attachments, origins)


def _origins(store: Store, attempts: Sequence[AttemptRecord]) -> dict[Cell, Origin]:
    cached = {
        (attempt.node, attempt.item): attempt.fingerprint
        for attempt in attempts
        if attempt.state is NodeState.CACHED and attempt.fingerprint is not None
    }
    known = store.origins(list(cached.values()))
    return {cell: known[fingerprint] for cell, fingerprint in cached.items() if fingerprint in known}


def _taken_over(logged: Iterable[_Logged], takers: _Takers) -> Iterable[_Logged]:
    for each in logged:
        for node, item in takers.get((each.node, each.item, each.attempt), ()):
            yield msgspec.structs.replace(each, node=node, item=item)
