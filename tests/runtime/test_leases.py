"""A run has one driver: it says that it lives, others see when it does not, and what a former one still does is refused."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from graphs import Bench, graph, node

from penstock.app import SystemClock
from penstock.errors import LeaseLostError, StoreError
from penstock.model.expression import Output
from penstock.model.run import Provenance, RunRecord, RunState, shown_driver
from penstock.ports import Pulse, Turn
from penstock.runtime.driving.lease import Lease
from penstock.runtime.interrupts import interruptible
from penstock.runtime.orphans import check_undriven, is_orphaned, orphans
from penstock.runtime.surroundings.leases import INTERVAL, LEASE, Fate, Watch
from penstock.runtime.surroundings.processes import driver_name, is_elsewhere, is_gone, this_process
from penstock.stores.sqlite import SqliteStore

_PROVENANCE = Provenance(penstock="0", python="3.11", platform="any", machine={}, packages={}, configuration={})


class SetClock(SystemClock):
    """A clock that somebody sets: the time of day jumps, the other one goes on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead


def record_of(driver: str, **details: Any) -> RunRecord:
    known: dict[str, Any] = {"run_id": "r", "pipeline": "p", "state": RunState.RUNNING, "parameters": {}}
    return RunRecord(**{**known, "started_at": 1.0, "driver": driver, **details})


def recorded(store: SqliteStore, driver: str, run_id: str = "r") -> RunRecord:
    run = record_of(driver, run_id=run_id)
    store.create(run, graph(), _PROVENANCE)
    return run


def opening(folder: Path) -> Callable[[], Any]:
    """What opens a store of the bench in the folder once more."""

    @contextmanager
    def opened() -> Generator[SqliteStore]:
        store = SqliteStore(folder / "penstock.db")
        try:
            yield store
        finally:
            store.close()

    return opened


def lease(bench: Bench, folder: Path, **details: Any) -> Lease:
    return Lease(bench.store, opening(folder), **{"clock": SystemClock(), "interval": 0.02, **details})


# Which process it is.


def test_a_driver_is_told_from_any_other_process() -> None:
    driver = this_process()
    process, _, rest = driver.partition("@")
    space, _, start = rest.partition("-")
    assert shown_driver(driver) == process
    assert not is_elsewhere(driver)
    assert not is_gone(record_of(driver), time.time())
    if not space:
        pytest.skip("nothing more is known of processes here")
    # what the clocks say does not count
    assert not is_gone(record_of(driver), 0.0)
    another = f"{process}@{space}-{int(start) + 1}"
    assert (is_elsewhere(another), is_gone(record_of(another), time.time())) == (False, True)
    # another container with the same name and the same numbers
    assert (is_elsewhere(f"{process}@00000000-{start}"), is_gone(record_of(f"{process}@00000000-1"), 0.0)) == (
        True,
        False,
    )
    # the same container, with another name by now
    assert not is_elsewhere(f"renamed{driver[driver.index(':') :]}")


def test_the_number_of_no_process_is_that_of_one_that_is_gone() -> None:
    driver = driver_name(2**31 - 1)
    assert "@" not in driver
    assert is_gone(record_of(driver), time.time())
    assert not is_gone(record_of(driver, state=RunState.PAUSED), time.time())


@pytest.mark.parametrize("driver", ["", "test", "elsewhere:1", "elsewhere:1@12345678-1", "a:b:c"])
def test_of_a_process_elsewhere_nothing_is_known_at_once(driver: str) -> None:
    assert is_elsewhere(driver)
    assert not is_gone(record_of(driver), 0.0)


# Whether it lives.


def test_a_driver_elsewhere_counts_as_gone_after_a_lease_of_silence(bench: Bench) -> None:
    run, now = recorded(bench.store, "elsewhere:1"), 0.0
    watch = Watch(bench.store, monotonic=lambda: now)
    assert watch.fate(run) is Fate.UNKNOWN
    fates: list[Fate] = []
    while now < LEASE:
        now += 1
        fates.append(watch.fate(run))
    assert fates == [*[Fate.UNKNOWN] * (int(LEASE) - 1), Fate.GONE]


