"""In what two runs differ."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from explained import add, keep, line_of, one, picky, run, sums

from penstock import DefinitionError, NotFoundError, approval, current, pipeline, repeat, task, value
from penstock.app import find_run
from penstock.cli.diff_view import diff_view
from penstock.cli.renderables import rendered

pytestmark = pytest.mark.usefixtures("home")


def scored(version: int) -> Any:
    @task
    def data(n: int) -> list[int]:
        return list(range(n))

    if version == 1:

        @task
        def score(values: list[int], depth: int) -> float:
            current().log_metric("accuracy", 0.9)
            return float(max(values) + depth)

    else:

        @task
        def score(values: list[int], depth: int) -> float:
            current().log_metric("accuracy", 0.7)
            return float(min(values) + depth)

    @pipeline
    def scoring(n: int = 3, depth: int = 1) -> Any:
        return {"score": keep(score(data(n), depth))}

    return scoring


def test_causes_come_before_effects() -> None:
    first = run(scored(1))
    second = run(scored(2), {"depth": 2})
    found = second.diff(first)
    assert [each.kind for each in found.causes] == ["parameter", "code"]
    assert found.causes[1].where.endswith(f"test_run_differences.py:{line_of(scored, '0.7')}")
    assert [(each.id, each.because_of, each.outputs) for each in found.tasks] == [
        ("score", (), ("result",)),
        ("keep", ("score",), ("result",)),
    ]
    assert [each.kind for each in found.tasks[0].causes] == ["parameter", "code"]
    assert found.same == 1
    assert [(each.name, each.before, each.after) for each in found.metrics] == [("accuracy", 0.9, 0.7)]
    assert [(each.name, each.before, each.after) for each in found.outputs] == [("score", "3.0", "2.0")]
    assert "2 tasks touched" in repr(found)
    assert first.diff(second.run_id).outputs[0].before == "2.0"


def test_runs_that_are_the_same() -> None:
    first = run(scored(1))
    again = run(scored(1)).diff(first)
    assert (again.empty, again.same, again.causes, again.tasks) == (True, 3, (), ())
    assert repr(again).endswith(": nothing differs")


def test_another_result_of_the_same_code_and_inputs_is_told() -> None:
    @task(cache=False)
    def drawn() -> str:
        return current().run_id

    @pipeline
    def drawing() -> Any:
        return keep(drawn())

    first, second = run(drawing), run(drawing)
    found = second.diff(first)
    assert (found.causes, found.empty) == ((), False)
    assert [(each.id, each.causes, each.because_of) for each in found.tasks] == [
        ("drawn", (), ()),
        ("keep", (), ("drawn",)),
    ]


def test_a_failed_run_and_a_good_one() -> None:
    @pipeline
    def risky(x: int) -> Any:
        return keep(picky(x))

    good, bad = run(risky, {"x": 3}), run(risky, {"x": 2})
    found = bad.diff(good)
    assert found.states == ("succeeded", "failed")
    assert [(each.id, each.before, each.after, each.error) for each in found.tasks] == [
        ("picky", "succeeded", "failed", "ValueError: nor that one"),
        ("keep", "succeeded", "upstream_failed", ""),
    ]
    assert [(each.name, each.before, each.after) for each in found.outputs] == [("result", "3", None)]


def wired(version: int) -> Any:
    @pipeline
    def wiring(x: int = 1) -> Any:
        first = add(x, 2 if version == 1 else 3)
        if version == 1:
            return keep.options(name="old")(first)
        return keep.options(name="new")(keep.options(name="between")((first, "a")))

    return wiring


def test_a_pipeline_that_calls_its_tasks_differently() -> None:
    first, second = run(wired(1)), run(wired(2))
    found = second.diff(first)
    told = {(each.name, each.change): (each.before, each.after) for each in found.causes}
    assert told == {
        ("add.b", "changed"): ("2", "3"),
        ("between", "added"): ("", ""),
        ("new", "added"): ("", ""),
        ("old", "removed"): ("", ""),
    }
    assert {each.kind for each in found.causes} == {"task"}
    assert found.causes[0].where.endswith(f"test_run_differences.py:{line_of(wired, 'first = add')}")
    assert [(each.id, each.before, each.after) for each in found.tasks] == [
        ("add", "succeeded", "succeeded"),
        ("between", "", "succeeded"),
        ("new", "", "succeeded"),
        ("old", "succeeded", ""),
    ]


def test_runs_of_different_pipelines() -> None:
    found = run(sums).diff(run(one))
    assert found.pipelines == ("one", "sums")
    assert {each.id for each in found.tasks} == {"add", "numbers", "add[0]", "add[1]", "add[2]", "total"}


def test_a_run_that_is_under_way_is_compared_as_far_as_it_came() -> None:
    ask = approval("Ship it?")

    @pipeline
    def asking(x: int) -> Any:
        return keep.options(after=ask())(add(x))

    first = run(asking, {"x": 1}).approve("approval", by="ada")
    found = run(asking, {"x": 2}).diff(first)
    assert [each.id for each in found.tasks] == ["add"]
    assert (found.unfinished, found.states[1]) == (2, "paused")
    assert find_run(first.run_id).run_id == first.run_id


# What follows from something else.


def test_what_a_turn_is_given_by_the_one_before_is_no_cause() -> None:
    def converging(version: int) -> Any:
        if version == 1:

            @task
            def lowered(loss: float) -> float:
                return loss / 2

        else:

            @task
            def lowered(loss: float) -> float:
                return loss / 3

        @pipeline
        def turn(loss: float) -> Any:
            return {"loss": lowered(loss)}

        @pipeline
        def converging() -> Any:
            return keep(repeat(turn, maximum=3)(loss=1.0))

        return converging

    first, second = run(converging(1)), run(converging(2))
    found = second.diff(first)
    assert [each.kind for each in found.causes] == ["code"]
    assert found.consequences == ()
    because = {each.id: each.because_of for each in found.tasks}
    assert because["turn[0]/lowered"] == ()
    assert because["turn[2]/lowered"] == ("turn[1]/lowered",)
    assert "input loss (the turn before)" in second.task("turn[1]/lowered").why().summary


def adapting(factor: int, word: str = "large") -> Any:
    """The value of `scale` is used in the body of the pipeline."""
    if factor == 2:

        @task
        def scale(x: int) -> int:
            return 2 * x

    else:

        @task
        def scale(x: int) -> int:
            return 3 * x

    @pipeline
    def adapting() -> Any:
        scaled = value(scale(8))
        return keep(f"{word}: {scaled}")

    return adapting


def test_what_a_body_makes_of_the_value_of_a_task_comes_after_the_causes() -> None:
    first, second = run(adapting(2)), run(adapting(3))
    found = second.diff(first)
    assert [each.kind for each in found.causes] == ["code"]
    assert [(each.name, each.before, each.after) for each in found.consequences] == [
        ("keep.x", "'large: 16'", "'large: 24'")
    ]
    lines = rendered(diff_view(msgspec.to_builtins(found)), width=200).splitlines()
    titles = [line for line in lines if line.startswith(("what", "tasks"))]
    assert titles == ["what changed", "what follows from that, or may", "tasks (2 touched, 0 the same)"]
    # where no task before it made anything else, the pipeline itself is another one
    found = run(adapting(3, "big")).diff(second)
    assert [each.name for each in found.causes] == ["keep.x"]
    assert found.consequences == ()


def test_what_a_pipeline_decides_by_a_parameter_comes_after_it() -> None:
    @pipeline
    def fanned(items: int = 4) -> Any:
        return add.map(a=list(range(items)))

    first = run(fanned)
    found = run(fanned, {"items": 2}).diff(first)
    assert [(each.kind, each.name) for each in found.causes] == [("parameter", "items")]
    assert [(each.name, each.after) for each in found.consequences] == [("add.a", "each of [0, 1]")]


def test_the_run_before_is_what_is_compared_with_by_default() -> None:
    first, second = run(one), run(one, {"a": 2})
    run(sums)
    assert (second.diff().before, second.diff().after) == (first.run_id, second.run_id)
    with pytest.raises(NotFoundError, match=f"no earlier run of one to compare {first.run_id} with"):
        first.diff()
    for itself in (second, second.run_id):
        with pytest.raises(DefinitionError, match="are the same run"):
            second.diff(itself)
