"""Bodies that use the values of tasks, in real runs."""

from __future__ import annotations

import contextlib
import contextvars
import os
import threading
import time
from pathlib import Path
from typing import Any, cast

import pytest

from penstock import (
    DefinitionError,
    SkippedError,
    pipeline,
    scope,
    task,
    value,
    when,
)
from penstock.app import Services
from penstock.model.event import Grown, Handled
from penstock.model.request import CancelAsked

pytestmark = pytest.mark.usefixtures("home")


@task
def number(x: int = 1) -> int:
    return x


@task
def increment(x: int) -> int:
    return x + 1


@task
def numbers(n: int) -> list[int]:
    return list(range(n))


@task
def boxes() -> list[Any]:
    return [{"size": 1}, {"size": 2}, 7]


@task
def refuse(x: Any) -> int:
    raise MemoryError(f"no room for {x}")


@task
def size_of(box: dict[str, int]) -> int:
    return box["size"]


@task
def process() -> int:
    return os.getpid()


@task
def sleep() -> int:
    time.sleep(60)
    return 1


@task
def shown(x: Any) -> str:
    return repr(x)


@pipeline
def until(k: int = 5) -> Any:
    x = number(0)
    while x < k:
        x = increment(x)
    return {"x": x, "k": k}


@pipeline
def answered(x: int = 2) -> Any:
    d = number(x)
    try:
        model = refuse(d)
    except MemoryError as error:
        assert str(error) == f"no room for {x}"
        model = increment(d)
    return model


@pipeline
def choosy(n: int) -> Any:
    x = number(n)
    if x > 1:
        x = increment(x)
    return x


def ids(run: Any) -> list[str]:
    return [each.id for each in run.tasks]


def events_of(run: Any) -> list[Any]:
    with Services().store() as store:
        return [event for _, events in store.journal(run.run_id) for event in events]


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_a_loop_runs_as_it_reads(executor: str) -> None:
    run = until.options(executor=executor).run(k=3)
    assert run.result == {"x": 3, "k": 3}
    assert ids(run) == ["number", "increment", "increment-2", "increment-3"]


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_an_exception_of_a_task_is_caught_where_it_was_called(executor: str) -> None:
    run = answered.options(executor=executor).run()
    assert run.result == 3
    assert {each.id: each.state for each in run.tasks}["refuse"] == "failed"
    assert Handled("refuse") in events_of(run)


def test_if_takes_one_branch() -> None:
    inline = choosy.options(executor="inline")
    assert inline(1) == 1
    assert inline(2) == 3


def test_values_can_be_formatted_counted_unpacked_and_iterated() -> None:
    @pipeline
    def using() -> Any:
        first, second, third = boxes()
        some = numbers(4)
        assert len(some) == 4
        assert 3 in some
        assert [type(each) for each in some] == [int] * 4
        assert f"{number(7):03d} {number(8)}" == "007 8"
        assert float(number(2)) + int(number(3)) == 5
        assert value({"a": [number(4)]}) == {"a": [4]}
        assert boxes()[0].get("size") == 1
        return [size_of(first), size_of(second), increment(third)]

    assert using.options(executor="inline")() == [1, 2, 8]


def test_elements_that_are_no_scalars_keep_where_they_come_from() -> None:
    @pipeline
    def iterating() -> Any:
        return [size_of(box) for box in boxes() if not isinstance(box, int)]

    run = iterating.options(executor="inline").run()
    assert run.result == [1, 2]
    grown = next(event for event in events_of(run) if isinstance(event, Grown) and event.nodes)
    assert [node.upstream() for node in grown.nodes] == [("boxes",), ("boxes",)]


def test_arrays_take_part() -> None:
    numpy = pytest.importorskip("numpy")

    @pipeline
    def computing() -> Any:
        some = numbers(4)
        lazy = numpy.float64(2) * number(3)
        return {"mean": float(numpy.asarray(some).mean()), "root": float(numpy.sqrt(number(9))), "lazy": lazy}

    assert computing.options(executor="inline")() == {"mean": 1.5, "root": 3.0, "lazy": 6.0}


