"""Waits, approvals, timeouts, requests from elsewhere, and runs that pause."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from graphs import HERE, SOON, Bench, Ended, graph, node

from penstock.app import SystemClock
from penstock.errors import Skip
from penstock.model.action import ApprovalAction, Field
from penstock.model.event import Deferred, Expired
from penstock.model.expression import Constant, Get, Item, Output
from penstock.model.expression import Ended as EndedIn
from penstock.model.graph import Each, Fallback, Wait
from penstock.model.options import RunOptions
from penstock.model.outcome import Approval
from penstock.model.policy import Policy, Retries, RunPolicy, Timeouts
from penstock.model.request import AnswerGiven, CancelAsked
from penstock.model.run import RunState
from penstock.runtime.driving.approvals import NEAR


def one() -> int:
    return 1


def never() -> bool:
    return False


def fail() -> int:
    raise ValueError("no")


def show(x: Any) -> str:
    return f"got {x}"


TASKS: dict[str, Any] = {"one": one, "never": never, "fail": fail, "show": show}
ASK = ApprovalAction("Ship it?", HERE)


class Later(SystemClock):
    """A clock that is ahead."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def now(self) -> float:
        return super().now() + self.seconds


def answer(bench: Bench, name: str, *, approved: bool = True, run: str = "run-1", **details: Any) -> None:
    bench.store.ask(run, AnswerGiven(name, approved, "ada", 1_700_000_000.0, **details))


# Waits.


def test_a_wait_asks_again_until_it_is_there(bench: Bench, tmp_path: Path) -> None:
    def there() -> str | None:
        asked.append(time.monotonic())
        return "it is" if len(asked) > 3 else None

    asked: list[float] = []
    waiting = node("wait", "there", wait=Wait(poll=SOON, factor=2.0, longest=1.5 * SOON))
    ended = bench.run(graph(waiting, result=Output("wait")), {"there": there})
    assert ended.result == "it is"
    assert [round(e.seconds / SOON, 3) for e in ended.journal if isinstance(e, Deferred)] == [1.0, 1.5, 1.5]
    assert [record.attempt for record in ended.attempts] == [1]


@pytest.mark.parametrize(("way", "state"), [("fail", "failed"), ("skip", "skipped")])
def test_a_wait_that_is_over(bench: Bench, way: Any, state: str) -> None:
    waiting = node("wait", "never", wait=Wait(poll=0.02, timeout=4 * SOON, on_timeout=way))
    ended = bench.run(graph(waiting, node("show", "show", {"x": Output("wait")})), TASKS)
    assert ended.states == {"wait": state, "show": "upstream_failed" if way == "fail" else "skipped"}
    assert ended.state is (RunState.FAILED if way == "fail" else RunState.SUCCEEDED)
    told = ended.fault("wait") if way == "fail" else ended.attempts[0].reason + ended.attempts[-1].reason
    assert "what wait waits for was not there after 0.2 s" in told


# Approvals.


def test_a_run_of_which_only_questions_are_left_is_paused(bench: Bench) -> None:
    ask = node("sign_off", "ask", {"x": Output("one")})
    after = node("after", "show", {"x": Get(Output("sign_off"), "why", attribute=True)})
    driver = bench.driver(graph(node("one", "one"), ask, after, result=Output("after")), {**TASKS, "ask": ASK})
    assert driver.drive() is RunState.PAUSED
    assert bench.store.find("run-1").state is RunState.PAUSED
    assert Ended(bench, driver).states == {"one": "succeeded"}


