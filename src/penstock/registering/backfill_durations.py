"""How long the runs of a backfill may take, by those before."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from penstock.errors import NotFoundError
from penstock.model.firing import FiringState
from penstock.model.run import RunRecord, RunState

if TYPE_CHECKING:
    from penstock.ports import Store

#: runs that are looked at
_LOOKED_AT = 20
#: seconds that it takes at least to start the process of a run
_START = 1.0


def each_of_assets(store: Store, names: Sequence[str], batch: int) -> float | None:
    """Seconds that a run may take that makes so many partitions of assets, with its start; None where one was never made."""
    from penstock.authoring.assets.cells import asset_in

    pipelines = list(dict.fromkeys((*names, "assets")))
    found: dict[str, list[float]] = {name: [] for name in names}
    for pipeline in pipelines:
        for timing in store.timings(pipeline, _LOOKED_AT):
            if asset_in(timing.node) in found:
                found[asset_in(timing.node)].append(timing.duration)
    if not all(found.values()):
        return None
    tasks = sum(median(each) for each in found.values())
    runs = [run for pipeline in pipelines for run in _succeeded(store, pipeline)]
    # what the shortest run took apart from its tasks, since others may have made more than one partition
    around = max(0.0, min((_span(run) for run in runs), default=0.0) - tasks)
    return batch * tasks + around + _start(store, runs)


def each_of_pipeline(store: Store, pipeline: str) -> float | None:
    """Seconds that a run of a pipeline may take, with its start; None where none has succeeded."""
    runs = _succeeded(store, pipeline)
    return median(map(_span, runs)) + _start(store, runs) if runs else None


def _succeeded(store: Store, pipeline: str) -> Sequence[RunRecord]:
    return store.runs(pipeline=pipeline, state=RunState.SUCCEEDED, limit=_LOOKED_AT)


def _span(run: RunRecord) -> float:
    return 0.0 if run.finished_at is None else run.finished_at - run.started_at


def _start(store: Store, runs: Sequence[RunRecord]) -> float:
    """Seconds between that a firing is taken and that its run begins."""
    took: list[float] = []
    for run in runs[:_LOOKED_AT]:
        try:
            firing = store.agenda.firing(run.run_id)
        except NotFoundError:
            continue
        if firing.state is FiringState.STARTED and firing.started_at is not None:
            took.append(run.started_at - firing.started_at)
    return max(_START, median(took)) if took else _START


__all__ = ["each_of_assets", "each_of_pipeline"]
