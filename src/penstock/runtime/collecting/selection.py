"""Which runs, and which results in the cache, are not kept."""

from __future__ import annotations

import functools
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from penstock.model.generation import root_of
from penstock.model.graph import from_json
from penstock.model.growth import Instances
from penstock.model.run import NodeState, RunRecord, RunState
from penstock.ports import CachedResult, Store
from penstock.runtime.collecting.retention import PINNED, Retention


class Selection(NamedTuple):
    """What goes, and the runs that stay."""

    runs: list[RunRecord]
    fingerprints: set[bytes]
    kept: list[RunRecord]
    #: how many of those that stay would go if there were no grace time
    in_grace: int
    #: how many results of the runs that go stay in the cache
    left: int


class _Entry(NamedTuple):
    """An entry of the cache that may have to go."""

    run_id: str | None
    #: past the lifetime that its task gives to results
    expired: bool
    #: made too long ago, which does not matter if it was used since
    old: bool


def select(store: Store, retention: Retention, now: float) -> Selection:
    """What goes by the time `now`, in seconds since the epoch. Nothing is changed.

    A run shows the metrics and artifacts that were logged when the results that it took from the cache were made. So
    where a run that stays has taken something for which something was logged, the run that made it stays as well, and
    the entry of the cache that leads to it.
    """
    every = store.runs(limit=sys.maxsize)
    tags = store.tags([run.run_id for run in every])
    going = {run.run_id: run for run in outdated(every, tags, retention, now)}
    kept = [run for run in every if run.run_id not in going]
    at_once = outdated(every, tags, msgspec.structs.replace(retention, grace=0.0), now)
    in_grace = len(at_once) - len(going)
    entries = _doubtful(store, retention, now, going)
    logged = functools.cache(functools.partial(_logged, store))
    used: set[bytes] = set()
    shown: set[bytes] = set()
    # a run that stays for what it logged is gone through as well, so this grows on the way
    for run in kept if entries else ():
        taken = _taken(store, run, entries)
        used |= {key for key, at in taken.items() if at >= now - retention.cache_older_than}
        for key, origin in store.origins(list(taken)).items():
            if (origin.node, origin.item, origin.attempt) in logged(origin.run_id):
                shown.add(key)
                kept += filter(None, [going.pop(root_of(origin.run_id), None)])
    fingerprints = {
        key
        for key, entry in entries.items()
        if key not in shown
        and (
            entry.expired
            or (entry.old and key not in used)
            or (not retention.cache_of_removed and (entry.run_id is None or entry.run_id in going))
        )
    }
    left = sum(1 for key, entry in entries.items() if entry.run_id in going and key not in fingerprints)
    return Selection(list(going.values()), fingerprints, kept, in_grace, left)


def outdated(
    runs: Iterable[RunRecord], tags: Mapping[str, Sequence[str]], retention: Retention, now: float
) -> list[RunRecord]:
    """The runs that neither their number, nor their age, nor a tag keeps; none that is under way or paused, and none that
    has ended within the grace time."""
    keeping = {PINNED, *retention.keep_tags}
    places = Counter[str]()
    found: list[RunRecord] = []
    for run in sorted(runs, key=lambda run: run.started_at, reverse=True):
        places[run.pipeline] += 1
        if run.state in (RunState.RUNNING, RunState.PAUSED) or keeping.intersection(tags.get(run.run_id, ())):
            continue
        recent = retention.keep is not None and places[run.pipeline] <= retention.keep
        # whoever has started a run may still be about to read how it went
        young = now - (run.finished_at or run.started_at) < max(retention.older_than or 0.0, retention.grace)
        if not recent and not young:
            found.append(run)
    return found


def _doubtful(store: Store, retention: Retention, now: float, going: Mapping[str, RunRecord]) -> dict[bytes, _Entry]:
    """The entries of the cache that are too old, and those whose run goes or is gone."""
    lifetime = _lifetimes(store)
    found: dict[bytes, _Entry] = {}
    for result in store.results():
        age = now - result.created_at
        expired = age >= lifetime(result)
        old = age >= retention.cache_older_than
        # an earlier generation goes with its run
        run_id = None if result.run_id is None else root_of(result.run_id)
        if expired or old or run_id is None or run_id in going:
            found[result.fingerprint] = _Entry(run_id, expired, old)
    return found


def _lifetimes(store: Store) -> Callable[[CachedResult], float]:
    """Tells for how many seconds results may be used: what the graph of the run that made them says."""

    @functools.cache
    def limited(run_id: str) -> Instances | None:
        graph = from_json(store.graph(run_id))
        tasks = graph.tasks.values()
        nodes = [*graph.nodes, *(node for task in tasks for node in getattr(task.action, "nodes", ()))]
        # most have none, and are not worth keeping
        if all(node.policy.caching.lifetime is None for node in nodes):
            return None
        return Instances(graph.nodes, graph.tasks)

    def lifetime(result: CachedResult) -> float:
        instances = None if result.run_id is None else limited(result.run_id)
        node = None if instances is None else instances.node(result.node)
        given = None if node is None else node.policy.caching.lifetime
        return float("inf") if given is None else given

    return lifetime


def _taken(store: Store, run: RunRecord, entries: Mapping[bytes, _Entry]) -> dict[bytes, float]:
    """What a run has taken from the cache, of these entries, and when."""
    return {
        attempt.fingerprint: attempt.started_at
        for attempt in store.attempts(run.run_id)
        if attempt.state is NodeState.CACHED and attempt.fingerprint is not None and attempt.fingerprint in entries
    }


def _logged(store: Store, run_id: str) -> frozenset[tuple[str, int, int]]:
    """The attempts of a run that have logged a metric or an artifact."""
    logged = [*store.metrics(run_id), *store.attachments(run_id)]
    return frozenset((each.node, each.item, each.attempt) for each in logged)


__all__ = ["Selection", "outdated", "select"]
