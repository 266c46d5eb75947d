from __future__ import annotations

from typing import Any, Literal

import msgspec
import pytest

from penstock import pipeline, task
from penstock.authoring.pipeline import Composition
from penstock.model.asset import AssetSpec
from penstock.model.graph import Graph
from penstock.model.occurrence import Pattern
from penstock.model.registration import Definition
from penstock.model.schedule import Cron, Timetable
from penstock.model.trigger import EventSource, Limits, SensorSource, Trigger
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
    before = Trigger(name="t", source=Timetable(Cron("0 2 * * *")), pipeline="one")
    after = Trigger(name="t", source=Timetable(Cron("0 3 * * *")), pipeline="one", limits=Limits(at_most=1))
    found = changes(definition(before, "trigger"), definition(after, "trigger"), lambda _: None, lambda _: None)
    assert [each.part for each in found] == ["source", "limits"]
    assert (found[0].before, found[0].after) == ("every day at 02:00 UTC", "every day at 03:00 UTC")
    assert (found[1].before, found[1].after) == ("at_most=null", "at_most=1")


def test_values_that_are_asked_for_and_missing_are_remembered() -> None:
    values = AskedFor({"a": 1})
    assert values["a"] == 1
    with pytest.raises(KeyError):
        values["b"]
    assert values.missing == ["b"]


#: a value for each field of a trigger that may be said, other than the usual one
OTHERWISE: dict[str, Any] = {
    "source": SensorSource("asked", every=5),
    "pipeline": "two",
    "assets": "+report",
    "parameters": {"path": "b"},
    "limits": Limits(at_most=1, overlap="skip", after_success=True),
    "condition": "has_room",
    "priority": 3,
    "tags": ("nightly",),
    "enabled": False,
}


@pytest.mark.parametrize("field", OTHERWISE)
def test_every_option_of_a_trigger_can_change(field: str) -> None:
    before = Trigger(name="t", source=EventSource(Pattern("upload")), pipeline="one", parameters={"path": "a"})
    after = msgspec.structs.replace(before, **{field: OTHERWISE[field]})
    for old, new in ((before, after), (after, before)):
        found = changes(definition(old, "trigger"), definition(new, "trigger"), lambda _: None, lambda _: None)
        assert [each.part for each in found] == [field]
        assert (found[0].before, found[0].after) != ("", "")


def test_every_field_of_an_asset_can_change() -> None:
    before = AssetSpec(name="a")
    fields = [name for name in AssetSpec.__struct_fields__ if name not in ("name", "location", "description")]
    for name in fields:
        one = definition(before, "asset")
        other = msgspec.structs.replace(one, parts={**one.parts, name: b"other"}, digest=b"other")
        assert [each.part for each in changes(one, other, lambda _: None, lambda _: None)] == [name]


def definition(noun: Trigger | AssetSpec, kind: Literal["trigger", "asset"]) -> Definition:
    parts = parts_of_document(noun, {"has_room": b"1"})
    plain = msgspec.to_builtins(noun)
    document = plain if kind == "trigger" else {"spec": plain, "code": ""}
    return Definition(kind=kind, name=noun.name, target="t", digest=whole(parts), parts=parts, document=document)
