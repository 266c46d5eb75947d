"""What the kernel answers where there is more than nodes in a row: rules, bodies, loops, streams, waits, fallbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from kernel_graphs import FAULT, PLACE, hit, mapped, missed, node, outputs, phases, started, succeeded

from penstock.kernel import VERSION, RunProgress, handle, outstanding
from penstock.kernel.invariants import validate
from penstock.model.action import PythonAction
from penstock.model.event import (
    Answered,
    AnyEvent,
    Asked,
    Broken,
    CancelRequested,
    Concluded,
    Deferred,
    Expanded,
    Expired,
    Failed,
    Fault,
    Grown,
    Handled,
    Hit,
    Lost,
    Returned,
    RunExpired,
    RunStarted,
    Skipped,
    Substituted,
    Woke,
    Yielded,
)
from penstock.model.expression import Apply, Constant, Ended, Item, Output, Parameter
from penstock.model.graph import Each, Fallback, Graph, Loop, Node, PipelineAction, Task
from penstock.model.instruction import (
    AnyInstruction,
    Check,
    Conclude,
    Delay,
    Expand,
    Finish,
    Grow,
    Ready,
    Settle,
    Stop,
    Substitute,
)
from penstock.model.policy import Policy, Resources, Retries, RunPolicy
from penstock.model.run import NodeState, RunState

SUCCEEDED, FAILED, CANCELLED = (Finish(state) for state in (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED))
PYTHON = PythonAction("pipeline", "function", PLACE)


def body(name: str, *nodes: Node, dynamic: bool = False) -> dict[str, Task]:
    return {name: Task(name, PipelineAction(nodes, PLACE, dynamic=dynamic), (), ())}


def run_of(*nodes: Node, tasks: dict[str, Task] | None = None, **fields: Any) -> RunProgress:
    return RunProgress(Graph("pipeline", (), tasks or {}, nodes, **fields))


def outer(name: str, **fields: Any) -> Node:
    return Node(name, name, {}, PLACE, **fields)


def over(source: str, name: str = "score", **fields: Any) -> Node:
    """A node that is mapped over all that another node puts out."""
    return Node(name, "task", {"x": Item("x")}, PLACE, each=Each({"x": Output(source)}), **fields)


def tell(run: RunProgress, *events: AnyEvent) -> list[AnyInstruction]:
    instructions = handle(run, *events)
    validate(run)
    return instructions


def done(name: str, item: int = -1) -> list[AnyEvent]:
    return [missed(name, item), started(name, item), succeeded(name, item)]


def lost(name: str, attempt: int) -> Failed:
    return Failed(name, -1, attempt, Fault("penstock.WorkerLostError", "gone", infrastructure=True))


def test_the_items_of_a_mapped_body_are_frames() -> None:
    run = run_of(outer("fold", each=Each({})), tasks=body("fold", node("fit"), node("score", "fit")))
    assert tell(run, RunStarted(VERSION)) == [Expand("fold")]
    assert tell(run, Expanded("fold", 2, ("a", "b"))) == [Check("fold[a]/fit", -1, 0), Check("fold[b]/fit", -1, 0)]
    assert tell(run, *done("fold[a]/fit"))[-1] == Check("fold[a]/score", -1, 0)
    assert tell(run, hit("fold[a]/score")) == [Conclude("fold", 0)]
    assert tell(run, Concluded("fold", 0, outputs(1))) == []
    assert tell(run, Broken("fold[b]/fit", -1, FAULT))[-2:] == [
        Settle("fold", 1, NodeState.FAILED, "fold[b]/fit failed"),
        FAILED,
    ]
    assert phases(run)["fold[b]/score"] == "UPSTREAM_FAILED"
    assert run.outputs("fold") is None


def test_a_body_without_nodes_is_concluded_at_once() -> None:
    run = run_of(outer("empty"), tasks=body("empty"))
    assert tell(run, RunStarted(VERSION)) == [Conclude("empty", -1)]
    assert tell(run, Concluded("empty", -1, outputs(1))) == [SUCCEEDED]
    assert run.outputs("empty") == outputs(1)


def test_frames_open_as_far_as_the_limit_allows() -> None:
    each = Each({}, max_parallel=1)
    run = run_of(outer("fold", each=each), tasks=body("fold", node("fit")))
    assert tell(run, RunStarted(VERSION), Expanded("fold", 2))[1:] == [Check("fold[0]/fit", -1, 0)]
    assert tell(run, hit("fold[0]/fit")) == [Conclude("fold", 0)]
    assert tell(run, Concluded("fold", 0, outputs())) == [Check("fold[1]/fit", -1, 0)]


def test_a_loop_has_nodes_for_each_turn() -> None:
    run = run_of(outer("search", loop=Loop(maximum=5)), tasks=body("search", node("fit")))
    assert tell(run, RunStarted(VERSION)) == [Check("search[0]/fit", -1, 0)]
    assert tell(run, hit("search[0]/fit")) == [Conclude("search", -1, 0)]
    assert tell(run, Concluded("search", -1, outputs(1), again=True)) == [Check("search[1]/fit", -1, 0)]
    assert run.nodes["search[1]/fit"].frame.previous == outputs(1)
    assert tell(run, hit("search[1]/fit")) == [Conclude("search", -1, 1)]
    assert tell(run, Concluded("search", -1, outputs(2))) == [SUCCEEDED]
    assert run.outputs("search") == outputs(2)


def test_a_result_that_cannot_be_computed_fails_the_node() -> None:
    run = run_of(outer("part"), tasks=body("part"))
    tell(run, RunStarted(VERSION))
    assert tell(run, Broken("part", -1, FAULT)) == [Settle("part", -1, NodeState.FAILED, "no luck", FAULT), FAILED]


def test_items_are_taken_over_one_by_one() -> None:
    run = run_of(mapped("fit"), over("fit"))
    tell(run, RunStarted(VERSION))
    assert tell(run, Expanded("fit", 3)) == [Expand("score"), Check("fit", 0, 3)]
    assert tell(run, Expanded("score", 3)) == []
    assert tell(run, *done("fit", 2))[-1] == Check("score", 2, 3)
    assert tell(run, hit("score", 2)) == []
    failure = tell(run, Broken("fit", 0, FAULT))
    assert failure[-1] == Settle("score", 0, NodeState.UPSTREAM_FAILED, "fit[0] failed")
    assert tell(run, hit("fit", 1)) == [Check("score", 1, 2)]
    assert tell(run, hit("score", 1)) == [FAILED]
    assert phases(run)["score"] == "UPSTREAM_FAILED"


def test_tolerated_failures_are_left_out_all_the_way() -> None:
    fit = Node("fit", "task", {"x": Item("x")}, PLACE, each=Each({}, failure_threshold=0.5))
    run = run_of(fit, over("fit"))
    tell(run, RunStarted(VERSION), Expanded("fit", 2), Expanded("score", 2))
    tell(run, Broken("fit", 0, FAULT), *done("fit", 1), *done("score", 1))
    assert phases(run)["fit"] == phases(run)["score"] == "SUCCEEDED"
    assert run.outputs("score") == [outputs()]


def test_what_a_generator_yields_is_mapped_over_meanwhile() -> None:
    tasks = {"pages": Task("pages", PYTHON, (), (), yields=True)}
    run = run_of(outer("pages"), over("pages"), tasks=tasks)
    tell(run, RunStarted(VERSION), missed("pages"), started("pages"))
    assert tell(run, Yielded("pages", -1, 1, 1, outputs(1)[0])) == [Expand("score")]
    assert tell(run, Expanded("score", 1, more=True)) == [Check("score", 0, 1)]
    assert tell(run, hit("score", 0)) == []
    assert tell(run, Yielded("pages", -1, 1, 2, outputs(2)[0])) == [Check("score", 1, 2)]
    assert tell(run, succeeded("pages")) == []
    assert tell(run, hit("score", 1)) == [SUCCEEDED]


def test_what_a_generator_yields_passes_through_one_fan_out_after_the_other() -> None:
    tasks = {"pages": Task("pages", PYTHON, (), (), yields=True)}
    run = run_of(outer("pages"), over("pages", "parse"), over("parse"), tasks=tasks)
    tell(run, RunStarted(VERSION), missed("pages"), started("pages"), Yielded("pages", -1, 1, 1, outputs(1)[0]))
    assert tell(run, Expanded("parse", 1, more=True)) == [Expand("score"), Check("parse", 0, 1)]
    assert tell(run, Expanded("score", 1, more=True)) == []
    assert tell(run, Yielded("pages", -1, 1, 2, outputs(2)[0])) == [Check("parse", 1, 2)]
    assert tell(run, hit("parse", 1)) == [Check("score", 1, 2)]
    assert tell(run, succeeded("pages"), hit("parse", 0)) == [Check("score", 0, 1)]
    assert tell(run, hit("score", 0), hit("score", 1)) == [SUCCEEDED]


def test_a_generator_that_is_repeated_yields_no_more_than_what_is_new() -> None:
    tasks = {"pages": Task("pages", PYTHON, (), (), yields=True)}
    policy = Policy(retries=Retries(count=1))
    run = run_of(outer("pages", policy=policy), over("pages"), tasks=tasks)
    tell(run, RunStarted(VERSION), missed("pages"), started("pages"), Yielded("pages", -1, 1, 1, outputs(1)[0]))
    tell(run, Expanded("score", 1, more=True), Failed("pages", -1, 1, FAULT), started("pages", attempt=2))
    assert tell(run, Yielded("pages", -1, 2, 1, outputs(1)[0])) == []
    assert tell(run, Yielded("pages", -1, 2, 2, outputs(2)[0])) == [Check("score", 1, 2)]


RULES = [
    ("all_failed", ["FAILED", "UPSTREAM_FAILED"], None),
    ("all_failed", ["FAILED", "CACHED"], "SKIPPED"),
    ("all_done", ["FAILED", "SKIPPED"], None),
    ("all_skipped", ["SKIPPED", "SKIPPED"], None),
    ("all_skipped", ["SKIPPED", "CACHED"], "SKIPPED"),
    ("one_success", ["FAILED", "FAILED"], "UPSTREAM_FAILED"),
    ("one_success", ["SKIPPED", "SKIPPED"], "SKIPPED"),
    ("one_failed", ["CACHED", "SKIPPED"], "SKIPPED"),
    ("one_done", ["SKIPPED", "SKIPPED"], "SKIPPED"),
    ("none_failed", ["CACHED", "SKIPPED"], None),
    ("none_failed", ["CACHED", "FAILED"], "UPSTREAM_FAILED"),
    ("none_skipped", ["FAILED", "CACHED"], None),
    ("none_skipped", ["SKIPPED", "CACHED"], "SKIPPED"),
    ("none_failed_min_one_success", ["SKIPPED", "CACHED"], None),
    ("none_failed_min_one_success", ["SKIPPED", "SKIPPED"], "SKIPPED"),
    ("none_failed_min_one_success", ["FAILED", "CACHED"], "UPSTREAM_FAILED"),
    (Apply("and", (Ended("a", ("failed",)), Apply("not", (Ended("b", ("failed",)),)))), ["FAILED", "SKIPPED"], None),
    (Ended("a", ("failed",)), ["CACHED", "FAILED"], "SKIPPED"),
]


@pytest.mark.parametrize(("rule", "ends", "state"), RULES)
def test_join_rules(rule: Any, ends: list[str], state: str | None) -> None:
    upstream = [
        node(name, "broken") if end == "UPSTREAM_FAILED" else node(name) for name, end in zip("ab", ends, strict=True)
    ]
    guarded = [
        msgspec.structs.replace(each, guard=Constant(False)) if end == "SKIPPED" else each
        for each, end in zip(upstream, ends, strict=True)
    ]
    run = run_of(node("broken"), *guarded, node("join", after=("a", "b"), join=rule))
    tell(run, RunStarted(VERSION), Broken("broken", -1, FAULT))
    ended: dict[str, Callable[[str], AnyEvent]] = {
        "CACHED": hit,
        "FAILED": lambda name: Broken(name, -1, FAULT),
        "SKIPPED": lambda name: Skipped(name, "no"),
    }
    for name, end in zip("ab", ends, strict=True):
        if end in ended:
            tell(run, ended[end](name))
    assert [phases(run)[name] for name in "ab"] == ends
    assert phases(run)["join"] == (state or "CHECKING")


@pytest.mark.parametrize("rule", ["one_success", "one_done", "always"])
def test_rules_that_do_not_wait_for_the_rest(rule: str) -> None:
    run = run_of(node("a"), node("b"), node("first", after=("a", "b"), join=rule))
    tell(run, RunStarted(VERSION), hit("a"))
    assert phases(run)["first"] == "CHECKING"
    assert phases(run)["b"] == "CHECKING"


def test_failures_that_do_not_decide() -> None:
    run = run_of(node("tidy", decides=False))
    assert tell(run, RunStarted(VERSION), Broken("tidy", -1, FAULT))[-1] == SUCCEEDED


def test_the_first_failure_may_end_the_run() -> None:
    run = run_of(node("a"), node("b"), node("c", "b"), policy=RunPolicy(on_failure="stop"))
    tell(run, RunStarted(VERSION), missed("b"), started("b"))
    ended = tell(run, Broken("a", -1, FAULT))
    assert Stop("b", -1, 1) in ended
    assert [each.node for each in ended if isinstance(each, Settle)] == ["a", "c"]
    assert tell(run, Failed("b", -1, 1, FAULT))[-1] == FAILED


def test_what_is_final_runs_in_a_cancelled_run() -> None:
    drop = node("drop", after=("train",), join=Ended("make", ("succeeded", "cached")), final=True, decides=False)
    run = run_of(node("make"), node("train", "make"), drop)
    tell(run, RunStarted(VERSION), hit("make"), missed("train"), started("train"))
    assert tell(run, CancelRequested("enough", stop=True)) == [Stop("train", -1, 1)]
    assert tell(run, Failed("train", -1, 1, FAULT))[-1] == Check("drop", -1, 0)
    assert tell(run, hit("drop")) == [CANCELLED]


def test_what_is_final_does_not_run_when_there_is_no_time_for_it() -> None:
    run = run_of(node("make"), node("drop", "make", final=True))
    tell(run, RunStarted(VERSION), CancelRequested("now", stop=True, final=False))
    assert phases(run) == {"make": "CANCELLED", "drop": "CANCELLED"}


def test_a_run_that_takes_too_long_fails() -> None:
    run = run_of(node("a"))
    tell(run, RunStarted(VERSION), missed("a"), started("a"))
    assert tell(run, RunExpired("it took longer than 5 s")) == [Stop("a", -1, 1)]
    assert tell(run, Failed("a", -1, 1, FAULT))[-1] == FAILED


def test_delays_grow_up_to_a_cap() -> None:
    retries = Retries(count=4, delays=(1.0, 2.0), factor=3.0, cap=10.0, jitter=0.1)
    run = run_of(outer("a", policy=Policy(retries=retries)))
    tell(run, RunStarted(VERSION), missed("a"), started("a"))
    delays: list[float] = []
    for attempt in range(1, 5):
        [delay] = tell(run, Failed("a", -1, attempt, FAULT))
        assert isinstance(delay, Delay)
        assert delay.jitter == 0.1
        delays.append(delay.seconds)
        tell(run, Woke("a", -1, attempt + 1), started("a", attempt=attempt + 1))
    assert delays == [1.0, 2.0, 6.0, 10.0]
    assert tell(run, Failed("a", -1, 5, FAULT)) == [FAILED]


@pytest.mark.parametrize(
    ("kinds", "retry", "again"),
    [
        (("builtins.ConnectionError", "builtins.OSError"), None, True),
        (("builtins.ValueError",), None, False),
        (("builtins.ValueError",), True, True),
        (("builtins.PermissionError", "builtins.OSError"), None, False),
        (("builtins.OSError",), False, False),
    ],
)
def test_only_some_failures_are_repeated(kinds: tuple[str, ...], retry: bool | None, again: bool) -> None:
    retries = Retries(count=3, on=("builtins.OSError",), never=("builtins.PermissionError",))
    run = run_of(outer("a", policy=Policy(retries=retries)))
    tell(run, RunStarted(VERSION), missed("a"), started("a"))
    fault = Fault("OSError", "no", kinds=kinds, retry=retry)
    assert tell(run, Failed("a", -1, 1, fault)) == [Ready("a", -1, 2) if again else FAILED]


def test_what_the_infrastructure_loses_is_counted_apart() -> None:
    run = run_of(outer("a", policy=Policy(retries=Retries(count=1, lost=2))))
    tell(run, RunStarted(VERSION), missed("a"), started("a"))
    assert tell(run, lost("a", 1)) == [Ready("a", -1, 2)]
    assert tell(run, started("a", attempt=2), Failed("a", -1, 2, FAULT)) == [Ready("a", -1, 3)]
    assert tell(run, started("a", attempt=3), lost("a", 3)) == [Ready("a", -1, 4)]
    assert tell(run, started("a", attempt=4), lost("a", 4)) == [FAILED]


def test_memory_is_doubled_up_to_its_cap() -> None:
    policy = Policy(resources=Resources(memory=100, memory_cap=300))
    run = run_of(outer("a", policy=policy))
    fault = Fault("MemoryError", "too much", cause="memory")
    tell(run, RunStarted(VERSION), missed("a"))
    limits: list[int] = []
    for attempt in (1, 2, 3):
        limits.append(run.nodes["a"].memory_of(-1))
        ended = tell(run, started("a", attempt=attempt), Failed("a", -1, attempt, fault))
    assert limits == [100, 200, 300]
    assert ended == [FAILED]


def test_a_fallback_task_takes_the_place() -> None:
    run = run_of(outer("a", fallback=Fallback(task="b")), node("next", "a"))
    tell(run, RunStarted(VERSION), missed("a"), started("a"))
    assert tell(run, Failed("a", -1, 1, FAULT)) == [Ready("a", -1, 2)]
    assert -1 in run.nodes["a"].fallen
    assert tell(run, started("a", attempt=2), succeeded("a", attempt=2)) == [Check("next", -1, 0)]


def test_a_fallback_value_takes_the_place() -> None:
    run = run_of(outer("a", fallback=Fallback()))
    tell(run, RunStarted(VERSION), missed("a"), started("a"))
    assert tell(run, Failed("a", -1, 1, FAULT)) == [Substitute("a", -1)]
    assert tell(run, Substituted("a", -1, outputs(9))) == [SUCCEEDED]
    assert run.outputs("a") == outputs(9)


def test_a_wait_is_put_off_and_asked_again() -> None:
    run = run_of(outer("there"))
    tell(run, RunStarted(VERSION), missed("there"), started("there"))
    assert tell(run, Deferred("there", -1, 1, 5.0)) == [Delay("there", -1, 1, 5.0)]
    assert tell(run, Woke("there", -1, 1)) == [Ready("there", -1, 1)]
    assert tell(run, started("there"), Deferred("there", -1, 1, 5.0)) == [Delay("there", -1, 1, 5.0)]
    timed_out = Settle("there", -1, NodeState.FAILED, "no luck", FAULT)
    assert tell(run, Expired("there", -1, FAULT)) == [timed_out, FAILED]


def test_a_result_may_come_from_elsewhere_while_an_attempt_is_queued() -> None:
    run = run_of(outer("a"), node("next", "a"))
    tell(run, RunStarted(VERSION), missed("a"), started("a"))
    assert tell(run, Returned("a", -1, 1)) == [Ready("a", -1, 1)]
    assert tell(run, Hit("a", -1, b"", outputs(5))) == [Check("next", -1, 0)]
    assert (phases(run)["a"], run.outputs("a")) == ("CACHED", outputs(5))


def test_a_result_from_elsewhere_makes_room_for_the_next_item() -> None:
    run = run_of(node("a", Item("element"), each=Each({"element": Parameter("elements")}, max_parallel=1)))
    tell(run, RunStarted(VERSION), Expanded("a", 2))
    assert tell(run, missed("a", 0), missed("a", 1)) == [Ready("a", 0, 1)]
    assert tell(run, Hit("a", 0, b"", outputs(5))) == [Ready("a", 1, 1)]


def test_an_approval_waits_for_its_answer() -> None:
    run = run_of(node("ask"), node("ship", "ask"))
    tell(run, RunStarted(VERSION))
    assert tell(run, Asked("ask", -1)) == []
    assert outstanding(run) == []
    assert tell(run, Answered("ask", -1, outputs(1))) == [Check("ship", -1, 0)]
    assert tell(run, Answered("ask", -1, outputs(2))) == []


def test_an_approval_that_is_refused_skips_what_follows() -> None:
    run = run_of(node("ask"), node("ship", "ask"))
    tell(run, RunStarted(VERSION), Asked("ask", -1), Skipped("ask", "refused by ada"))
    assert phases(run) == {"ask": "SKIPPED", "ship": "SKIPPED"}


def test_a_dynamic_run_ends_with_its_body() -> None:
    run = run_of(node("a"), dynamic_at=PLACE)
    assert tell(run, RunStarted(VERSION)) == [Grow(""), Check("a", -1, 0)]
    assert tell(run, hit("a")) == []
    assert tell(run, Grown("", (node("b", "a"),))) == [Check("b", -1, 0)]
    assert tell(run, hit("b")) == []
    assert tell(run, Grown("", ended=True, result=Output("b"))) == [SUCCEEDED]
    assert run.root.result == Output("b")


def test_a_failure_that_the_body_was_given_is_its_own_affair() -> None:
    run = run_of(node("a"), dynamic_at=PLACE, policy=RunPolicy(on_failure="stop"))
    tell(run, RunStarted(VERSION), Broken("a", -1, FAULT), Handled("a"))
    tell(run, Grown("", (node("b"),)), hit("b"))
    assert tell(run, Grown("", ended=True)) == [SUCCEEDED]


def test_what_the_body_raises_fails_the_run() -> None:
    run = run_of(node("a"), dynamic_at=PLACE)
    tell(run, RunStarted(VERSION))
    assert tell(run, Grown("", ended=True, fault=FAULT)) == []
    assert tell(run, hit("a")) == [FAILED]


def test_a_body_that_is_cut_short_leaves_a_cancelled_run() -> None:
    run = run_of(dynamic_at=PLACE)
    tell(run, RunStarted(VERSION), CancelRequested("enough"))
    assert tell(run, Grown("", ended=True)) == [CANCELLED]


def test_dynamic_bodies_inside() -> None:
    run = run_of(outer("fold", each=Each({})), tasks=body("fold", dynamic=True))
    assert tell(run, RunStarted(VERSION), Expanded("fold", 2)) == [Expand("fold"), Grow("fold[0]"), Grow("fold[1]")]
    assert tell(run, Grown("fold[1]", (node("fit"),), ended=True)) == [Check("fold[1]/fit", -1, 0)]
    assert tell(run, hit("fold[1]/fit")) == [Conclude("fold", 1)]
    assert tell(run, Grown("fold[0]", ended=True, fault=FAULT)) == [
        Settle("fold", 0, NodeState.FAILED, "no luck", FAULT)
    ]


def test_what_is_outstanding_after_a_crash() -> None:
    each = Each({}, max_parallel=1)
    nodes = [node("done"), node("late", retries=1, delay=4.0), mapped("fit"), outer("fold", each=each)]
    run = run_of(*nodes, node("up"), tasks=body("fold", node("in")))
    tell(run, RunStarted(VERSION), *done("done"), missed("late"), started("late"), Failed("late", -1, 1, FAULT))
    tell(run, Expanded("fit", 3), missed("fit", 0), started("fit", 0), missed("fit", 1), Expanded("fold", 2))
    tell(run, missed("up"))
    assert list(run.running()) == [("fit", 0, 1)]
    assert outstanding(run) == [
        Delay("late", -1, 2, 4.0),
        Ready("fit", 1, 1),
        Check("fit", 2, 3),
        Ready("up", -1, 1),
        Check("fold[0]/in", -1, 0),
    ]
    assert tell(run, Lost("fit", 0, 1)) == [Ready("fit", 0, 2)]
