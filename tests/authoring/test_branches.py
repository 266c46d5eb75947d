"""Branches beyond `when` and `otherwise`, and groups."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from refusals import in_body, refusal

from penstock import (
    choose,
    continue_if,
    elif_,
    failed,
    group,
    otherwise,
    pipeline,
    succeeded,
    switch,
    task,
    unmapped,
    when,
)
from penstock.model.expression import Apply, Constant, Ended, Expression, Output, Parameter


@task
def number(x: int = 1) -> int:
    return x


@task
def broken() -> int:
    raise ValueError("no")


@task
def shown(value: Any) -> str:
    return repr(value)


def guards(body: Any) -> dict[str, Expression | None]:
    return {node.id: node.guard for node in pipeline(body).graph().nodes}


def states(body: Any, **parameters: Any) -> dict[str, str]:
    ended = pipeline(body).options(executor="inline").run(**parameters)
    return {each.id: each.state for each in ended.tasks}


def graded(score: int = 5) -> Any:
    found = number(score)
    with when(found > 8):
        grade = shown.options(name="good")("good")
    with elif_(found > 4):
        with when(found > 6):
            grade_ = shown.options(name="better")("better")
        with otherwise():
            grade_ = shown.options(name="fair")("fair")
    with elif_(found > 2):
        poor = shown.options(name="poor")("poor")
    with otherwise():
        bad = shown.options(name="bad").map(["bad"])
    return choose(grade, grade_, poor, bad)


def test_an_elif_excludes_those_before() -> None:
    found = guards(graded)
    over = {limit: Apply("gt", (Output("number"), Constant(limit))) for limit in (8, 6, 4, 2)}
    second = Apply("and", (Apply("not", (over[8],)), over[4]))
    before = Apply("or", (over[8], over[4]))
    assert found["good"] == over[8]
    assert found["better"] == Apply("and", (second, over[6]))
    assert found["poor"] == Apply("and", (Apply("not", (before,)), over[2]))
    assert found["bad"] == Apply("not", (Apply("or", (before, over[2])),))


@pytest.mark.parametrize(("score", "taken"), [(9, "good"), (7, "better"), (5, "fair"), (3, "poor"), (1, "bad[0]")])
def test_one_branch_is_taken(score: int, taken: str) -> None:
    found = states(graded, score=score)
    branches = [name for name, state in found.items() if state == "succeeded" and name != "number"]
    assert branches == [taken]


def chosen(kind: Any = "b") -> None:
    s = switch(shown.options(name="kind").function and kind)
    with s.case("a"):
        number.options(name="first")()
    with s.case("b", "c"):
        number.options(name="second")()
    with s.default():
        number.options(name="other")()


def test_a_switch() -> None:
    kind = Parameter("kind")
    a, b, c = (Apply("selects", (kind, Constant(name))) for name in "abc")
    assert guards(chosen) == {
        "first": a,
        "second": Apply("or", (b, c)),
        "other": Apply("not", (Apply("or", (a, Apply("or", (b, c)))),)),
    }


@pytest.mark.parametrize(
    ("kind", "taken"), [("a", {"first"}), ("c", {"second"}), ("x", {"other"}), (["a", "b"], {"first", "second"}), ([], {"other"})]
)  # fmt: skip
def test_the_cases_that_are_taken(kind: Any, taken: set[str]) -> None:
    assert {name for name, state in states(chosen, kind=kind).items() if state == "succeeded"} == taken


def short(go_on: bool = True) -> None:
    first = number()
    with when(first > 0):
        number.options(name="inside")()
        continue_if(go_on)
        number.options(name="rest of the block")()
    number.options(name="after the block")()
    continue_if(first > 5)
    number.options(name="rest")()
    with when(first > 0):
        number.options(name="rest inside")()


def test_continue_if_is_about_the_rest_of_its_block() -> None:
    found = guards(short)
    first, last = Apply("gt", (Output("number"), Constant(0))), Apply("gt", (Output("number"), Constant(5)))
    assert found["inside"] == first
    assert found["rest of the block"] == Apply("and", (first, Parameter("go_on")))
    assert found["after the block"] is None
    assert found["rest"] == last
    assert found["rest inside"] == Apply("and", (last, first))


def test_what_continue_if_skips() -> None:
    found = states(short, go_on=False)
    skipped = {name for name, state in found.items() if state == "skipped"}
    assert skipped == {"rest of the block", "rest", "rest inside"}


def test_how_a_task_ended_as_a_condition() -> None:
    def body() -> None:
        source = broken()
        with when(failed(source)):
            number.options(name="help")()
        with when(succeeded(source)):
            number.options(name="go on")()

    assert guards(body)["help"] == Ended("broken", ("failed", "upstream_failed"))
    assert states(body) == {"broken": "failed", "help": "succeeded", "go on": "skipped"}


def test_groups_have_names_of_their_own() -> None:
    def body() -> None:
        with group("features"):
            number()
            with group("text"):
                shown.map([1, 2])
        with group("features"):
            number()

    assert list(guards(body)) == ["features/number", "features/text/shown", "features-2/number"]


def test_a_group_in_order() -> None:
    def body() -> None:
        first = number()
        with group("features") as features:
            number.options(name="a")()
            number.options(name="b")()
        last = number.options(name="last")()
        _ = first >> features >> last

    nodes = {node.id: node.after for node in pipeline(body).graph().nodes}
    assert nodes == {
        "number": (),
        "features/a": ("number",),
        "features/b": ("number",),
        "last": ("features/a", "features/b"),
    }


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["with elif_(flag):  #!", "    load()"], r"elif_\(\) does not follow a when"),
        (["with when(flag):", "    load()", "with otherwise():", "    load()", "with elif_(flag):  #!", "    load()"], "does not follow"),
        (["s = switch(n)", "with s.case():  #!", "    load()"], "is given no name"),
        (["s = switch(n)", "with s.case(1):", "    load()", "with s.case(1):  #!", "    load()"], "two cases for 1"),
        (["s = switch(n)", "with s.default():  #!", "    load()"], "comes before any case"),
        (["s = switch(n)", "with s.case(1):", "    load()", "with s.default():", "    load()", "with s.case(2):  #!", "    load()"], "has to be the last"),
        (['with group("a/b"):  #!', "    load()"], "cannot be empty or contain"),
        (["with when(succeeded(n)):  #!", "    load()"], r"succeeded\(\) takes what calling a task returned, and this is <ref to n>"),
    ],
)  # fmt: skip
def test_mistakes(lines: list[str], message: str, project: Path) -> None:
    error = refusal(in_body(*lines), project)
    assert re.search(message, error.what), error.what


@pytest.mark.parametrize("call", ["continue_if(True)", "switch(3)", "succeeded(3)", "outcome()", "approval('?')()"])
def test_outside_a_pipeline(call: str, project: Path) -> None:
    error = refusal(f"{call}  #!", project)
    assert re.search(rf"{call[:4]}\w*\(\) is used outside a pipeline", error.what)


def test_a_branch_around_a_fan_out_and_a_body() -> None:
    @pipeline
    def part(x: int, by: int) -> int:
        return number(x)

    def body() -> Any:
        with when(number() > 3):
            return part.map([1, 2], unmapped(2)), shown.map([1])

    found = guards(body)
    assert found["part"] == found["shown"] == Apply("gt", (Output("number"), Constant(3)))
    assert states(body) == {"number": "succeeded", "part": "skipped", "shown": "skipped"}


@pytest.mark.parametrize("failure", ["first", "last"])
def test_what_is_not_taken_is_skipped_though_what_it_needs_has_failed(failure: str) -> None:
    def body() -> Any:
        if failure == "first":
            bad = broken()
            found = number.options(after=bad, join="all_done")(1)
        else:
            found = number(1)
            bad = broken.options(after=found)()
        with when(found > 1):
            large = shown.options(name="large")(bad)
            shown.options(name="larger")(large)
            with when(bad > 0):
                shown.options(name="inner").map([1, 2])
        with otherwise():
            small = shown.options(name="small")(bad)
        return choose(large, small)

    assert states(body) == {
        "broken": "failed",
        "number": "succeeded",
        "large": "skipped",
        "larger": "skipped",
        "inner": "skipped",
        "small": "upstream_failed",
    }


def test_a_condition_on_what_has_failed_tells_nothing() -> None:
    def body() -> Any:
        bad = broken()
        with when(bad > 1):
            shown.options(name="one")(1)
        with otherwise():
            shown.options(name="other")(1)

    assert states(body) == {"broken": "failed", "one": "upstream_failed", "other": "upstream_failed"}


def test_other_branches_are_left_out_behind_a_failure_too() -> None:
    def body() -> Any:
        kind = switch(shown("here"))
        bad = broken()
        with kind.case("there"):
            shown.options(name="there")(bad)
        continue_if(number(0) > 0)
        shown.options(name="rest")(bad)

    assert states(body) == {
        "broken": "failed",
        "number": "succeeded",
        "shown": "succeeded",
        "there": "skipped",
        "rest": "skipped",
    }


def test_a_dynamic_body_leaves_out_as_well() -> None:
    def body() -> Any:
        first = number(1)
        if first > 0:
            bad = broken()
            with when(first > 1):
                shown.options(name="left_out")(bad)
            with otherwise():
                shown.options(name="taken")(bad)

    assert states(body) == {
        "number": "succeeded",
        "broken": "failed",
        "left_out": "skipped",
        "taken": "upstream_failed",
    }
