"""Why tasks run, and in what runs differ."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from explained import add, keep, line_of, numbers, one, picky, run, sums, total

import penstock
from penstock import approval, choose, otherwise, pipeline, repeat, task, when
from penstock import value as value_of
from penstock.app import Services
from penstock.errors import NotFoundError
from penstock.runtime.explaining.account import Account, Comparison
from penstock.runtime.explaining.why import Explanation
from penstock.runtime.run import Run

pytestmark = pytest.mark.usefixtures("home")

HERE = Path(__file__)


def causes(subject: Any, node: str, parameters: dict[str, Any] | None = None, **options: Any) -> tuple[str, str]:
    """Run a pipeline. Returns why a node of it ran: the cause, and the sentence."""
    ran = run(subject, parameters, **options).why(node).ran
    assert ran is not None
    return ran.cause, ran.text


# Why a task runs: each cause.


def test_what_never_ran() -> None:
    assert causes(one, "add") == ("first", "no earlier run of the pipeline has a result of add")


def test_what_is_given_something_else() -> None:
    first = run(one)
    explained = run(one, {"a": 2, "b": 3}).why("add")
    assert explained.summary == f"it ran because parameters a and b changed since run {first.run_id}"
    assert explained.ran is not None
    assert [(each.kind, each.name, each.before, each.after) for each in explained.ran.differences] == [
        ("parameter", "a", "1", "2"),
        ("parameter", "b", "1", "3"),
    ]


def test_the_nearest_earlier_computation_is_compared_with() -> None:
    run(one)
    near = run(one, {"a": 5, "b": 1})
    run(one, {"a": 6, "b": 7})
    ran = run(one, {"a": 5, "b": 2}).why("add").ran
    assert ran is not None
    assert (ran.run_id, [each.name for each in ran.differences]) == (near.run_id, ["b"])


def test_what_the_run_or_the_task_does_not_take_from_the_cache() -> None:
    def single(**options: Any) -> Any:
        @pipeline(name="single")
        def made() -> Any:
            return add.options(**options)(1)

        return made

    run(single())
    assert causes(single(), "add", cache=False) == ("no_cache", "the run takes nothing from the cache (--no-cache)")
    assert causes(single(), "add", refresh="add")[0] == "refreshed"
    assert causes(single(refresh=True), "add") == ("refreshed", "it is made anew in every run (refresh=True)")
    assert causes(single(cache=False), "add")[0] == "never_cached"
    assert causes(single(effects=True), "add")[1].startswith("it has side effects")


def test_what_failed_before_and_what_a_fallback_made_up_for() -> None:
    @pipeline
    def failing() -> Any:
        return picky(2)

    @pipeline
    def replaced() -> Any:
        return picky.options(fallback=0)(2)

    failed = run(failing)
    assert causes(failing, "picky") == (
        "failed_before",
        f"it failed in run {failed.run_id}, and failed attempts are not cached",
    )
    run(replaced)
    again = run(replaced).why("picky")
    assert again.ran is not None
    assert again.ran.cause == "failed_before"
    assert again.summary.endswith("it failed with ValueError: nor that one, and its fallback value took its place")


def test_what_is_too_old_and_what_is_gone() -> None:
    @pipeline
    def fresh() -> Any:
        return add.options(cache_for="1h")(1)

    first = run(fresh)
    with closing(sqlite3.connect(Services().project.database)) as connection, connection:
        connection.execute("UPDATE results SET created_at = created_at - 4000")
        connection.execute("UPDATE attempts SET started_at = started_at - 4000")
    cause, text = causes(fresh, "add")
    assert (cause, text.partition(" of ")[0]) == ("expired", "the result")
    with Services().store() as store:
        store.forget([result.fingerprint for result in store.results()])
    cause, text = causes(fresh, "add")
    assert cause == "gone"
    assert first.run_id not in text


def test_what_cannot_be_hashed() -> None:
    def power(n: int) -> int:
        return power(n - 1) * 2 if n else 1

    @pipeline
    def odd() -> Any:
        return keep([power])

    assert causes(odd, "keep") == ("unhashable", "an input cannot be hashed, so that no result can be found again")


def test_a_key_that_changed_though_nothing_that_is_told_did() -> None:
    keys = iter("ab")

    @pipeline
    def keyed() -> Any:
        return add.options(cache_key=lambda a: next(keys))(1)

    run(keyed)
    cause, text = causes(keyed, "add")
    assert cause == "differs"
    assert "something that is not recorded" in text


# What differs: each kind.


def differences(ended: Run, node: str) -> list[Any]:
    ran = ended.why(node).ran
    assert ran is not None
    return list(ran.differences)


def halved(version: int) -> Any:
    """A pipeline whose helper was changed."""
    if version == 1:

        def helper(x: float) -> float:
            """Half of it."""
            # a comment
            return x / 2

    else:

        def helper(x: float) -> float:
            """A half of it, as a float."""
            # another comment
            y = float(x)
            return y / 2

    @task
    def half(x: float) -> float:
        return helper(x)

    @pipeline
    def halves(x: float = 3.0) -> Any:
        return half(x)

    return halves


def test_code_is_told_by_the_lines_that_changed() -> None:
    run(halved(1))
    [found] = differences(run(halved(2)), "half")
    assert (found.kind, found.change) == ("code", "changed")
    assert found.name.endswith(":halved.<locals>.helper")
    # and not that of the docstring, which is the first that is another one
    line = line_of(halved, "y = float(x)")
    assert found.where.endswith(f"test_explaining.py:{line}")
    first, last = line_of(halved, "return x / 2") - 3, line_of(halved, "y = float(x)") - 3
    assert found.diff == (
        f"@@ -{first},4 +{last},5 @@",
        "         def helper(x: float) -> float:",
        '-            """Half of it."""',
        "-            # a comment",
        "-            return x / 2",
        '+            """A half of it, as a float."""',
        "+            # another comment",
        "+            y = float(x)",
        "+            return y / 2",
    )


def moved(version: int) -> Any:
    """The same code, elsewhere."""
    if version == 1:

        @task(name="fit")
        def fit(x: int) -> int:
            return x + 1

    else:

        @task(name="fit")
        def fit(x: int) -> int:
            # what is said of it does not count
            return x + 1

    @pipeline
    def fits() -> Any:
        return fit(1)

    return fits


def test_code_that_only_moved_is_no_difference() -> None:
    first, second = run(moved(1)), run(moved(2))
    assert second.task("fit").state == "cached"
    assert second.diff(first).empty


def constants(factor: int, *, version: str | None = None, reads: str | None = None) -> Any:
    @task(version=version, reads=reads or [])
    def scaled(x: int) -> int:
        return x * factor

    @pipeline
    def scales() -> Any:
        return scaled(2)

    return scales


def test_values_versions_and_files_that_code_reads(home: Path) -> None:
    run(constants(2))
    [found] = differences(run(constants(3)), "scaled")
    assert (found.kind, found.before, found.after) == ("constant", "2", "3")
    [found] = differences(run(constants(3, version="2")), "scaled")
    assert (found.kind, found.change, found.before, found.after) == ("version", "added", "", "2")
    file = home.parent / "words.txt"
    file.write_text("a")
    run(constants(5, reads=str(file)))
    file.write_text("b")
    [found] = differences(run(constants(5, reads=str(file))), "scaled")
    assert (found.kind, found.name, found.change) == ("file", str(file), "changed")
    assert found.before != found.after


def test_ignored_inputs_and_key_functions() -> None:
    def single(a: int, b: int, **options: Any) -> Any:
        @pipeline(name="single")
        def made() -> Any:
            return add.options(**options)(a, b)

        return made

    run(single(1, 1, cache_ignore=["b"]))
    found = differences(run(single(2, 2, cache_ignore=["b"])), "add")
    assert [(each.kind, each.name, each.source) for each in found] == [("input", "a", "")]
    found = differences(run(single(2, 2)), "add")
    assert [(each.kind, each.name, each.change) for each in found] == [("setting", "cache_ignore", "removed")]
    found = differences(run(single(2, 2, cache_key=lambda a, b: a + b)), "add")
    assert ("setting", "cache_key", "a function") in [(each.kind, each.name, each.after) for each in found]


def test_environments_are_told_line_by_line() -> None:
    def account(*requirements: str) -> Account:
        node = one.graph().nodes[0]
        environment = penstock.Environment(requirements, python="3.12")
        services = Services()
        with services.store() as store:
            return Account(node, "add", None, environment, {}, {}, services.values, store)

    [found] = Comparison().differences(account("numpy==1.0", "polars"), account("numpy==2.0", "polars"))
    assert (found.kind, found.diff) == ("environment", ("-numpy==1.0", "+numpy==2.0"))


def test_inputs_are_told_with_where_they_come_from() -> None:
    class Pair(NamedTuple):
        left: int
        right: int

    @task
    def pair(n: int) -> Pair:
        return Pair(n, 2 * n)

    @pipeline
    def inner(x: int, y: int) -> Any:
        return add.options(name="inside")(x, y)

    @pipeline
    def sources(n: int, k: int = 1) -> Any:
        both = pair(n)
        every = add.partial(b=both.right).map(a=numbers(n))
        mapped = inner.options(name="each").partial(y=k).map(x=every)
        return total(mapped)

    run(sources, {"n": 2})
    ended = run(sources, {"n": 3, "k": 2})
    assert [(each.name, each.source) for each in differences(ended, "add[1]")] == [("b", "pair.right")]
    found = differences(ended, "each[1]/inside")
    assert [(each.kind, each.name, each.source) for each in found] == [
        ("parameter", "k", ""),
        ("input", "a", "each of add"),
    ]


# Items, bodies, whole runs.


def test_a_mapped_node_tells_how_many_ran_for_which_reasons() -> None:
    first = run(sums)
    assert run(sums).why("add").summary == "all of its 3 items were taken from the cache"
    explained = run(sums, {"n": 5}).why("add")
    assert explained.items == {"cached": 3, "succeeded": 2}
    assert explained.summary == "of its items, 3 were taken from the cache and 2 ran"
    [cached, ran] = explained.inside
    assert (cached.state, cached.which, cached.text) == ("cached", ("add[0]", "add[1]", "add[2]"), "")
    assert (ran.which, ran.ran and ran.ran.cause) == (("add[3]", "add[4]"), "first")
    explained = run(sums, {"more": 2}).why("add")
    assert explained.summary == "all of its 3 items ran"
    [told] = explained.inside
    assert told.text == f"parameter more changed since run {first.run_id}" or "since run" in told.text
    assert len(told.which) == 3


def test_a_cached_item_names_where_its_result_was_made() -> None:
    first = run(sums)
    explained = run(sums).why("add[1]")
    assert explained.cached is not None
    assert (explained.cached.run_id, explained.cached.id) == (first.run_id, "add[1]")
    assert explained.summary == (
        f"its code, inputs and settings are those of add[1] in run {first.run_id}, whose result it has"
    )


def test_what_is_inside_a_body_or_a_loop_is_told_together() -> None:
    @pipeline
    def step(x: int, by: int = 1) -> Any:
        return {"x": add(x, by)}

    @pipeline
    def looped(by: int = 1) -> Any:
        return repeat(step, maximum=3, carry=["x"], name="grow")(x=0, by=by)

    run(looped)
    explained = run(looped, {"by": 2}).why("grow")
    assert (explained.state, explained.items) == ("succeeded", {"succeeded": 3})
    assert {name for told in explained.inside for name in told.which} == {
        "grow[0]/add",
        "grow[1]/add",
        "grow[2]/add",
    }
    assert all(told.ran is not None and told.ran.cause == "differs" for told in explained.inside)
    overview = run(looped, {"by": 2}).why()
    assert list(overview.tasks) == ["grow/add"]
    [told] = overview.tasks["grow/add"]
    assert (told.state, len(told.which), told.text) == ("cached", 3, "")


def test_a_whole_run_is_told_in_short() -> None:
    @pipeline
    def mixed(n: int = 4) -> Any:
        many = picky.options(failure_threshold=2).map(numbers(n))
        lax = total.options(join="all_done")(many)
        with when(lax > 100):
            large = keep.options(name="large")(lax)
        return keep.options(name="after")(large)

    ended = run(mixed)
    assert ended.task("picky[3]").why().summary.endswith("no earlier run of the pipeline has a result of picky[3]")
    overview = ended.why()
    told = {path: [(each.state, each.text, each.which) for each in every] for path, every in overview.tasks.items()}
    assert told["picky"] == [
        ("succeeded", "no earlier run of the pipeline has a result of them", ("picky[0]", "picky[3]")),
        ("skipped", "the task itself asked to be skipped: not that one", ("picky[1]",)),
        ("failed", "ValueError: nor that one", ("picky[2]",)),
    ]
    assert told["large"] == [("skipped", "its condition does not hold: total > 100, where total is 3", ("large",))]
    assert told["after"][0][1].startswith("it depends on large, which was skipped: its condition does not hold")


# What did not end well, or was not reached.


def test_a_failure_tells_its_attempts_and_why_there_was_no_other() -> None:
    @pipeline
    def failing(x: int = 2) -> Any:
        return keep(keep(picky.options(retries=1, retry_delay=0)(x)))

    failed = run(failing)
    explained = failed.why("picky")
    assert explained.failed is not None
    assert explained.summary == "both attempts failed, the last with ValueError: nor that one"
    assert [each["attempt"] for each in explained.failed.attempts] == [1, 2]
    assert "retries=1" in explained.failed.not_repeated
    assert explained.ran is not None
    assert explained.ran.cause == "first"
    reached = failed.why("keep-2")
    assert reached.summary == "it was not reached, because picky failed"
    assert [(each.id, each.error) for each in reached.upstream] == [("picky", "ValueError: nor that one")]


def test_a_failure_inside_is_blamed_and_not_what_is_around_it() -> None:
    @pipeline
    def inner(x: int) -> Any:
        return picky(x)

    @pipeline
    def outer() -> Any:
        return total(inner.map([0, 2, 3]))

    failed = run(outer)
    assert failed.why("inner").summary == "inner[2]/picky failed" or "inner[1]/picky" in failed.why("inner").summary
    blamed = failed.why("total")
    assert [(each.id, each.error) for each in blamed.upstream] == [("inner[1]/picky", "ValueError: nor that one")]
    assert blamed.summary == "it was not reached, because inner[1]/picky failed"


def test_what_was_left_out_is_explained_by_its_condition_though_something_failed() -> None:
    @pipeline
    def branching(x: int = 5) -> Any:
        first, bad, asked = add(x), picky(2), picky.options(name="asked")(1)
        with when(first > 10):
            with when(bad > 1):
                large = keep.options(name="large", after=asked)(bad)
            larger = keep.options(name="larger")(large)
        other = keep.options(name="other")(picky.options(name="worse")(2))
        both = keep.options(name="both", join="none_failed", after=larger)(other)
        return larger, both

    ended = run(branching)
    condition = "its condition does not hold: (add > 10) and (picky > 1), where add is 6"
    assert ended.why("large").summary == condition
    # not on what was skipped before that one, and did not decide
    assert ended.why("larger").summary == f"it depends on large, which was skipped: {condition}"
    assert ended.why("larger").state == "skipped"
    both = ended.why("both")
    assert both.summary == "it was not reached, because worse failed", "nothing that was left out passes a failure on"


def test_what_was_skipped_tells_what_decided() -> None:
    @pipeline
    def branching(x: int = 5) -> Any:
        first = add(x)
        with when(first > 10):
            large = keep.options(name="large")(first)
            larger = keep.options(name="larger")(keep.options(name="next")(large))
        with otherwise():
            small = keep.options(name="small")(first)
        asked = keep.options(name="asked")(picky(1))
        joined = keep.options(name="joined", join="all_failed")(small)
        return choose(larger, small), asked, joined

    ended = run(branching)
    condition = "its condition does not hold: add > 10, where add is 6"
    assert ended.why("large").summary == condition
    assert ended.why("larger").summary == f"it depends, by way of others, on large, which was skipped: {condition}"
    assert ended.why("picky").summary == "the task itself asked to be skipped: not that one"
    assert ended.why("asked").summary == (
        "it depends on picky, which was skipped: the task itself asked to be skipped: not that one"
    )
    joined = ended.why("joined")
    assert joined.summary == "its join rule all_failed is not met"
    assert [(each.id, each.state) for each in joined.upstream] == [("small", "succeeded")]


def test_an_approval_tells_who_answered() -> None:
    ask = approval("Ship it?")

    @pipeline
    def asking() -> Any:
        return keep.options(after=ask())(1)

    paused = run(asking)
    approved = paused.approve("approval", by="ada", why="good enough")
    assert approved.why("approval").summary.startswith("ada approved it at 2")
    assert approved.why("approval").summary.endswith(": good enough")
    rejected = run(asking, cache=False).approve("approval", approved=False, by="ben")
    assert rejected.why("approval").summary == "ben rejected it"
    assert rejected.why("keep").summary == "it depends on approval, which was skipped: ben rejected it"


def test_what_a_body_caught_is_told() -> None:
    @pipeline
    def careful() -> Any:
        try:
            found = value_of(picky(2))
        except ValueError:
            found = add(0)
        return found

    explained = run(careful).why("picky")
    assert explained.summary == "it failed with ValueError: nor that one; the body of the pipeline went on after it"


def test_an_explanation_reads_well_at_a_prompt() -> None:
    first = run(one)
    explained = run(one, {"a": 2}).why("add")
    assert repr(explained).splitlines() == [
        f"add of run {explained.run_id}: succeeded",
        f"  it ran because parameter a changed since run {first.run_id}",
        "    parameter a: 1 -> 2",
    ]
    assert isinstance(explained, Explanation)
    with pytest.raises(NotFoundError, match="has no task 'ad'"):
        first.why("ad")
