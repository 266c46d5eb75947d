"""A run as its journal tells it, for those who look at it from outside."""

from __future__ import annotations

from typing import NamedTuple

from penstock.kernel import RunProgress, handle
from penstock.model.event import Grown
from penstock.model.graph import Graph
from penstock.model.growth import ungrown
from penstock.ports import Store
from penstock.runtime.driving.ledger import Ledger


class Replayed(NamedTuple):
    """Where a run is. `turns` is how many its journal has."""

    progress: RunProgress
    ledger: Ledger
    turns: int


def replayed(store: Store, run_id: str, graph: Graph) -> Replayed:
    """Bring a run to where its journal ends. `graph` is as the store has it, with what has appeared in the run."""
    journal = store.journal(run_id)
    growth = [event for _, events in journal for event in events if isinstance(event, Grown)]
    progress = RunProgress(ungrown(graph, growth) if growth else graph)
    ledger = Ledger(progress)
    for at, events in journal:
        handle(progress, *events)
        ledger.take(events, at)
    return Replayed(progress, ledger, len(journal))


__all__ = ["Replayed", "replayed"]
