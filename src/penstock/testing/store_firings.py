"""What a store has to do with firings, and with the runs that come of them."""

from __future__ import annotations

import pytest

from penstock.errors import NotFoundError, StoreError
from penstock.model.firing import Advance, Firing, FiringState, Standing
from penstock.model.run import RunState
from penstock.model.trigger import Cause, Follows
from penstock.ports import Store
from penstock.ports.agenda import Agenda, Progress
from penstock.testing.records import TEXT, graph, provenance, run_record, turn
from penstock.testing.store_agenda import LATER, AgendaCase, fire, firing, start


class FiringConformance(AgendaCase):
    """Tests of firings, and of the runs that come of them."""

    def test_a_firing_comes_back_as_it_was_made(self, agenda: Agenda, other: Store) -> None:
        cause = Cause(
            trigger=TEXT,
            key=TEXT,
            logical_time=1.25,
            interval=(0.5, 1.25),
            zone="Asia/Kathmandu",
            partitions=("2026-03-01", TEXT),
            backfill="b",
            events={"event": {"data": {TEXT: [None, 2**70]}}},
            follows=Follows((("run-0", "run-0"), ("a", TEXT)), ("sales", TEXT)),
        )
        full = Firing(
            run_id="run-1",
            trigger=TEXT,
            key=TEXT,
            pipeline=TEXT,
            assets=TEXT,
            parameters={"day": "2026-03-01", TEXT: 2**70},
            cause=cause,
            priority=-3,
            tags=("b", TEXT),
            created_at=1.5,
            due=2.5,
            state=FiringState.SKIPPED,
            reason=TEXT,
            tries=2,
            starter=TEXT,
            started_at=3.5,
        )
        bare = Firing(run_id="run-2", trigger="t", key="", cause=Cause(), created_at=0.0)
        agenda.advance([Advance(standing=Standing(trigger=TEXT), firings=(full, bare))])
        for each in (agenda, other.agenda):
            assert each.firing("run-1") == full
            assert each.firing("run-2") == bare
            assert each.firings(trigger=TEXT) == [full]
        with pytest.raises(NotFoundError):
            agenda.firing("run-")

    def test_what_no_run_has_made_is_told_by_the_ids_of_the_runs(self, agenda: Agenda, store: Store) -> None:
        states = (FiringState.QUEUED, FiringState.SKIPPED, FiringState.FAILED, FiringState.CANCELLED)
        made = [
            firing(f"{number:02d}", "t", run_id=f"t-{number:02d}", state=state) for number, state in enumerate(states)
        ]
        ran = [firing(f"{number:02d}", "t", run_id=f"t-{number:02d}") for number in range(8, 12)]
        fire(agenda, *made, *ran, trigger="t")
        fire(agenda, firing("x", "u", run_id="t-05"), trigger="u")
        for each, state in zip(ran, (RunState.SUCCEEDED, RunState.FAILED, RunState.PAUSED), strict=False):
            start(store, each, state)
        agenda.claim("t-11", "me", 5.0)
        found = [(each.key, each.state, run_state) for each, run_state in agenda.unmade("t", "t-01", "t-11")]
        assert found == [
            ("01", FiringState.SKIPPED, ""),
            ("02", FiringState.FAILED, ""),
            ("03", FiringState.CANCELLED, ""),
            ("09", FiringState.STARTED, "failed"),
            ("10", FiringState.STARTED, "running"),
            ("11", FiringState.STARTED, ""),
        ]
        assert agenda.unmade("t", "t-08", "t-08") == []
        assert [each.key for each, _ in agenda.unmade("t", "t-00", "t-00")] == ["00"]

    def test_keys_that_have_fired_are_known(self, agenda: Agenda) -> None:
        agenda.advance([Advance(standing=Standing(trigger="t"), firings=(firing(TEXT, "t"), firing("b", "t")))])
        assert agenda.known_keys("t", [TEXT, "b", "c"]) == {TEXT, "b"}
        assert agenda.known_keys("u", [TEXT, "b"]) == set()
        assert agenda.known_keys("t", []) == set()

    def test_the_latest_come_first(self, agenda: Agenda) -> None:
        for key in range(5):
            state = FiringState.QUEUED if key % 2 else FiringState.SKIPPED
            fire(agenda, firing(str(key), state=state, created_at=float(key)))
        fire(agenda, firing("x", "other", created_at=9.0), trigger="other")
        assert [each.key for each in agenda.firings()] == ["x", "4", "3", "2", "1", "0"]
        assert [each.key for each in agenda.firings(limit=2)] == ["x", "4"]
        assert [each.key for each in agenda.firings(trigger="nightly", limit=None)] == ["4", "3", "2", "1", "0"]
        assert [each.key for each in agenda.firings(states=[FiringState.SKIPPED], limit=2)] == ["4", "2"]
        both = [FiringState.QUEUED, FiringState.SKIPPED]
        assert [each.key for each in agenda.firings(states=iter(both), trigger="nightly", limit=1)] == ["4"]

    def test_queued_ones_come_in_the_order_in_which_they_are_to_be_started(self, agenda: Agenda) -> None:
        batch = [
            firing("late", created_at=5.0),
            firing("urgent", created_at=9.0, priority=2),
            firing("first", created_at=1.0),
            firing("same", created_at=5.0),
            firing("not yet", created_at=0.0, due=100.0),
            firing("done", created_at=0.0, state=FiringState.CANCELLED),
        ]
        fire(agenda, *batch)
        fire(agenda, firing("x", "other", created_at=3.0, priority=1), trigger="other")
        queued = ["urgent", "x", "not yet", "first", "late", "same"]
        assert [each.key for each in agenda.firings(states=[FiringState.QUEUED])] == queued
        assert [each.key for each in agenda.queue(100.0)] == queued
        assert [each.key for each in agenda.queue(99.0)] == ["urgent", "x", "first", "late", "same"]
        assert [each.key for each in agenda.queue(99.0, limit=2)] == ["urgent", "x"]
        assert [each.key for each in agenda.queue(99.0, without=["nightly", "none"])] == ["x"]
        assert [each.key for each in agenda.firings(trigger="other", states=[FiringState.QUEUED])] == ["x"]

    def test_one_starts_a_firing(self, agenda: Agenda, other: Store) -> None:
        fire(agenda, firing("1", reason="waits"))
        assert agenda.claim("nightly-1", "a", 5.0)
        assert not other.agenda.claim("nightly-1", "b", 6.0)
        taken = agenda.firing("nightly-1")
        assert (taken.state, taken.starter, taken.started_at, taken.tries) == (FiringState.STARTED, "a", 5.0, 1)
        assert taken.reason == ""
        assert agenda.startless() == [taken]
        # its starter is gone: of those who notice, one takes its place
        assert not other.agenda.claim("nightly-1", "b", 7.0, instead_of="c")
        assert other.agenda.claim("nightly-1", "b", 7.0, instead_of="a")
        assert not agenda.claim("nightly-1", "d", 8.0, instead_of="a")
        assert agenda.firing("nightly-1").tries == 2
        assert not agenda.claim("none", "a", 1.0)

    def test_only_so_many_of_a_trigger_are_started(self, store: Store, agenda: Agenda) -> None:
        batch = [firing(str(key)) for key in range(4)]
        fire(agenda, *batch)
        fire(agenda, firing("0", "other"), trigger="other")
        assert [agenda.claim(each.run_id, "a", 1.0, at_most=2) for each in batch] == [True, True, False, False]
        assert agenda.claim("other-0", "a", 1.0, at_most=1)
        assert agenda.claim("nightly-0", "b", 2.0, instead_of="a", at_most=2)
        start(store, batch[0])
        assert not agenda.claim("nightly-2", "a", 1.0, at_most=2)
        store.commit("nightly-0", turn(0, end=RunState.FAILED))
        assert agenda.claim("nightly-2", "a", 1.0, at_most=2)
        assert not agenda.claim("nightly-3", "a", 1.0, at_most=0)
        assert agenda.claim("nightly-3", "a", 1.0)

    def test_a_firing_has_one_run(self, store: Store, agenda: Agenda, other: Store) -> None:
        made = firing("1")
        fire(agenda, made)
        agenda.claim(made.run_id, "a", 1.0)
        start(store, made, version=3)
        assert store.find("nightly-1").cause == made.cause
        assert other.find("nightly-1").version == 3
        assert other.runs()[0].cause == made.cause
        with pytest.raises(StoreError):
            start(other, made)
        assert agenda.startless() == []
        assert not agenda.settle("nightly-1", FiringState.QUEUED)
        assert not agenda.claim("nightly-1", "b", 2.0, instead_of="a")
        store.commit("nightly-1", turn(0, end=RunState.SUCCEEDED))
        store.remove(["nightly-1"])
        # and not another one when that is gone
        assert agenda.startless() == []
        assert not agenda.settle("nightly-1", FiringState.QUEUED)
        with pytest.raises(StoreError, match="had its run"):
            start(other, made)
        with pytest.raises(NotFoundError):
            store.find("nightly-1")

    def test_a_firing_that_is_settled_has_none(self, store: Store, agenda: Agenda) -> None:
        batch = [firing(state) for state in ("skipped", "failed", "cancelled", "queued")]
        fire(agenda, *batch)
        for each in batch:
            agenda.claim(each.run_id, "a", 5.0)
            assert agenda.settle(each.run_id, FiringState(each.key), TEXT)
            settled = agenda.firing(each.run_id)
            assert (settled.state, settled.reason) == (FiringState(each.key), TEXT)
            if each.key != "queued":
                with pytest.raises(StoreError, match=f"nightly is {each.key}"):
                    start(store, each)
        assert store.runs() == []
        again = agenda.firing("nightly-queued")
        assert (again.starter, again.started_at, again.tries) == ("", None, 1)
        start(store, batch[-1])
        assert agenda.firing("nightly-queued").state is FiringState.STARTED
        assert agenda.queue(LATER) == []
        assert not agenda.settle("none", FiringState.FAILED)

    def test_why_a_firing_waits_is_noted(self, agenda: Agenda) -> None:
        fire(agenda, firing("1"), firing("2", state=FiringState.SKIPPED))
        for key in ("1", "2"):
            agenda.note(f"nightly-{key}", TEXT)
            agenda.note(f"nightly-{key}", TEXT)
        assert [each.reason for each in agenda.firings()] == ["", TEXT]

    def test_what_is_under_way_is_known(self, store: Store, agenda: Agenda, other: Store) -> None:
        batch = [firing(str(key)) for key in range(6)]
        fire(agenda, *batch)
        fire(agenda, firing("0", "other"), trigger="other")
        assert agenda.under_way() == {}
        for each in [*reversed(batch[:5]), firing("0", "other")]:
            agenda.claim(each.run_id, "a", 1.0)
        for each in batch[:4]:
            start(store, each)
        store.create(run_record("by-hand", cause=Cause(logical_time=1.0)), graph(), provenance())
        store.commit("nightly-1", turn(0, end=RunState.PAUSED))
        store.commit("nightly-2", turn(0, end=RunState.CANCELLED))
        store.commit("nightly-3", turn(0, end=RunState.SUCCEEDED))
        nightly = ["nightly-0", "nightly-1", "nightly-4"]
        assert agenda.under_way() == {"nightly": nightly, "other": ["other-0"]}
        assert other.agenda.under_way(["nightly", "none"]) == {"nightly": nightly}
        assert agenda.progress("nightly") == Progress(queued=1, running=3, succeeded=1, cancelled=1)
        # one that is begun anew counts by what it is now
        again = store.regenerate(run_record("nightly-2"), graph(), provenance())
        assert again.cause == batch[2].cause
        assert agenda.under_way(["nightly"]) == {"nightly": ["nightly-0", "nightly-1", "nightly-2", "nightly-4"]}
        store.commit("nightly-2", turn(0, end=RunState.SUCCEEDED))
        store.reopen("nightly-1", "host:2")
        store.commit("nightly-1", turn(1, end=RunState.FAILED))
        store.remove(["nightly-1", "nightly-3"])
        assert agenda.progress("nightly") == Progress(queued=1, running=2, succeeded=2, failed=1)
        assert agenda.progress("none") == Progress()

    def test_old_firings_can_be_forgotten(self, store: Store, agenda: Agenda) -> None:
        batch = [firing(str(key), created_at=float(key)) for key in range(6)]
        fire(agenda, *batch)
        fire(agenda, firing("0", "other", created_at=0.0, state=FiringState.SKIPPED), trigger="other")
        for each in batch[1:3]:
            agenda.claim(each.run_id, "a", 1.0)
            start(store, each)
        store.commit("nightly-1", turn(0, end=RunState.SUCCEEDED))
        agenda.settle("nightly-3", FiringState.FAILED)
        agenda.settle("nightly-5", FiringState.FAILED)
        assert agenda.forget_firings(5.0, ["nightly", "none"], dry=True) == 2
        assert agenda.forget_firings(5.0, ["nightly", "none"]) == 2
        assert [each.key for each in agenda.firings(trigger="nightly")] == ["5", "4", "2", "0"]
        assert len(agenda.firings(trigger="other")) == 1
        assert store.find("nightly-1").state is RunState.SUCCEEDED


__all__ = ["FiringConformance"]
