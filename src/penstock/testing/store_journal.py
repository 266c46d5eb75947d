"""What a store has to do with what happens in a run: events of every kind, and nodes that appear on the way."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from penstock.errors import LeaseLostError, NotFoundError, StoreError
from penstock.model.action import ApprovalAction, Catch, CommandAction, ContainerAction, Environment, Field
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
    Missed,
    Returned,
    RunExpired,
    RunStarted,
    Skipped,
    Started,
    Substituted,
    Succeeded,
    Woke,
    Yielded,
)
from penstock.model.expression import (
    Apply,
    Choose,
    Constant,
    Ended,
    Expression,
    Get,
    Input,
    Item,
    Mapping,
    Outcome,
    Output,
    Parameter,
    Sequence,
    Stored,
)
from penstock.model.graph import Each, Fallback, Graph, Loop, Node, PipelineAction, Port, Task, Wait, from_json
from penstock.model.place import Location
from penstock.model.policy import Policy, Resources, Retries, Timeouts
from penstock.model.run import RunState
from penstock.model.value import Collection, Record, Selection
from penstock.ports import Store
from penstock.testing.records import FAULT, TEXT, artifact, fingerprint, graph, provenance, result, run_record, turn
from penstock.testing.store_case import StoreCase

PLACE = Location("pipeline.py", 7)

PARTS = (
    artifact(1),
    artifact(2, blob=True),
    Collection("dict", (artifact(3), Collection("list", ())), ("a", TEXT)),
    Record("module:Pair", ("x",), (Selection(artifact(3), "key"),)),
    Selection(artifact(3), -1, attribute=True),
)

#: one of each form, some of them in others
EXPRESSION: Expression = Mapping(
    {
        TEXT: Sequence((Constant({"a": [1, 2.5, None, TEXT, True]}), Stored(artifact(1)), Parameter("p")), "tuple"),
        "b": Choose((Output("a", "port"), Get(Output("b"), 3), Get(Input("x"), "name", attribute=True))),
        "c": Apply("and", (Ended("a", ("failed", "skipped")), Apply("not", (Item("x"),)))),
        "d": Outcome(("a", "b")),
    }
)

FULL = Node(
    "full",
    "fit",
    {"x": EXPRESSION, "y": Constant(None)},
    PLACE,
    Policy(
        retries=Retries(3, (1.0, 2.5), 2.0, 60.0, 0.1, ("builtins.OSError",), ("builtins.ValueError",), 5),
        timeouts=Timeouts(1.0, 2.0, 3.0),
        cache=False,
        resources=Resources(0.5, 2**31, 2**33, 2, {"db": 2}, strict=True),
        concurrency=4,
        priority=-3,
        deadline=9.5,
        run_in="loop",
        tags=("slow", TEXT),
    ),
    after=("a",),
    guard=EXPRESSION,
    each=Each({"x": Output("a")}, "product", "x", Get(Item("x"), "name"), 4, 0.25),
    join=Apply("or", (Ended("a", ("succeeded",)), Ended("b", ("failed",)))),
    loop=Loop(10, EXPRESSION, {"x": "key", "y": ""}, strict=True),
    wait=Wait(1.0, 1.5, 60.0, 3600.0, "skip"),
    fallback=Fallback("other", EXPRESSION),
    decides=False,
    final=True,
)


def task(action: Any, name: str = "fit", **more: Any) -> Task:
    return Task(name, action, (Port("x"),), (Port("result"),), **more)


COMMAND = CommandAction(
    PLACE, ("a", "{x}"), "", {"K": TEXT}, {"x": "in.csv"}, {"result": Catch("file", "json", "out")}, (0, 3), (9,), "."
)

TASKS = {
    "command": task(COMMAND, environment=Environment(("pandas==2.2",), {"uv.lock": TEXT}, "3.12"), yields=True),
    "container": task(ContainerAction("python:3.12", COMMAND, "/data", "none", ("--init",))),
    "approval": task(ApprovalAction(TEXT, PLACE, (Field("n", "int", False, 3, TEXT),), 60.0, "approve", "return")),
    "body": task(PipelineAction((FULL,), PLACE, EXPRESSION, dynamic=True)),
}

#: one of each kind, and each of them with all that it may hold
EVENTS: list[AnyEvent] = [
    RunStarted(),
    Expanded("fit", 3, ("rf", TEXT, ""), more=True),
    Expanded(TEXT, None),
    Skipped("skipped", TEXT),
    Skipped("fold[rf]/fit", TEXT, 3, 2),
    Hit("fit", 0, fingerprint(1), PARTS),
    Missed("fit", 1, fingerprint(2)),
    Missed("fit", 2, None),
    Broken("broken", -1, FAULT),
    Started("fit", 1, 1),
    Failed("fit", 1, 1, FAULT),
    Failed("fit", 1, 2, Fault("E", TEXT, "", None, True, "memory", ("builtins.MemoryError",), False, 0.5)),
    Returned("fit", 1, 2),
    Woke("fit", 1, 2),
    Yielded("stream", -1, 1, 4, artifact(1, blob=True)),
    Deferred("wait", 2**40, 1, 1e-3),
    Succeeded("fit", 1, 2, ()),
    Succeeded("fit", 2, 1, PARTS),
    Expired("fit", 4, FAULT),
    Asked("sign_off", -1),
    Answered("sign_off", -1, PARTS),
    Concluded("loop", 0, PARTS, again=True),
    Substituted("fit", 5, PARTS),
    Grown("fold[a/b]", (FULL,), TASKS),
    Grown("", ended=True, result=EXPRESSION, fault=FAULT),
    Handled("fit"),
    Lost("fit", 6, 1),
    CancelRequested(TEXT, stop=True, final=False),
    RunExpired(TEXT),
]


def dynamic_graph() -> Graph:
    """A dynamic pipeline, and in it two mapped bodies, of which one is dynamic too."""
    body = PipelineAction((Node("fit", "fit", {}, PLACE), Node("open", "inner", {}, PLACE)), PLACE)
    tasks = {
        "fit": task(COMMAND),
        "outer": task(body),
        "inner": task(PipelineAction((), PLACE, dynamic=True)),
    }
    nodes = (Node("fold", "outer", {}, PLACE, each=Each({"x": Parameter("xs")})),)
    return Graph("study", (), tasks, nodes, dynamic_at=PLACE)


class JournalConformance(StoreCase):
    """Tests of what a store keeps of the events of a run."""

    def test_the_journal_holds_every_kind_of_event(self, store: Store, run_id: str) -> None:
        assert {type(event) for event in EVENTS} == set(AnyEvent.__args__)
        for number, event in enumerate(EVENTS):
            store.commit(run_id, turn(number, events=[event]))
        store.commit(run_id, turn(len(EVENTS), events=EVENTS))
        store.commit(run_id, turn(len(EVENTS) + 1))
        journal = store.journal(run_id)
        assert [at for at, _ in journal] == [turn(number).at for number in range(len(EVENTS) + 2)]
        assert [events for _, events in journal] == [[event] for event in EVENTS] + [EVENTS, []]

    @pytest.mark.parametrize(
        "value",
        [(1, 2), {1, 2}, b"bytes", 2**70, math.inf, datetime(2026, 1, 2, tzinfo=UTC), object, {1: 2}, "\udcff", 1j],
    )
    def test_a_value_that_the_format_cannot_hold_is_told(self, store: Store, run_id: str, value: Any) -> None:
        node = Node("fit", "fit", {"x": Constant(value)}, PLACE)
        store.commit(run_id, turn(0, events=[Grown("", (node,)), Started("fit", -1, 1)]))
        [(_, [event, started])] = store.journal(run_id)
        assert started == Started("fit", -1, 1)
        assert isinstance(event, Grown)
        [kept] = event.nodes
        assert (kept.id, kept.task, list(kept.bindings)) == ("fit", "fit", ["x"])
        bound = kept.bindings["x"]
        assert isinstance(bound, Constant)
        assert bound.value in ([1, 2], {"repr": repr(value)}, {"repr": r"'\udcff'"})

    def test_the_graph_of_a_dynamic_run_has_the_nodes_that_appeared(self, store: Store) -> None:
        store.create(run_record(), dynamic_graph(), provenance())
        assert from_json(store.graph("run-1")) == dynamic_graph()
        late = Node("late", "command", {"x": Output("fold")}, PLACE)
        store.commit("run-1", turn(0, events=[RunStarted(), Grown("", (FULL, late), TASKS)]))
        store.commit("run-1", turn(1, events=[Started("late", -1, 1)]))
        deep = Node("deep", "fit", {"x": Stored(artifact(1))}, PLACE)
        other = Node("other", "fit", {}, PLACE)
        store.commit("run-1", turn(2, events=[Grown("fold[a/b]/open", (deep,)), Grown("fold[2]/open", (other, deep))]))
        store.commit("run-1", turn(3, events=[Grown("", ended=True, result=Output("late"))]))
        seen = from_json(store.graph("run-1"))
        assert [node.id for node in seen.nodes] == ["fold", "full", "late"]
        assert seen.nodes[1:] == (FULL, late)
        assert seen.result == Output("late")
        assert {**dynamic_graph().tasks, **TASKS}.keys() == seen.tasks.keys()
        assert seen.tasks["command"] == TASKS["command"]
        inner = seen.tasks["inner"].action
        assert isinstance(inner, PipelineAction)
        assert inner.nodes == (deep, other)

    def test_a_result_may_be_put_together_from_several(self, store: Store, run_id: str) -> None:
        store.commit(run_id, turn(results={fingerprint(1): result(*PARTS)}))  # type: ignore[arg-type]
        assert store.recorded([fingerprint(1)])[fingerprint(1)].outputs == PARTS

    # Pausing.

    def test_a_paused_run_waits_to_be_reopened(self, store: Store, run_id: str) -> None:
        store.commit(run_id, turn(0, end=RunState.PAUSED))
        paused = run_record(state=RunState.PAUSED)
        assert store.find(run_id) == paused
        assert store.runs(state="paused") == [paused]
        with pytest.raises(StoreError, match="paused"):
            store.commit(run_id, turn(1))
        again = run_record(driver="host:2", token=2)
        assert store.reopen(run_id, "host:2") == again
        assert store.find(run_id) == again
        store.commit(run_id, turn(1, end=RunState.SUCCEEDED, outputs={"result": artifact(1)}))
        ended = run_record(
            driver="host:2", token=2, state=RunState.SUCCEEDED, finished_at=turn(1).at, outputs={"result": artifact(1)}
        )
        assert store.find(run_id) == ended

    @pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED])
    def test_a_run_that_has_ended_stays_so(self, store: Store, run_id: str, state: RunState) -> None:
        store.commit(run_id, turn(0, end=state))
        before = store.find(run_id)
        with pytest.raises(StoreError, match=state.value):
            store.reopen(run_id, "host:2")
        with pytest.raises(StoreError, match=state.value):
            store.commit(run_id, turn(1))
        assert store.find(run_id) == before
        assert len(store.journal(run_id)) == 1

    def test_one_driver_takes_over_from_another(self, store: Store) -> None:
        store.create(run_record(driver="host:1"), graph(), provenance())
        second = "host:2@0123abcd-77"
        assert store.reopen("run-1", second, "host:1").driver == second
        with pytest.raises(StoreError, match="is driven by host:2 by now"):
            store.reopen("run-1", "host:3", "host:1")
        with pytest.raises(LeaseLostError, match=": host:2 drives it by now"):
            store.commit("run-1", turn(0, token=1))
        assert store.find("run-1").driver == second
        assert store.reopen("run-1", "host:3").driver == "host:3"
        with pytest.raises(NotFoundError):
            store.reopen("run-2", "host:3")


__all__ = ["EVENTS", "JournalConformance", "dynamic_graph"]