def test_a_paused_run_goes_on_with_the_answer(bench: Bench) -> None:
    whole = graph(
        node("one", "one"),
        node("sign_off", "ask", {"x": Output("one")}),
        node("after", "show", {"x": Get(Output("sign_off"), "why", attribute=True)}),
        result={"after": Output("after"), "answer": Output("sign_off")}["after"],
    )
    tasks = {**TASKS, "ask": ASK}
    bench.driver(whole, tasks).drive()
    answer(bench, "sign_off", why="because")
    driver = bench.driver(whole, tasks, record=bench.store.reopen("run-1", "another"))
    assert driver.resume() is RunState.SUCCEEDED
    ended = Ended(bench, driver)
    assert ended.result == "got because"
    (given,) = [record for record in ended.attempts if record.node == "sign_off"]
    approval = bench.values.load(given.outputs[0])
    assert isinstance(approval, Approval)
    assert (approval.by, approval.at.timestamp(), bool(approval)) == ("ada", 1_700_000_000.0, True)
    assert [record.attempt for record in ended.attempts if record.node == "one"] == [1]


def test_an_answer_that_is_there_already_pauses_nothing(bench: Bench) -> None:
    driver = bench.driver(graph(node("sign_off", "ask"), result=Constant(1)), {"ask": ASK})
    answer(bench, "sign_off")
    assert driver.drive() is RunState.SUCCEEDED


@pytest.mark.parametrize(("way", "state"), [("skip", "skipped"), ("fail", "failed"), ("return", "succeeded")])
def test_a_rejection(bench: Bench, way: Any, state: str) -> None:
    ask = ApprovalAction("Ship it?", HERE, on_reject=way)
    driver = bench.driver(graph(node("sign_off", "ask")), {"ask": ask})
    answer(bench, "sign_off", approved=False, why="too early")
    driver.drive()
    ended = Ended(bench, driver)
    assert ended.states == {"sign_off": state}
    if way != "return":
        (record,) = ended.attempts
        assert record.reason == "ada rejected it: too early"


@pytest.mark.parametrize(
    ("default", "on_reject", "state"),
    [
        ("approve", "skip", "succeeded"),
        ("reject", "skip", "skipped"),
        ("reject", "fail", "failed"),
        (None, "skip", "failed"),
    ],
)
def test_the_deadline_of_a_question(bench: Bench, default: Any, on_reject: Any, state: str) -> None:
    fields = (Field("share", "float", required=False, default=0.5),)
    ask = ApprovalAction("Ship it?", HERE, fields, deadline=SOON, default=default, on_reject=on_reject)
    ended = bench.run(graph(node("sign_off", "ask")), {"ask": ask}, options=RunOptions(wait=True))
    assert ended.states == {"sign_off": state}
    if state == "succeeded":
        approval = bench.values.load(ended.attempts[0].outputs[0])
        assert (approval.by, approval.values) == ("deadline", {"share": 0.5})


def test_a_deadline_counts_from_when_the_question_was_asked(bench: Bench) -> None:
    ask = ApprovalAction("Ship it?", HERE, deadline=NEAR + 4 * SOON, default="approve", on_reject="return")
    whole, tasks = graph(node("sign_off", "ask"), result=Output("sign_off")), {"ask": ask}
    assert bench.driver(whole, tasks).drive() is RunState.PAUSED
    driver = bench.driver(whole, tasks, record=bench.store.reopen("run-1", "another"), clock=Later(3 * NEAR))
    assert driver.resume() is RunState.SUCCEEDED
    assert Ended(bench, driver).result.by == "deadline"


def test_an_answer_that_came_before_the_deadline_counts_after_it(bench: Bench) -> None:
    ask = ApprovalAction("Ship it?", HERE, deadline=2 * NEAR, default="approve", on_reject="return")
    whole, tasks = graph(node("sign_off", "ask"), result=Output("sign_off")), {"ask": ask}
    assert bench.driver(whole, tasks).drive() is RunState.PAUSED
    answer(bench, "sign_off", approved=False)
    driver = bench.driver(whole, tasks, record=bench.store.reopen("run-1", "another"), clock=Later(3 * NEAR))
    assert driver.resume() is RunState.SUCCEEDED
    approval = Ended(bench, driver).result
    assert (approval.by, approval.approved) == ("ada", False)


def test_a_driver_waits_for_a_deadline_that_is_near(bench: Bench) -> None:
    ask = ApprovalAction("Ship it?", HERE, deadline=SOON, default="approve")
    ended = bench.run(graph(node("sign_off", "ask"), result=Output("sign_off")), {"ask": ask})
    assert (ended.state, ended.result.by) == (RunState.SUCCEEDED, "deadline")


