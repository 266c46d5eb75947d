from __future__ import annotations

from typing import Any

import msgspec
import pytest

from penstock import pipeline, task
from penstock.authoring.pipeline import Composition
from penstock.model.graph import Graph
from penstock.model.registration import Definition
from penstock.model.schedule import Cron, Timetable
from penstock.model.trigger import Limits, Trigger
from penstock.registering.changes import changes
from penstock.registering.parts import AskedFor, parts_of_document, parts_of_graph, whole


@task
def double(number: int) -> int:
    """Twice as much."""
    return 2 * number


@pipeline
def doubling(number: int = 1):
    return double(number)


@pipeline
def other(number: int = 1):
    return double(double(number))


def graph(of: Composition[..., Any]) -> Graph:
    return of.define({}).graph


def test_where_things_stand_and_what_they_are_described_as_do_not_count() -> None:
    before = graph(doubling)
    moved = [
        msgspec.structs.replace(node, location=node.location.__class__("elsewhere.py", 7)) for node in before.nodes
    ]
    tasks = {key: msgspec.structs.replace(each, description="another") for key, each in before.tasks.items()}
    after = msgspec.structs.replace(before, nodes=tuple(moved), tasks=tasks, description="told otherwise")
    assert parts_of_graph(before, {}) == parts_of_graph(after, {})


def test_the_parts_that_differ_are_told_by_name() -> None:
    before, after = (parts_of_graph(graph(each), {"double": b"1"}) for each in (doubling, other))
    assert {name for name in {**before, **after} if before.get(name) != after.get(name)} == {"graph", "node double-2"}
    assert whole(before) != whole(after)


def test_constants_of_other_types_are_other_parts() -> None:
    def digest(value: object) -> bytes:
        trigger = Trigger(name="t", source=Timetable(Cron("@daily")), parameters={"x": value})
        return parts_of_document(trigger, {})["parameters"]

    values = [1, "1", 1.0, True, None, [1], {"1": 1}, 2**70]
    assert len({digest(value) for value in values}) == len(values)


def test_a_trigger_is_told_field_by_field() -> None:
    def definition(trigger: Trigger) -> Definition:
        parts = parts_of_document(trigger, {"has_room": b"1"})
        document = msgspec.to_builtins(trigger)
        return Definition(kind="trigger", name="t", target="t", digest=whole(parts), parts=parts, document=document)

    before = Trigger(name="t", source=Timetable(Cron("0 2 * * *")), pipeline="one")
    after = Trigger(name="t", source=Timetable(Cron("0 3 * * *")), pipeline="one", limits=Limits(at_most=1))
    found = changes(definition(before), definition(after), lambda _: None, lambda _: None)
    assert [each.part for each in found] == ["source", "limits"]
    assert (found[0].before, found[0].after) == ("every day at 02:00 UTC", "every day at 03:00 UTC")
    assert (found[1].before, found[1].after) == ("at_most=null", "at_most=1")


def test_values_that_are_asked_for_and_missing_are_remembered() -> None:
    values = AskedFor({"a": 1})
    assert values["a"] == 1
    with pytest.raises(KeyError):
        values["b"]
    assert values.missing == ["b"]
