"""Which of the attempts that could start may start now: resources, order, and that nothing starves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.errors import DefinitionError
from penstock.model.action import PythonAction
from penstock.model.expression import Constant
from penstock.model.graph import Graph, Node, Task
from penstock.model.instruction import Ready
from penstock.model.place import Location
from penstock.model.policy import Policy, Resources, RunPolicy
from penstock.runtime.capacity.admission import Admission, Patience
from penstock.runtime.capacity.demand import Limits, check
from penstock.runtime.capacity.machine import Machine
from penstock.runtime.capacity.pools import Pools
from penstock.stores.sqlite import SqliteStore
from penstock.testing.records import provenance, run_record

GB = 10**9
HERE = Location("pipeline.py", 7)


class Clock:
    """The machine's own, and a hand to move it on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


class House:
    """A store, and the admission of runs in it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "penstock.db"
        self.store = SqliteStore(self.path)
        self.clock = Clock()
        self.opened: list[Admission] = []

    def run(self, name: str = "run-1", *, slots: int = 4, sizes: Limits | None = None, **changes: Any) -> Admission:
        graph = graph_of(*changes.pop("nodes", ()), policy=changes.pop("policy", RunPolicy()))
        self.store.create(run_record(name), graph, provenance())
        machine = Machine(cores=slots, memory=8 * GB, **({"gpus": 0} | changes.pop("machine", {})))
        pools = Pools(name, self.store, self._reopened, self.clock)
        admission = Admission(graph, machine, slots, pools, sizes or Limits(), self.clock, **changes)
        self.opened.append(admission)
        return admission

    def _reopened(self) -> AbstractContextManager[SqliteStore]:
        return closing(SqliteStore(self.path))

    def close(self) -> None:
        for admission in self.opened:
            admission.close()
        self.store.close()


def graph_of(*nodes: Node, policy: RunPolicy | None = None) -> Graph:
    task = Task("fit", PythonAction("pipeline", "fit", HERE), (), ())
    return Graph("training", (), {"fit": task}, nodes, Constant(None), policy=policy or RunPolicy())


def node(**resources: Any) -> Node:
    return Node("fit", "fit", {}, HERE, Policy(resources=Resources(**resources)))


def ready(name: str, item: int = -1) -> Ready:
    return Ready(name, item, 1)


def offer(admission: Admission, name: str, *, items: int = 0, policy: Policy | None = None, **resources: Any) -> None:
    """Offer a node, or items of it, under a policy or with what it takes."""
    policy = policy or Policy(resources=Resources(**resources))
    for item in range(items) if items else (-1,):
        admission.offer(ready(name, item), policy, name, policy.resources.memory)


def take(admission: Admission, room: int = 100, shared: int = 100) -> list[str]:
    """What may start now: `fit`, `fit[3]`."""
    return [each.node if each.item < 0 else f"{each.node}[{each.item}]" for each in admission.take(room, shared)]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


# Attempts that take a worker and nothing else.


def test_plain_attempts_start_in_the_order_they_were_offered_and_no_more_than_there_is_room_for(house: House) -> None:
    admission = house.run()
    offer(admission, "a", items=3)
    offer(admission, "b")
    offer(admission, "a", items=1)
    assert take(admission, 2) == ["a[0]", "a[1]"]
    assert admission.waiting_count == 3
    assert take(admission, 100) == ["a[2]", "b", "a[0]"]
    assert take(admission) == []
    assert admission.grants == {}


def test_the_higher_priority_starts_first_and_equal_ones_in_order(house: House) -> None:
    admission = house.run()
    offer(admission, "low", items=2)
    offer(admission, "high", items=2, policy=Policy(priority=5))
    offer(admission, "lowest", policy=Policy(priority=-1))
    offer(admission, "late")
    assert take(admission, 3) == ["high[0]", "high[1]", "low[0]"]
    assert take(admission) == ["low[1]", "late", "lowest"]


def test_what_is_withdrawn_does_not_start_and_can_be_offered_again(house: House) -> None:
    admission = house.run()
    offer(admission, "a", items=4)
    admission.withdraw(ready("a", 0))
    admission.withdraw(ready("a", 2))
    assert admission.waiting_count == 2
    assert take(admission) == ["a[1]", "a[3]"]
    offer(admission, "a", items=1)
    assert take(admission) == ["a[0]"]
    offer(admission, "a", items=5)
    admission.clear()
    assert take(admission) == []


# Cores, memory, GPUs.


def test_cores_are_counted_in_workers(house: House) -> None:
    admission = house.run(slots=8)
    offer(admission, "wide", items=3, cpu=4)
    offer(admission, "small", items=9)
    assert take(admission) == ["wide[0]", "wide[1]"]
    reason = admission.waiting("wide", 2)
    assert reason == "4 cores, 8 of 8 in use"
    admission.end("wide", 0)
    assert take(admission) == ["wide[2]"]
    admission.end("wide", 1)
    assert take(admission) == ["small[0]", "small[1]", "small[2]", "small[3]"]


def test_a_part_of_a_core_takes_a_worker_of_its_own_but_only_its_share_among_threads(house: House) -> None:
    admission = house.run(slots=2)
    offer(admission, "process", items=8, cpu=0.25)
    offer(admission, "wide", cpu=2)
    assert take(admission, 2) == ["process[0]", "process[1]"]
    for item in range(2):
        admission.end("process", item)
    admission.clear()
    thread = Policy(run_in="thread", resources=Resources(cpu=0.25))
    offer(admission, "thread", items=12, policy=thread)
    offer(admission, "wide", cpu=2)
    assert len(take(admission)) == 8
    for item in range(8):
        admission.end("thread", item)
    assert len(take(admission)) == 4


def test_the_memory_of_those_under_way_stays_within_that_of_the_machine(house: House) -> None:
    admission = house.run()
    offer(admission, "big", items=3, memory=3 * GB)
    offer(admission, "plain")
    assert take(admission) == ["big[0]", "big[1]", "plain"]
    assert admission.waiting("big", 2) == "3.0 GB of memory, 6.0 GB of 8.0 GB in use"
    admission.end("big", 1)
    assert take(admission) == ["big[2]"]


def test_each_device_is_given_to_one_attempt_at_a_time(house: House) -> None:
    admission = house.run(machine={"gpus": [0, 1, 5]}, nodes=[node(gpu=1)])
    offer(admission, "fit", items=4, gpu=1)
    offer(admission, "pair", gpu=2)
    offer(admission, "plain")
    assert take(admission) == ["fit[0]", "fit[1]", "fit[2]", "plain"]
    assert [admission.devices("fit", item) for item in range(3)] == [(0,), (1,), (5,)]
    assert admission.devices("plain", -1) == ()
    assert admission.waiting("fit", 3) == "1 GPU, 3 of 3 in use"
    admission.end("fit", 1)
    assert take(admission) == ["fit[3]"]
    assert admission.devices("fit", 3) == (1,)
    for item in (0, 2):
        admission.end("fit", item)
    assert take(admission) == ["pair"]
    assert admission.devices("pair", -1) == (0, 5)


def test_a_device_that_another_run_has_is_not_given_out(house: House) -> None:
    one, other = (house.run(name, machine={"gpus": 2}) for name in ("run-1", "run-2"))
    offer(one, "fit", gpu=1)
    offer(other, "fit", items=2, gpu=1)
    assert take(one) == ["fit"]
    assert take(other) == ["fit[0]"]
    assert (one.devices("fit", -1), other.devices("fit", 0)) == ((0,), (1,))
    one.end("fit", -1)
    house.clock.ahead += 1
    assert take(other) == ["fit[1]"]
    assert other.devices("fit", 1) == (0,)


def test_where_nothing_asks_for_a_device_all_are_seen(house: House) -> None:
    admission = house.run(machine={"gpus": 2})
    offer(admission, "plain")
    assert take(admission) == ["plain"]
    assert admission.devices("plain", -1) is None


# More than the whole machine.


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        ({"cpu": 16}, "asks for 16 cores of 4; runs alone with what there is"),
        ({"memory": 64 * GB}, "asks for 64.0 GB of memory of 8.0 GB; runs alone with what there is"),
        ({"gpu": 1}, "asks for 1 GPU of 0; runs alone with what there is"),
    ],
)
def test_what_is_more_than_the_machine_runs_alone_and_says_so_once(
    house: House, resources: dict[str, Any], told: str
) -> None:
    admission = house.run()
    offer(admission, "plain", items=2)
    offer(admission, "huge", items=2, **resources)
    offer(admission, "late")
    assert take(admission, 2) == ["plain[0]", "plain[1]"]
    admission.end("plain", 0)
    # it is not yet its turn to hold the others up
    assert take(admission) == ["late"]
    assert "the whole machine" in (admission.waiting("huge", 0) or "")
    admission.end("late", -1)
    admission.end("plain", 1)
    assert take(admission) == ["huge[0]"]
    offer(admission, "later")
    assert take(admission) == []
    assert admission.grants["huge", 0].notice == told
    admission.end("huge", 0)
    assert take(admission) == ["huge[1]"]
    assert admission.grants["huge", 1].notice == ""


@pytest.mark.parametrize("resources", [{"cpu": 16}, {"memory": 64 * GB}, {"gpu": 1}])
def test_a_strict_demand_that_is_more_than_the_machine_is_refused(resources: dict[str, Any]) -> None:
    machine = Machine(cores=4, memory=8 * GB, gpus=0)
    check(graph_of(node(**resources)), machine, {})
    with pytest.raises(DefinitionError, match=r"'fit' asks for .* on this machine") as raised:
        check(graph_of(node(strict=True, **resources)), machine, {})
    assert raised.value.where == "pipeline.py:7"
    assert "strict" in (raised.value.remedy or "")


def test_a_pool_that_nobody_gave_a_size_is_refused() -> None:
    machine = Machine(cores=4, memory=8 * GB, gpus=0)
    graph = graph_of(node(pools={"db": 2}))
    with pytest.raises(DefinitionError, match="pool 'db', and nobody has said how large"):
        check(graph, machine, {})
    check(graph, machine, {"db": 1})
    with pytest.raises(DefinitionError, match="2 of the pool 'db', which has 1"):
        check(graph_of(node(pools={"db": 2}, strict=True)), machine, {"db": 1})


# Nothing starves.


def served_until(admission: Admission, wanted: str, stream: Policy, most: int) -> int:
    """Keep the machine full with a stream of small attempts, one ending at a time, until one has started. Returns how
    many of the stream started before it."""
    under_way: list[int] = []
    number = started = 0
    while True:
        while admission.waiting_count < 10:
            admission.offer(ready("stream", number), stream, "stream")
            number += 1
        room = 4 - len(under_way)
        taken = admission.take(room, room)
        for each in taken:
            if each.node == wanted:
                return started
            under_way.append(each.item)
            started += 1
        assert started < most, f"{wanted} has not started after {started} others"
        assert under_way, "nothing runs, and nothing starts"
        admission.end("stream", under_way.pop(0))


@pytest.mark.parametrize(
    "big",
    [
        Policy(resources=Resources(cpu=4)),
        Policy(resources=Resources(cpu=99)),
        Policy(resources=Resources(memory=8 * GB)),
        Policy(priority=-5),
    ],
)
def test_a_stream_of_small_attempts_does_not_keep_another_out(house: House, big: Policy) -> None:
    admission = house.run(patience=Patience(others=20))
    small = Policy(priority=1, resources=Resources(memory=GB))
    admission.offer(ready("stream", 10**6), small, "stream", GB)
    admission.take(1)
    admission.end("stream", 10**6)
    admission.offer(ready("big"), big, "big", big.resources.memory)
    assert 4 <= served_until(admission, "big", small, 40) <= 30


def test_an_attempt_that_has_been_passed_over_for_minutes_goes_first(house: House) -> None:
    admission = house.run(patience=Patience(others=10**6, seconds=60))
    offer(admission, "low", policy=Policy(priority=-1))
    offer(admission, "high", items=2)
    assert take(admission, 1) == ["high[0]"]
    house.clock.ahead += 61
    assert take(admission, 1) == ["low"]


def test_what_one_lays_claim_to_does_not_hold_up_those_who_take_none_of_it(house: House) -> None:
    admission = house.run(slots=8, machine={"gpus": 2}, patience=Patience(others=3))
    offer(admission, "one", items=2, gpu=1)
    assert take(admission) == ["one[0]", "one[1]"]
    offer(admission, "both", gpu=2)
    offer(admission, "plain", items=5)
    admission.end("one", 0)
    assert take(admission, 5) == [f"plain[{item}]" for item in range(5)]
    offer(admission, "one", items=1, gpu=1)
    offer(admission, "more")
    # a device is free, and kept for the one that needs two
    assert take(admission) == ["more"]
    admission.end("one", 1)
    assert take(admission) == ["both"]


# Pools and limits.


def test_a_pool_is_shared_by_the_runs_of_a_store(house: House) -> None:
    sizes = Limits(pools={"db": 3})
    one, other = house.run("run-1", sizes=sizes), house.run("run-2", sizes=sizes)
    offer(one, "read", items=3, pools={"db": 1})
    offer(other, "write", pools={"db": 2})
    offer(other, "plain")
    assert take(one, 2) == ["read[0]", "read[1]"]
    assert take(other) == ["plain"]
    assert other.waiting("write", -1) == "pool db: 2 of 3 held by run run-1 read[0], run run-1 read[1]"
    one.end("read", 0)
    house.clock.ahead += 1
    assert take(other) == ["write"]
    assert take(one) == []
    assert one.waiting("read", 2) == "pool db: 3 of 3 held by read[1], run run-2 write"
    other.close()
    house.clock.ahead += 1
    assert take(one) == ["read[2]"]


def test_a_need_larger_than_the_pool_is_met_when_it_is_all_free(house: House) -> None:
    admission = house.run(sizes=Limits(pools={"db": 2}))
    offer(admission, "one", pools={"db": 1})
    offer(admission, "many", pools={"db": 5})
    assert take(admission) == ["one"]
    admission.end("one", -1)
    assert take(admission) == ["many"]


def test_the_number_of_attempts_at_a_task_or_with_a_tag_is_limited_in_all_runs(house: House) -> None:
    sizes = Limits(tasks={"load": 1}, tags={"gpu": 2})
    one, other = house.run("run-1", sizes=sizes), house.run("run-2", sizes=sizes)
    offer(one, "fit", items=3, policy=Policy(concurrency=3))
    assert take(one) == ["fit[0]", "fit[1]", "fit[2]"]
    offer(other, "fit", policy=Policy(concurrency=3))
    offer(other, "load", items=2)
    assert take(other) == ["load[0]"]
    one.offer(ready("fit", 3), Policy(concurrency=3), "fit")
    offer(one, "tagged", items=3, policy=Policy(tags=("gpu", "slow")))
    assert take(one) == ["tagged[0]", "tagged[1]"]
    one.end("fit", 1)
    assert take(one) == []  # the other run asked before
    house.clock.ahead += 1
    assert take(other) == ["fit"]
    assert other.waiting("load", 1) == "pool task:load: 1 of 1 held by load[0]"


def test_the_number_of_runs_of_a_pipeline_is_limited(house: House) -> None:
    policy = RunPolicy(concurrency=1)
    one, other = house.run("run-1", policy=policy), house.run("run-2", policy=policy)
    assert one.enter()
    assert not other.enter()
    assert other.waiting_to_enter() == "pool pipeline:training: 1 of 1 held by run run-1"
    one.close()
    assert other.enter()
    assert house.run("run-3", sizes=Limits(pipelines={"training": 2})).enter()


def test_what_a_run_holds_is_given_back_when_it_closes(house: House) -> None:
    admission = house.run(sizes=Limits(pools={"db": 2}))
    offer(admission, "read", items=2, pools={"db": 1})
    assert len(take(admission)) == 2
    [pool] = house.store.pools()
    assert (pool.size, len(pool.held)) == (2, 2)
    admission.close()
    assert not any(pool.held for pool in house.store.pools())


# Any stream of any attempts.

POLICIES = st.builds(
    lambda cpu, memory, gpu, pool, priority, loop: Policy(
        priority=priority,
        run_in="loop" if loop else "process",
        resources=Resources(cpu=cpu, memory=memory * GB, gpu=gpu, pools={"db": pool} if pool else {}),
    ),
    cpu=st.sampled_from([0.5, 1.0, 1.0, 1.0, 2.0, 3.5, 4.0, 9.0]),
    memory=st.sampled_from([0, 0, 1, 5, 8, 20]),
    gpu=st.sampled_from([0, 0, 0, 1, 2, 3]),
    pool=st.sampled_from([0, 0, 1, 3, 7]),
    priority=st.integers(-2, 2),
    loop=st.booleans(),
)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(kinds=st.lists(POLICIES, min_size=1, max_size=6), data=st.data())
def test_no_limit_is_ever_exceeded_and_everything_starts(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[Policy], data: st.DataObject
) -> None:
    house = House(tmp_path_factory.mktemp("house"))
    try:
        admission = house.run(machine={"gpus": 2}, sizes=Limits(pools={"db": 3}), patience=Patience(others=8))
        under_way: dict[tuple[str, int], Policy] = {}
        numbers = count()
        for _ in range(data.draw(st.integers(5, 30), "steps")):
            for number in data.draw(st.lists(st.integers(0, len(kinds) - 1), max_size=4), "offered"):
                policy = kinds[number]
                admission.offer(Ready(f"n{number}", next(numbers), 1), policy, "t", policy.resources.memory)
            room = max(0, 6 - len(under_way))
            for each in admission.take(room, room):
                under_way[each.node, each.item] = kinds[int(each.node[1:])]
            check_limits(admission, under_way)
            house.clock.ahead += 0.2
            ending = data.draw(st.lists(st.sampled_from(sorted(under_way)), unique=True), "ended") if under_way else []
            for cell in ending:
                del under_way[cell]
                admission.end(*cell)
        # with nothing more to come, all that was offered starts
        for _ in range(10 * (admission.waiting_count + 1)):
            for cell in list(under_way):
                del under_way[cell]
                admission.end(*cell)
            house.clock.ahead += 0.2
            for each in admission.take(6, 6):
                under_way[each.node, each.item] = kinds[int(each.node[1:])]
            check_limits(admission, under_way)
            if not admission.waiting_count and not under_way:
                break
        assert admission.waiting_count == 0
    finally:
        house.close()


def check_limits(admission: Admission, under_way: dict[tuple[str, int], Policy]) -> None:
    grants = {cell: admission.grants[cell] for cell in under_way if cell in admission.grants}
    assert len(admission.grants) == len(grants)
    given = [device for grant in grants.values() for device in grant.devices]
    assert len(given) == len(set(given)) <= 2
    assert sum(grant.demand.memory for grant in grants.values()) <= 8 * GB
    pools = [dict(grant.demand.pools).get("db", 0) for grant in grants.values()]
    assert sum(pools) <= 3 or pools.count(0) == len(pools) - 1
    wide = any(policy.resources.cpu > 1 for policy in under_way.values())
    plain = len(under_way) - len(grants)
    used = plain + sum(grant.demand.slots for grant in grants.values())
    assert not wide or used <= 4
    if any(grant.demand.alone for grant in grants.values()):
        assert len(under_way) == 1
