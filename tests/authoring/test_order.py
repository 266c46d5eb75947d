"""Order without data, join rules, scopes and exit handlers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from refusals import in_body, refusal

from penstock import (
    Outcome,
    Pipeline,
    chain,
    cross,
    done,
    failed,
    on_exit,
    outcome,
    pipeline,
    scope,
    skipped,
    succeeded,
    task,
    when,
)
from penstock.model import expression
from penstock.model.expression import Apply, Ended
from penstock.model.graph import RULES, Node
from penstock.model.run import ENDED

DONE = tuple(sorted(ENDED))
GOOD = ("cached", "succeeded")
BAD = ("failed", "upstream_failed")


@task(cache=False)
def step(x: Any = None, say: str = "") -> Any:
    if say == "fail":
        raise ValueError("no")
    return x


def steps(names: str) -> list[Any]:
    return [step.options(name=name)() for name in names]


def nodes_of(body: Any) -> dict[str, Node]:
    return {node.id: node for node in pipeline(body).graph().nodes}


def after(body: Any) -> dict[str, set[str]]:
    return {name: set(node.after) for name, node in nodes_of(body).items() if node.after}


def states(pipe: Pipeline[..., Any]) -> dict[str, str]:
    return {each.id: each.state for each in pipe.options(executor="inline").run().tasks}


def test_operators() -> None:
    def body() -> None:
        a, b, c, d, e = steps("abcde")
        _ = a >> [b, c] >> d
        _ = [a, b] >> e
        _ = e << c
        _ = [d] << e

    assert after(body) == {"b": {"a"}, "c": {"a"}, "d": {"b", "c", "e"}, "e": {"a", "b", "c"}}


def test_methods() -> None:
    def body() -> None:
        a, b, c = steps("abc")
        assert c.after(a, b) is c
        assert a.before(b) is a

    assert after(body) == {"b": {"a"}, "c": {"a", "b"}}


def test_chains() -> None:
    def body() -> None:
        a, b, c, d, e, f = steps("abcdef")
        chain(a, [b, c], [d, e], f)

    assert after(body) == {"b": {"a"}, "c": {"a"}, "d": {"b"}, "e": {"c"}, "f": {"d", "e"}}


def test_cross_products() -> None:
    def body() -> None:
        a, b, c, d = steps("abcd")
        cross([a, b], [c, d])

    assert after(body) == {"c": {"a", "b"}, "d": {"a", "b"}}


def test_what_comes_before_runs_before() -> None:
    order: list[str] = []

    @task(cache=False)
    def note(name: str) -> Any:
        order.append(name)

    @pipeline
    def pipe() -> None:
        first, second = note.options(name="x")("first"), note("second")
        _ = second >> first

    assert states(pipe) == {"note": "succeeded", "x": "succeeded"}
    assert order == ["second", "first"]


@pytest.mark.parametrize("rule", RULES)
def test_rules_by_name(rule: str) -> None:
    node = nodes_of(lambda: step.options(join=rule)(step()))["step-2"]
    assert node.join == rule


def test_expressions_over_states() -> None:
    def body() -> None:
        a, b, c = steps("abc")
        step.options(name="last", join=(succeeded(a) & ~failed(b)) | skipped(c) | done(c))()

    left = Apply("and", (Ended("a", GOOD), Apply("not", (Ended("b", BAD),))))
    either = Apply("or", (left, Ended("c", ("skipped",))))
    node = nodes_of(body)["last"]
    assert node.join == Apply("or", (either, Ended("c", DONE)))
    assert node.upstream() == ("a", "b", "c")


def test_how_a_join_decides() -> None:
    @pipeline
    def pipe() -> None:
        good, bad = step.options(name="good")(), step.options(name="bad")(say="fail")
        step.options(name="both", join=succeeded(good) & failed(bad))()
        step.options(name="neither", join=failed(good) | succeeded(bad))()
        step.options(name="anyhow", join="all_done")([good, bad])

    found = states(pipe)
    assert found == {
        "good": "succeeded",
        "bad": "failed",
        "both": "succeeded",
        "neither": "skipped",
        "anyhow": "succeeded",
    }


@task(cache=False)
def tell(how: Outcome) -> str:
    return f"{how.state} {how.succeeded} {[failure.task for failure in how.failures]} {list(how.skipped)}"


def test_an_outcome_is_a_value() -> None:
    @pipeline
    def pipe() -> str:
        good, bad = step.options(name="good")(), step.options(name="bad")(say="fail")
        after_bad = step.options(name="after")(bad)
        return tell(outcome(good, bad, after_bad))

    node = pipe.graph().nodes[-1]
    assert node.bindings == {"how": expression.Outcome(("good", "bad", "after"))}
    ended = pipe.options(executor="inline").run()
    assert ended.state == "failed"
    assert ended.task("tell").output == "failed 1 ['bad'] ['after']"


# Scopes.


@task(cache=False)
def up(n: int) -> str:
    return f"cluster of {n}"


@task(cache=False)
def down(handle: str) -> None: ...


@scope
def cluster(n: int) -> Any:
    handle = up(n)
    yield handle
    down(handle)


def test_a_scope() -> None:
    def body() -> None:
        with cluster(3) as handle:
            a = step.options(name="a")(handle)
            step.options(name="b")()
            step.options(name="c")(a)
        step.options(name="outside")()

    nodes = nodes_of(body)
    assert (nodes["a"].after, nodes["b"].after, nodes["c"].after) == ((), ("up",), ())
    assert nodes["outside"].after == () and not nodes["outside"].final
    teardown = nodes["down"]
    assert (teardown.final, teardown.decides) == (True, False)
    assert set(teardown.upstream()) == {"up", "a", "b", "c"}
    assert isinstance(teardown.join, Apply)
    assert teardown.join.arguments[0] == Ended("up", GOOD)


@pytest.mark.parametrize("say", ["", "fail"])
def test_what_was_set_up_is_taken_down(say: str) -> None:
    @pipeline
    def pipe() -> None:
        with cluster(3) as handle:
            inside = step.options(name="inside")(handle, say)
            step.options(name="then")(inside)

    found = states(pipe)
    assert found["down"] == "succeeded"
    assert found["then"] == ("upstream_failed" if say else "succeeded")


def test_what_could_not_be_set_up_is_not_taken_down() -> None:
    @scope
    def odd() -> Any:
        handle = step.options(name="setup")(say="fail")
        yield handle
        down(handle)

    @pipeline
    def pipe() -> None:
        with odd() as handle:
            step.options(name="inside")(handle)

    assert states(pipe) == {"setup": "failed", "inside": "upstream_failed", "down": "skipped"}


def test_a_teardown_decides_nothing() -> None:
    @scope
    def odd() -> Any:
        yield
        step.options(name="teardown")(say="fail")

    @pipeline
    def pipe() -> Any:
        with odd():
            return step.options(name="inside")(1)

    ended = pipe.options(executor="inline").run()
    assert (ended.state, ended.result, ended.task("teardown").state) == ("succeeded", 1, "failed")


def test_scopes_in_scopes_are_taken_down_from_within() -> None:
    def body() -> None:
        with cluster(1), cluster(2):
            step()

    nodes = nodes_of(body)
    assert set(nodes["down"].upstream()) == {"up-2", "step"}
    assert set(nodes["down-2"].upstream()) == {"up", "up-2", "step", "down"}
    assert nodes["up-2"].after == ("up",)


def test_a_scope_outside_a_pipeline_is_a_context_manager() -> None:
    seen: list[str] = []

    @scope
    def here(name: str) -> Any:
        seen.append(f"up {name}")
        yield name
        seen.append(f"down {name}")

    with pytest.raises(ZeroDivisionError), here("x") as name:
        seen.append(name)
        _ = 1 / 0
    assert seen == ["up x", "x", "down x"]


def test_what_was_set_up_is_taken_down_though_the_body_raised() -> None:
    @pipeline
    def pipe() -> None:
        try:
            with cluster(1):
                step()
                _ = 1 / 0
        except ZeroDivisionError:
            step.options(name="rescue")()

    assert states(pipe) == dict.fromkeys(["up", "step", "down", "rescue"], "succeeded")


@pytest.mark.parametrize("say", ["", "fail"])
def test_exit_handlers_see_how_it_went(say: str) -> None:
    seen: list[Any] = []

    def plain() -> None:
        seen.append("plain")

    @task(cache=False)
    def notify(how: Outcome) -> None:
        seen.append((how.state, how.succeeded, len(how.failures)))

    @pipeline
    def pipe() -> None:
        first = step.options(name="first")()
        with on_exit(notify, plain):
            step.options(name="second")(first, say)

    ended = pipe.options(executor="inline").run()
    assert set(seen) == {"plain", ("failed", 0, 1) if say else ("succeeded", 1, 0)}
    nodes = {node.id: node for node in pipe.graph().nodes}
    assert nodes["notify"].bindings == {"how": expression.Outcome(("second",))}
    assert (nodes["plain"].after, nodes["plain"].join, nodes["plain"].final) == (("second",), "all_done", True)
    assert ended.state == ("failed" if say else "succeeded")


def test_an_exit_handler_of_a_pipeline() -> None:
    @pipeline(on_exit=tell)
    def pipe() -> Any:
        return step.options(name="a")(2), step.options(name="b")(3)

    ended = pipe.options(executor="inline").run()
    assert (ended.result, ended.task("tell").output) == ((2, 3), "succeeded 2 [] []")


def test_a_scope_in_a_branch_that_is_not_taken() -> None:
    @pipeline
    def pipe() -> None:
        with when(step(1) > 3), cluster(1) as handle:
            step.options(name="inside")(handle)

    assert states(pipe) == {"step": "succeeded", "up": "skipped", "inside": "skipped", "down": "skipped"}


def test_a_scope_in_a_body() -> None:
    @pipeline
    def part(x: int) -> Any:
        with cluster(x) as handle:
            return step.options(name="inside")(handle)

    @pipeline
    def pipe() -> Any:
        return part.map([1, 2])

    ended = pipe.options(executor="inline").run()
    assert ended.result == ["cluster of 1", "cluster of 2"]
    assert ended.task("part[1]/down").state == "succeeded"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["load() >> 3  #!"], "only the results of tasks, and groups, can be put in order, and this is 3"),
        (["a, b = load(), load()", "chain([a, b], [a])  #!"], r"takes two lists in a row in pairs, and they have 2 and 1"),
        (["a = load()", "b = count(a)  #!", "b >> a", "return b"], "wait for each other in a circle"),
        (["with on_exit(3):  #!", "    load()"], "an exit handler has to be a task or a function, not 3"),
        (["with on_exit(add):  #!", "    load()"], r"takes an Outcome, or nothing, and add\(x: int, y: int\) -> int takes more"),
        (["@scope  #!", "def plain(): ...", "load()"], r"@scope needs a generator function, and plain\(\) is none: it does not yield"),
    ],
)  # fmt: skip
def test_mistakes(lines: list[str], message: str, project: Path) -> None:
    error = refusal(in_body(*lines), project)
    assert re.search(message, error.what), error.what


def test_a_scope_that_does_not_yield_once(project: Path) -> None:
    source = "\n@scope  #!\ndef twice():\n    yield 1\n    yield 2\n"
    error = refusal(source + in_body("with twice():", "    load()"), project)
    assert "the scope twice() has to yield exactly once" in error.what


def test_a_part_of_a_result_cannot_wait(project: Path) -> None:
    error = refusal(in_body("a = load()", "load() >> a[0]  #!"), project)
    assert "only the result of a task can wait for others, not load[0]" in error.what
