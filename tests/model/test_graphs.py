"""Graphs: what `checked` refuses and puts in order, and the file format."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator, ValidationError

from penstock.errors import DefinitionError
from penstock.model.action import (
    ApprovalAction,
    Catch,
    CommandAction,
    ContainerAction,
    Environment,
    Field,
    PythonAction,
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
from penstock.model.graph import (
    Each,
    Fallback,
    Graph,
    Loop,
    Node,
    ParameterPort,
    PipelineAction,
    Port,
    Task,
    Wait,
    checked,
    schema,
    to_json,
)
from penstock.model.place import Location
from penstock.model.policy import Policy, Resources, Retries, RunPolicy, Timeouts
from penstock.model.value import Artifact

NOTHING = Constant(None)


def node(id: str, line: int, *reads: str, after: tuple[str, ...] = (), **fields: Any) -> Node:
    bindings: dict[str, Expression] = {f"input{place}": Output(name) for place, name in enumerate(reads)}
    return Node(id, "fit", bindings, Location("pipeline.py", line), after=after, **fields)


def graph(*nodes: Node, result: Expression = NOTHING) -> Graph:
    return Graph("training", (), {}, nodes, result)


def order(graph: Graph) -> list[str]:
    return [node.id for node in graph.nodes]


def name_of(node: Node) -> str:
    return node.id


def full() -> Graph:
    """A graph with one of everything."""
    place = Location("pipeline.py", 3)
    data = Port("data", "DataFrame")
    fit = Task("fit", PythonAction("pipeline", "fit", place), (data, Port("rest", kind="args")), (Port("result"),))
    split = Task("split", PythonAction("pipeline", "split", place), (), (Port("x"), Port("y")), "named", "Split it.")
    enough = Apply("ge", (Get(Output("split", "x"), "rows"), Parameter("least")))
    each = Each({"data": Sequence((Output("split", "x"), Output("split", "y")), "tuple")}, key=Item("data"))
    retries = Policy(Retries(2, (0.5, 1.0), 2.0, 60.0, 0.1, ("builtins.OSError",)), Timeouts(1.0, 2.0, 3.0))
    resources = Policy(resources=Resources(2.0, 10, 20, 1, {"db": 2}), concurrency=3, deadline=9.0, run_in="thread")
    nodes = (
        Node("split", "split", {}, place, Policy(cache=False, tags=("slow", "gpu"))),
        Node("fit", "fit", {"data": Item("data")}, place, retries, (), enough, each, fallback=Fallback("split")),
        Node("last", "fit", {"data": Choose((Output("fit"), Constant([1, "2", 3.5, None, {"k": True}])))}, place),
        Node("made", "command", {"data": Output("last")}, place, resources, join="all_done", wait=Wait(1.0)),
        Node("boxed", "container", {"data": STORED}, place, join=Ended("made", ("failed",)), decides=False),
        Node("asked", "approval", {"data": Outcome(("made", "boxed"))}, place, final=True),
        Node("turns", "body", {"data": Output("asked")}, place, loop=Loop(3, Input("result"), {"data": ""})),
    )
    parameters = (ParameterPort("least", "int"), ParameterPort("name", "str", False, "x"))
    tasks = {"fit": fit, "split": split, **_other_tasks(place)}
    policy = RunPolicy("stop", 60.0, 1)
    return Graph("training", parameters, tasks, nodes, Mapping({"m": Output("last")}), "Train.", policy, place)


STORED = Stored(Artifact("data", "int", b"0" * 32, 1, b"1"))


def _other_tasks(place: Location) -> dict[str, Task]:
    command = CommandAction(place, ("fit", "{data}"), catches={"loss": Catch("file", "json", "loss.json")})
    container = ContainerAction("python:3.12", command, network="none")
    approval = ApprovalAction("Ship it?", place, (Field("traffic", "float"),), 60.0, "reject")
    inner = Node("fit", "fit", {"data": Input("data")}, place)
    actions = {
        "command": command,
        "container": container,
        "approval": approval,
        "body": PipelineAction((inner,), place, Output("fit")),
    }
    environment = Environment(("pandas==2.2",), {"uv.lock": "..."}, "3.12")
    return {
        name: Task(name, action, (Port("data"),), (Port("result"),), environment=environment)
        for name, action in actions.items()
    }


# What is wrong with a graph is said with file and line.


def test_a_good_graph_is_returned_as_it_is() -> None:
    good = full()
    assert checked(good) is good


def test_two_nodes_with_one_id() -> None:
    with pytest.raises(DefinitionError) as raised:
        checked(graph(node("a", 1), node("b", 2), node("a", 3)))
    assert str(raised.value).startswith("pipeline.py:3: two nodes are called 'a'; the other is at pipeline.py:1\n")
    assert raised.value.remedy == "Give one of them another name: task.options(name=...)."


def test_the_same_node_twice() -> None:
    twin = node("a", 1)
    with pytest.raises(DefinitionError, match="two nodes are called 'a'"):
        checked(graph(twin, twin))


@pytest.mark.parametrize(
    "reader",
    [
        node("b", 2, "a", "x"),
        node("b", 2, after=("x",)),
        node("b", 2, guard=Apply("not", (Output("x"),))),
        node("b", 2, each=Each({"data": Output("x")})),
        node("b", 2, "b", "x"),
    ],
    ids=["input", "after", "condition", "map", "also itself"],
)
def test_a_reference_to_what_is_not_there(reader: Node) -> None:
    with pytest.raises(DefinitionError) as raised:
        checked(graph(node("a", 1), reader))
    assert str(raised.value) == "pipeline.py:2: 'b' reads 'x', which is not in this pipeline"


def test_a_result_that_is_not_there() -> None:
    with pytest.raises(DefinitionError, match="the result of 'training' reads 'x', which is not in this pipeline"):
        checked(graph(node("a", 1), result=Sequence((Output("a"), Output("x")))))


@pytest.mark.parametrize(
    ("nodes", "place", "circle"),
    [
        ([node("a", 1, "a")], "pipeline.py:1", {"a -> a"}),
        ([node("a", 1, after=("b",)), node("b", 2, "a")], "pipeline.py:2", {"a -> b -> a", "b -> a -> b"}),
        (
            [node("start", 9), node("a", 1, "start", "c"), node("b", 5, "a"), node("c", 3, after=("b",))],
            "pipeline.py:5",
            {"a -> b -> c -> a", "b -> c -> a -> b", "c -> a -> b -> c"},
        ),
    ],
    ids=["itself", "two", "three"],
)
def test_a_circle(nodes: list[Node], place: str, circle: set[str]) -> None:
    with pytest.raises(DefinitionError) as raised:
        checked(graph(*nodes))
    assert raised.value.where == place
    assert raised.value.what.removeprefix("the nodes wait for each other in a circle: ") in circle
    assert raised.value.remedy == "Take one of these dependencies away."


@pytest.mark.parametrize(
    "nodes",
    [
        [node("b", 2, "a"), node("a", 1)],
        [node("c", 3, "b"), node("b", 2, after=("a",)), node("a", 1), node("d", 4)],
        [node("d", 4, "b", "c"), node("b", 2, "a"), node("c", 3, "a"), node("a", 1)],
        [node("b", 2, guard=Output("a")), node("c", 2, each=Each({"x": Output("b")})), node("a", 1)],
    ],
)
def test_nodes_are_put_after_what_they_wait_for(nodes: list[Node]) -> None:
    sorted_graph = checked(graph(*nodes))
    places = {name: place for place, name in enumerate(order(sorted_graph))}
    for each in sorted_graph.nodes:
        assert all(places[name] < places[each.id] for name in each.upstream())
    assert sorted(sorted_graph.nodes, key=name_of) == sorted(nodes, key=name_of)
    assert order(checked(graph(*nodes))) == order(sorted_graph)
    assert checked(sorted_graph) is sorted_graph


def test_upstream_and_requirements_are_named_once() -> None:
    either = Choose((Output("x"), Output("y")))
    reader = Node(
        "n",
        "fit",
        {"data": either, "other": Output("a")},
        Location("p.py", 1),
        after=("a", "z"),
        guard=Output("a"),
        each=Each({"data": either}),
    )
    assert reader.upstream() == ("x", "y", "a", "z")
    assert reader.requirements() == (("x", "y"), ("a",), ("z",))


# The file format.


def test_a_graph_survives_json() -> None:
    assert msgspec.json.decode(to_json(full()), type=Graph) == full()
    assert msgspec.json.decode(to_json(full(), indent=0), type=Graph) == full()


def test_a_document_names_its_version() -> None:
    document = msgspec.json.decode(to_json(graph()))
    assert document["version"] == 2
    assert document["result"] == {"type": "constant", "value": None}


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -(2**70), 2**64, 1.5, -0.0, 5e-324, "", "Größe 流水线 \u2028\x00", [], {}, [[1], {"k": [None]}]],
    ids=repr,
)
def test_a_constant_that_json_holds(value: Any) -> None:
    written = graph(result=Constant(value))
    read = msgspec.json.decode(to_json(written), type=Graph)
    assert read == written
    assert isinstance(read.result, Constant)
    assert repr(read.result.value) == repr(value)


class Colour(Enum):
    RED = "red"


class Silent:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (b"\xff", r"b'\xff'"),
        ({3}, "{3}"),
        ({(1, 2): 3}, "{(1, 2): 3}"),
        ({1: "one"}, "{1: 'one'}"),
        (Path("data.csv"), f"{Path('data.csv')!r}"),
        (datetime.date(2026, 1, 2), "datetime.date(2026, 1, 2)"),
        (Colour.RED, "<Colour.RED: 'red'>"),
        ("data-\udcff.csv", r"'data-\udcff.csv'"),
        (range(9), "range(0, 9)"),
        (bytes(2000), repr(bytes(2000))[:1000] + "..."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_constant_that_json_cannot_hold_is_told(value: Any, shown: str) -> None:
    document = msgspec.json.decode(to_json(graph(result=Constant([value, 1]))))
    assert document["result"]["value"] == [{"repr": shown}, 1]


@pytest.mark.parametrize(
    ("value", "held"),
    [
        (2**70, 2**70),
        (0.5, 0.5),
        (math.nan, {"repr": "nan"}),
        (b"x", {"repr": "b'x'"}),
        ({3}, {"repr": "{3}"}),
        ("\udcff", {"repr": r"'\udcff'"}),
        (Colour.RED, {"repr": "<Colour.RED: 'red'>"}),
    ],
    ids=repr,
)
def test_a_node_is_written_as_all_else_is(value: Any, held: Any) -> None:
    bindings: dict[str, Expression] = {
        "alone": Constant(value),
        "among": Sequence((Output("a", "x"), Constant(value))),
        "odd": Input("\udcff"),
    }
    for name, expression in bindings.items():
        node = Node("b", "fit", {name: expression}, Location("pipeline.py", 1))
        document = msgspec.json.decode(to_json(graph(node)))["nodes"][0]
        constant = {"type": "constant", "value": held}
        output = {"type": "output", "node": "a", "port": "x"}
        assert list(document) == list(Node.__struct_fields__)
        assert document["policy"] == msgspec.json.decode(msgspec.json.encode(Policy()))
        assert (
            document["bindings"][name]
            == {
                "alone": constant,
                "among": {"type": "sequence", "items": [output, constant], "kind": "list"},
                "odd": {"type": "input", "name": {"repr": r"'\udcff'"}},
            }[name]
        )


def test_a_constant_that_cannot_be_shown() -> None:
    document = msgspec.json.decode(to_json(graph(result=Constant(Silent()))))
    assert document["result"]["value"]["repr"].startswith("<test_graphs.Silent object at")


# The published schema.


@pytest.fixture(scope="module")
def validator() -> Iterator[Draft202012Validator]:
    published = schema()
    Draft202012Validator.check_schema(published)
    yield Draft202012Validator(published)


@pytest.mark.parametrize("written", [full(), graph(), graph(result=Constant({(1, 2): math.nan}))])
def test_documents_follow_the_schema(validator: Draft202012Validator, written: Graph) -> None:
    validator.validate(msgspec.json.decode(to_json(written)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), "1"),
        (("nodes", 0, "id"), 3),
        (("nodes", 1, "policy", "retries", "count"), "2"),
        (("nodes", 1, "guard", "type"), "guess"),
        (("nodes", 1, "bindings"), []),
        (("tasks", "fit", "action", "type"), "ruby"),
        (("tasks", "fit", "inputs", 0, "kind"), "sideways"),
    ],
)
def test_the_schema_refuses_what_is_not_a_graph(
    validator: Draft202012Validator, path: tuple[str | int, ...], value: Any
) -> None:
    document = msgspec.json.decode(to_json(full()))
    part = document
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    with pytest.raises(ValidationError):
        validator.validate(document)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(document, Graph)


@pytest.mark.parametrize("part", ["name", "parameters", "tasks", "nodes"])
def test_the_schema_wants_every_part(validator: Draft202012Validator, part: str) -> None:
    document = msgspec.json.decode(to_json(full()))
    del document[part]
    with pytest.raises(ValidationError, match=f"'{part}' is a required property"):
        validator.validate(document)