@pytest.mark.parametrize("sign", ["beat", "turn", "driver"])
def test_any_sign_of_life_begins_a_new_lease(bench: Bench, sign: str) -> None:
    run, now = recorded(bench.store, "elsewhere:1"), 0.0
    watch = Watch(bench.store, monotonic=lambda: now)
    for moment in (0.0, INTERVAL, 2 * INTERVAL, LEASE - 1):
        now = moment
        assert watch.fate(run) is Fate.UNKNOWN
    if sign == "beat":
        assert bench.store.beat("r", 1, 2.0)
    elif sign == "turn":
        bench.store.commit("r", Turn(number=0, at=2.0, token=1, basis=None))
    else:
        bench.store.reopen("r", "elsewhere:2")
    now = LEASE + 1
    assert watch.fate(run) is Fate.LIVES
    for beats in range(1, 4):
        now = LEASE + 1 + beats * INTERVAL
        assert watch.fate(run) is Fate.LIVES
    now += INTERVAL
    assert watch.fate(run) is Fate.GONE


def test_who_was_suspended_has_not_watched(bench: Bench) -> None:
    run, now = recorded(bench.store, "elsewhere:1"), 0.0
    watch = Watch(bench.store, monotonic=lambda: now)
    watch.fate(run)
    now = 3600.0
    assert watch.fate(run) is Fate.UNKNOWN


def test_orphans_are_found_all_at_once(bench: Bench) -> None:
    here = recorded(bench.store, this_process(), "here")
    gone = recorded(bench.store, driver_name(2**31 - 1), "gone")
    away = recorded(bench.store, "elsewhere:1", "away")
    said: list[str] = []
    assert {run.run_id for run in orphans(bench.store, said.append, lease=0.1)} == {"gone", "away"}
    assert said == ["run away is driven by elsewhere:1 elsewhere; watching for 0 s whether it still lives"]
    assert [is_orphaned(bench.store, run, said.append, lease=0.1) for run in (here, gone, away)] == [False, True, True]
    check_undriven(bench.store, away, said.append, lease=0.1)
    with pytest.raises(StoreError, match="is under way, driven by") as refused:
        check_undriven(bench.store, here)
    assert "penstock resume here --take-over" in str(refused.value)


# The driver itself.


def pulse_of(store: SqliteStore, least: int) -> Pulse:
    """The pulse of the run once it has beaten so many times."""
    deadline = time.monotonic() + 60
    while (pulse := store.pulse("run-1")).beats < least:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return pulse


def test_a_driver_says_that_it_lives_while_a_task_keeps_it_busy(bench: Bench, tmp_path: Path) -> None:
    seen: list[Pulse] = []

    def one() -> int:
        with opening(tmp_path)() as store:
            seen.append(pulse_of(store, 3))
        return 1

    driver = bench.driver(graph(node("one", "one"), result=Output("one")), {"one": one}, lease=lease(bench, tmp_path))
    assert driver.drive() is RunState.SUCCEEDED
    assert seen[0].beats >= 3
    assert not any(thread.name == "penstock-lease" for thread in threading.enumerate())


def test_a_short_run_opens_no_second_store(bench: Bench, tmp_path: Path) -> None:
    opened: list[int] = []

    def open_store() -> Any:
        opened.append(1)
        raise AssertionError

    driver = bench.driver(
        graph(node("one", "one"), result=Output("one")),
        {"one": lambda: 1},
        lease=Lease(bench.store, open_store, SystemClock()),
    )
    assert driver.drive() is RunState.SUCCEEDED
    assert opened == []


def test_a_store_that_fails_for_a_while_is_ridden_out(bench: Bench, tmp_path: Path) -> None:
    times: list[int] = []
    open_store = opening(tmp_path)

    def failing() -> Any:
        times.append(1)
        if len(times) < 4:
            raise StoreError("it is away")
        return open_store()

    def one() -> int:
        with open_store() as store:
            return pulse_of(store, 2).beats

    held = Lease(bench.store, failing, SystemClock(), interval=0.02)
    driver = bench.driver(graph(node("one", "one"), result=Output("one")), {"one": one}, lease=held)
    assert driver.drive() is RunState.SUCCEEDED
    assert len(times) == 4


def taken_over(folder: Path) -> RunRecord:
    with opening(folder)() as store:
        return store.reopen("run-1", "elsewhere:7")