def test_questions_of_a_map_are_answered_one_by_one(bench: Bench) -> None:
    ask = node("ask", "ask", {"x": Item("x")}, each=Each({"x": Constant({"a": 1, "b": 2})}))
    whole, tasks = graph(ask, result=Output("ask")), {"ask": ASK}
    driver = bench.driver(whole, tasks)
    answer(bench, "ask[a]")
    answer(bench, "ask[nobody]")
    assert driver.drive() is RunState.PAUSED
    assert Ended(bench, driver).states == {"ask[a]": "succeeded"}
    answer(bench, "ask[b]", approved=False)
    answer(bench, "ask[a]", approved=False)
    driver = bench.driver(whole, tasks, record=bench.store.reopen("run-1", "another"))
    assert driver.resume() is RunState.SUCCEEDED
    assert Ended(bench, driver).states == {"ask[a]": "succeeded", "ask[b]": "skipped"}


def test_values_are_converted_to_what_was_asked_for(bench: Bench) -> None:
    fields = (Field("share", "Path"), Field("note", required=False, default="none"))
    driver = bench.driver(
        graph(node("sign_off", "ask"), result=Get(Output("sign_off"), "values", attribute=True)),
        {"ask": ApprovalAction("Ship it?", HERE, fields)},
        convert=lambda action, values: {name: (action.question, value) for name, value in values.items()},
    )
    answer(bench, "sign_off", values={"share": "a/b"})
    driver.drive()
    assert Ended(bench, driver).result == {"share": ("Ship it?", "a/b"), "note": ("Ship it?", "none")}


# Timeouts.


def test_all_attempts_together_are_given_up_between_two(bench: Bench) -> None:
    policy = Policy(retries=Retries(100, delays=(0.02,)), timeouts=Timeouts(total=4 * SOON))
    ended = bench.run(graph(node("fail", "fail", policy=policy)), TASKS)
    assert ended.state is RunState.FAILED
    assert any(isinstance(event, Expired) for event in ended.journal)
    assert "took longer than the 0.2 s that are allowed in all" in ended.attempts[0].reason + ended.attempts[-1].reason
    assert 2 <= len(ended.attempts) <= 12


def test_an_attempt_that_finds_no_worker_in_time_is_given_up(bench: Bench) -> None:
    def slow() -> int:
        time.sleep(3 * SOON)
        return 1

    policy = Policy(timeouts=Timeouts(queue=SOON))
    nodes = [node(f"slow-{number}", "slow", policy=policy) for number in range(3)]
    ended = bench.run(graph(*nodes), {"slow": slow})
    assert sorted(ended.states.values()) == ["failed", "failed", "succeeded"]
    assert "found no free worker within 0.05 s" in ended.fault("slow-1")


def test_a_run_that_takes_too_long_fails(bench: Bench) -> None:
    whole = graph(node("wait", "never", wait=Wait(poll=10.0)), policy=RunPolicy(timeout=SOON))
    ended = bench.run(whole, TASKS)
    assert ended.state is RunState.FAILED
    assert ended.states == {"wait": "cancelled"}
    assert ended.attempts[-1].reason == "the run took longer than the 0.05 s it is allowed"


# Failures.


def test_a_fallback_task_takes_the_place_of_a_failed_one(bench: Bench) -> None:
    def unlucky(x: int) -> int:
        raise ValueError("no")

    fallen = node("try", "unlucky", {"x": 3}, fallback=Fallback(task="show"))
    whole = graph(fallen, result=Output("try"))
    tasks = {**TASKS, "unlucky": unlucky}
    for _ in range(2):
        # what the fallback returned is never in the cache
        ended = bench.run(whole, tasks)
        assert (ended.state, ended.result) == (RunState.SUCCEEDED, "got 3")
        assert [(record.attempt, record.state.value) for record in ended.attempts] == [(1, "failed"), (2, "succeeded")]


