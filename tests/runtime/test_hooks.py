"""Hooks of tasks and pipelines, in real runs: what they are told, when, and that they cannot break a run."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from sample_runs import run, states

import penstock
from penstock import Skip, pipeline, task, when
from penstock.app import Services
from penstock.runtime.hooks.calls import HookContext

if TYPE_CHECKING:
    from running import Project

pytestmark = pytest.mark.usefixtures("home")

told: list[HookContext] = []


@pytest.fixture(autouse=True)
def _nothing_told() -> None:
    told.clear()


@pytest.fixture(params=["inline", "processes"])
def executor(request: pytest.FixtureRequest) -> str:
    return request.param


def tell(context: HookContext) -> None:
    told.append(context)


ALL: dict[str, Any] = {
    f"on_{event}": tell for event in ("start", "success", "failure", "retry", "skip", "cancel", "deadline")
}


def heard() -> list[tuple[str, str]]:
    """What was told of whom, in order."""
    return [(context.event, context.node) for context in told]


@task(**ALL)
def give(value: int) -> int:
    if value < 0:
        raise ValueError(f"{value} is below 0")
    return value


@task(**ALL)
def skip_odd(value: int) -> int:
    if value % 2:
        raise Skip(f"{value} is odd")
    return value


@task
def quiet(value: int) -> int:
    if value < 0:
        raise ValueError(f"{value} is below 0")
    return value


@task
def add_up(values: list[int]) -> int:
    return sum(values)


def test_a_task_that_succeeds_tells_its_start_and_its_end(executor: str) -> None:
    @pipeline
    def simple(value: int = 3):
        return give(value)

    ended = run(simple, executor)
    assert ended.result == 3
    assert heard() == [("start", "give"), ("success", "give")]
    begun, done = told
    assert (begun.run_id, begun.pipeline, begun.parameters) == (ended.run_id, "simple", {"value": 3})
    assert (begun.state, begun.task, begun.item, begun.attempt) == ("running", "give", None, 1)
    assert (done.state, done.attempt, done.error_type) == ("succeeded", 1, "")
    assert done.duration > 0
    assert begun.started_at is not None
    assert done.started_at is not None
    assert abs((done.started_at - begun.started_at).total_seconds()) < 30


def test_a_result_from_the_cache_is_told_as_a_success(executor: str) -> None:
    @pipeline
    def simple():
        return give(3)

    run(simple, executor)
    told.clear()
    run(simple, executor)
    assert [(context.event, context.state, context.attempt) for context in told] == [("success", "cached", 0)]


def test_a_failure_is_told_once_and_each_repetition_before_it(executor: str) -> None:
    @pipeline
    def failing():
        return add_up([give.options(retries=2)(-1)])

    assert states(run(failing, executor)) == {"give": "failed", "add_up": "upstream_failed"}
    assert heard() == [("start", "give"), ("retry", "give"), ("retry", "give"), ("failure", "give")]
    assert [context.attempt for context in told] == [1, 1, 2, 3]
    last = told[-1]
    assert (last.state, last.error_type, last.error_message) == ("failed", "ValueError", "-1 is below 0")
    assert "in give" in last.traceback


def test_items_of_a_fan_out_tell_each_for_themselves(executor: str) -> None:
    @pipeline
    def fanned():
        return give.options(on_start=None).map({"good": 1, "bad": -1})

    run(fanned, executor)
    found = {(context.event, context.node, context.item, context.key) for context in told}
    assert found == {("success", "give", 0, "good"), ("failure", "give", 1, "bad")}


def test_skipping_tells_why(executor: str) -> None:
    @pipeline
    def skipping():
        skip_odd(1)
        with when(give.options(name="zero", on_start=None, on_success=None)(0) > 5):
            give(1)

    assert states(run(skipping, executor)) == {"skip_odd": "skipped", "zero": "succeeded", "give": "skipped"}
    # which of the two ends first is up to the workers
    assert sorted(heard()) == [("skip", "give"), ("skip", "skip_odd"), ("start", "skip_odd")]
    reasons = {context.node: context.reason for context in told if context.event == "skip"}
    assert reasons["skip_odd"] == "1 is odd"
    assert "does not hold" in reasons["give"]


def test_with_a_fallback_the_task_has_failed_and_its_node_succeeds() -> None:
    @pipeline
    def saved():
        return give.options(retries=1, fallback=7)(-1)

    ended = run(saved)
    assert ended.result == 7
    assert heard() == [("start", "give"), ("retry", "give"), ("failure", "give"), ("success", "give")]


def test_tasks_of_a_mapped_pipeline_tell_under_the_names_of_their_frames() -> None:
    @pipeline
    def inner(value: int):
        return give(value)

    @pipeline
    def outer():
        return inner.map([1, -1])

    run(outer)
    assert sorted(heard()) == [
        ("failure", "inner[1]/give"),
        ("start", "inner[0]/give"),
        ("start", "inner[1]/give"),
        ("success", "inner[0]/give"),
    ]


def test_tasks_of_a_dynamic_pipeline_tell_as_well() -> None:
    @pipeline
    def dynamic():
        first = give(2)
        if first > 1:
            give.options(name="second")(first + 1)
        return first

    assert run(dynamic).state == "succeeded"
    assert heard() == [("start", "give"), ("success", "give"), ("start", "second"), ("success", "second")]


# Pipelines.


def test_a_pipeline_tells_how_it_began_and_ended(executor: str) -> None:
    @pipeline(on_start=tell, on_success=tell, on_failure=tell, on_cancel=tell)
    def whole(value: int):
        return quiet(value)

    ended = run(whole, executor, value=1)
    assert heard() == [("start", ""), ("success", "")]
    assert told[1].run_id == ended.run_id
    assert (told[1].state, told[1].parameters) == ("succeeded", {"value": 1})
    assert told[1].duration > 0
    told.clear()
    run(whole, executor, value=-1)
    assert heard() == [("start", ""), ("failure", "")]
    assert (told[1].state, told[1].error_message) == ("failed", "quiet failed")


def test_when_a_pipeline_tells_its_end_the_run_is_recorded_as_ended() -> None:
    found: list[str] = []

    def look_up(context: HookContext) -> None:
        with Services().store() as store:
            found.append(store.find(context.run_id).state)

    @pipeline(on_success=look_up)
    def whole():
        return give.options(on_success=look_up)(1)

    run(whole)
    assert found == ["running", "succeeded"]


# What goes wrong with hooks.


def notices(ended: Any) -> list[tuple[str, str]]:
    with Services().store() as store:
        lines = [logged for _, logged in store.lines(ended.run_id)]
    return [(logged.node, logged.line.text.split("\n")[0]) for logged in lines if logged.line.stream == "notice"]


def test_a_hook_that_fails_changes_nothing_and_is_told_in_the_log_of_the_task(executor: str) -> None:
    def broken() -> None:
        raise OSError("no route to host")

    @pipeline
    def whole():
        return give.options(on_start=broken, on_success=[broken, tell], name="first")(1), give.options(
            on_start=None, on_success=broken, name="last"
        )(2)

    ended = run(whole, executor)
    assert ended.state == "succeeded"
    assert heard() == [("success", "first")]
    text = "(broken) failed, which changes nothing for the run:"
    assert sorted(notices(ended)) == [
        ("first", f"the hook on_start {text}"),
        ("first", f"the hook on_success {text}"),
        ("last", f"the hook on_success {text}"),
    ]


def test_a_hook_of_a_pipeline_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> None:
        raise OSError("no route to host")

    @pipeline(on_success=broken)
    def whole():
        return give(1)

    with caplog.at_level(logging.WARNING, "penstock.hooks"):
        assert run(whole).state == "succeeded"
    [record] = caplog.records
    assert "the hook on_success (broken) failed" in record.getMessage()
    assert "no route to host" in record.getMessage()


def test_a_hook_that_hangs_holds_up_neither_the_run_nor_the_other_hooks(home: Any) -> None:
    (home.parent / "penstock.toml").write_text("[hooks]\nlimit = 0.2\nwait = 5\n")
    release = threading.Event()

    def stuck(context: HookContext) -> None:
        release.wait(60)

    @pipeline
    def whole():
        return give.options(on_success=[stuck, tell], on_start=None)(1)

    began = time.monotonic()
    try:
        ended = run(whole)
    finally:
        release.set()
    assert ended.state == "succeeded"
    assert time.monotonic() - began < 30
    assert heard() == [("success", "give")]
    assert notices(ended) == [
        ("give", "the hook on_success (stuck) takes more than 0.2 seconds; the run does not wait for it")
    ]


# Deadlines.


def test_a_deadline_that_is_missed_is_told_once(executor: str) -> None:
    @task(deadline=0.1, **ALL)
    def late(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    @task(deadline=60, on_deadline=tell)
    def early() -> int:
        return 1

    @pipeline(deadline=0.2, on_deadline=tell)
    def whole():
        return late(0.6), early()

    ended = run(whole, executor)
    assert ended.state == "succeeded"
    found = [(context.event, context.node, context.state) for context in told if context.event == "deadline"]
    assert found == [("deadline", "late", "running"), ("deadline", "", "running")]
    assert told[-1].event == "success"
    [missed] = [context for context in told if context.event == "deadline" and context.node]
    assert missed.reason == "it has not ended 0.1 seconds after the start of the run"


def test_a_deadline_that_is_kept_is_not_told() -> None:
    @pipeline(deadline=30, on_deadline=tell)
    def whole():
        return give.options(deadline=30)(1)

    run(whole)
    assert heard() == [("start", "give"), ("success", "give")]


# In the processes of users.


def test_cancelling_is_told_to_tasks_and_the_pipeline(project: Project) -> None:
    project.write(
        "slow.py",
        """
        import sys, time
        from penstock import pipeline, task

        def tell(context):
            # in one piece, between what others say
            sys.stderr.write(f"\\n{context.event} {context.node or '-'} {context.reason}\\n")

        @task(on_start=tell, on_cancel=tell, on_failure=tell)
        def sleep(seconds: float) -> float:
            time.sleep(seconds)
            return seconds

        @task(on_cancel=tell)
        def after(seconds: float) -> float:
            return seconds

        @pipeline(on_cancel=tell, on_failure=tell)
        def slow():
            return after(sleep(60))
        """,
    )
    process = project.start("-m", "penstock", "run", "slow.py")
    assert process.stderr is not None
    # hooks speak beside the progress, so that what they say may come before what is waited for here
    said = ""
    for line in ("start sleep", "stopping"):
        while line not in said:
            assert process.poll() is None
            said += process.stderr.readline()
        process.send_signal(2)
    # not communicate(), which would lose what was read ahead
    said += process.stderr.read()
    process.wait(timeout=60)
    # what the progress shows may stand on the same line
    found = [list(each) for each in re.findall(r"\b(cancel|failure) (after|sleep|-)", said)]
    assert ["cancel", "after"] in found, said
    assert ["cancel", "sleep"] in found
    assert found[-1] == ["cancel", "-"]


def test_what_a_hook_prints_does_not_get_into_the_document(project: Project) -> None:
    project.write(
        "loud.py",
        """
        from penstock import pipeline, task

        def tell(context):
            print("told of", context.event)

        @task(on_start=tell, on_success=tell)
        def one() -> int:
            print("from the task")
            return 1

        @pipeline(on_success=tell)
        def loud():
            return one()
        """,
    )
    for executor in ("inline", "processes"):
        done = project.penstock("run", "loud.py", "--json", "--executor", executor)
        assert json.loads(done.stdout)["state"] == "succeeded"
        assert "told of success" in done.stderr


def test_a_run_whose_driver_dies_in_a_hook_of_the_last_task_can_be_ended(project: Project) -> None:
    project.write(
        "fatal.py",
        """
        import os
        from penstock import pipeline, task

        def tell(context):
            if context.event == "success" and context.node:
                os.kill(os.getpid(), 9)
            print("told", context.event, file=__import__("sys").stderr)

        @task(on_success=tell)
        def one() -> int:
            return 1

        @pipeline(on_success=tell)
        def fatal():
            return one()
        """,
    )
    project.penstock("run", "fatal.py", code=-9)
    done = project.penstock("resume", "latest", "--json")
    document = json.loads(done.stdout)
    assert (document["state"], document["outputs"]["result"]["value"]) == ("succeeded", 1)
    assert "told success" in done.stderr


def test_the_context_is_public() -> None:
    assert penstock.HookContext is HookContext