def test_a_task_is_stopped_when_the_lease_is_lost(bench: Bench, tmp_path: Path) -> None:
    done: list[str] = []

    def one() -> None:
        taken_over(tmp_path)
        for _ in range(1000):
            time.sleep(0.01)
        done.append("one")

    driver = bench.driver(
        graph(node("one", "one"), node("two", "two", after=("one",))),
        {"one": one, "two": lambda: done.append("two")},
        lease=lease(bench, tmp_path),
    )
    told = "taken over from this process by elsewhere:7, which drives it now"
    with pytest.raises(LeaseLostError, match=told), interruptible(driver):
        driver.drive()
    assert done == []
    run = bench.store.find("run-1")
    assert (run.state, run.driver, run.token) == (RunState.RUNNING, "elsewhere:7", 2)
    assert bench.store.attempts("run-1") == []


@pytest.mark.parametrize("ended", [None, RunState.SUCCEEDED, RunState.CANCELLED])
def test_a_driver_without_a_pulse_is_refused_all_the_same(bench: Bench, tmp_path: Path, ended: RunState | None) -> None:
    done: list[str] = []

    def one() -> str:
        token = taken_over(tmp_path).token
        if ended is not None:
            with opening(tmp_path)() as store:
                turns = store.pulse("run-1").turns
                store.commit("run-1", Turn(number=turns, at=time.time(), token=token, end=ended))
        return "late"

    driver = bench.driver(
        graph(node("one", "one"), node("two", "two", {"value": Output("one")})),
        {"one": one, "two": done.append},
    )
    told = {
        None: "elsewhere:7, which drives it now",
        RunState.SUCCEEDED: "elsewhere:7, and has succeeded",
        RunState.CANCELLED: "elsewhere:7, and has been cancelled",
    }
    with pytest.raises(LeaseLostError, match=told[ended]):
        driver.drive()
    assert done == []
    assert bench.store.attempts("run-1") == []
    assert bench.store.find("run-1").state is (ended or RunState.RUNNING)


def test_who_was_suspended_looks_before_it_does_anything(bench: Bench, tmp_path: Path) -> None:
    clock = SetClock()
    held = lease(bench, tmp_path, clock=clock, interval=INTERVAL)
    held.begin(recorded(bench.store, "host:1", "run-1"))
    held.check()
    taken_over(tmp_path)
    # asked of the store only where there was time for somebody else to take the run over
    held.check()
    clock.ahead = INTERVAL
    with pytest.raises(LeaseLostError):
        held.check()
    held.end()


@pytest.mark.parametrize("jump", [-7200.0, 7200.0])
def test_a_clock_that_is_set_breaks_no_lease(bench: Bench, tmp_path: Path, jump: float) -> None:
    clock = SetClock()
    with opening(tmp_path)() as other:
        watch = Watch(other)

        def one() -> list[str]:
            elsewhere = record_of("elsewhere:1", run_id="run-1")
            fates = [watch.fate(elsewhere)]
            for beats in (2, 4, 6):
                pulse_of(other, beats)
                clock.ahead = jump * beats
                fates.append(watch.fate(elsewhere))
            return [*map(str, fates)]

        driver = bench.driver(
            graph(node("one", "one"), result=Output("one")),
            {"one": one},
            clock=clock,
            lease=lease(bench, tmp_path, clock=clock),
        )
        assert driver.drive() is RunState.SUCCEEDED
    assert bench.values.load(driver.outputs["result"]) == ["Fate.UNKNOWN", *["Fate.LIVES"] * 3]


def test_a_run_that_was_taken_over_keeps_what_it_holds_of_pools(bench: Bench, tmp_path: Path) -> None:
    from penstock.ports import Holder
    from penstock.runtime.capacity.pools import Pools

    bench.store.size_pools({"gpu": 2})
    recorded(bench.store, "host:1", "run-1")
    pools = Pools("run-1", bench.store, opening(tmp_path), SystemClock())
    pools.hold("one", -1, {"gpu": 2})
    pools.abandon()
    pools.close()
    [state] = bench.store.pools()
    assert state.held == ((Holder("run-1", "one", -1), 2),)


def test_what_cannot_be_read_is_no_loss(bench: Bench, tmp_path: Path) -> None:
    held = lease(bench, tmp_path)
    held.begin(recorded(bench.store, "host:1", "run-1"))
    held.end()
    with sqlite3.connect(tmp_path / "penstock.db") as connection:
        connection.execute("ALTER TABLE runs RENAME TO elsewhere")
    connection.close()
    assert not held.is_lost()
    assert str(held.loss()).startswith("run run-1 was taken over from this process\n")
