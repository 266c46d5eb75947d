"""What a store on PostgreSQL does when the connection breaks: it goes on, and does nothing twice."""

from __future__ import annotations

import itertools
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.stores.wire import Wire, wired

from penstock.errors import LeaseLostError, StoreError
from penstock.model.event import RunStarted
from penstock.model.identity import SourceText, TaskIdentity
from penstock.model.request import CancelAsked
from penstock.model.run import RunState
from penstock.model.work import Line
from penstock.ports import Holder, Said
from penstock.stores.postgres import PostgresStore
from penstock.testing.postgres import Cluster
from penstock.testing.records import artifact, attempt, fingerprint, graph, provenance, result, run_record, turn

pytestmark = pytest.mark.slow

FAR = 4_000_000_000.0


@pytest.fixture
def url(postgres_cluster: Cluster) -> str:
    return postgres_cluster.emptied("outages")


@pytest.fixture
def store(url: str) -> Iterator[PostgresStore]:
    """A store with the run `run-1` in it."""
    store = PostgresStore(url)
    store.create(run_record(), graph(), provenance())
    yield store
    store.close()


@pytest.fixture
def wire(postgres_cluster: Cluster) -> Iterator[Wire]:
    with wired(postgres_cluster.port) as wire:
        yield wire


Step = Callable[[PostgresStore, int], Any]


def create(store: PostgresStore, number: int) -> Any:
    store.create(run_record(f"made-{number}"), graph(), provenance())
    return [store.find(f"made-{number}"), store.provenance(f"made-{number}")]


def commit(store: PostgresStore, number: int) -> Any:
    place = store.pulse("run-1").turns
    said = [Said("fit", number, 1, (Line("stdout", str(number)),))]
    claims = {fingerprint(7): ("fit", number), fingerprint(100 + number): ("fit", number)}
    refused = store.commit(
        "run-1", turn(place, token=1, events=[RunStarted()], attempts=[attempt(item=number)], said=said, claims=claims)
    )
    assert refused == {fingerprint(7)}
    assert len(store.journal("run-1")) == len(store.attempts("run-1")) == len(store.lines("run-1")) == place + 1
    return place == number


def end(store: PostgresStore, number: int) -> Any:
    run_id = f"ended-{number}"
    store.create(run_record(run_id), graph(), provenance())
    store.commit(run_id, turn(0, claims={fingerprint(500 + number): ("fit", 1)}))
    store.commit(run_id, turn(1, token=1, end=RunState.SUCCEEDED, outputs={"result": artifact(1)}))
    return [store.find(run_id).outputs, store.pulse(run_id).turns, store.claimants([fingerprint(500 + number)])]


def ask(store: PostgresStore, number: int) -> Any:
    store.ask("run-1", CancelAsked("", str(number), 1.0))
    return [request.by for _, request in store.requests("run-1") if isinstance(request, CancelAsked)]


def hold(store: PostgresStore, number: int) -> Any:
    assert store.hold(Holder("run-1", "fit", number), {"db": 1}, FAR)
    return [amount for pool in store.pools() for _, amount in pool.held]


def keep(store: PostgresStore, number: int) -> Any:
    return store.keep([TaskIdentity(digest=fingerprint(number))], [SourceText(fingerprint(number), "")])


def reopen(store: PostgresStore, number: int) -> Any:
    return store.reopen("driven", f"host:{number}").token


def renew(store: PostgresStore, number: int) -> Any:
    run = store.find("again")
    if run.state is RunState.RUNNING:
        store.commit("again", turn(store.pulse("again").turns, end=RunState.FAILED))
    made = store.regenerate(run_record("again"), graph(), provenance())
    return [made.generation, store.find(f"again.{number + 1}").state, store.tags(["again"])]


def remove(store: PostgresStore, number: int) -> Any:
    store.create(run_record("gone", state=RunState.FAILED), graph(), provenance())
    store.remove(["gone"])
    return [run.run_id for run in store.runs() if run.run_id == "gone"]


def tag(store: PostgresStore, number: int) -> Any:
    return store.tag("run-1", add=[f"tag-{number}"])


def beat(store: PostgresStore, number: int) -> Any:
    return [store.beat("run-1", 1, float(number)), store.beat("run-1", 2, 1.0), store.pulse("run-1").token]


STEPS = [create, commit, end, ask, hold, keep, reopen, renew, remove, tag, beat]


