"""What the kernel answers to what happens, step by step: each story is a graph, then events and instructions in turn."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from kernel_graphs import FAULT, hit, mapped, missed, node, outputs, phases, picture, run_of, started, succeeded

from penstock.kernel import VERSION, Phase, RunProgress, handle
from penstock.kernel.invariants import validate
from penstock.model.event import (
    AnyEvent,
    Broken,
    CancelRequested,
    Expanded,
    Failed,
    Returned,
    RunStarted,
    Skipped,
    Succeeded,
    Woke,
)
from penstock.model.expression import Choose, Constant, Output, Parameter, Sequence
from penstock.model.graph import Node
from penstock.model.instruction import AnyInstruction, Check, Delay, Expand, Finish, Ready, Settle, Stop
from penstock.model.run import NodeState, RunState

SUCCEEDED, FAILED, CANCELLED = (Finish(state) for state in (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED))
UP_FAILED = NodeState.UPSTREAM_FAILED

Step = tuple[list[AnyEvent], list[AnyInstruction]]


class Story(NamedTuple):
    name: str
    nodes: tuple[Node, ...]
    steps: list[Step]
    #: the phase of every node and item at the end
    end: dict[str, str]


def failed(node: str, item: int = -1, attempt: int = 1) -> Failed:
    return Failed(node, item, attempt, FAULT)


def through(name: str, *after: AnyInstruction) -> list[Step]:
    """The steps of a plain node that is checked, misses the cache, starts and succeeds."""
    return [
        ([missed(name)], [Ready(name, -1, 1)]),
        ([started(name)], []),
        ([succeeded(name)], list(after)),
    ]


def branches(*joined: Node) -> tuple[Node, ...]:
    """Two guarded branches, `left` and `right`, and what joins them."""
    return node("left", guard=Parameter("go")), node("right", guard=Parameter("go")), *joined


BOTH_EXPAND: Step = ([RunStarted(VERSION)], [Expand("left"), Expand("right")])
EITHER = Choose((Output("left"), Output("right")))
LEFT_RUNS: Step = ([Expanded("left", None)], [Check("left", -1, 0)])
RIGHT_SKIPPED: Step = ([Skipped("right", "no")], [Settle("right", -1, NodeState.SKIPPED, "no")])

ONE_NODE = [
    Story("nothing to do", (), [([RunStarted(VERSION)], [SUCCEEDED])], {}),
    Story(
        "success",
        (node("a"), node("b", "a")),
        [([RunStarted(VERSION)], [Check("a", -1, 0)]), *through("a", Check("b", -1, 0)), *through("b", SUCCEEDED)],
        {"a": "SUCCEEDED", "b": "SUCCEEDED"},
    ),
    Story(
        "cache hit",
        (node("a"), node("b", "a")),
        [
            ([RunStarted(VERSION)], [Check("a", -1, 0)]),
            ([hit("a")], [Check("b", -1, 0)]),
            ([hit("b")], [SUCCEEDED]),
        ],
        {"a": "CACHED", "b": "CACHED"},
    ),
    Story(
        "retry at once",
        (node("a", retries=1),),
        [
            ([RunStarted(VERSION), missed("a"), started("a")], [Check("a", -1, 0), Ready("a", -1, 1)]),
            ([failed("a")], [Ready("a", -1, 2)]),
            ([started("a", attempt=2)], []),
            ([succeeded("a", attempt=2)], [SUCCEEDED]),
        ],
        {"a": "SUCCEEDED"},
    ),
    Story(
        "retry after a delay",
        (node("a", retries=1, delay=2.5),),
        [
            ([RunStarted(VERSION), missed("a"), started("a")], [Check("a", -1, 0), Ready("a", -1, 1)]),
            ([failed("a")], [Delay("a", -1, 2, 2.5)]),
            ([Woke("a", -1, 2)], [Ready("a", -1, 2)]),
            ([started("a", attempt=2)], []),
            ([succeeded("a", attempt=2)], [SUCCEEDED]),
        ],
        {"a": "SUCCEEDED"},
    ),
    Story(
        "retries exhausted",
        (node("a", retries=1), node("b", "a"), node("c", "b")),
        [
            ([RunStarted(VERSION), missed("a"), started("a")], [Check("a", -1, 0), Ready("a", -1, 1)]),
            ([failed("a")], [Ready("a", -1, 2)]),
            ([started("a", attempt=2)], []),
            (
                [failed("a", attempt=2)],
                [
                    Settle("b", -1, UP_FAILED, "a failed"),
                    Settle("c", -1, UP_FAILED, "b was not reached"),
                    FAILED,
                ],
            ),
        ],
        {"a": "FAILED", "b": "UPSTREAM_FAILED", "c": "UPSTREAM_FAILED"},
    ),
    Story(
        "a failure leaves other branches alone",
        (node("a"), node("b"), node("c", "b")),
        [
            ([RunStarted(VERSION)], [Check("a", -1, 0), Check("b", -1, 0)]),
            ([missed("a"), started("a"), failed("a")], [Ready("a", -1, 1)]),
            ([hit("b")], [Check("c", -1, 0)]),
            *through("c", FAILED),
        ],
        {"a": "FAILED", "b": "CACHED", "c": "SUCCEEDED"},
    ),
    Story(
        "broken inputs",
        (node("a"), node("b", "a")),
        [
            ([RunStarted(VERSION)], [Check("a", -1, 0)]),
            (
                [Broken("a", -1, FAULT)],
                [
                    Settle("a", -1, NodeState.FAILED, "no luck", FAULT),
                    Settle("b", -1, UP_FAILED, "a failed"),
                    FAILED,
                ],
            ),
        ],
        {"a": "FAILED", "b": "UPSTREAM_FAILED"},
    ),
    Story(
        "an attempt that came back unstarted is no attempt",
        (node("a"),),
        [
            ([RunStarted(VERSION), missed("a"), started("a")], [Check("a", -1, 0), Ready("a", -1, 1)]),
            ([Returned("a", -1, 1)], [Ready("a", -1, 1)]),
            ([started("a")], []),
            ([Returned("a", -1, 1)], [Ready("a", -1, 1)]),
            ([started("a")], []),
            ([succeeded("a")], [SUCCEEDED]),
        ],
        {"a": "SUCCEEDED"},
    ),
    Story(
        "after waits, though no data flows",
        (node("a"), node("b", after=("a",))),
        [([RunStarted(VERSION)], [Check("a", -1, 0)]), ([hit("a")], [Check("b", -1, 0)]), ([hit("b")], [SUCCEEDED])],
        {"a": "CACHED", "b": "CACHED"},
    ),
]

BRANCHES = [
    Story(
        "a condition that holds",
        (node("a", guard=Parameter("go")),),
        [
            ([RunStarted(VERSION)], [Expand("a")]),
            ([Expanded("a", None)], [Check("a", -1, 0)]),
            ([hit("a")], [SUCCEEDED]),
        ],
        {"a": "CACHED"},
    ),
    Story(
        "a condition that does not hold skips what follows",
        (node("a", guard=Parameter("go")), node("b", "a"), node("c", after=("b",))),
        [
            ([RunStarted(VERSION)], [Expand("a")]),
            (
                [Skipped("a", "x > 1 does not hold")],
                [
                    Settle("a", -1, NodeState.SKIPPED, "x > 1 does not hold"),
                    Settle("b", -1, NodeState.SKIPPED, "a was skipped"),
                    Settle("c", -1, NodeState.SKIPPED, "b was skipped"),
                    SUCCEEDED,
                ],
            ),
        ],
        {"a": "SKIPPED", "b": "SKIPPED", "c": "SKIPPED"},
    ),
    Story(
        "a condition that cannot be computed",
        (node("a", guard=Parameter("go")),),
        [
            ([RunStarted(VERSION)], [Expand("a")]),
            ([Broken("a", -1, FAULT)], [Settle("a", -1, NodeState.FAILED, "no luck", FAULT), FAILED]),
        ],
        {"a": "FAILED"},
    ),
    Story(
        "a failure upstream weighs more than a skip",
        (node("a", guard=Parameter("go")), node("b"), node("c", "a", "b"), node("d", "b", "a")),
        [
            ([RunStarted(VERSION)], [Expand("a"), Check("b", -1, 0)]),
            ([Skipped("a", "no")], [Settle("a", -1, NodeState.SKIPPED, "no")]),
            (
                [Broken("b", -1, FAULT)],
                [
                    Settle("b", -1, NodeState.FAILED, "no luck", FAULT),
                    Settle("c", -1, UP_FAILED, "b failed"),
                    Settle("d", -1, UP_FAILED, "b failed"),
                    FAILED,
                ],
            ),
        ],
        {"a": "SKIPPED", "b": "FAILED", "c": "UPSTREAM_FAILED", "d": "UPSTREAM_FAILED"},
    ),
    Story(
        "choose: one branch skipped",
        branches(node("join", EITHER)),
        [BOTH_EXPAND, RIGHT_SKIPPED, LEFT_RUNS, ([hit("left")], [Check("join", -1, 0)]), ([hit("join")], [SUCCEEDED])],
        {"left": "CACHED", "right": "SKIPPED", "join": "CACHED"},
    ),
    Story(
        "choose: both branches skipped",
        branches(node("join", EITHER)),
        [
            BOTH_EXPAND,
            RIGHT_SKIPPED,
            (
                [Skipped("left", "no")],
                [
                    Settle("left", -1, NodeState.SKIPPED, "no"),
                    Settle("join", -1, NodeState.SKIPPED, "left was skipped"),
                    SUCCEEDED,
                ],
            ),
        ],
        {"left": "SKIPPED", "right": "SKIPPED", "join": "SKIPPED"},
    ),
    Story(
        "choose: the branch that was taken failed",
        branches(node("join", EITHER)),
        [
            BOTH_EXPAND,
            RIGHT_SKIPPED,
            LEFT_RUNS,
            (
                [Broken("left", -1, FAULT)],
                [
                    Settle("left", -1, NodeState.FAILED, "no luck", FAULT),
                    Settle("join", -1, UP_FAILED, "left failed"),
                    FAILED,
                ],
            ),
        ],
        {"left": "FAILED", "right": "SKIPPED", "join": "UPSTREAM_FAILED"},
    ),
    Story(
        "choose: one branch failed, the other ran",
        branches(node("join", EITHER)),
        [
            BOTH_EXPAND,
            LEFT_RUNS,
            ([Broken("right", -1, FAULT)], [Settle("right", -1, NodeState.FAILED, "no luck", FAULT)]),
            ([hit("left")], [Check("join", -1, 0)]),
            ([hit("join")], [FAILED]),
        ],
        {"left": "CACHED", "right": "FAILED", "join": "CACHED"},
    ),
    Story(
        "choose: a constant can always be had",
        branches(node("join", Choose((Output("left"), Constant(0))), after=("right",))),
        [
            BOTH_EXPAND,
            ([Skipped("left", "no")], [Settle("left", -1, NodeState.SKIPPED, "no")]),
            ([Expanded("right", None)], [Check("right", -1, 0)]),
            ([hit("right")], [Check("join", -1, 0)]),
            ([hit("join")], [SUCCEEDED]),
        ],
        {"left": "SKIPPED", "right": "CACHED", "join": "CACHED"},
    ),
    Story(
        "choose: an option of two nodes takes both",
        (
            *branches(),
            node("spare"),
            node("join", Choose((Sequence((Output("left"), Output("right"))), Output("spare")))),
        ),
        [
            ([RunStarted(VERSION)], [Expand("left"), Expand("right"), Check("spare", -1, 0)]),
            LEFT_RUNS,
            ([hit("left")], []),
            RIGHT_SKIPPED,
            (
                [Broken("spare", -1, FAULT)],
                [
                    Settle("spare", -1, NodeState.FAILED, "no luck", FAULT),
                    Settle("join", -1, UP_FAILED, "spare failed"),
                    FAILED,
                ],
            ),
        ],
        {"left": "CACHED", "right": "SKIPPED", "spare": "FAILED", "join": "UPSTREAM_FAILED"},
    ),
]

MAPPED = [
    Story(
        "items run on their own, and their node ends with the last",
        (mapped("a"), node("b", "a")),
        [
            ([RunStarted(VERSION)], [Expand("a")]),
            ([Expanded("a", 2)], [Check("a", 0, 2)]),
            ([missed("a", 1), missed("a", 0)], [Ready("a", 1, 1), Ready("a", 0, 1)]),
            ([started("a", 1), started("a", 0), succeeded("a", 1)], []),
            ([succeeded("a", 0)], [Check("b", -1, 0)]),
            ([hit("b")], [SUCCEEDED]),
        ],
        {"a": "SUCCEEDED", "a[0]": "SUCCEEDED", "a[1]": "SUCCEEDED", "b": "CACHED"},
    ),
    Story(
        "all items cached",
        (mapped("a"),),
        [
            ([RunStarted(VERSION)], [Expand("a")]),
            ([Expanded("a", 2), hit("a", 0), hit("a", 1)], [Check("a", 0, 2), SUCCEEDED]),
        ],
        {"a": "CACHED", "a[0]": "CACHED", "a[1]": "CACHED"},
    ),
    Story(
        "no items",
        (mapped("a"), node("b", "a")),
        [
            ([RunStarted(VERSION)], [Expand("a")]),
            (
                [Expanded("a", 0)],
                [Settle("a", -1, NodeState.SUCCEEDED, "there was nothing to map over"), Check("b", -1, 0)],
            ),
            ([hit("b")], [SUCCEEDED]),
        ],
        {"a": "SUCCEEDED", "b": "CACHED"},
    ),
    Story(
        "a failing item lets the others go on",
        (mapped("a", retries=1), node("b", "a")),
        [
            ([RunStarted(VERSION), Expanded("a", 3)], [Expand("a"), Check("a", 0, 3)]),
            ([missed("a", 0), started("a", 0), failed("a", 0)], [Ready("a", 0, 1), Ready("a", 0, 2)]),
            ([started("a", 0, 2), failed("a", 0, 2)], []),
            ([Broken("a", 1, FAULT)], [Settle("a", 1, NodeState.FAILED, "no luck", FAULT)]),
            ([missed("a", 2)], [Ready("a", 2, 1)]),
            ([started("a", 2)], []),
            ([succeeded("a", 2)], [Settle("b", -1, UP_FAILED, "a failed"), FAILED]),
        ],
        {"a": "FAILED", "a[0]": "FAILED", "a[1]": "FAILED", "a[2]": "SUCCEEDED", "b": "UPSTREAM_FAILED"},
    ),
    Story(
        "a skipped fan-out",
        (mapped("a", guard=Parameter("go")),),
        [
            ([RunStarted(VERSION)], [Expand("a")]),
            ([Skipped("a", "no")], [Settle("a", -1, NodeState.SKIPPED, "no"), SUCCEEDED]),
        ],
        {"a": "SKIPPED"},
    ),
]

CANCELLED_RUNS = [
    Story(
        "what runs goes on, and the rest ends",
        (node("a"), node("b"), node("c", "a")),
        [
            ([RunStarted(VERSION)], [Check("a", -1, 0), Check("b", -1, 0)]),
            ([missed("a"), started("a")], [Ready("a", -1, 1)]),
            (
                [CancelRequested("enough")],
                [Settle("b", -1, NodeState.CANCELLED, "enough"), Settle("c", -1, NodeState.CANCELLED, "enough")],
            ),
            ([missed("b")], []),
            ([succeeded("a")], [CANCELLED]),
        ],
        {"a": "SUCCEEDED", "b": "CANCELLED", "c": "CANCELLED"},
    ),
    Story(
        "what runs is stopped if asked for, also later",
        (node("a", retries=5), mapped("b")),
        [
            ([RunStarted(VERSION), Expanded("b", 2)], [Check("a", -1, 0), Expand("b"), Check("b", 0, 2)]),
            ([missed("a"), started("a", attempt=1)], [Ready("a", -1, 1)]),
            ([missed("b", 0), started("b", 0)], [Ready("b", 0, 1)]),
            ([CancelRequested("enough")], [Settle("b", 1, NodeState.CANCELLED, "enough")]),
            ([CancelRequested("now", stop=True)], [Stop("a", -1, 1), Stop("b", 0, 1)]),
            ([failed("a")], [Settle("a", -1, NodeState.CANCELLED, "now")]),
            ([Returned("b", 0, 1)], [Settle("b", 0, NodeState.CANCELLED, "now"), CANCELLED]),
        ],
        {"a": "CANCELLED", "b": "CANCELLED", "b[0]": "CANCELLED", "b[1]": "CANCELLED"},
    ),
    Story(
        "cancelled, though an item had failed",
        (mapped("a"),),
        [
            ([RunStarted(VERSION), Expanded("a", 2)], [Expand("a"), Check("a", 0, 2)]),
            ([Broken("a", 0, FAULT)], [Settle("a", 0, NodeState.FAILED, "no luck", FAULT)]),
            ([CancelRequested("enough")], [Settle("a", 1, NodeState.CANCELLED, "enough"), CANCELLED]),
        ],
        {"a": "FAILED", "a[0]": "FAILED", "a[1]": "CANCELLED"},
    ),
    Story(
        "too late to matter",
        (node("a"),),
        [
            ([RunStarted(VERSION), missed("a"), started("a")], [Check("a", -1, 0), Ready("a", -1, 1)]),
            ([CancelRequested("enough")], []),
            ([succeeded("a")], [SUCCEEDED]),
            ([CancelRequested("enough")], []),
        ],
        {"a": "SUCCEEDED"},
    ),
    Story(
        "a request overtakes what the same turn called for",
        (node("a", retries=1), node("b", retries=1), node("c"), node("d", "c")),
        [
            ([RunStarted(VERSION)], [Check("a", -1, 0), Check("b", -1, 0), Check("c", -1, 0)]),
            ([missed("a"), started("a"), missed("b"), started("b")], [Ready("a", -1, 1), Ready("b", -1, 1)]),
            (
                [failed("a"), Returned("b", -1, 1), hit("c"), CancelRequested("enough")],
                [*(Settle(name, -1, NodeState.CANCELLED, "enough") for name in "abd"), CANCELLED],
            ),
        ],
        {"a": "CANCELLED", "b": "CANCELLED", "c": "CACHED", "d": "CANCELLED"},
    ),
    Story(
        "before the start",
        (node("a"), node("b", "a")),
        [
            (
                [CancelRequested("never mind")],
                [*(Settle(name, -1, NodeState.CANCELLED, "never mind") for name in "ab"), CANCELLED],
            ),
            ([RunStarted(VERSION)], []),
        ],
        {"a": "CANCELLED", "b": "CANCELLED"},
    ),
]

STORIES = [*ONE_NODE, *BRANCHES, *MAPPED, *CANCELLED_RUNS]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_story(story: Story) -> None:
    run = run_of(*story.nodes)
    for events, instructions in story.steps:
        assert handle(run, *events) == instructions
        validate(run)
    assert phases(run) == story.end


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_events_make_the_same_run_in_one_call_as_in_many(story: Story) -> None:
    events = [event for step, _ in story.steps for event in step]
    together, apart = run_of(*story.nodes), run_of(*story.nodes)
    handle(together, *events)
    for event in events:
        handle(apart, event)
        validate(apart)
    assert picture(together) == picture(apart)
    assert phases(together) == story.end


LATE: list[AnyEvent] = [succeeded("a"), failed("a"), Returned("a", -1, 1)]


def running_again(delay: float) -> RunProgress:
    """A run whose only node has failed once."""
    run = run_of(node("a", retries=2, delay=delay), node("b", "a"))
    handle(run, RunStarted(VERSION), missed("a"), started("a"), failed("a"))
    return run


@pytest.mark.parametrize("late", LATE, ids=lambda event: type(event).__name__)
@pytest.mark.parametrize(
    ("delay", "then", "phase"),
    [
        (0.0, [], Phase.QUEUED),
        (9.0, [], Phase.DELAYED),
        (0.0, [started("a", attempt=2)], Phase.RUNNING),
        (0.0, [started("a", attempt=2), Succeeded("a", -1, 2, outputs(5))], Phase.SUCCEEDED),
        (0.0, [started("a", attempt=2), failed("a", attempt=2), CancelRequested("enough")], Phase.CANCELLED),
    ],
)
def test_a_late_report_changes_nothing(late: AnyEvent, delay: float, then: list[AnyEvent], phase: Phase) -> None:
    run = running_again(delay)
    handle(run, *then)
    assert run.nodes["a"].phase is phase
    before = picture(run)
    assert handle(run, late) == []
    assert picture(run) == before
    validate(run)


def test_outputs_are_those_of_the_attempt_that_counted() -> None:
    run = running_again(0.0)
    handle(run, started("a", attempt=2), succeeded("a", attempt=2, seed=2), succeeded("a", attempt=1, seed=1))
    assert run.outputs("a") == outputs(2)
    assert run.outputs("b") is None
    assert (run.ran("a"), run.ran("b")) == (True, False)


def test_outputs_of_a_fan_out_come_in_the_order_of_its_items() -> None:
    run = run_of(mapped("a"), mapped("none"))
    handle(run, RunStarted(VERSION), Expanded("a", 3), Expanded("none", 0))
    handle(run, hit("a", 2, seed=2), hit("a", 0, seed=0))
    assert run.outputs("a") is None
    handle(run, hit("a", 1, seed=1))
    assert run.outputs("a") == [outputs(0), outputs(1), outputs(2)]
    assert run.outputs("none") == []


def test_running_lists_what_executors_have() -> None:
    run = run_of(node("a", retries=1), mapped("b"), node("c"))
    handle(run, RunStarted(VERSION), Expanded("b", 3), missed("a"), started("a"), failed("a"), started("a", attempt=2))
    handle(run, missed("b", 1), started("b", 1), missed("b", 2), hit("b", 0))
    assert list(run.running()) == [("a", -1, 2), ("b", 1, 1)]
