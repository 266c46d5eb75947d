"""What a store has to do so that a run has one driver at a time, and can be begun anew."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import LeaseLostError, NotFoundError, StoreError
from penstock.model.event import RunStarted, Succeeded
from penstock.model.graph import from_json
from penstock.model.identity import Basis
from penstock.model.request import CancelAsked
from penstock.model.run import RunState
from penstock.model.value import Description
from penstock.model.work import Line
from penstock.ports import Claimant, Origin, Pulse, Said, Store
from penstock.testing.records import artifact, attempt, fingerprint, graph, provenance, result, run_record, turn
from penstock.testing.store_case import StoreCase

ENDED = [RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED]


class LeaseConformance(StoreCase):
    """Tests of who may write what of a run, and of how others see that its driver lives."""

    @pytest.fixture
    def second(self, store: Store, tmp_path: Path) -> Iterator[Store]:
        """Another store of the same place; in `store` there is the run `run-1`, driven by `host:1`."""
        store.create(run_record(driver="host:1"), graph(), provenance())
        second = self.make_store(tmp_path)
        yield second
        second.close()

    def test_a_store_belongs_to_one_thread(self, store: Store, run_id: str) -> None:
        with ThreadPoolExecutor(1) as thread, pytest.raises(StoreError, match="thread"):
            thread.submit(store.runs).result()
        assert [run.run_id for run in store.runs()] == [run_id]

    def test_a_driver_that_lost_its_run_writes_nothing(self, store: Store, second: Store) -> None:
        store.commit("run-1", turn(0, token=1))
        assert second.reopen("run-1", "host:2", "host:1").token == 2
        late = turn(
            1,
            token=1,
            attempts=[attempt()],
            results={fingerprint(1): result(artifact(1))},
            claims={fingerprint(2): ("fit", 1)},
            end=RunState.SUCCEEDED,
        )
        for number in (1, 0, 2):
            with pytest.raises(LeaseLostError, match="host:2 drives it by now") as caught:
                store.commit("run-1", turn(number, token=1))
            assert "penstock show run-1" in str(caught.value.remedy)
        with pytest.raises(LeaseLostError):
            store.commit("run-1", late)
        assert (len(store.journal("run-1")), store.attempts("run-1")) == (1, [])
        assert store.recorded([fingerprint(1)]) == store.claimants([fingerprint(2)]) == {}
        second.commit("run-1", turn(1, token=2))
        with pytest.raises(LeaseLostError):
            second.commit("run-1", turn(2, token=3))
        # one who does not drive it, and ends it for a driver that is gone
        store.commit("run-1", turn(2, end=RunState.FAILED))
        assert store.find("run-1").state is RunState.FAILED

    def test_a_run_that_is_over_has_not_been_taken_over(self, store: Store, second: Store) -> None:
        store.commit("run-1", turn(0, token=1, end=RunState.CANCELLED))
        with pytest.raises(StoreError, match="was cancelled") as caught:
            store.commit("run-1", turn(1, token=1))
        assert not isinstance(caught.value, LeaseLostError)

    def test_every_driver_has_a_token_of_its_own(self, store: Store, second: Store) -> None:
        assert store.find("run-1").token == 1
        assert [second.reopen("run-1", f"host:{number}").token for number in (2, 3)] == [2, 3]
        store.commit("run-1", turn(0, token=3, end=RunState.PAUSED))
        assert store.reopen("run-1", "host:1").token == 4
        assert second.find("run-1").token == second.pulse("run-1").token == 4

    def test_a_pulse_changes_for_as_long_as_a_driver_lives(self, store: Store, second: Store) -> None:
        assert second.pulse("run-1") == Pulse(1, 0, 0)
        assert store.beat("run-1", 1, 1.0)
        assert store.beat("run-1", 1, 2.0)
        assert second.pulse("run-1") == Pulse(1, 2, 0)
        store.commit("run-1", turn(0))
        assert second.pulse("run-1") == Pulse(1, 2, 1)
        second.reopen("run-1", "host:2")
        assert not store.beat("run-1", 1, 3.0)
        assert store.pulse("run-1") == Pulse(2, 2, 1)
        assert second.beat("run-1", 2, 4.0)
        assert not second.beat("nobody", 1, 4.0)
        for state in (RunState.PAUSED, RunState.SUCCEEDED):
            second.commit("run-1", turn(store.pulse("run-1").turns, end=state))
            assert not second.beat("run-1", 2, 5.0)
            if state is RunState.PAUSED:
                assert second.reopen("run-1", "host:3").token == 3
        assert store.pulse("run-1") == Pulse(3, 3, 3)
        with pytest.raises(NotFoundError):
            store.pulse("nobody")

    def test_a_beat_is_no_turn(self, store: Store, second: Store) -> None:
        before = store.find("run-1"), store.journal("run-1")
        assert second.beat("run-1", 1, 1.0)
        assert (store.find("run-1"), store.journal("run-1")) == before
        store.commit("run-1", turn(0, token=1))

    def test_a_run_was_last_heard_of_by_its_start_a_turn_or_a_beat(self, store: Store, second: Store) -> None:
        start = run_record().started_at
        assert store.heard_of("run-1") == start
        store.beat("run-1", 1, start + 5)
        assert second.heard_of("run-1") == start + 5
        store.commit("run-1", turn(0))
        assert second.heard_of("run-1") == start + 5
        for number in range(1, 8):
            store.commit("run-1", turn(number))
        assert second.heard_of("run-1") == turn(7).at > start + 5
        store.beat("run-1", 1, 1.0)
        assert second.heard_of("run-1") == turn(7).at
        with pytest.raises(NotFoundError):
            store.heard_of("nobody")


class GenerationConformance(StoreCase):
    """Tests of runs that are begun anew."""

    @pytest.fixture
    def ended(self, store: Store) -> str:
        """A run that has failed, with something of every kind recorded of it."""
        basis = Basis(parameters={"p": artifact(50)}, tasks={"fit": fingerprint(1)})
        store.create(run_record(driver="host:1", parameters={"n": 1}), graph(3), provenance(python="3.11"), basis)
        said = Said("fit", -1, 1, (Line("stdout", "first"),))
        made = Succeeded("fit", -1, 1, (artifact(1),))
        results = {fingerprint(1): result(artifact(1))}
        described = [Description(artifact(1).digest, {"n": 1})]
        recorded = turn(0, events=[made], attempts=[attempt()], said=[said], results=results, descriptions=described)
        store.commit("run-1", recorded)
        store.ask("run-1", CancelAsked("", "ada", 1.0))
        store.tag("run-1", add=["keep", "largest"])
        store.commit("run-1", turn(1, claims={fingerprint(9): ("fit", 1)}, end=RunState.FAILED))
        return "run-1"

    def again(self, store: Store, **changes: Any) -> Any:
        """Begin the run anew."""
        record = run_record(started_at=1_700_000_500.0, driver="host:2", **changes)
        return store.regenerate(record, graph(1), provenance(python="3.12"), Basis(tasks={"fit": fingerprint(2)}))

    def test_an_earlier_generation_is_a_run_of_its_own(self, store: Store, ended: str) -> None:
        before = store.find(ended)
        reads = [store.journal, store.attempts, store.lines, store.provenance, store.graph, store.basis, store.requests]
        recorded = [read(ended) for read in reads]
        anew = self.again(store, parameters={"n": 2})
        assert anew == store.find(ended)
        assert (anew.token, anew.generation, anew.state) == (2, 2, RunState.RUNNING)
        assert (anew.parameters, anew.driver, anew.finished_at) == ({"n": 2}, "host:2", None)
        old = store.find(f"{ended}.1")
        assert (old.run_id, old.generation, old.token) == (f"{ended}.1", 1, before.token)
        assert (old.state, old.parameters, old.finished_at) == (before.state, before.parameters, before.finished_at)
        assert [read(f"{ended}.1") for read in reads] == recorded
        assert [store.journal(ended), store.attempts(ended), store.lines(ended), store.requests(ended)] == [[]] * 4
        assert len(from_json(store.graph(ended)).nodes) == 1
        assert store.provenance(ended).python == "3.12"
        assert store.basis(ended) == Basis(tasks={"fit": fingerprint(2)})
        assert store.origins([fingerprint(1)]) == {fingerprint(1): Origin(f"{ended}.1", "fit", -1, 1)}

    def test_the_new_generation_is_driven_from_its_start(self, store: Store, ended: str) -> None:
        self.again(store)
        with pytest.raises(LeaseLostError):
            store.commit(ended, turn(0, token=1))
        store.commit(ended, turn(0, token=2, events=[RunStarted()], claims={fingerprint(9): ("fit", 1)}))
        assert store.claimants([fingerprint(9)]) == {fingerprint(9): Claimant(ended, "fit", 1)}
        assert store.beat(ended, 2, 1.0)
        assert not store.beat(f"{ended}.1", 1, 1.0)
        with pytest.raises(StoreError, match="failed"):
            store.commit(f"{ended}.1", turn(2))
        with pytest.raises(StoreError, match="failed"):
            store.reopen(f"{ended}.1", "host:3")
        store.commit(ended, turn(1, token=2, end=RunState.SUCCEEDED, outputs={"result": artifact(2)}))
        assert store.find(ended).outputs == {"result": artifact(2)}
        assert store.find(f"{ended}.1").outputs == {}

    def test_a_run_is_begun_anew_several_times(self, store: Store, ended: str) -> None:
        for number in range(2, 12):
            assert (self.again(store).generation, store.find(ended).token) == (number, number)
            store.commit(ended, turn(0, token=number, end=RunState.CANCELLED))
        assert [store.find(f"{ended}.{number}").generation for number in range(1, 11)] == list(range(1, 11))
        assert store.runs() == [store.find(ended)]

    @pytest.mark.parametrize("name", ["latest", "run", "run-1"])
    def test_an_earlier_generation_is_named_like_its_run(self, store: Store, ended: str, name: str) -> None:
        assert store.find(f"{name}.1").run_id == ended
        self.again(store)
        assert store.find(f"{name}.1").run_id == f"{ended}.1"
        assert store.find(f"{name}.2").run_id == ended
        for wrong in (f"{name}.", f"{name}.x", "other.1"):
            with pytest.raises(NotFoundError, match="there is no run"):
                store.find(wrong)
        with pytest.raises(NotFoundError, match=f"generation 3 of run {ended}") as caught:
            store.find(f"{name}.3")
        assert "generations 1 to 2" in (caught.value.remedy or "")
        store.create(run_record(run_id="run-2"), graph(), provenance())
        with pytest.raises(NotFoundError, match=r"several runs start with 'run\.1'"):
            store.find("run.1")

    def test_earlier_generations_are_not_listed(self, store: Store, ended: str) -> None:
        self.again(store)
        assert [run.run_id for run in store.runs()] == [ended]
        assert store.runs(state="failed") == []
        assert store.find("latest").run_id == ended
        # the start of an id means the run that goes by it now
        for name in ("run", "run-", ended):
            assert store.find(name).generation == 2

    def test_tags_go_over(self, store: Store, ended: str) -> None:
        self.again(store)
        assert store.tags([ended, f"{ended}.1"]) == {ended: ("keep", "largest")}

    @pytest.mark.parametrize("state", ENDED)
    def test_only_a_run_that_has_ended_is_begun_anew(self, store: Store, run_id: str, state: RunState) -> None:
        for end, words in ((None, "is under way"), (RunState.PAUSED, "is paused")):
            if end is not None:
                store.commit(run_id, turn(0, end=end))
            with pytest.raises(StoreError, match=f"cannot begin anew: it {words}"):
                self.again(store)
        store.reopen(run_id, "host:1")
        store.commit(run_id, turn(1, end=state))
        assert self.again(store).generation == 2
        with pytest.raises(NotFoundError):
            store.regenerate(run_record("nobody"), graph(), provenance())

    def test_of_two_who_begin_it_anew_one_does(self, store: Store, ended: str, tmp_path: Path) -> None:
        other = self.make_store(tmp_path)
        try:
            self.again(store)
            with pytest.raises(StoreError, match="is under way"):
                self.again(other)
        finally:
            other.close()
        assert store.find(ended).generation == 2

    def test_a_run_that_cannot_be_recorded_keeps_its_generation(self, store: Store, ended: str) -> None:
        before = store.find(ended)
        with pytest.raises(StoreError):
            self.again(store, parameters={"n": object()})
        assert store.find(ended) == before
        assert store.tags([ended]) == {ended: ("keep", "largest")}

    # What is kept of earlier generations.

    def test_what_an_earlier_generation_refers_to_stays(self, store: Store, ended: str) -> None:
        self.again(store)
        store.forget([fingerprint(1)])
        assert {artifact(1), artifact(50)} <= set(store.arguments())
        store.sweep(4_000_000_000.0)
        assert store.descriptions([artifact(1).digest]).keys() == {artifact(1).digest}

    def test_a_run_is_removed_with_its_earlier_generations(self, store: Store, ended: str) -> None:
        for run_id in (f"{ended}0", f"{ended}.x"):
            store.create(run_record(run_id, state=RunState.FAILED), graph(), provenance())
        for number in (2, 3):
            self.again(store)
            store.commit(ended, turn(0, token=number, end=RunState.FAILED))
        with pytest.raises(StoreError, match="is under way"):
            self.again(store)
            store.remove([ended])
        assert store.find(f"{ended}.3").state is RunState.FAILED
        store.commit(ended, turn(0, token=4, end=RunState.FAILED))
        store.remove([ended])
        for run_id in (ended, *(f"{ended}.{number}" for number in (1, 2, 3))):
            with pytest.raises(NotFoundError):
                store.journal(run_id)
        assert {run.run_id for run in store.runs()} == {f"{ended}0", f"{ended}.x"}
        assert artifact(50) not in set(store.arguments())

    def test_an_earlier_generation_is_removed_alone(self, store: Store, ended: str) -> None:
        self.again(store)
        store.remove([f"{ended}.1"])
        assert store.find(ended).generation == 2
        store.commit(ended, turn(0, token=2, end=RunState.FAILED))
        assert self.again(store).generation == 3
        assert store.find(f"{ended}.2").generation == 2


__all__ = ["GenerationConformance", "LeaseConformance"]
