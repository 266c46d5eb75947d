"""What a store has to do for processes that share it: requests to the driver of a run, and pools."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from penstock.errors import NotFoundError, StoreError
from penstock.model.request import AnswerGiven, CancelAsked, Request
from penstock.model.run import RunState
from penstock.ports import Holder, PoolState, Store
from penstock.testing.records import TEXT, graph, provenance, run_record, turn
from penstock.testing.store_case import StoreCase


def soon() -> float:
    """A time until which no test takes."""
    return time.time() + 600


class RequestConformance(StoreCase):
    """Tests of what other processes may ask of the driver of a run."""

    def test_requests_come_in_order_with_rising_numbers(self, store: Store, run_id: str, tmp_path: Path) -> None:
        asked: list[Request] = [
            CancelAsked(TEXT, TEXT, 1.5, now=True),
            AnswerGiven("fold[3]/sign[rf]", True, "ada", 2.25, TEXT, {"traffic": 0.5, "big": 2**70, TEXT: [None, {}]}),
            AnswerGiven("sign", False, "", 3.0),
            CancelAsked("", "", 4.0),
        ]
        assert store.requests(run_id) == []
        other = self.make_store(tmp_path)
        try:
            for place, request in enumerate(asked):
                (other if place % 2 else store).ask(run_id, request)
        finally:
            other.close()
        found = store.requests(run_id)
        assert [request for _, request in found] == asked
        numbers = [number for number, _ in found]
        assert numbers == sorted(set(numbers))
        assert numbers[0] > 0
        assert store.requests(run_id, numbers[1]) == found[2:]
        assert store.requests(run_id, numbers[-1]) == []

    def test_requests_belong_to_one_run(self, store: Store) -> None:
        for run_id in ("a", "b"):
            store.create(run_record(run_id), graph(), provenance())
        after = 0
        for at in range(3):
            for run_id in ("a", "b"):
                store.ask(run_id, CancelAsked(run_id, "me", float(at)))
            [(after, request)] = store.requests("a", after)
            assert request == CancelAsked("a", "me", float(at))
        for unknown in ("c", ""):
            with pytest.raises(NotFoundError):
                store.ask(unknown, CancelAsked("", "", 0.0))
            with pytest.raises(NotFoundError):
                store.requests(unknown)

    def test_a_run_that_has_ended_keeps_its_requests(self, store: Store, run_id: str) -> None:
        store.ask(run_id, AnswerGiven("sign", True, "ada", 2.0))
        store.commit(run_id, turn(0, end=RunState.PAUSED))
        store.ask(run_id, AnswerGiven("ship", True, "bob", 3.0))
        store.reopen(run_id, "host:1")
        store.commit(run_id, turn(1, end=RunState.SUCCEEDED))
        assert [request.by for _, request in store.requests(run_id)] == ["ada", "bob"]


class PoolConformance(StoreCase):
    """Tests of the pools that runs share."""

    @pytest.fixture
    def runs(self, store: Store) -> tuple[str, str]:
        """Two runs, and the pools db (4) and api (1)."""
        for run_id in ("a", "b"):
            store.create(run_record(run_id), graph(), provenance())
        store.size_pools({"db": 4, "api": 1})
        return "a", "b"

    def test_pools_have_sizes(self, store: Store) -> None:
        assert store.pools() == []
        store.size_pools({"db": 4, TEXT: 0})
        store.size_pools({"api": 1, "db": 2})
        assert store.pools() == sorted(
            [PoolState("api", 1), PoolState("db", 2), PoolState(TEXT, 0)], key=lambda pool: pool.name
        )
        with pytest.raises(StoreError, match="-1"):
            store.size_pools({"other": 2, "db": -1})
        assert [pool.size for pool in store.pools() if pool.name in ("db", "other")] == [2]

    def test_parts_are_taken_all_or_none(self, store: Store, runs: tuple[str, str]) -> None:
        fit, other, last = Holder("a", "fit", 3), Holder("b", "fit", 3), Holder("a", "late")
        assert store.hold(fit, {"db": 3, "api": 1}, soon())
        assert not store.hold(other, {"db": 1, "api": 1}, soon())
        assert store.pools() == [PoolState("api", 1, ((fit, 1),)), PoolState("db", 4, ((fit, 3),))]
        store.release(other)
        assert store.hold(last, {"db": 1}, soon())
        assert not store.hold(other, {"db": 1}, soon())
        store.release(fit)
        assert store.hold(other, {"db": 3, "api": 1}, soon())
        assert store.pools() == [
            PoolState("api", 1, ((other, 1),)),
            PoolState("db", 4, ((last, 1), (other, 3))),
        ]

    def test_a_pool_that_is_not_there_is_named(self, store: Store, runs: tuple[str, str]) -> None:
        with pytest.raises(NotFoundError, match="gpu-farm"):
            store.hold(Holder("a", "fit"), {"db": 1, "gpu-farm": 1}, soon())
        with pytest.raises(NotFoundError):
            store.hold(Holder("nobody", "fit"), {"db": 1}, soon())
        assert all(pool.held == () for pool in store.pools())
        assert store.hold(Holder("a", "fit"), {}, soon())

    def test_who_holds_already_holds_what_it_asks_for_last(self, store: Store, runs: tuple[str, str]) -> None:
        fit = Holder("a", "fit", 1)
        assert store.hold(fit, {"db": 3}, soon())
        assert store.hold(fit, {"db": 4}, soon())
        assert store.hold(fit, {"db": 2, "api": 1}, soon())
        assert store.pools() == [PoolState("api", 1, ((fit, 1),)), PoolState("db", 4, ((fit, 2),))]

    def test_a_need_beyond_the_pool_is_met_when_it_is_free(self, store: Store, runs: tuple[str, str]) -> None:
        small, large = Holder("a", "small"), Holder("b", "large")
        assert store.hold(small, {"db": 1}, soon())
        assert not store.hold(large, {"db": 40}, soon())
        store.release(small)
        assert store.hold(large, {"db": 40}, soon())
        assert not store.hold(small, {"db": 1}, soon())

    def test_a_pool_may_shrink_below_what_is_held(self, store: Store, runs: tuple[str, str]) -> None:
        assert store.hold(Holder("a", "x"), {"db": 2}, soon())
        assert store.hold(Holder("a", "y"), {"db": 2}, soon())
        store.size_pools({"db": 3})
        store.release(Holder("a", "x"))
        assert not store.hold(Holder("a", "z"), {"db": 2}, soon())
        assert store.hold(Holder("a", "z"), {"db": 1}, soon())

    def test_a_large_need_is_met_in_the_end(self, store: Store, runs: tuple[str, str]) -> None:
        assert store.hold(Holder("a", "fit", 0), {"db": 2}, soon())
        large = Holder("b", "large")
        assert not store.hold(large, {"db": 4}, soon())
        # there is room for this one, and another run is before it
        assert not store.hold(Holder("a", "fit", 1), {"db": 2}, soon())
        assert store.hold(Holder("a", "fit", 1), {"api": 1}, soon())
        store.release(Holder("a", "fit", 0))
        assert not store.hold(Holder("a", "fit", 1), {"db": 2}, soon())
        assert store.hold(large, {"db": 4}, soon())
        store.release(large)
        assert store.hold(Holder("a", "fit", 1), {"db": 2}, soon())

    def test_who_gives_up_asking_is_in_nobodys_way(self, store: Store, runs: tuple[str, str]) -> None:
        assert store.hold(Holder("a", "fit", 0), {"db": 2}, soon())
        assert not store.hold(Holder("b", "large"), {"db": 4}, soon())
        store.release(Holder("b", "large"))
        assert store.hold(Holder("a", "fit", 1), {"db": 2}, soon())

    def test_within_a_run_nobody_is_before_another(self, store: Store, runs: tuple[str, str]) -> None:
        assert store.hold(Holder("a", "fit", 0), {"db": 2}, soon())
        assert not store.hold(Holder("a", "large"), {"db": 4}, soon())
        assert store.hold(Holder("a", "fit", 1), {"db": 2}, soon())

    def test_holding_lapses_unless_it_is_renewed(self, store: Store, runs: tuple[str, str]) -> None:
        past = time.time() - 1
        assert store.hold(Holder("a", "fit"), {"db": 4}, past)
        assert [pool.held for pool in store.pools()] == [(), ()]
        assert store.hold(Holder("b", "fit"), {"db": 4}, past)
        store.renew("b", soon())
        assert not store.hold(Holder("a", "fit"), {"db": 1}, soon())
        store.renew("b", past)
        assert [pool.held for pool in store.pools()] == [(), ((Holder("b", "fit"), 4),)]

    @pytest.mark.parametrize("state", [state for state in RunState if state is not RunState.RUNNING])
    def test_a_run_that_is_over_holds_nothing(self, store: Store, runs: tuple[str, str], state: RunState) -> None:
        assert store.hold(Holder("a", "fit"), {"db": 4}, soon())
        assert store.hold(Holder("a"), {"api": 1}, soon())
        store.commit("a", turn(end=state))
        assert [pool.held for pool in store.pools()] == [(), ()]
        with pytest.raises(StoreError, match="run a can hold nothing"):
            store.hold(Holder("a", "fit"), {"db": 1}, soon())
        assert store.hold(Holder("b", "fit"), {"db": 4, "api": 1}, soon())

    def test_a_run_gives_back_one_part_or_all(self, store: Store, runs: tuple[str, str]) -> None:
        own = [Holder("a", "fit", item) for item in range(2)]
        assert all(store.hold(each, {"db": 1}, soon()) for each in own)
        assert store.hold(Holder("a"), {"api": 1}, soon())
        assert store.hold(Holder("b", "fit", 1), {"db": 1}, soon())
        store.release(own[1])
        store.release(Holder("a", "unknown"))
        assert store.pools()[1].held == ((own[0], 1), (Holder("b", "fit", 1), 1))
        assert store.hold(Holder("a"), {"api": 1}, soon())
        assert store.pools()[1].held == ((own[0], 1), (Holder("b", "fit", 1), 1))
        store.release(Holder("a"))
        assert [pool.held for pool in store.pools()] == [(), ((Holder("b", "fit", 1), 1),)]

    def test_pools_are_shared_by_all_who_open_the_store(
        self, store: Store, runs: tuple[str, str], tmp_path: Path
    ) -> None:
        other = self.make_store(tmp_path)
        try:
            assert store.hold(Holder("a", "fit"), {"db": 3}, soon())
            assert not other.hold(Holder("b", "fit"), {"db": 2}, soon())
            assert other.pools() == store.pools()
            store.release(Holder("a"))
            assert other.hold(Holder("b", "fit"), {"db": 2}, soon())
        finally:
            other.close()


__all__ = ["PoolConformance", "RequestConformance"]
