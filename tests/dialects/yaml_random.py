"""Graphs of everything that the model has, drawn from a seed."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import yaml_steps
from msgspec.structs import replace

from penstock.authoring.pipeline import Definition
from penstock.authoring.task import Task as Function
from penstock.model.action import (
    ApprovalAction,
    Catch,
    CommandAction,
    ContainerAction,
    Environment,
    Field,
    OpaqueAction,
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
    Output,
    Parameter,
    Sequence,
)
from penstock.model.graph import (
    RULES,
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
)
from penstock.model.place import Location
from penstock.model.policy import Caching, Policy, Resources, Retries, RunPolicy, Timeouts

PLACE = Location("somewhere.py", 1)
_FUNCTIONS = (
    yaml_steps.plain,
    yaml_steps.parts,
    yaml_steps.split,
    yaml_steps.optioned,
    yaml_steps.waiting,
    yaml_steps.yielding,
)
_CONSTANTS: tuple[Any, ...] = (
    *(
        None,
        True,
        0,
        -3,
        1.5,
        float("inf"),
        "",
        "text",
        "${x}",
        "$${",
        "no",
        "1e3",
        "null",
        "2026-01-01",
        "a: b\n- c\n",
        "é\t",
    ),
    *([], [1, "a"], {}, {"a": [None, {"b": 1.0}]}, {1: 2}, (1, 2), {1, 2}, b"\x00\xff", date(2026, 1, 2)),
    *(timedelta(seconds=1.5), Path("a/b"), range(3), yaml_steps.Split, [("a", (1,))], "n0", "n0.result", "epochs"),
)


class Drawing:
    """Draws one definition."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.tasks: dict[str, Task] = {}
        self.functions: dict[str, Function[..., Any]] = {}
        self.count = 0

    def definition(self) -> Definition:
        nodes = self.nodes(0, ())
        result = self.pick([Constant(None), Mapping({"a": self.expression(nodes, ()), "b c": Constant(1)})])
        parameters = (
            ParameterPort("epochs", "int", required=False, default=3),
            ParameterPort("mode", "Literal['a', 'b']", required=False, default="a"),
            ParameterPort("name", "str | None", required=False),
            ParameterPort("given", "list[float]"),
        )
        policy = RunPolicy(self.pick(["continue", "stop"]), self.pick([None, 90.0]), self.pick([None, 2]))
        graph = Graph(
            f"graph {self.count}", parameters, self.tasks, nodes, result, self.pick(["", "One.\n\nTwo: 3"]), policy
        )
        return Definition(checked(graph), self.functions, self.tasks, {}, dict)

    def pick(self, options: Any) -> Any:
        return self.random.choice(list(options))

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    # Expressions.

    def expression(
        self, before: Any, inputs: tuple[str, ...], items: tuple[str, ...] = (), depth: int = 0
    ) -> Expression:
        inner = lambda: self.expression(before, inputs, items, depth + 1)  # noqa: E731
        leaves = [
            "constant",
            "parameter",
            *(["output"] * 3 if before else []),
            *["input" for _ in inputs],
            *["item" for _ in items],
        ]
        kinds = leaves + ([] if depth > 2 else ["get", "apply", "apply", "sequence", "mapping", "choose"])
        match self.pick(kinds):
            case "constant":
                return Constant(self.pick(_CONSTANTS))
            case "parameter":
                return Parameter(self.pick(["epochs", "mode", "name"]))
            case "output":
                node = self.pick(before)
                ports = [port.name for port in self.tasks[node.task].outputs] if self.tasks[node.task].record else []
                return Output(node.id, self.pick([None, *ports]))
            case "input":
                return Input(self.pick(inputs))
            case "item":
                return Item(self.pick(items))
            case "get":
                return Get(inner(), *self.pick([("a", False), ("b c", False), ("a", True), (0, False), (-1, False)]))
            case "apply":
                name = self.pick(
                    ["eq", "lt", "and", "or", "not", "add", "sub", "mul", "pow", "mod", "neg", "in", "selects"]
                )
                return Apply(name, (inner(),) if name in ("not", "neg") else (inner(), inner()))
            case "sequence":
                return Sequence(tuple(inner() for _ in range(self.random.randrange(3))), self.pick(["list", "tuple"]))
            case "mapping":
                return Mapping(
                    {name: inner() for name in self.random.sample(["a", "b c", "in"], self.random.randrange(3))}
                )
            case _:
                return Choose(tuple(inner() for _ in range(2)))

    def join(self, before: Any) -> str | Expression:
        if not before or self.chance(0.6):
            return self.pick([*["all_success"] * 3, *RULES])
        ended = Ended(self.pick(before).id, self.pick([("cached", "succeeded"), ("skipped",), ("failed", "cancelled")]))
        return self.pick([ended, Apply("not", (ended,)), Apply("or", (ended, Constant(True)))])

    # Nodes.

    def nodes(self, depth: int, inputs: tuple[str, ...]) -> tuple[Node, ...]:
        made: list[Node] = []
        for _ in range(self.random.randint(1, 3 if depth else 6)):
            made.append(self.node(depth, tuple(made), inputs))
        return tuple(made)

    def node(self, depth: int, before: tuple[Node, ...], inputs: tuple[str, ...]) -> Node:
        kinds = (
            ["function"] * 4 + ["command", "container", "approval", "opaque"] + (["body", "loop"] if depth < 2 else [])
        )
        kind = self.pick(kinds)
        each = self.each(before, inputs) if kind in ("function", "body") and self.chance(0.3) else None
        items = () if each is None else tuple(each.over)
        names = self.names(kind, each)
        bindings = {name: self.expression(before, inputs, items) for name in names}
        if each is not None:
            # what is mapped over may go unused; a function takes nothing but `a`
            bindings |= {name: Item(name) for name in each.over if name == "a" or (kind == "body" and self.chance(0.8))}
        key = self.task(kind, bindings, depth)
        self.count += 1
        asynchronous = key in self.functions and self.functions[key].asynchronous
        return Node(
            self.pick([f"n{self.count}", f"n{self.count}-x", f"group/n{self.count}"]),
            key,
            bindings,
            PLACE,
            replace(self.policy(), run_in="loop") if asynchronous else self.policy(),
            after=tuple(self.random.sample([node.id for node in before], min(len(before), self.random.randrange(3)))),
            guard=self.expression(before, inputs) if self.chance(0.3) else None,
            each=each,
            join=self.join(before),
            loop=self.loop(inputs, bindings) if kind == "loop" else None,
            wait=self.pick([None, Wait(), Wait(2.0, 1.5, 10.0, 60.0, "skip")]) if kind == "function" else None,
            fallback=self.fallback() if kind == "function" and self.chance(0.2) else None,
            decides=self.chance(0.8),
            final=self.chance(0.1),
        )

    def names(self, kind: str, each: Each | None) -> list[str]:
        if kind in ("function", "command", "container"):
            return ["a"] if each is None or "a" not in each.over else []
        return self.random.sample(["x", "in", "epochs"], self.random.randrange(3))

    def each(self, before: tuple[Node, ...], inputs: tuple[str, ...]) -> Each:
        over = {name: self.expression(before, inputs) for name in self.pick([["a"], ["b"], ["a", "b"]])}
        over = {name: Constant([1, 2]) if isinstance(value, Constant) else value for name, value in over.items()}
        key = self.expression((), (), tuple(over)) if self.chance(0.3) else None
        most, threshold = self.pick([None, 2]), self.pick([0, 1, 0.5])
        return Each(over, self.pick(["zip", "product"]), None, key, most, threshold)

    def loop(self, inputs: tuple[str, ...], bindings: dict[str, Expression]) -> Loop:
        until = self.pick([None, Apply("lt", (Get(Input("result"), "a"), Parameter("epochs")))])
        return Loop(3, until, self.pick([{}, {"x": "a"}, {"x": ""}]), self.chance(0.5), self.chance(0.5))

    def fallback(self) -> Fallback:
        if self.chance(0.5):
            return Fallback(None, Constant(self.pick(_CONSTANTS)))
        return Fallback(self.function(yaml_steps.plain))

    def policy(self) -> Policy:
        if self.chance(0.4):
            return Policy()
        return Policy(
            retries=self.pick(
                [Retries(), Retries(3, (1.0, 60.0), 2.0, 90.0, 0.5, ("builtins.OSError", "a.B"), ("a.C",), 1)]
            ),
            timeouts=self.pick([Timeouts(), Timeouts(3600.0), Timeouts(0.25, 1e9, 3.0)]),
            cache=self.chance(0.8),
            caching=self.pick([Caching(), Caching(86400.0, "2", ("a",), refresh=True), Caching(effects=True)]),
            resources=self.pick([Resources(), Resources(2.0, 1024**3, 2000, 1, {"db": 2}, True), Resources(0.5)]),
            concurrency=self.pick([None, 2]),
            priority=self.pick([0, -3]),
            deadline=self.pick([None, 60.0]),
            secrets=self.pick([{}, {"A": "env:B"}]),
            allow_secrets=self.chance(0.1),
            run_in=self.pick(["process", "process", "thread"]),
            tags=self.pick([(), ("x", "y")]),
        )

    # Tasks.

    def task(self, kind: str, bindings: dict[str, Expression], depth: int) -> str:
        ports = tuple(Port(name) for name in bindings)
        if kind == "function":
            return self.function(self.pick(_FUNCTIONS))
        if kind in ("body", "loop"):
            nodes = self.nodes(depth + 1, tuple(bindings))
            result = self.expression(nodes, tuple(bindings))
            return self.put(Task("body", PipelineAction(nodes, PLACE, result), ports, (Port("result", "int"),)))
        if kind == "approval":
            fields = self.pick([(), (Field("traffic", "float", required=False, default=0.5),)])
            action = ApprovalAction("Ship it?", PLACE, fields, self.pick([None, 60.0]), None, "fail")
            return self.put(Task("ask", action, ports, (Port("result", "penstock.Approval"),), description="Ship it?"))
        if kind == "opaque":
            action = OpaqueAction("airflow", "BigQueryOperator", "BigQueryOperator(\n    sql='x'\n)", PLACE)
            return self.put(Task("query", action, ports, (Port("result", "str"),)))
        command = self.command()
        if kind == "container":
            command = ContainerAction("python:3.12", command, "/data", self.pick(["none", "default"]), ("--init",))
        outputs = (Port("n", "int"), Port("out", "pathlib.Path"))
        return self.put(Task("program", command, ports, outputs, "dict"))

    def command(self) -> Any:
        catches = {"n": Catch("stdout", "int"), "out": Catch("file", "path", "{a}/out.txt")}
        shell = "echo {a} {{x}} ${{HOME}} {a:.1f} {a!s}\nprintf '%s'"
        chosen = self.pick([{"shell": shell}, {"argv": ("echo", "{a}", "${{A}}")}])
        return CommandAction(
            PLACE,
            **chosen,
            environment={"A": "{a}"},
            catches=catches,
            success=self.pick([(0,), (0, 3), ()]),
            skip=self.pick([(), (9,)]),
        )

    def function(self, chosen: Any) -> str:
        task = chosen if isinstance(chosen, Function) else Function(chosen, chosen.__name__)
        environment = Environment(("pandas==2",), {}, "3.12") if self.chance(0.1) else None
        return self.put(replace(task.noun, environment=environment), task)

    def put(self, noun: Task, task: Any = None) -> str:
        key = noun.name
        while key in self.tasks and (task is None or self.tasks[key] != noun):
            key += "'"
        self.tasks[key] = noun
        if task is not None:
            self.functions[key] = task
        return key
