"""Runs that were begun anew go on wherever their driver was ended."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest
from graphs import Bench, Ended, body, graph, node
from test_resuming import Crash, Fuse

from penstock.model.event import Started
from penstock.model.expression import Constant, Input, Item, Output
from penstock.model.expression import Mapping as MappingExpression
from penstock.model.graph import Each, Fallback, Graph, Loop
from penstock.model.options import RunOptions
from penstock.model.policy import Policy, Retries
from penstock.model.run import Provenance, RunRecord, RunState
from penstock.runtime.generations.keeping import keeping_of

EXPECTED = {"train": [0.25, 0.5], "gate": 6, "other": 3.0, "last": 12}


class Work:
    """The tasks of one run, which count what they do; some fail until they are mended."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.mended = False

    def tasks(self) -> dict[str, Any]:
        def numbers() -> Any:
            self.calls["numbers"] += 1
            yield from (1, 2)

        def halve(x: float) -> float:
            self.calls[f"halve {x}"] += 1
            return x / 2

        def gate(x: int) -> int:
            self.calls["gate"] += 1
            if not self.mended:
                raise ValueError("not yet")
            return x

        def double(x: int) -> int:
            self.calls["double"] += 1
            return 2 * x

        step = body(node("next", "halve", {"x": Input("x")}), result=Output("next"))
        return {"numbers": numbers, "halve": halve, "gate": gate, "double": double, "step": step}


def whole() -> Graph:
    patient = Policy(retries=Retries(1, delays=(0.01,)))
    return graph(
        node("numbers", "numbers"),
        node("train", "step", {"x": Item("x")}, each=Each({"x": Output("numbers")}), loop=Loop(2, None, {"x": ""})),
        node("gate", "gate", {"x": 6}, policy=patient),
        node("other", "halve", {"x": Output("gate")}),
        node("spare", "gate", {"x": 5}, fallback=Fallback(value=Constant(7))),
        node("last", "double", {"x": Output("gate")}, after=("train",)),
        result=MappingExpression({name: Output(name) for name in EXPECTED}),
    )


def failed(bench: Bench, work: Work) -> RunRecord:
    """A run whose first generation has failed."""
    driver = bench.driver(whole(), work.tasks(), options=RunOptions(cache=False))
    assert driver.drive() is RunState.FAILED
    return bench.store.find(driver.run.run_id)


def begun_anew(bench: Bench, work: Work, run: RunRecord) -> Any:
    """The driver of the next generation."""
    record = RunRecord(
        run_id=run.run_id,
        pipeline=run.pipeline,
        state=RunState.RUNNING,
        parameters={},
        started_at=time.time(),
        driver="test",
    )
    nothing = Provenance(penstock="", python="", platform="", machine={}, packages={}, configuration={})
    record = bench.store.regenerate(record, from_store(bench, run), nothing)
    return going_on(bench, work, record)


def from_store(bench: Bench, run: RunRecord) -> Graph:
    from penstock.model.graph import from_json

    return from_json(bench.store.graph(run.run_id))


def going_on(bench: Bench, work: Work, record: RunRecord) -> Any:
    keeping = keeping_of(bench.store, bench.values, record)
    options = RunOptions(cache=False)
    return bench.driver(whole(), work.tasks(), record=record, options=options, keeping=keeping)


def test_what_is_finished_is_kept_and_a_fallback_is_taken_back(bench: Bench) -> None:
    work = Work()
    run = failed(bench, work)
    before = work.calls.copy()
    work.mended = True
    driver = begun_anew(bench, work, run)
    assert driver.drive() is RunState.SUCCEEDED
    assert work.calls - before == {"gate": 2, "halve 6": 1, "double": 1}
    ended = Ended(bench, driver)
    assert ended.outputs == EXPECTED
    states = {name: state for name, state in ended.states.items() if state == "cached"}
    assert sorted(states) == ["numbers", *(f"train[{item}][{turn}]/next" for item in range(2) for turn in range(2))]
    kept = {record.reason for record in ended.attempts if record.state.value == "cached"}
    assert kept == {"kept from generation 1"}
    earlier = bench.store.find("run-1.1")
    assert (earlier.state, earlier.generation) == (RunState.FAILED, 1)
    assert [each.run_id for each in bench.store.runs()] == ["run-1"]


@pytest.mark.parametrize("after", [False, True])
def test_a_later_generation_goes_on_wherever_its_driver_was_ended(bench: Bench, after: bool) -> None:
    at = crashes = 0
    while True:
        at += 1
        work = Work()
        run = failed(bench, work)
        before = work.calls.copy()
        work.mended = True
        driver = begun_anew(bench, work, run)
        fuse = Fuse(bench, at, after=after)
        try:
            driver.drive()
        except Crash:
            crashes += 1
        bench.store.commit = fuse.commit  # type: ignore[method-assign]
        record = bench.store.find(run.run_id)
        if record.state is RunState.RUNNING:
            driver = going_on(bench, work, bench.store.reopen(run.run_id, "another"))
            assert driver.resume() is RunState.SUCCEEDED, f"at {at}"
        ended = Ended(bench, driver)
        if fuse.left > 0:
            break
        again = {event.node for event in ended.journal if isinstance(event, Started)}
        assert again <= {"gate", "other", "spare", "last"}, f"at {at}"
        assert not {"numbers", "halve 1", "halve 2"} & (work.calls - before).keys(), f"at {at}"
        found = bench.store.find(run.run_id)
        assert {name: bench.values.load(value) for name, value in found.outputs.items()} == EXPECTED, f"at {at}"
    assert crashes > 3


def test_a_generation_of_which_nothing_is_recorded_yet_goes_on(bench: Bench) -> None:
    work = Work()
    run = failed(bench, work)
    work.mended = True
    begun_anew(bench, work, run)
    before = work.calls.copy()
    driver = going_on(bench, work, bench.store.reopen(run.run_id, "another"))
    assert driver.resume() is RunState.SUCCEEDED
    assert "numbers" not in work.calls - before
    assert Ended(bench, driver).outputs == EXPECTED