def prepare(store: PostgresStore) -> None:
    for run_id in ("run-1", "other", "driven", "again"):
        store.create(run_record(run_id), graph(), provenance())
    store.commit("other", turn(0, claims={fingerprint(7): ("fit", 0)}))
    store.tag("again", add=["kept"])
    store.size_pools({"db": 1000})


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_wherever_the_wire_is_cut_everything_is_done_once(
    postgres_cluster: Cluster, wire: Wire, url: str, step: Step
) -> None:
    smooth = PostgresStore(url)
    prepare(smooth)
    expected = [step(smooth, number) for number in range(12)]
    smooth.close()
    rough = PostgresStore(wire.address(postgres_cluster.emptied("outages")))
    prepare(rough)
    found: list[Any] = []
    for number in range(12):
        wire.cut_at = number
        found.append(step(rough, number))
    assert found == expected
    assert wire.cuts > 3
    rough.close()


def test_a_turn_whose_answer_was_lost_is_not_one_of_another_driver(
    postgres_cluster: Cluster, wire: Wire, url: str, store: PostgresStore
) -> None:
    lost = PostgresStore(wire.address(url))
    lost.commit("run-1", turn(0, token=1))
    store.commit("run-1", turn(1, token=1, events=[RunStarted()]))
    wire.cut_at = 1
    with pytest.raises(StoreError, match="the next one is turn 2"):
        lost.commit("run-1", turn(1, token=1))
    assert store.reopen("run-1", "host:2").token == 2
    wire.cut_at = 1
    with pytest.raises(LeaseLostError, match="host:2 drives it by now"):
        lost.commit("run-1", turn(2, token=1))
    lost.close()


def test_a_server_that_is_killed_is_waited_for(postgres_cluster: Cluster, store: PostgresStore) -> None:
    store.commit("run-1", turn(0, attempts=[attempt()]))
    postgres_cluster.kill()
    timer = threading.Timer(0.3, postgres_cluster.restart)
    timer.start()
    store.commit("run-1", turn(1, attempts=[attempt(item=1)]))
    timer.join()
    assert [record.item for record in store.attempts("run-1")] == [-1, 1]
    assert store.check() == []


def test_a_server_that_stays_away_is_told_of(postgres_cluster: Cluster, url: str) -> None:
    store = PostgresStore(url, patience=0.2)
    store.create(run_record(), graph(), provenance())
    postgres_cluster.stop()
    try:
        for call in (lambda: store.find("run-1"), lambda: store.commit("run-1", turn(0))):
            with pytest.raises(StoreError, match=r"no connection for 0\.2 s") as caught:
                call()
            assert "/outages" in caught.value.what
            assert "s3cr" not in str(caught.value)
            assert "resume" in str(caught.value.remedy)
    finally:
        postgres_cluster.restart()
    store.commit("run-1", turn(0))
    store.close()


def test_what_is_read_in_pieces_goes_on(postgres_cluster: Cluster, store: PostgresStore) -> None:
    keys = {fingerprint(seed) for seed in range(600)}
    store.commit("run-1", turn(0, results={key: result(artifact(1)) for key in keys}))
    found = iter(store.results())
    seen = {next(found).fingerprint}
    postgres_cluster.disconnect("outages")
    assert seen | {each.fingerprint for each in found} == keys


def test_a_store_has_one_connection(postgres_cluster: Cluster, store: PostgresStore) -> None:
    for number in range(20):
        store.commit("run-1", turn(number, attempts=[attempt(item=number)]))
        store.beat("run-1", 1, 1.0)
        store.tag("run-1", add=[str(number)])
    assert postgres_cluster.connections("outages") == 1
    for _ in range(3):
        postgres_cluster.disconnect("outages")
        store.runs()
    assert postgres_cluster.connections("outages") == 1
    store.close()
    deadline = time.monotonic() + 60
    while postgres_cluster.connections("outages") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert postgres_cluster.connections("outages") == 0


def test_a_forked_process_has_a_connection_of_its_own(postgres_cluster: Cluster, store: PostgresStore) -> None:
    fork = multiprocessing.get_context("fork")
    child = fork.Process(target=lambda: (store.commit("run-1", turn(0)), store.close()))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    # it has not ended ours
    store.commit("run-1", turn(1))
    assert len(store.journal("run-1")) == 2


def test_two_that_wait_for_each_other_both_come_through(url: str, store: PostgresStore) -> None:
    store.create(run_record("run-2"), graph(), provenance())
    keys = [fingerprint(seed) for seed in range(40)]

    def drive(run_id: str, place: int) -> None:
        own = PostgresStore(url)
        for number in itertools.count():
            if number == 15:
                break
            made = {key: result(artifact(number), item=place) for key in keys}
            own.commit(run_id, turn(number, results=made, claims=dict.fromkeys(reversed(keys), ("fit", 1))))
        own.close()

    drivers = [threading.Thread(target=drive, args=(f"run-{place}", place)) for place in (1, 2)]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join(60)
    assert [len(store.journal(run)) for run in ("run-1", "run-2")] == [15, 15]
