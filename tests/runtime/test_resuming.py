"""Loops, and runs that go on after their driver was gone, wherever that was."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest
from graphs import HERE, SOON, Bench, Ended, body, graph, node

from penstock.model.action import ApprovalAction
from penstock.model.event import AnyEvent, Asked, Lost, Returned, Started, Succeeded
from penstock.model.expression import Apply, Constant, Get, Input, Item, Output
from penstock.model.expression import Mapping as MappingExpression
from penstock.model.expression import Outcome as OutcomeOf
from penstock.model.graph import Each, Fallback, Graph, Loop, Wait
from penstock.model.options import RunOptions
from penstock.model.outcome import Outcome
from penstock.model.policy import Policy, Retries
from penstock.model.request import AnswerGiven
from penstock.model.run import RunState
from penstock.ports import Turn


def halve(x: float) -> float:
    return x / 2


def add(x: float, y: float) -> float:
    return x + y


def fail() -> int:
    raise ValueError("no")


TASKS: dict[str, Any] = {"halve": halve, "add": add, "fail": fail}

STEP = body(
    node("next", "halve", {"x": Input("x")}),
    node("loss", "add", {"x": Output("next"), "y": Input("bias")}),
    result=MappingExpression({"x": Output("next"), "loss": Output("loss")}),
)


def below(limit: float) -> Apply:
    return Apply("lt", (Get(Input("result"), "loss"), Constant(limit)))


# Loops.


def test_a_loop_carries_its_results_on(bench: Bench) -> None:
    repeated = node("train", "step", {"x": 16, "bias": 1}, loop=Loop(10, below(3.5), {"x": "x"}))
    ended = bench.run(graph(repeated, result=Output("train")), {**TASKS, "step": STEP})
    assert ended.result == {"x": 2.0, "loss": 3.0}
    turns = [f"train[{turn}]/{name}" for turn in range(3) for name in ("next", "loss")]
    assert sorted(ended.states) == sorted([*turns, "train"])
    assert set(ended.states.values()) == {"succeeded"}


def test_a_loop_whose_result_is_carried_on_whole(bench: Bench) -> None:
    step = body(node("next", "halve", {"x": Input("x")}), result=Output("next"))
    repeated = node("train", "step", {"x": 16}, loop=Loop(3, carry={"x": ""}))
    assert bench.run(graph(repeated, result=Output("train")), {**TASKS, "step": step}).result == 2.0


def test_a_loop_that_may_not_reach_its_maximum(bench: Bench) -> None:
    loop = Loop(2, below(0.0), {"x": "x"}, strict=True)
    ended = bench.run(graph(node("train", "step", {"x": 16, "bias": 1}, loop=loop)), {**TASKS, "step": STEP})
    assert ended.states["train"] == "failed"
    assert "train was repeated 2 times" in ended.fault("train")
    assert ended.states["train[1]/loss"] == "succeeded"


def test_a_map_of_loops(bench: Bench) -> None:
    over = Each({"x": Constant({"a": 8, "b": 32})})
    repeated = node("train", "step", {"x": Item("x"), "bias": 0}, each=over, loop=Loop(9, below(2), {"x": "x"}))
    ended = bench.run(graph(repeated, result=Output("train")), {**TASKS, "step": STEP})
    assert ended.result == {"a": {"x": 1.0, "loss": 1.0}, "b": {"x": 1.0, "loss": 1.0}}
    assert ended.states["train[b][4]/loss"] == "succeeded"


def test_an_outcome_tells_how_nodes_ended(bench: Bench) -> None:
    def tell(outcome: Outcome) -> str:
        told = [f"{each.task} {each.type}: {each.message}" for each in outcome.failures]
        return f"{outcome.state}, {outcome.succeeded} succeeded, {told}, {outcome.skipped}"

    step = body(node("try", "fail"), node("then", "halve", {"x": Output("try")}), result=Output("then"))
    whole = graph(
        node("good", "halve", {"x": 1}),
        node("body", "step"),
        node("skipped", "halve", {"x": 1}, guard=Constant(False)),
        node("tell", "tell", {"outcome": OutcomeOf(("good", "body", "skipped"))}, join="all_done"),
    )
    ended = bench.run(whole, {**TASKS, "step": step, "tell": tell})
    (record,) = [record for record in ended.attempts if record.node == "tell"]
    assert bench.values.load(record.outputs[0]) == "failed, 1 succeeded, ['body/try ValueError: no'], ('skipped',)"


# Crashes.


class Crash(BaseException):
    """The end of a driver."""


class Answers:
    """Answers a question as soon as it is recorded that it was asked."""

    def __init__(self, bench: Bench) -> None:
        self.store, self.commit = bench.store, bench.store.commit
        bench.store.commit = self  # type: ignore[method-assign, assignment]

    def __call__(self, run_id: str, turn: Turn) -> None:
        self.commit(run_id, turn)
        if any(isinstance(event, Asked) for event in turn.events):
            self.store.ask(run_id, AnswerGiven("ask", True, "ada", 1.0))


class Fuse:
    """Ends the driver at a commit, before or after it has happened."""

    def __init__(self, bench: Bench, at: int, *, after: bool) -> None:
        self.left = at
        self.after = after
        self.commit = bench.store.commit
        bench.store.commit = self  # type: ignore[method-assign, assignment]

    def __call__(self, run_id: str, turn: Turn) -> None:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Crash
        self.commit(run_id, turn)
        if self.left == 0:
            raise Crash


def flaky() -> Any:
    """A task that fails the first time that it is called with a value, in this process."""
    seen: set[int] = set()

    def try_twice(x: int) -> int:
        if x not in seen:
            seen.add(x)
            raise ValueError(f"not with {x} yet")
        return x

    return try_twice


def everything() -> tuple[Graph, dict[str, Any]]:
    """A graph with a bit of everything."""

    def count(upto: int) -> Any:
        yield from range(upto)

    def gone(x: int) -> int:
        raise ValueError("no")

    asked: list[int] = []

    def ready() -> bool:
        asked.append(1)
        return len(asked) > 2

    patient = Policy(retries=Retries(2, delays=(0.01,)))
    whole = graph(
        node("count", "count", {"upto": 3}),
        node("each", "flaky", {"x": Item("x")}, each=Each({"x": Output("count")}), policy=patient),
        node("train", "step", {"x": Item("x"), "bias": 0}, each=Each({"x": Output("each")}), loop=Loop(2, None, {"x": "x"})),
        node("wait", "ready", wait=Wait(poll=0.01)),
        node("ask", "ask", {"x": Output("wait")}),
        node("try", "gone", {"x": 5}, fallback=Fallback(task="halve"), after=("ask",)),
        node("other", "gone", {"x": 6}, fallback=Fallback(value=Constant(7))),
        node("fit", "halve", {"x": Item("x")}, each=Each({"x": Constant({"a": 1, "b": 2})}, key=Apply("add", (Constant("k"), Constant("1")))), guard=Constant(False)),
        result=MappingExpression({"train": Output("train"), "try": Output("try"), "other": Output("other"), "fit": Output("fit")}),
    )  # fmt: skip
    tasks = {**TASKS, "count": count, "flaky": flaky(), "gone": gone, "ready": ready, "step": STEP}
    return whole, {**tasks, "ask": ApprovalAction("Go on?", HERE)}


EXPECTED = {"train": [{"x": x / 4, "loss": x / 4} for x in range(3)], "try": 2.5, "other": 7, "fit": None}


def check_journal(events: list[AnyEvent]) -> None:
    """Nothing that had ended ran again, and no attempt began twice."""
    ended: set[tuple[str, int]] = set()
    begun: Counter[tuple[str, int, int]] = Counter()
    for event in events:
        if isinstance(event, Started):
            assert (event.node, event.item) not in ended, event
            begun[event.node, event.item, event.attempt] += event.node != "wait"
        if isinstance(event, Returned):
            begun[event.node, event.item, event.attempt] -= 1
        if isinstance(event, Succeeded):
            ended.add((event.node, event.item))
    assert max(begun.values()) == 1, begun


@pytest.mark.parametrize("after", [False, True])
def test_a_run_goes_on_wherever_its_driver_was_ended(bench: Bench, after: bool) -> None:
    Answers(bench)
    at = crashes = 0
    while True:
        at += 1
        whole, tasks = everything()
        driver = bench.driver(whole, tasks, options=RunOptions(cache=False))
        run_id = driver.run.run_id
        fuse = Fuse(bench, at, after=after)
        try:
            driver.drive()
        except Crash:
            crashes += 1
        bench.store.commit = fuse.commit  # type: ignore[method-assign]
        # whoever answers a run that is paused goes on with it
        if bench.store.find(run_id).state in (RunState.RUNNING, RunState.PAUSED):
            record = bench.store.reopen(run_id, "another")
            driver = bench.driver(whole, tasks, record=record, options=RunOptions(cache=False))
            assert driver.resume() is RunState.SUCCEEDED, f"at {at}"
        ended = Ended(bench, driver)
        if fuse.left > 0:
            break
        check_journal(ended.journal)
        recorded = bench.store.find(run_id)
        assert recorded.state is RunState.SUCCEEDED
        assert {name: bench.values.load(value) for name, value in recorded.outputs.items()} == EXPECTED, f"at {at}"
    assert crashes > 5


def test_an_attempt_that_was_under_way_counts_as_lost(bench: Bench) -> None:
    whole, tasks = graph(node("one", "halve", {"x": 1}), result=Output("one")), TASKS
    driver = bench.driver(whole, tasks)
    fuse = Fuse(bench, 1, after=True)
    with pytest.raises(Crash):
        driver.drive()
    bench.store.commit = fuse.commit  # type: ignore[method-assign]
    driver = bench.driver(whole, tasks, record=bench.store.reopen("run-1", "another"))
    driver.resume()
    ended = Ended(bench, driver)
    assert [event for event in ended.journal if isinstance(event, Lost)] == [Lost("one", -1, 1)]
    assert [(each.attempt, each.state.value) for each in ended.attempts] == [(1, "failed"), (2, "succeeded")]
    assert ended.attempts[0].fault is not None
    assert ended.attempts[0].fault.infrastructure


def test_what_is_left_of_a_delay_is_waited_for(bench: Bench) -> None:
    policy = Policy(retries=Retries(1, delays=(4 * SOON,)))
    whole, tasks = graph(node("try", "flaky", {"x": 1}, policy=policy), result=Output("try")), {"flaky": flaky()}
    driver = bench.driver(whole, tasks)
    fuse = Fuse(bench, 2, after=True)
    with pytest.raises(Crash):
        driver.drive()
    failed_at = time.time()
    bench.store.commit = fuse.commit  # type: ignore[method-assign]
    time.sleep(2 * SOON)
    driver = bench.driver(whole, tasks, record=bench.store.reopen("run-1", "another"))
    driver.resume()
    first, second = Ended(bench, driver).attempts
    assert first.state.value == "failed"
    assert 3.5 * SOON < second.started_at - failed_at < 40 * SOON