def test_a_mapped_pipeline_has_a_body_for_every_item() -> None:
    @pipeline
    def outer(n: int = 40) -> Any:
        return choosy.map(numbers(n))

    run = outer.options(executor="inline").run()
    assert run.result == [0, 1, *range(3, 41)]
    assert "choosy[2]/increment" in ids(run)
    assert "choosy[1]/increment" not in ids(run)


def test_a_pipeline_inside_a_dynamic_one_is_a_part_of_it() -> None:
    @pipeline
    def outer() -> Any:
        x = number(1)
        while x < 4:
            x = choosy(increment(x))
        return x

    run = outer.options(executor="inline").run()
    assert run.result == 5
    assert "choosy/number" in ids(run)
    assert "choosy-2/number" in ids(run)


def test_the_exception_of_a_task_that_is_let_out_is_that_of_the_run() -> None:
    @pipeline
    def careless() -> Any:
        return float(refuse(number()))

    run = careless.options(executor="inline").run()
    assert run.state == "failed"
    assert not [event for event in events_of(run) if isinstance(event, Handled)]
    with pytest.raises(MemoryError, match="no room for 1"):
        run.raise_for_state()


def test_what_the_body_raises_fails_the_run() -> None:
    @pipeline
    def broken() -> Any:
        if number() == 1:
            raise KeyError("mine")

    run = broken.options(executor="inline").run()
    assert run.state == "failed"
    with pytest.raises(KeyError, match="mine") as raised:
        run.raise_for_state()
    told = "".join(raised.value.__notes__)
    assert "in broken" in told
    assert "penstock/authoring" not in told


def test_an_exception_that_is_made_of_another_is_the_one_that_is_raised() -> None:
    @pipeline
    def wrapping() -> Any:
        try:
            return refuse(1)
        except MemoryError as error:
            raise RuntimeError("too large") from error

    with pytest.raises(RuntimeError, match="too large"):
        wrapping.options(executor="inline")()


def test_a_failure_is_met_where_the_value_is_used() -> None:
    @pipeline
    def later() -> Any:
        result = increment(refuse(1))
        try:
            return float(result)
        except MemoryError:
            return number(0)

    run = later.options(executor="inline").run()
    assert run.result == 0
    assert Handled("refuse") in events_of(run)


def test_a_failure_that_is_never_met_fails_the_run() -> None:
    @pipeline
    def blind() -> Any:
        refuse(1)
        return increment(number(3)) if number(1) else None

    run = blind.options(executor="inline").run()
    assert run.state == "failed"
    assert {each.id: each.state for each in run.tasks}["increment"] == "succeeded"


def test_the_value_of_a_skipped_task_is_not_to_be_had() -> None:
    @pipeline
    def absent() -> Any:
        with when(number() > 5):
            x = increment(1)
        try:
            return float(x)
        except SkippedError as error:
            assert "increment was skipped" in str(error)
            return number(0)

    assert absent.options(executor="inline")() == 0


def test_what_a_look_up_raises_is_raised_in_the_body() -> None:
    @pipeline
    def searching() -> Any:
        try:
            return float(boxes()[0]["weight"])
        except KeyError:
            return number(0)

    assert searching.options(executor="inline")() == 0


def test_a_mistake_late_in_a_body_fails_the_run_with_its_line() -> None:
    @pipeline
    def mistaken() -> Any:
        if number():
            return increment()  # pyright: ignore[reportCallIssue]
        return None

    run = mistaken.options(executor="inline").run()
    with pytest.raises(DefinitionError, match="missing a required argument") as raised:
        run.raise_for_state()
    assert str(mistaken.function.__code__.co_firstlineno + 3) in str(raised.value.where)


def test_a_mistake_before_the_first_question_comes_before_anything_runs() -> None:
    @pipeline
    def mistaken() -> Any:
        x = number()
        increment()  # pyright: ignore[reportCallIssue]
        return float(x)

    with pytest.raises(DefinitionError):
        mistaken.options(executor="inline").run()
    with Services().store() as store:
        assert store.runs() == []


