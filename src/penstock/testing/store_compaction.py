"""What a store has to do with journals that are made smaller: nothing that reads them may see a difference."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from penstock.model.event import AnyEvent, Grown, RunStarted, Succeeded
from penstock.model.expression import Constant
from penstock.model.graph import Node
from penstock.model.place import Location
from penstock.model.run import RunState
from penstock.ports import Store
from penstock.testing.records import TEXT, artifact, graph, provenance, run_record, turn
from penstock.testing.store_case import StoreCase

#: a time after everything that a test does
LATER = 4_000_000_000.0


def grown(seed: int) -> Grown:
    """A dynamic pipeline getting one more node."""
    return Grown("", (Node(f"late{seed}", "fit", {"data": Constant(f"{TEXT}{seed}")}, Location("pipeline.py", 3)),))


def ended_run(store: Store, run_id: str, turns: int = 40, *, end: RunState = RunState.SUCCEEDED) -> None:
    """A run of so many turns, of which every tenth makes the graph grow, and one more that ends it."""
    store.create(run_record(run_id), graph(), provenance())
    store.commit(run_id, turn(0, events=[RunStarted()]))
    for number in range(1, turns):
        events: list[AnyEvent] = [Succeeded("fit", number, 1, (artifact(number),))]
        store.commit(run_id, turn(number, events=[*events, grown(number)] if number % 10 == 0 else events))
    store.commit(run_id, turn(turns, end=end))


def told(store: Store, run_id: str) -> list[Any]:
    """All that a journal has a part in."""
    referred = sorted(map(repr, store.arguments()))
    return [store.journal(run_id), store.graph(run_id), store.heard_of(run_id), store.pulse(run_id), referred]


class CompactionConformance(StoreCase):
    """Tests of `Store.compact`."""

    @pytest.mark.parametrize("end", [RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED])
    def test_nothing_is_lost_when_a_journal_is_compacted(self, store: Store, end: RunState) -> None:
        ended_run(store, "run-1", end=end)
        before = told(store, "run-1")
        size = sum(len(repr(events)) for _, events in store.journal("run-1"))
        foretold = store.compact("run-1", dry=True)
        assert told(store, "run-1") == before
        assert 0 < foretold == store.compact("run-1") < size
        assert told(store, "run-1") == before
        assert (store.compact("run-1"), store.compact("run-1", dry=True)) == (0, 0)

    def test_a_journal_of_many_pieces_is_compacted_as_one(self, store: Store) -> None:
        store.create(run_record(), graph(), provenance())
        for number in range(300):
            outputs = tuple(artifact(100 * number + place) for place in range(60))
            store.commit("run-1", turn(number, events=[Succeeded("fit", number, 1, outputs), grown(number)]))
        store.commit("run-1", turn(300, end=RunState.SUCCEEDED))
        before = told(store, "run-1")
        assert store.compact("run-1") > 0
        assert told(store, "run-1") == before

    def test_only_runs_that_have_ended_are_compacted(self, store: Store) -> None:
        ended_run(store, "ended")
        store.create(run_record("running"), graph(), provenance())
        ended_run(store, "paused", end=RunState.PAUSED)
        assert store.compactable(LATER) == ["ended"]
        assert store.compactable(store.heard_of("ended")) == []
        assert [store.compact(run_id) for run_id in ("running", "paused", "gone")] == [0, 0, 0]
        store.compact("ended")
        assert store.compactable(LATER) == []
        # the one goes on as before
        run = store.reopen("paused", "another")
        assert store.pulse("paused").turns == 41
        store.commit("paused", turn(41, token=run.token, end=RunState.SUCCEEDED))
        assert store.compactable(LATER) == ["paused"]

    def test_a_generation_that_is_compacted_makes_way_for_another(self, store: Store) -> None:
        ended_run(store, "run-1", end=RunState.FAILED)
        store.compact("run-1")
        before = store.journal("run-1")
        store.regenerate(run_record(), graph(), provenance())
        assert store.journal("run-1.1") == before
        assert store.journal("run-1") == []
        assert store.compactable(LATER) == []
        store.commit("run-1", turn(0, events=[RunStarted()]))
        assert store.pulse("run-1").turns == 1

    def test_two_collections_compact_at_once(self, store: Store, tmp_path: Path) -> None:
        runs = [f"run-{number}" for number in range(6)]
        for run_id in runs:
            ended_run(store, run_id, 12)
        before = [store.journal(run_id) for run_id in runs]
        ready = threading.Barrier(2)

        def compact() -> None:
            other = self.make_store(tmp_path)
            ready.wait(10)
            for run_id in runs:
                other.compact(run_id)
            other.close()

        threads = [threading.Thread(target=compact) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [store.journal(run_id) for run_id in runs] == before
        assert store.compactable(LATER) == []


__all__ = ["CompactionConformance"]
