"""Options of pipelines, and dynamic pipelines as parts of others."""

from __future__ import annotations

from typing import Any

import pytest

from penstock import CancelledError, DefinitionError, Outcome, Pipeline, approval, pipeline, repeat, task
from penstock.app import Services

pytestmark = pytest.mark.usefixtures("home")

attempts: list[int] = []


@task
def number(x: int = 1) -> int:
    return x


@task
def increment(x: int) -> int:
    return x + 1


@task(cache=False)
def third_time(x: int) -> int:
    attempts.append(x)
    if len(attempts) < 3:
        raise ValueError("not yet")
    return x


@task(cache=False)
def fail() -> int:
    raise ValueError("always")


@task(cache=False)
def report(outcome: Outcome) -> str:
    return outcome.state


@pipeline
def step(n: int) -> Any:
    return increment(n) if n > 2 else increment(increment(n))


def inline(of: Pipeline[..., Any]) -> Pipeline[..., Any]:
    return of.options(executor="inline")


def ids(run: Any) -> list[str]:
    return [each.id for each in run.tasks]


def test_defaults_are_those_of_all_tasks_and_an_exit_handler_sees_how_it_went() -> None:
    @pipeline(defaults={"retries": 2}, on_exit=report)
    def patient() -> Any:
        x = third_time(1)
        return increment(x) if x else x

    attempts.clear()
    run = inline(patient).run()
    assert run.result == 2
    assert run.task("third_time").attempts == 3
    assert run.task("report").output == "succeeded"


def test_an_exit_handler_runs_after_a_body_that_has_failed() -> None:
    @pipeline(on_exit=report)
    def failing() -> Any:
        return float(fail())

    run = inline(failing).run()
    assert run.state == "failed"
    assert run.task("report").output == "failed"
    with pytest.raises(ValueError, match="always"):
        run.raise_for_state()


def test_a_run_can_end_with_its_first_failure() -> None:
    def body() -> Any:
        fail()
        return increment(increment(number()))

    run = inline(pipeline(failure="stop")(body)).options(cache=False).run()
    assert run.state == "failed"
    assert run.task("increment-2").state == "cancelled"


def test_a_dynamic_body_is_repeated_turn_by_turn() -> None:
    @pipeline
    def looped() -> Any:
        return repeat(step, until=lambda result: result > 6, maximum=10)(n=0)

    run = inline(looped).run()
    assert run.result == 7
    assert "step[0]/increment-2" in ids(run)
    assert "step[2]/increment-2" not in ids(run)


def test_a_dynamic_body_may_depend_on_the_answer_to_a_question() -> None:
    @pipeline
    def asking() -> Any:
        answer = approval("Ship it?", name="sign_off", form={"traffic": float})()
        return increment(1) if answer.values["traffic"] > 0.5 else number(0)

    run = inline(asking).run()
    assert run.state == "paused"
    with pytest.raises(CancelledError, match="waits for sign_off"):
        run.raise_for_state()
    assert run.approve("sign_off", traffic=0.7).result == 2


def test_a_pipeline_inside_another_has_a_name_and_what_it_waits_for() -> None:
    @pipeline
    def outer() -> Any:
        first = step.options(name="first")(3)
        return [first, step.options(name="second", after=first)(4)]

    run = inline(outer).run()
    assert run.result == [4, 5]
    assert ids(run) == ["first/increment", "second", "second/increment"]


def test_a_mapped_pipeline_has_the_options_of_a_fan_out() -> None:
    @pipeline
    def outer() -> Any:
        return step.options(max_parallel=1, key=lambda n: n).map([3, 4])

    run = inline(outer).run()
    assert run.result == [4, 5]
    assert ids(run) == ["step[3]", "step[3]/increment", "step[4]", "step[4]/increment"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"failure": "ignore"}, 'failure must be "continue" or "stop"'),
        ({"defaults": {"retires": 1}}, "did you mean 'retries'"),
        ({"defaults": 3}, "defaults must be a dict"),
        ({"timeout": -1}, "timeout must be"),
        ({"on_exit": 3}, "on_exit must be a task"),
        ({"on_faliure": print}, "did you mean 'on_failure'"),
        ({"on_failure": 3}, "on_failure must be a function"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        pipeline(**options)


def test_options_of_a_call_that_cannot_be_are_refused() -> None:
    unknown: dict[str, Any] = {"exceutor": "inline"}
    with pytest.raises(DefinitionError, match="did you mean 'executor'"):
        step.options(**unknown)

    @pipeline
    def outer() -> Any:
        return step.options(max_parallel=1)(1)

    with pytest.raises(DefinitionError, match="options of a fan-out"):
        outer.graph()


def test_a_run_that_has_ended_is_not_resumed() -> None:
    run = inline(step).run(n=3)
    with pytest.raises(Exception, match="has ended"):
        inline(step).resume(run.run_id)
    with Services().store() as store:
        assert store.find(run.run_id).state == "succeeded"
