"""What is shown of runs whose nodes are in bodies, or appear while they run."""

from __future__ import annotations

from typing import Any

import sample_graphs  # pyright: ignore[reportMissingImports]
from msgspec.structs import replace

from penstock.model.event import (
    AnyEvent,
    Asked,
    Concluded,
    Deferred,
    Expanded,
    Fault,
    Grown,
    Started,
    Yielded,
)
from penstock.model.expression import Output
from penstock.model.graph import Each, Fallback, Graph
from penstock.model.place import Location
from penstock.model.policy import Policy, Retries
from penstock.model.run import AttemptRecord, NodeState
from penstock.model.value import Artifact
from penstock.observe.progress_tree import ProgressTree
from penstock.observe.tally import Tally
from penstock.ports import Turn


class Watched:
    """A run, one second a turn."""

    def __init__(self, graph: Graph) -> None:
        self.tally = Tally(graph)
        self._tree = ProgressTree(self.tally)
        self._number = 0

    def turn(self, *events: AnyEvent, ends: tuple[AttemptRecord, ...] = ()) -> None:
        self._number += 1
        self.tally.take(Turn(number=self._number, at=100.0 + self._number, events=events, attempts=ends), ())

    @property
    def lines(self) -> list[str]:
        return [" ".join(line.split()) for line in self._tree.text(50).plain.splitlines()]

    def line(self, name: str) -> str:
        return next(line for line in self.lines if f" {name} " in f"{line} ")


def ended(node: str, state: str, item: int = -1, attempt: int = 1, **fields: Any) -> AttemptRecord:
    return AttemptRecord(node=node, item=item, attempt=attempt, state=NodeState(state), **fields)


def test_the_nodes_of_a_body_are_counted_over_all_its_executions() -> None:
    watched = Watched(sample_graphs.bodies())
    assert [line for line in watched.lines if "fit" in line] == ["│ ├─ · fit"]
    watched.turn(ends=(ended("load", "succeeded"),))
    watched.turn(Expanded("fold", 3, ("a", "b/c", "d")))
    watched.turn(Started("fold[a]/fit", -1, 1), Started("fold[b/c]/fit", -1, 1))
    assert watched.line("fit").endswith("0 done · 2 running")
    assert watched.tally.nodes["fold"].state is NodeState.RUNNING
    watched.turn(ends=(ended("fold[a]/fit", "succeeded"), ended("fold[b/c]/fit", "failed")))
    assert watched.line("fit").endswith("2 done · 1 failed")
    watched.turn(ends=(ended("fold", "failed", 1, 0), ended("fold", "succeeded", 0, 0)))
    assert "2/3 · 1 failed" in watched.line("fold[*]")
    watched.turn(ends=(ended("fold", "succeeded", 2, 0),))
    assert [tally.node.id for tally in watched.tally.finished] == ["fold"]
    assert watched.tally.nodes["fold/fit"].state is NodeState.FAILED
    assert watched.tally.nodes["fold/folds/score"].state is NodeState.SKIPPED
    # what is in bodies is no task of its own
    assert sum(watched.tally.states.values()) == 6


def test_the_turns_of_a_loop_are_counted() -> None:
    watched = Watched(sample_graphs.bodies())
    for number in range(2):
        watched.turn(Started(f"tune[{number}]/step", -1, 1))
        assert f"turn {number + 1} of at most 9" in watched.line("tune[*]")
        watched.turn(Concluded("tune", -1, (), again=number == 0), ends=(ended(f"tune[{number}]/step", "succeeded"),))
    watched.turn(ends=(ended("tune", "succeeded", attempt=0, duration=4.0),))
    assert watched.line("tune[*]").endswith("2 turns · 4.0 s")


def test_what_waits_says_for_what() -> None:
    watched = Watched(sample_graphs.bodies())
    watched.turn(Asked("sign_off", -1), Started("load", -1, 1))
    assert watched.line("sign_off").endswith("waits for an answer")
    watched.turn(Deferred("load", -1, 1, 5.0))
    assert watched.line("load").endswith("waits, and asks again")
    watched.turn(ends=(ended("sign_off", "succeeded", attempt=0, duration=2.0), ended("load", "succeeded")))
    assert "waits" not in watched.line("sign_off")


def test_nodes_that_appear_are_counted_from_then_on() -> None:
    graph = replace(sample_graphs.linear(), dynamic_at=Location("pipeline.py", 3))
    watched = Watched(graph)
    tree = ProgressTree(watched.tally)
    assert tree.totals() == "0/4 tasks"
    later = [replace(sample_graphs.node(name), task=name) for name in ("late", "later")]
    watched.turn(Grown("", tuple(later), {name: sample_graphs.task(name, 3) for name in ("late", "later")}))
    watched.turn(Started("late", -1, 1))
    assert tree.totals() == "0/6 tasks · 1 running"
    assert "later" in " ".join(watched.lines)


def test_the_items_of_a_generator_come_one_by_one() -> None:
    nodes = [
        sample_graphs.node("stream"),
        sample_graphs.node("use", each=Each({"x": Output("stream")}), bindings={}),
    ]
    watched = Watched(sample_graphs.graph("streams", nodes))
    value = Artifact("data", "int", b"0" * 32, 1, b"1")
    watched.turn(Started("stream", -1, 1))
    watched.turn(Yielded("stream", -1, 1, 1, value), Expanded("use", 1, more=True))
    watched.turn(Started("use", 0, 1))
    watched.turn(ends=(ended("use", "succeeded", 0),))
    assert watched.tally.finished == []
    assert "1/1+" in watched.line("use[*]")
    watched.turn(Yielded("stream", -1, 1, 2, value), ends=(ended("stream", "succeeded"),))
    watched.turn(Started("use", 1, 1))
    watched.turn(ends=(ended("use", "succeeded", 1),))
    assert [tally.node.id for tally in watched.tally.finished] == ["use"]
    assert "2/2" in watched.line("use[*]")


def repeated(fault: Fault, attempts: int, policy: Policy, fallback: Fallback | None = None) -> list[bool]:
    """Of attempts that failed alike, whether something was taken to follow each."""
    tally = Tally(sample_graphs.graph("one", [sample_graphs.node("fit", policy=policy, fallback=fallback)]))
    found: list[bool] = []
    for attempt in range(1, attempts + 1):
        failed = ended("fit", "failed", attempt=attempt, fault=fault)
        tally.take(Turn(number=attempt, at=float(attempt), attempts=(failed,)), ())
        found += [bool(sequel) for _, _, sequel in tally.failures]
    return found


def test_what_follows_a_failure() -> None:
    twice = Policy(retries=Retries(count=2, on=("builtins.OSError",)))
    busy = Fault("OSError", "busy", kinds=("builtins.OSError",))
    assert repeated(busy, 3, twice) == [True, True, False]
    assert repeated(Fault("ValueError", "bad", kinds=("builtins.ValueError",)), 1, twice) == [False]
    assert repeated(replace(busy, retry=False), 1, twice) == [False]
    assert repeated(Fault("Lost", "gone", infrastructure=True), 5, twice) == [True, True, True, False, False]
    assert repeated(busy, 2, Policy(), Fallback("other")) == [True, False]