def test_a_task_that_may_have_run_cannot_be_made_to_wait() -> None:
    @pipeline
    def late() -> Any:
        x, y = number(1), number(2)
        if x:
            cast(Any, y).after(increment(3))
        return y

    with pytest.raises(DefinitionError, match="cannot be made to wait"):
        late.options(executor="inline")()


def test_constants_of_any_kind_reach_tasks_that_appear_late() -> None:
    @pipeline
    def passing() -> Any:
        if number():
            return [shown((1, {2})), shown([1 << 70, Path("a"), b"b"]), shown(float("inf"))]
        return None

    assert passing.options(executor="inline")() == ["(1, {2})", repr([1 << 70, Path("a"), b"b"]), "inf"]


def test_tasks_that_appear_late_run_in_workers() -> None:
    @pipeline
    def late() -> Any:
        return process() if number() else None

    assert late.options(executor="processes", workers=1)() != os.getpid()


def test_two_hundred_steps() -> None:
    run = until.options(executor="inline").run(k=200)
    assert run.result == {"x": 200, "k": 200}
    assert len(run.tasks) == 201


def test_a_body_has_the_context_of_its_caller_and_leaves_no_thread_behind() -> None:
    setting: contextvars.ContextVar[int] = contextvars.ContextVar("setting")
    setting.set(3)

    @pipeline
    def reading() -> Any:
        return number(setting.get()) if number() else None

    before = threading.active_count()
    assert reading.options(executor="inline")() == 3
    assert threading.active_count() <= before


def cancel_the_run() -> None:
    """Ask for the end of the run as soon as it waits for its first task."""
    while True:
        with Services().store() as store:
            for run in store.runs():
                if any(attempt for attempt in store.journal(run.run_id)):
                    store.ask(run.run_id, CancelAsked("enough", "somebody", time.time()))
                    return
        time.sleep(0.02)


def test_a_body_of_a_run_that_is_cancelled_tidies_up_and_calls_nothing_more() -> None:
    tidied: list[str] = []

    @pipeline
    def endless() -> Any:
        try:
            return float(sleep())
        finally:
            tidied.append("yes")
            number(7)

    canceller = threading.Thread(target=cancel_the_run)
    canceller.start()
    run = endless.options(executor="processes", workers=1).run()
    canceller.join()
    assert run.state == "cancelled"
    assert tidied == ["yes"]
    assert ids(run) == ["sleep"]


def test_what_was_set_up_in_a_dynamic_body_is_taken_down_when_the_run_is_cancelled() -> None:
    @scope
    def held() -> Any:
        yield number(1)
        number.options(name="released")(2)

    @pipeline
    def holding() -> Any:
        with held() as handle:
            return float(sleep()) + handle

    canceller = threading.Thread(target=cancel_the_run)
    canceller.start()
    run = holding.options(executor="processes", workers=1).run()
    canceller.join()
    assert run.state == "cancelled"
    assert {each.id: each.state for each in run.tasks}["released"] == "succeeded"


def test_a_run_that_is_cancelled_while_its_body_computes_is_cancelled() -> None:
    @pipeline
    def computing() -> Any:
        x = number()
        if x:
            time.sleep(1)
        return x

    canceller = threading.Thread(target=cancel_the_run)
    canceller.start()
    run = computing.options(executor="inline").run()
    canceller.join()
    assert run.state == "cancelled"


def test_a_failure_that_was_caught_is_not_that_of_the_run() -> None:
    @pipeline
    def pipe() -> Any:
        with contextlib.suppress(KeyError):
            value(caught_first())
        return fatal_after()

    ended = pipe.options(executor="inline").run()
    assert [task["handled"] for task in ended.document["tasks"] if task["id"] == "caught_first"] == [True]
    with pytest.raises(ArithmeticError, match="fatal"):
        ended.raise_for_state()


@task
def caught_first() -> int:
    raise KeyError("caught")


@task
def fatal_after() -> int:
    raise ArithmeticError("fatal")
