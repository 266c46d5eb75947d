"""Graphs made by hand, for the tests of what is drawn."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from msgspec.structs import replace

from penstock.model.action import ApprovalAction, PythonAction
from penstock.model.expression import Apply, Constant, Ended, Expression, Input, Item, Output, Parameter, Sequence
from penstock.model.graph import Each, Graph, Loop, Node, ParameterPort, PipelineAction, Port, Task
from penstock.model.place import Location
from penstock.model.policy import Policy, Retries

FILE = "examples/training/pipeline.py"


def task(name: str, line: int = 10, outputs: tuple[str, ...] = ("result",), description: str = "") -> Task:
    action = PythonAction("pipeline", name, Location(FILE, line))
    return Task(name, action, (), tuple(Port(output, "DataFrame") for output in outputs), description=description)


def node(id: str, line: int = 100, **fields: Any) -> Node:
    return Node(id, id.rpartition("/")[2], fields.pop("bindings", {}), Location(FILE, line), **fields)


def graph(name: str, nodes: list[Node], **fields: Any) -> Graph:
    tasks = {each.task: task(each.task, line) for line, each in enumerate(nodes, 10)}
    return Graph(name, fields.pop("parameters", ()), tasks, tuple(nodes), **fields)


def linear() -> Graph:
    names = ["ingest", "validate", "train", "report"]
    nodes = [node(names[0], bindings={"path": Constant("data.csv")})]
    nodes += [node(after, bindings={"data": Output(before, None)}) for before, after in pairwise(names)]
    return graph("linear", nodes, result=Output("report"))


def training() -> Graph:
    """A fan-out over candidates, a condition and an `after`."""
    good: Expression = Apply("ge", (Output("evaluate", "accuracy"), Parameter("threshold")))
    nodes = [
        node("ingest", 61, bindings={"source": Parameter("source")}),
        node("validate", 62, bindings={"data": Output("ingest")}),
        node("split", 63, bindings={"data": Output("validate"), "seed": Parameter("seed")}),
        node("candidates", 64, bindings={"algorithms": Constant(["forest", "logistic"])}),
        node(
            "fit",
            65,
            bindings={"candidate": Item("candidate"), "train": Output("split", "train"), "folds": Constant(5)},
            each=Each({"candidate": Output("candidates")}),
            policy=Policy(retries=Retries(count=2, delays=(1.5,))),
        ),
        node("best", 66, bindings={"results": Output("fit")}),
        node("train", 67, bindings={"train": Output("split", "train"), "params": Output("best", "params")}),
        node("evaluate", 68, bindings={"model": Output("train"), "test": Output("split", "test")}),
        node("register", 70, bindings={"model": Output("train")}, guard=good, policy=Policy(cache=False)),
        node("explain", 72, bindings={"accuracy": Output("evaluate", "accuracy")}, guard=Apply("not", (good,))),
        node("report", 75, bindings={"metrics": Output("evaluate")}, after=("validate",)),
    ]
    parameters = (
        ParameterPort("source", "Path"),
        ParameterPort("threshold", "float", False, 0.95),
        ParameterPort("seed", "int", False, 7),
    )
    summary = "Train, gate and register a classifier.\n\nLonger text."
    return graph("training", nodes, parameters=parameters, description=summary, result=Output("report"))


def nested() -> Graph:
    """Groups inside groups, and a task with the name of a group."""
    nodes = [
        node("ingest"),
        node("features/scale", bindings={"data": Output("ingest")}),
        node("features/text/tokenize", bindings={"data": Output("ingest")}),
        node("features/text/embed", bindings={"tokens": Output("features/text/tokenize")}),
        node("features/join", bindings={"left": Output("features/scale"), "right": Output("features/text/embed")}),
        node("features", bindings={"table": Output("features/join")}),
        node("evaluate/score", bindings={"data": Output("features")}),
        node("evaluate/plot", bindings={"data": Output("evaluate/score")}),
    ]
    return graph("nested", nodes, result=Output("evaluate/score"))


def large(count: int = 60) -> Graph:
    """Many nodes in layers, each reading two of those shortly before it."""
    nodes = [node(f"stage_{0:02}/task_00")]
    for number in range(1, count):
        sources = {max(0, number - 1 - number % 4), max(0, number - 6)}
        bindings: dict[str, Expression] = {f"x{place}": Output(_name(place)) for place in sorted(sources)}
        nodes.append(node(_name(number), bindings=bindings))
    return graph("large", nodes)


def _name(number: int) -> str:
    return f"stage_{number // 10:02}/task_{number:02}"


def hostile() -> Graph:
    """Names and values full of what is markup to somebody."""
    text = "</script><b>\"x\" & 'y'</b>]] -->|end| #quot; `z` {{drawing}}"
    nodes = [
        node("end", bindings={"text": Constant(text)}),
        node("sub<graph>", bindings={"both": Sequence((Output("end"), Constant("a\nb")))}),
        node("click", guard=Apply("eq", (Output("sub<graph>"), Constant(text)))),
    ]
    return graph('a <b> & "c" {{details}}', nodes, description=text)


def bodies() -> Graph:
    """A mapped body with another one in it, a loop, join rules, and an approval."""
    inner = PipelineAction((node("score", bindings={"x": Input("x")}),), Location(FILE, 5), Output("score"))
    fold = PipelineAction(
        (
            node("fit", bindings={"x": Input("x")}),
            node("folds", bindings={"x": Output("fit")}, each=Each({"x": Output("fit")})),
        ),
        Location(FILE, 6),
        Output("folds"),
    )
    turn = PipelineAction((node("step", bindings={"n": Input("n")}),), Location(FILE, 7), Output("step"))
    nodes = [
        node("load"),
        node("fold", bindings={"x": Item("x")}, each=Each({"x": Output("load")}, max_parallel=2)),
        node("tune", bindings={"n": Constant(0)}, loop=Loop(9, Apply("ge", (Input("result"), Constant(3))))),
        node("clean", bindings={"x": Output("fold")}, join="all_done", decides=False),
        node("alarm", join=Apply("or", (Ended("fold", ("failed",)), Ended("tune", ("failed", "skipped"))))),
        node("sign_off", bindings={"x": Output("tune")}),
    ]
    made = graph("bodies", nodes, result=Output("sign_off"))
    actions = {
        "fold": fold,
        "folds": inner,
        "tune": turn,
        "sign_off": ApprovalAction("Good?", Location(FILE, 9)),
    }
    tasks = {key: replace(task(key, 8), action=action) for key, action in actions.items()}
    return replace(made, tasks={**made.tasks, **{key: task(key, 3) for key in ("fit", "score", "step")}, **tasks})
