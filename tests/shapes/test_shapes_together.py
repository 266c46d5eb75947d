"""Shapes inside shapes: fan-outs, loops, branches and scopes within each other, in whole runs."""

from __future__ import annotations

import pytest
from shape_tasks import increment, picky, refuse, run, same, states, stumbling, total, up_to

from penstock import (
    approval,
    choose,
    failed,
    otherwise,
    outcome,
    pipeline,
    repeat,
    scope,
    skipped,
    succeeded,
    task,
    when,
)
from penstock.model.outcome import Outcome


@pipeline
def counted(x: int) -> int:
    return repeat(increment, until=lambda value: value % 4 == 0, maximum=10)(x)


@pipeline
def turn(x: int) -> int:
    return total(counted.map([x, x + 1]))


@pipeline
def widened(n: int) -> list[int]:
    return same.map(up_to(n))


@scope
def held(x: int):
    handle = same.options(name="setup")(x)
    yield handle
    same.options(name="teardown")(handle)


def test_pipelines_in_loops_in_maps() -> None:
    @pipeline
    def looped(x: int) -> int:
        return repeat(turn, until=lambda value: value > 30, maximum=5)(x)

    @pipeline
    def outer() -> list[int]:
        return looped.map([1, 2])

    ended = run(outer)
    assert ended.result == [56, 56]
    assert ended.task("looped[1]/turn[2]/counted[1]/increment[2]/increment").state == "succeeded"


def test_nothing_to_map_over_at_any_depth() -> None:
    @pipeline
    def deeper(n: int) -> list[list[int]]:
        return widened.map(up_to(n))

    @pipeline
    def outer(n: int) -> list[list[list[int]]]:
        return deeper.map(up_to(n))

    assert run(outer, n=0).result == []
    assert run(outer, n=3).result == [[], [[]], [[], [0]]]


def test_a_scope_in_a_branch_goes_with_it() -> None:
    @pipeline
    def branched(x: int) -> int:
        with when(same(x) > 0), held(x) as handle:
            inside = increment(handle)
        with otherwise():
            outside = same.options(name="outside")(0)
        return choose(inside, outside)

    assert run(branched, x=1).result == 2
    ended = run(branched, x=-1)
    assert ended.result == 0
    assert [states(ended)[name] for name in ("setup", "increment", "teardown")] == ["skipped"] * 3


def test_a_scope_in_every_item_is_taken_down_whatever_fails() -> None:
    @pipeline
    def guarded(x: int) -> int:
        with held(x) as handle:
            return picky(handle)

    @pipeline
    def outer() -> list[int]:
        return guarded.options(failure_threshold=1).map([1, 2])

    ended = run(outer)
    assert ended.result == [2]
    found = states(ended)
    assert (found["guarded[0]/picky"], found["guarded[0]/teardown"]) == ("failed", "succeeded")


def test_a_teardown_that_fails_decides_nothing() -> None:
    @scope
    def brittle():
        yield same(1)
        refuse.options(name="teardown")()

    @pipeline
    def scoped() -> int:
        with brittle() as handle:
            return increment(handle)

    ended = run(scoped)
    assert ended.result == 2
    assert states(ended)["teardown"] == "failed"


def test_join_rules_see_a_fan_out_as_a_whole() -> None:
    @task(cache=False)
    def seen(left: object, right: object) -> str:
        return f"{left} {right}"

    @pipeline
    def joined() -> dict[str, str]:
        bad = picky.options(decides=False).map([1, 2])
        good = same.map([1, 2])
        with when(same.options(name="flag")(0) > 1):
            left_out = same.options(name="left_out").map([1])
        return {
            "all_done": seen.options(name="all_done", join="all_done")(bad, good),
            "none_failed": seen.options(name="none_failed", join="none_failed")(left_out, good),
            "mixed": seen.options(name="mixed", join=failed(bad) & skipped(left_out) & succeeded(good))(bad, good),
            "missed": seen.options(name="missed", join="all_failed")(bad, good),
        }

    ended = run(joined)
    assert ended.outputs == {
        "all_done": "None [1, 2]",
        "none_failed": "None [1, 2]",
        "mixed": "None [1, 2]",
        "missed": None,
    }
    assert states(ended)["missed"] == "skipped"


def test_an_outcome_tells_which_items_failed() -> None:
    @task(cache=False)
    def told(how: Outcome) -> list[str]:
        return [failure.task for failure in how.failures]

    @pipeline
    def watched() -> list[str]:
        return told(outcome(picky.options(decides=False, key=lambda x: x * 10).map([1, 2, 3])))

    assert run(watched).result == ["picky[10]", "picky[30]"]


@pytest.mark.parametrize(("good", "state", "items"), [(3, "succeeded", 4), (9, "failed", 2)])
def test_a_generator_that_stumbles_yields_each_item_once(good: int, state: str, items: int) -> None:
    @pipeline
    def streamed(good: int) -> list[int]:
        return same.map(stumbling(4, good))

    ended = run(streamed, good=good)
    assert ended.state == state
    assert [each.output for each in ended.tasks if each.id.startswith("same[")] == list(range(items))


def test_a_fallback_that_fails_is_the_failure() -> None:
    @pipeline
    def hopeless() -> int:
        return same(refuse.options(fallback=picky)(1))

    ended = run(hopeless)
    assert states(ended) == {"refuse": "failed", "same": "upstream_failed"}
    assert ended.task("refuse").error == "ValueError: 1 is odd"


def test_a_question_in_every_item_shows_what_it_is_about() -> None:
    @pipeline
    def reviewed(x: int) -> object:
        return approval("Go on?", name="review")(x=x, doubled=same(2 * x))

    @pipeline
    def outer() -> list[object]:
        return reviewed.map([3, 4])

    paused = run(outer)
    assert [(each["id"], each["inputs"]) for each in paused.questions] == [
        ("reviewed[0]/review", {"x": 3, "doubled": 6}),
        ("reviewed[1]/review", {"x": 4, "doubled": 8}),
    ]
    again = paused.approve("reviewed[1]/review", by="ada")
    assert again.state == "paused"
    assert again.approve("reviewed[0]/review", by="bob").state == "succeeded"
