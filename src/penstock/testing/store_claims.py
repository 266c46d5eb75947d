"""What a store has to do so that of several runs that want the same result only one makes it."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import NotFoundError, StoreError
from penstock.model.run import RunState
from penstock.ports import Claimant, Recorded, Store
from penstock.testing.records import (
    TEXT,
    UNFIT,
    artifact,
    attempt,
    fingerprint,
    graph,
    provenance,
    result,
    run_record,
    turn,
)
from penstock.testing.store_case import StoreCase

NOBODY: frozenset[bytes] = frozenset()
ONE, TWO, THREE = (fingerprint(seed) for seed in (1, 2, 3))
OVER = [state for state in RunState if state is not RunState.RUNNING]


class ClaimConformance(StoreCase):
    """Tests of claims of results that are about to be made."""

    @pytest.fixture
    def other(self, store: Store, tmp_path: Path) -> Iterator[Store]:
        """Another store of the same place; in `store` there are the runs a and b."""
        for run_id in ("a", "b"):
            store.create(run_record(run_id), graph(), provenance())
        other = self.make_store(tmp_path)
        yield other
        other.close()

    def test_a_result_is_claimed_by_one_run(self, store: Store, other: Store) -> None:
        assert store.commit("a", turn(0, claims={ONE: ("fit", 3), TWO: (TEXT, -1)})) == NOBODY
        assert other.commit("b", turn(0, claims={TWO: ("x", 0), THREE: ("y", 1), ONE: ("z", 2)})) == {ONE, TWO}
        made = {ONE: Claimant("a", "fit", 3), TWO: Claimant("a", TEXT, -1), THREE: Claimant("b", "y", 1)}
        for each in (store, other):
            assert each.claimants([ONE, TWO, THREE, fingerprint(4), ONE]) == made
            assert each.claimants([]) == {}
        assert store.commit("a", turn(1, claims={THREE: ("fit", 4)})) == {THREE}

    def test_many_results_are_claimed_at_once(self, store: Store, other: Store) -> None:
        mine = {fingerprint(seed): ("fit", seed) for seed in range(1300)}
        yours = {fingerprint(seed): ("fit", seed) for seed in range(1000, 2300)}
        assert store.commit("a", turn(0, claims=mine)) == NOBODY
        assert other.commit("b", turn(0, claims=yours)) == mine.keys() & yours.keys()
        made = {key: Claimant("b", *cell) for key, cell in yours.items()}
        made |= {key: Claimant("a", *cell) for key, cell in mine.items()}
        assert other.claimants(list(made)) == made

    def test_a_run_may_claim_what_it_has_claimed(self, store: Store, other: Store) -> None:
        assert store.commit("a", turn(0, claims={ONE: ("fit", 0)})) == NOBODY
        assert store.commit("a", turn(1, claims={ONE: ("fit", 1)})) == NOBODY
        assert store.claimants([ONE]) == {ONE: Claimant("a", "fit", 1)}

    def test_a_claim_is_no_result(self, store: Store, other: Store) -> None:
        store.commit("a", turn(0, claims={ONE: ("fit", 0)}))
        assert other.recorded([ONE]) == {}
        assert other.origins([ONE]) == {}
        assert list(other.results()) == []
        assert list(other.arguments()) == []
        other.forget([ONE])
        assert other.claimants([ONE]) == {ONE: Claimant("a", "fit", 0)}

    def test_a_claim_ends_with_its_result(self, store: Store, other: Store) -> None:
        store.commit("a", turn(0, claims={ONE: ("fit", 0), TWO: ("fit", 1)}))
        store.commit("a", turn(1, results={ONE: result(artifact(1), item=0)}))
        assert other.recorded([ONE, TWO]) == {ONE: Recorded((artifact(1),), turn(1).at)}
        assert other.claimants([ONE, TWO]) == {TWO: Claimant("a", "fit", 1)}
        assert other.commit("b", turn(0, claims={ONE: ("fit", 7), TWO: ("fit", 8)})) == {ONE, TWO}

    def test_what_another_run_has_made_cannot_be_claimed(self, store: Store, other: Store) -> None:
        store.commit("a", turn(0, results={ONE: result(artifact(1))}))
        before = store.recorded([ONE]), store.origins([ONE]), list(store.results())
        assert other.commit("b", turn(0, claims={ONE: ("fit", -1)})) == {ONE}
        # what a run has made itself is its own affair
        assert store.commit("a", turn(1, claims={ONE: ("fit", -1)})) == NOBODY
        assert (other.recorded([ONE]), other.origins([ONE]), list(other.results())) == before
        assert other.claimants([ONE]) == {}
        store.commit("a", turn(2, disclaimed=[ONE]))
        assert (other.recorded([ONE]), other.origins([ONE]), list(other.results())) == before
        other.forget([ONE])
        assert other.commit("b", turn(1, claims={ONE: ("fit", -1)})) == NOBODY
        assert other.claimants([ONE]) == {ONE: Claimant("b", "fit", -1)}
        other.commit("b", turn(2, results={ONE: result(artifact(2))}))
        assert store.recorded([ONE]) == {ONE: Recorded((artifact(2),), turn(2).at)}
        assert store.claimants([ONE]) == {}

    def test_a_claim_is_given_up(self, store: Store, other: Store) -> None:
        store.commit("a", turn(0, claims={ONE: ("fit", 0), TWO: ("fit", 1)}))
        other.commit("b", turn(0, claims={THREE: ("fit", 0)}))
        store.commit("a", turn(1, disclaimed=[ONE, THREE, fingerprint(9)]))
        assert other.claimants([ONE, TWO, THREE]) == {TWO: Claimant("a", "fit", 1), THREE: Claimant("b", "fit", 0)}
        assert other.commit("b", turn(1, claims={ONE: ("fit", 5)}, disclaimed=[THREE])) == NOBODY
        assert store.claimants([ONE, THREE]) == {ONE: Claimant("b", "fit", 5)}
        # given up and claimed again in one turn
        assert other.commit("b", turn(2, claims={ONE: ("fit", 6)}, disclaimed=[ONE])) == NOBODY
        assert store.claimants([ONE]) == {ONE: Claimant("b", "fit", 6)}

    @pytest.mark.parametrize("end", OVER)
    def test_a_run_that_is_over_claims_nothing(self, store: Store, other: Store, end: RunState) -> None:
        claimed = {ONE: ("fit", 0), TWO: ("fit", 1)}
        store.commit("a", turn(0, claims=claimed))
        store.commit("a", turn(1, claims={THREE: ("fit", 2)}, results={TWO: result(artifact(2))}, end=end))
        assert other.claimants([ONE, TWO, THREE]) == {}
        assert other.recorded([ONE, TWO, THREE]).keys() == {TWO}
        assert other.commit("b", turn(0, claims={**claimed, THREE: ("fit", 2)})) == {TWO}

    def test_a_run_that_goes_on_claims_anew(self, store: Store, other: Store) -> None:
        store.commit("a", turn(0, claims={ONE: ("fit", 0)}, results={TWO: result(artifact(2))}))
        # by somebody who knows nothing of the claims, for a driver that is gone
        other.commit("a", turn(1, end=RunState.PAUSED))
        other.reopen("a", "host:2")
        assert store.claimants([ONE, TWO]) == {}
        assert other.commit("b", turn(0, claims={ONE: ("fit", 0)})) == NOBODY
        assert other.commit("a", turn(2, claims={ONE: ("fit", 0), TWO: ("fit", 1)})) == {ONE}

    def test_claims_outlive_the_driver_of_a_run(self, store: Store, other: Store) -> None:
        store.commit("a", turn(0, claims={ONE: ("fit", 0), TWO: ("fit", 1), THREE: ("fit", 2)}))
        store.close()
        other.reopen("a", "host:2")
        assert other.commit("b", turn(0, claims={ONE: ("fit", 0)})) == {ONE}
        other.commit("a", turn(1, results={ONE: result(artifact(1))}, disclaimed=[TWO]))
        assert other.claimants([ONE, TWO, THREE]) == {THREE: Claimant("a", "fit", 2)}
        other.commit("a", turn(2, end=RunState.FAILED))
        assert other.claimants([THREE]) == {}

    @pytest.mark.parametrize("end", OVER)
    def test_claims_of_an_earlier_driver_end_with_the_run(self, store: Store, other: Store, end: RunState) -> None:
        store.commit("a", turn(0, claims={ONE: ("fit", 1), TWO: ("fit", 2)}))
        other.reopen("a", "host:2")
        other.commit("a", turn(1, results={ONE: result(artifact(1))}, claims={THREE: ("fit", 3)}))
        other.commit("a", turn(2, end=end))
        if end is RunState.PAUSED:
            # nobody waits for what it may not make any more
            store.reopen("a", "host:1")
        assert store.claimants([ONE, TWO, THREE]) == {}
        assert store.recorded([ONE, TWO, THREE]).keys() == {ONE}
        assert other.commit("b", turn(0, claims={TWO: ("fit", 2), THREE: ("fit", 3)})) == NOBODY

    def test_claims_of_a_driver_that_is_gone_are_dropped_for_it(self, store: Store, other: Store) -> None:
        store.commit("a", turn(0, claims={ONE: ("fit", 0), TWO: ("fit", 1)}))
        other.commit("b", turn(0, claims={THREE: ("fit", 0)}))
        other.disclaim([ONE, THREE, fingerprint(9)], "a")
        assert store.claimants([ONE, TWO, THREE]) == {TWO: Claimant("a", "fit", 1), THREE: Claimant("b", "fit", 0)}
        assert other.commit("b", turn(1, claims={ONE: ("fit", 1), TWO: ("fit", 2)})) == {TWO}
        with pytest.raises(NotFoundError):
            other.disclaim([ONE], "c")
        # it was not gone after all: what it makes counts
        store.commit("a", turn(1, results={ONE: result(artifact(1))}))
        assert other.recorded([ONE]) == {ONE: Recorded((artifact(1),), turn(1).at)}

    def test_a_turn_that_is_refused_leaves_the_claims(self, store: Store, other: Store) -> None:
        store.commit("a", turn(0, claims={ONE: ("fit", 0)}))
        results = {ONE: result(artifact(1))}
        refused = [
            turn(0, claims={TWO: ("fit", 1)}, results=results),
            turn(1, disclaimed=[ONE], attempts=[attempt(), UNFIT]),
            turn(1, claims={TWO: ("fit", 1)}, results=results, attempts=[attempt(), UNFIT]),
            turn(2, end=RunState.FAILED),
        ]
        for each in refused:
            with pytest.raises(StoreError):
                store.commit("a", each)
        assert store.claimants([ONE, TWO]) == {ONE: Claimant("a", "fit", 0)}
        assert store.recorded([ONE]) == {}
        store.commit("a", turn(1, end=RunState.PAUSED))
        assert store.reopen("a", "host:1").state is RunState.RUNNING
        assert other.claimants([ONE]) == {}

    def test_of_two_processes_one_makes_each_result(self, store: Store, tmp_path: Path) -> None:
        keys = [fingerprint(seed) for seed in range(60)]
        for run_id in ("a", "b"):
            store.create(run_record(run_id), graph(), provenance())
        spawn = multiprocessing.get_context("spawn")
        start, made = spawn.Barrier(2), spawn.Queue()
        racers = [spawn.Process(target=race, args=(type(self), tmp_path, run, keys, start, made)) for run in ("a", "b")]
        for racer in racers:
            racer.start()
        both = dict(made.get(timeout=60) for _ in racers)
        for racer in racers:
            racer.join(60)
        assert [racer.exitcode for racer in racers] == [0, 0]
        assert both["a"] & both["b"] == set()
        assert both["a"] | both["b"] == set(keys)
        assert {origin.run_id for origin in store.origins(list(both["a"])).values()} <= {"a"}
        assert store.recorded(keys).keys() == set(keys)
        assert store.claimants(keys) == {}


def race(case: type[ClaimConformance], folder: Path, run_id: str, keys: list[bytes], start: Any, made: Any) -> None:
    """Drive a run that needs all these results, a few at a time, while another process does the same; say which of
    them it has made."""
    store = case().make_store(folder)
    own: set[bytes] = set()
    number = 0
    start.wait(60)
    for place in range(0, len(keys), 4):
        missing = keys[place : place + 4]
        while missing := [key for key in missing if key not in store.recorded(missing)]:
            refused = store.commit(run_id, turn(number, claims=dict.fromkeys(missing, ("fit", number))))
            granted = [key for key in missing if key not in refused]
            # it may have been made between the look-up and the claim
            known = store.recorded(granted)
            mine = {key: result(artifact(1)) for key in granted if key not in known}
            store.commit(run_id, turn(number + 1, results=mine, disclaimed=list(known)))
            own.update(mine)
            number += 2
            time.sleep(0)
    store.close()
    made.put((run_id, own))


__all__ = ["ClaimConformance"]
