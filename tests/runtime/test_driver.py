"""Whole runs: retries, fan-outs, branches."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest
from sample_runs import (
    Quality,
    add,
    branching,
    counted,
    describe,
    die,
    die_once,
    double,
    evaluate,
    fail,
    fail_on,
    fail_twice,
    numbers_up_to,
    one,
    run,
    split,
    squares_of_known,
    squares_of_unknown,
    states,
    total,
    with_retries,
)

import penstock
from penstock import choose, pipeline, unmapped, when
from penstock.app import Services

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture(params=["inline", "processes"])
def executor(request: pytest.FixtureRequest) -> str:
    return request.param


# Retries.


def test_a_failed_attempt_is_repeated(executor: str) -> None:
    ended = run(with_retries, executor)
    assert ended.state == "succeeded"
    assert ended.result == 3
    assert ended.task("fail_twice").attempts == 3


def test_attempts_that_fail_for_good_are_all_recorded(executor: str) -> None:
    @pipeline
    def stubborn():
        return fail.options(retries=2)("no")

    ended = run(stubborn, executor)
    assert ended.state == "failed"
    assert ended.task("fail").attempts == 3
    with pytest.raises(ValueError, match="no"):
        _ = ended.result


def test_a_delay_between_attempts_is_kept_and_others_run_meanwhile(executor: str) -> None:
    @pipeline
    def delayed():
        late = fail_twice.options(retry_delay=0.3)()
        return [late, total(double.map([1, 2, 3]))]

    began = time.time()
    ended = run(delayed, executor)
    assert ended.result == [3, 12]
    assert time.time() - began >= 0.6
    with Services().store() as store:
        (*_, last) = store.attempts(ended.run_id, "fail_twice")
        (first, *_) = store.attempts(ended.run_id, "fail_twice")
        (other,) = store.attempts(ended.run_id, "total")
    assert other.started_at < last.started_at
    assert last.started_at - first.started_at >= 0.6


# Fan-out.


def test_map_over_a_list_that_is_known(executor: str) -> None:
    assert run(squares_of_known, executor).result == 12


@pytest.mark.parametrize("count", [0, 1, 700])
def test_map_over_a_list_that_is_not_known_yet(executor: str, count: int) -> None:
    ended = run(squares_of_unknown, executor, count=count)
    assert ended.result == [2 * number for number in range(count)]
    assert len([name for name in states(ended) if name.startswith("double[")]) == count


def test_map_over_several_in_step_with_a_fixed_input() -> None:
    @pipeline
    def in_step():
        numbers = numbers_up_to(3)
        return [add.map(numbers, [10, 20, 30]), add.map(numbers, unmapped(5)), add.map(numbers, right=numbers)]

    assert run(in_step).result == [[10, 21, 32], [5, 6, 7], [0, 2, 4]]


def test_iterables_of_different_lengths_fail_the_node_and_name_both() -> None:
    @pipeline
    def out_of_step():
        return total(add.map(numbers_up_to(3), [10, 20]))

    ended = run(out_of_step)
    assert states(ended) == {"numbers_up_to": "succeeded", "add": "failed", "total": "upstream_failed"}
    error = ended.task("add").error
    assert error is not None
    assert "left has 3, right has 2" in error


def test_map_over_what_is_not_iterable_fails_the_node() -> None:
    @pipeline
    def not_iterable():
        return double.map(one())

    ended = run(not_iterable)
    assert states(ended) == {"one": "succeeded", "double": "failed"}
    assert "int" in (ended.task("double").error or "")


def test_map_over_the_results_of_a_map(executor: str) -> None:
    @pipeline
    def in_rows():
        once = double.map(numbers_up_to(5))
        twice = double.map(once)
        return [total(twice), once[1], twice[-1]]

    assert run(in_rows, executor).result == [40, 2, 16]


def test_map_over_nothing_leads_on(executor: str) -> None:
    @pipeline
    def over_nothing():
        return total(double.map(numbers_up_to(0)))

    ended = run(over_nothing, executor)
    assert ended.result == 0
    assert states(ended)["double"] == "succeeded"


def test_one_bad_item_does_not_stop_the_others(executor: str) -> None:
    @pipeline
    def one_bad():
        return total(fail_on.map(numbers_up_to(6), unmapped(3)))

    ended = run(one_bad, executor)
    assert ended.state == "failed"
    assert Counter(states(ended).values()) == {"succeeded": 6, "failed": 1, "upstream_failed": 1}
    assert states(ended)["fail_on[3]"] == "failed"
    with pytest.raises(ValueError, match="3 is bad"):
        _ = ended.result


def test_several_outputs_of_a_map() -> None:
    @pipeline
    def splits():
        made = split.map([[1, 2, 3], [4, 5]])
        return [describe(made), made[0].train, double.map(made[1].test)]

    described, train, doubled = run(splits).result
    assert described == "[Split(train=[1, 3], test=[2]), Split(train=[4], test=[5])]"
    assert (train, doubled) == ([1, 3], [10])


# Wiring.


def test_refs_in_nested_data(executor: str) -> None:
    @pipeline
    def nested():
        number = one()
        return describe({"a": (number, [double(number), "b"]), "c": [(), {"d": number}]})

    assert run(nested, executor).result == "{'a': (1, [2, 'b']), 'c': [(), {'d': 1}]}"


def test_parts_of_outputs(executor: str) -> None:
    @pipeline
    def parts():
        made = split([1, 2, 3, 4])
        quality = evaluate(0.5)
        return {"first": made.train[0], "test": made.test, "accuracy": quality.accuracy, "whole": quality}

    assert run(parts, executor).result == {
        "first": 1,
        "test": [2, 4],
        "accuracy": 0.5,
        "whole": Quality(0.5, "model"),
    }


def test_after_orders_without_data(executor: str) -> None:
    @pipeline
    def ordered():
        first = counted(1)
        return counted.options(name="second", after=first)(2)

    ended = run(ordered, executor)
    with Services().store() as store:
        times = {each.node: each for each in store.attempts(ended.run_id)}
    assert times["second"].started_at >= times["counted"].started_at + times["counted"].duration - 0.001


def test_after_something_that_failed() -> None:
    @pipeline
    def ordered():
        return one.options(after=fail("no"))()

    assert states(run(ordered)) == {"fail": "failed", "one": "upstream_failed"}


def test_a_pipeline_in_a_pipeline(executor: str) -> None:
    @pipeline
    def inner(number: int):
        return add(number, double(number))

    @pipeline
    def outer():
        return [inner(one()), inner(10)]

    ended = run(outer, executor)
    assert ended.result == [3, 30]
    assert {"one", "inner/double", "inner/add"} < set(states(ended))


# Branches.


def test_one_branch_runs_and_the_other_is_skipped(executor: str) -> None:
    ended = run(branching, executor)
    assert ended.result == {"chosen": 1, "good": 1}
    assert states(ended) == {
        "evaluate": "succeeded",
        "counted": "succeeded",
        "apology": "skipped",
        "double": "skipped",
    }
    other = run(branching, executor, threshold=0.9)
    assert other.result == {"chosen": 4, "good": None}
    assert states(other) == {"evaluate": "cached", "counted": "skipped", "apology": "succeeded", "double": "succeeded"}
    assert "0.9" in other.task("counted").reason or "threshold" in other.task("counted").reason


def test_a_condition_on_the_outputs_of_a_map(executor: str) -> None:
    @pipeline
    def guarded():
        doubled = double.map(numbers_up_to(4))
        with when(doubled[3] == 6):
            yes = total(doubled)
        with when(doubled[3] != 6):
            no = one()
        return [yes, no]

    ended = run(guarded, executor)
    assert states(ended)["total"] == "succeeded"
    assert states(ended)["one"] == "skipped"


def test_a_map_in_a_branch(executor: str) -> None:
    @pipeline
    def guarded(wanted: bool):
        with when(one() == 1):
            first = double.map(numbers_up_to(3))
        with when(one.options(name="other")() == 2):
            second = double.options(name="twice").map(numbers_up_to(3))
        return choose(second, first)

    ended = run(guarded, executor, wanted=True)
    assert ended.result == [0, 2, 4]
    assert states(ended)["twice"] == "skipped"


def test_a_condition_that_cannot_be_computed_fails_the_node() -> None:
    @pipeline
    def broken():
        too_large: Any = describe(1)
        with when(too_large > 3):
            return one()

    ended = run(broken)
    assert ended.state == "failed"
    assert "TypeError" in (ended.task("one").error or "")


def test_one_branch_failing_does_not_stop_the_others(executor: str) -> None:
    @pipeline
    def two_ways():
        lost = add(fail("no"), 1)
        return [lost, double(lost), total(double.options(name="sound").map([1, 2]))]

    ended = run(two_ways, executor)
    assert ended.state == "failed"
    assert states(ended) == {
        "fail": "failed",
        "add": "upstream_failed",
        "double": "upstream_failed",
        "sound[0]": "succeeded",
        "sound[1]": "succeeded",
        "total": "succeeded",
    }
    assert ended.task("add").reason == "fail failed"


def test_a_broken_input_fails_the_node() -> None:
    @pipeline
    def too_far():
        return double(numbers_up_to(2)[5])

    ended = run(too_far)
    assert states(ended) == {"numbers_up_to": "succeeded", "double": "failed"}
    assert "IndexError" in (ended.task("double").error or "")


def test_a_task_that_dies_is_repeated() -> None:
    @pipeline
    def deadly():
        return total([die_once(), one()])

    ended = run(deadly, "processes")
    assert ended.result == 3
    assert ended.task("die_once").attempts == 2


def test_a_task_that_dies_fails_the_run_with_the_reason() -> None:
    @pipeline
    def deadly():
        return [die(), total(double.map([1, 2, 3]))]

    ended = run(deadly, "processes")
    assert ended.state == "failed"
    assert states(ended)["total"] == "succeeded"
    with pytest.raises(
        penstock.WorkerLostError, match="die: the worker left with exit code 7 in the middle of the task"
    ):
        _ = ended.result