def test_a_fallback_value_takes_the_place_of_a_failed_item(bench: Bench) -> None:
    def picky(x: int) -> int:
        return 10 // x

    mapped = node(
        "try", "picky", {"x": Item("x")}, each=Each({"x": Constant([1, 0])}), fallback=Fallback(value=Item("x"))
    )
    ended = bench.run(graph(mapped, result=Output("try")), {"picky": picky})
    assert ended.result == [10, 0]
    assert ended.states == {"try[0]": "succeeded", "try[1]": "succeeded"}


def test_a_task_that_asks_to_be_skipped(bench: Bench) -> None:
    def skip() -> int:
        raise Skip("nothing new")

    ended = bench.run(graph(node("skip", "skip"), node("show", "show", {"x": Output("skip")})), {**TASKS, "skip": skip})
    assert ended.states == {"skip": "skipped", "show": "skipped"}
    (record,) = [record for record in ended.attempts if record.node == "skip"]
    assert (record.attempt, record.reason) == (1, "nothing new")


def test_a_condition_on_how_a_node_ended(bench: Bench) -> None:
    alarm = node("alarm", "one", guard=EndedIn("fail", ("failed",)), join="all_done")
    calm = node("calm", "one", guard=EndedIn("fail", ("succeeded",)), join="all_done")
    ended = bench.run(graph(node("fail", "fail"), alarm, calm), TASKS)
    assert ended.states == {"fail": "failed", "alarm": "succeeded", "calm": "skipped"}


def test_a_run_that_ends_with_the_first_failure(bench: Bench) -> None:
    def picky(x: int) -> int:
        return 10 // x

    tasks = {**TASKS, "picky": picky, "ask": ASK}
    fine = node("fine", "picky", {"x": 5})
    bench.run(graph(fine), tasks)
    broken = node("broken", "show", {"x": Get(Constant([]), 3)})
    fallen = node("fallen", "fail", fallback=Fallback(value=Constant(1)))
    ended = bench.run(graph(broken, fine, fallen, node("ask", "ask"), policy=RunPolicy(on_failure="stop")), tasks)
    assert ended.state is RunState.FAILED
    assert ended.states == {"broken": "failed", "fine": "cancelled", "fallen": "cancelled", "ask": "cancelled"}


# Requests.


def test_a_run_that_somebody_cancels(bench: Bench) -> None:
    final = node("final", "show", {"x": 1}, after=("wait",), join="always", final=True)
    driver = bench.driver(graph(node("wait", "never", wait=Wait(poll=30.0)), final), TASKS)
    bench.store.ask("run-1", CancelAsked("ada has cancelled it", "ada", 1.0))
    began = time.monotonic()
    assert driver.drive() is RunState.CANCELLED
    assert time.monotonic() - began < 2
    assert Ended(bench, driver).states == {"wait": "cancelled", "final": "succeeded"}


def test_a_run_that_is_to_end_now_gives_up_what_is_final_too(bench: Bench) -> None:
    final = node("final", "show", {"x": 1}, after=("wait",), join="all_done", final=True)
    driver = bench.driver(graph(node("wait", "never", wait=Wait(poll=30.0)), final), TASKS)
    bench.store.ask("run-1", CancelAsked("ada has cancelled it", "ada", 1.0, now=True))
    driver.drive()
    ended = Ended(bench, driver)
    assert ended.states == {"wait": "cancelled", "final": "cancelled"}
    assert ended.attempts[0].reason == "ada has cancelled it"


def test_an_answer_that_comes_with_the_end_of_the_run_changes_nothing(bench: Bench) -> None:
    driver = bench.driver(graph(node("sign_off", "ask")), {"ask": ASK}, options=RunOptions(wait=True))
    bench.store.ask("run-1", CancelAsked("ada has cancelled it", "ada", 1.0))
    answer(bench, "sign_off")
    assert driver.drive() is RunState.CANCELLED
    assert Ended(bench, driver).states == {"sign_off": "cancelled"}
