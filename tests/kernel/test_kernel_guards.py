"""What a branch leaves out is skipped, whatever has failed before it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from kernel_graphs import FAULT, PLACE, hit, mapped, node, phases, picture

from penstock.kernel import VERSION, RunProgress, handle, outstanding
from penstock.kernel.invariants import validate
from penstock.model.event import AnyEvent, Broken, CancelRequested, Expanded, Grown, RunStarted, Skipped
from penstock.model.expression import Apply, Choose, Constant, Ended, Expression, Item, Output, Parameter
from penstock.model.graph import Each, Graph, Loop, Node, PipelineAction, Task
from penstock.model.instruction import AnyInstruction, Check, Conclude, Decide, Expand, Finish, Grow, Settle
from penstock.model.policy import RunPolicy
from penstock.model.run import NodeState, RunState

FAILED = Finish(RunState.FAILED)
NO = "the condition does not hold"
BROKEN, CHOSEN = Broken("load", -1, FAULT), hit("choose")
#: two nodes, and one that a branch on the first of them may leave out, and that needs the second
CHOOSE, LOAD = node("choose"), node("load")
CHOICE = Output("choose")


def fit(guard: Expression = CHOICE, **fields: Any) -> Node:
    return node("fit", "load", guard=guard, **fields)


def run_of(*nodes: Node, tasks: dict[str, Task] | None = None, version: int = VERSION, **fields: Any) -> RunProgress:
    run = RunProgress(Graph("pipeline", (), tasks or {}, nodes, **fields))
    tell(run, RunStarted(version))
    return run


def tell(run: RunProgress, *events: AnyEvent) -> list[AnyInstruction]:
    instructions = handle(run, *events)
    validate(run)
    return instructions


def settled(node: str, state: NodeState, reason: str) -> Settle:
    return Settle(node, -1, state, reason)


def skipped(node: str = "fit", reason: str = NO) -> Settle:
    return settled(node, NodeState.SKIPPED, reason)


def not_reached(node: str = "fit", reason: str = "load failed") -> Settle:
    return settled(node, NodeState.UPSTREAM_FAILED, reason)


@pytest.mark.parametrize("order", [(BROKEN, CHOSEN), (CHOSEN, BROKEN)], ids=["failure first", "failure last"])
def test_what_is_left_out_is_skipped_though_what_it_needs_has_failed(order: tuple[AnyEvent, AnyEvent]) -> None:
    run = run_of(CHOOSE, LOAD, fit(), node("after", "fit"))
    first, second = order
    assert Decide("fit") not in tell(run, first)
    assert run.nodes["fit"].phase.name == "PENDING"
    assert tell(run, second)[-1] == Decide("fit")
    assert tell(run, Skipped("fit", NO)) == [skipped(), skipped("after", "fit was skipped"), FAILED]


@pytest.mark.parametrize("order", [(BROKEN, CHOSEN), (CHOSEN, BROKEN)], ids=["failure first", "failure last"])
def test_what_is_chosen_is_not_reached_where_what_it_needs_has_failed(order: tuple[AnyEvent, AnyEvent]) -> None:
    run = run_of(CHOOSE, LOAD, fit(), node("after", "fit"))
    tell(run, *order)
    after = not_reached("after", "fit was not reached")
    assert tell(run, Expanded("fit", None)) == [not_reached(), after, FAILED]


def test_a_condition_that_breaks_fails_its_node_as_it_does_elsewhere() -> None:
    run = run_of(CHOOSE, LOAD, fit())
    tell(run, BROKEN, CHOSEN)
    assert tell(run, Broken("fit", -1, FAULT)) == [Settle("fit", -1, NodeState.FAILED, "no luck", FAULT), FAILED]


@pytest.mark.parametrize(
    ("guard", "answer"),
    [
        (Output("load"), not_reached()),
        (Apply("not", (Output("load"),)), not_reached()),
        (Apply("gt", (Output("load"), Output("choose"))), not_reached()),
        (Apply("and", (Output("load"), Output("choose"))), Decide("fit")),
        (Apply("or", (Output("choose"), Output("load"))), Decide("fit")),
        (Apply("not", (Apply("and", (Output("choose"), Output("load"))),)), Decide("fit")),
        (Choose((Output("load"), Constant(False))), Decide("fit")),
        (Ended("load", ("succeeded",)), Decide("fit")),
        (Parameter("go"), Decide("fit")),
    ],
    ids=str,
)
def test_only_a_condition_of_which_something_is_known_is_looked_at(guard: Expression, answer: AnyInstruction) -> None:
    run = run_of(CHOOSE, LOAD, fit(guard))
    assert tell(run, CHOSEN, BROKEN)[-1 if isinstance(answer, Decide) else -2] == answer


def test_a_condition_on_what_was_skipped_is_not_known() -> None:
    run = run_of(LOAD, node("choose", guard=Parameter("go")), fit())
    assert tell(run, Skipped("choose", NO), BROKEN)[1:] == [
        Settle("load", -1, NodeState.FAILED, "no luck", FAULT),
        not_reached(),
        FAILED,
    ]


def test_what_would_be_skipped_in_any_case_has_no_condition_looked_at() -> None:
    run = run_of(CHOOSE, node("load", guard=Parameter("go")), fit())
    tell(run, CHOSEN)
    assert tell(run, Skipped("load", NO))[1] == skipped(reason="load was skipped")


@pytest.mark.parametrize("rule", ["all_success", "none_failed", "one_success", "none_failed_min_one_success"])
def test_rules_that_pass_failures_on_come_after_the_condition(rule: str) -> None:
    run = run_of(node("choose"), LOAD, node("fit", after=("load",), guard=Parameter("go"), join=rule))
    assert tell(run, BROKEN)[-1] == Decide("fit")
    assert tell(run, Skipped("fit", NO)) == [skipped()]


@pytest.mark.parametrize("rule", ["one_success", "one_done", "always"])
def test_a_node_that_need_not_wait_for_all_waits_for_its_condition(rule: str) -> None:
    run = run_of(CHOOSE, LOAD, node("slow"), node("fit", after=("load", "slow"), guard=Output("choose"), join=rule))
    assert tell(run, hit("load")) == []
    assert tell(run, CHOSEN) == [Expand("fit")]
    assert tell(run, Skipped("fit", NO)) == [skipped()]


def test_one_that_starts_with_the_first_failure_waits_for_its_condition_too() -> None:
    run = run_of(
        CHOOSE, LOAD, node("slow"), node("fit", after=("load", "slow"), guard=Output("choose"), join="one_failed")
    )
    tell(run, BROKEN)
    assert tell(run, CHOSEN) == [Expand("fit")]
    assert tell(run, Expanded("fit", None)) == [Check("fit", -1, 0)]


def test_a_fan_out_and_a_body_are_left_out_as_a_whole() -> None:
    tasks = {"inner": Task("inner", PipelineAction((node("deep"),), PLACE), (), ())}
    body = Node("body", "inner", {"x": Output("load")}, PLACE, guard=Output("choose"))
    loop = Node("loop", "inner", {"x": Output("load")}, PLACE, guard=Output("choose"), loop=Loop(maximum=2))
    each = Node("each", "inner", {"x": Item("x")}, PLACE, guard=Output("choose"), each=Each({"x": Output("load")}))
    names = ("many", "body", "loop", "each")
    run = run_of(CHOOSE, LOAD, mapped("many", "load", guard=Output("choose")), body, loop, each, tasks=tasks)
    assert tell(run, CHOSEN, BROKEN)[1:] == [Decide(name) for name in names]
    assert tell(run, *(Skipped(name, NO) for name in names)) == [*(skipped(name) for name in names), FAILED]
    assert "body/deep" not in run.nodes


def test_in_a_body_too() -> None:
    inner = (CHOOSE, node("load"), node("fit", "load", guard=Output("choose")))
    tasks = {"inner": Task("inner", PipelineAction(inner, PLACE), (), ())}
    run = run_of(Node("fold", "inner", {}, PLACE, each=Each({})), tasks=tasks)
    tell(run, Expanded("fold", 2))
    assert tell(run, hit("fold[1]/choose"), Broken("fold[1]/load", -1, FAULT))[-1] == Decide("fold[1]/fit")
    tell(run, Skipped("fold[1]/fit", NO))
    done = [hit(f"fold[0]/{name}") for name in ("choose", "load")]
    assert tell(run, *done, Expanded("fold[0]/fit", None), hit("fold[0]/fit"))[-1] == Conclude("fold", 0)


def test_what_a_dynamic_body_calls_late() -> None:
    run = run_of(dynamic_at=PLACE)
    assert tell(run, Grown("", (CHOOSE, LOAD)), BROKEN, CHOSEN)[-1] == Settle(
        "load", -1, NodeState.FAILED, "no luck", FAULT
    )
    assert tell(run, Grown("", (fit(),), ended=True)) == [Decide("fit")]
    assert tell(run, Skipped("fit", NO)) == [skipped(), FAILED]


@pytest.mark.parametrize("answer", [Expanded("fit", None), Skipped("fit", NO), Broken("fit", -1, FAULT)], ids=str)
def test_cancelled_while_it_is_decided(answer: AnyEvent) -> None:
    run = run_of(CHOOSE, LOAD, fit())
    tell(run, CHOSEN, BROKEN)
    assert tell(run, CancelRequested("enough"))[0] == settled("fit", NodeState.CANCELLED, "enough")
    assert tell(run, answer) == []
    assert phases(run)["fit"] == "CANCELLED"


def test_a_teardown_in_a_run_that_is_cancelled() -> None:
    run = run_of(CHOOSE, LOAD, fit(final=True))
    assert tell(run, CHOSEN, CancelRequested("enough")) == [
        settled("load", NodeState.CANCELLED, "enough"),
        Decide("fit"),
    ]
    assert tell(run, Skipped("fit", NO)) == [skipped(), Finish(RunState.CANCELLED)]


def test_a_run_that_ends_with_the_first_failure_leaves_nothing_to_decide() -> None:
    run = run_of(CHOOSE, LOAD, fit(), policy=RunPolicy(on_failure="stop"))
    tell(run, CHOSEN)
    reason = "the run ends with the first failure: load failed"
    assert tell(run, BROKEN)[1:] == [settled("fit", NodeState.CANCELLED, reason), FAILED]


def test_a_driver_that_takes_over_decides_what_the_last_one_has_not() -> None:
    run = run_of(CHOOSE, LOAD, fit())
    tell(run, CHOSEN, BROKEN)
    assert outstanding(run) == [Decide("fit")]
    assert outstanding(run_of(node("fit"), dynamic_at=PLACE)) == [Grow(""), Check("fit", -1, 0)]


def test_a_journal_of_before_tells_what_it_told_then() -> None:
    """Runs that were begun by the earlier rules have no answer to this question, and go on by those rules."""
    early = node("early", after=("choose", "load"), guard=Output("slow"), join="always")
    run = run_of(CHOOSE, LOAD, node("slow"), fit(), early, version=1)
    assert tell(run, CHOSEN) == []
    assert run.nodes["early"].phase.name == "EXPANDING"
    assert tell(run, BROKEN)[1:] == [not_reached()]
    again = RunProgress(run.graph)
    written = msgspec.json.decode(b'["run-started"]', type=RunStarted)
    handle(again, written, CHOSEN, BROKEN)
    assert picture(again) == picture(run)
