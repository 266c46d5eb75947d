"""Graphs made by hand and runs of them, with a real store and the inline executor."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from penstock.app import SystemClock
from penstock.blobs.local import LocalBlobs
from penstock.executors.inline import InlineExecutor
from penstock.model.action import PythonAction
from penstock.model.expression import Constant, Expression
from penstock.model.graph import Graph, Node, PipelineAction, Port, Task
from penstock.model.place import Location
from penstock.model.run import AttemptRecord, Provenance, RunRecord, RunState, item_id
from penstock.model.work import Local
from penstock.runtime.driver import Driver, TaskCode
from penstock.stores.sqlite import SqliteStore
from penstock.values import Values

HERE = Location("pipeline.py", 7)
#: what the tests of waiting call soon, in seconds
SOON = 0.05


def node(id: str, task: str, bindings: Mapping[str, Any] | None = None, **details: Any) -> Node:
    """A node; what is no expression among its bindings is a constant."""
    return Node(id, task, {name: _expression(value) for name, value in (bindings or {}).items()}, HERE, **details)


def _expression(value: Any) -> Expression:
    return value if isinstance(value, Expression) else Constant(value)


def graph(*nodes: Node, result: Any = None, **details: Any) -> Graph:
    return Graph("by_hand", (), {}, nodes, _expression(result), **details)


def body(*nodes: Node, result: Any) -> PipelineAction:
    return PipelineAction(nodes, HERE, _expression(result))


class Bench:
    """A store and values in a folder, and drivers that run graphs with them."""

    def __init__(self, folder: Path) -> None:
        self.store = SqliteStore(folder / "penstock.db")
        self.values = Values(LocalBlobs(folder / "blobs"), workspace=folder / "workspace")
        self.runs = 0

    def driver(
        self,
        graph: Graph,
        tasks: Mapping[str, Any],
        *,
        record: RunRecord | None = None,
        parameters: Mapping[str, Any] | None = None,
        **details: Any,
    ) -> Driver:
        """A driver of a new run, or of one that was begun. `tasks` are functions, bodies or other actions."""
        functions = {key: task for key, task in tasks.items() if inspect.isfunction(task)}
        nouns = {key: _noun(key, task) for key, task in tasks.items()}
        whole = Graph(
            graph.name,
            graph.parameters,
            nouns,
            graph.nodes,
            graph.result,
            policy=graph.policy,
            dynamic_at=graph.dynamic_at,
        )
        if record is None:
            self.runs += 1
            record = RunRecord(
                run_id=f"run-{self.runs}",
                pipeline=graph.name,
                state=RunState.RUNNING,
                parameters={},
                started_at=time.time(),
                driver="test",
            )
            self.store.create(record, whole, _PROVENANCE)
        return Driver(
            run=record,
            graph=whole,
            tasks={key: TaskCode(Local(key), key.encode(), "") for key in functions},
            parameters=parameters or {},
            store=self.store,
            values=self.values,
            executor=InlineExecutor(self.values, {}, functions),
            **{"clock": SystemClock(), **details},
        )

    def run(self, graph: Graph, tasks: Mapping[str, Any], **details: Any) -> Ended:
        """Run a graph to its end."""
        driver = self.driver(graph, tasks, **details)
        driver.drive()
        return Ended(self, driver)


class Ended:
    """A run that was driven."""

    def __init__(self, bench: Bench, driver: Driver) -> None:
        self.driver = driver
        self.state = driver.state
        self.outputs = {name: bench.values.load(argument) for name, argument in driver.outputs.items()}
        self.attempts: list[AttemptRecord] = bench.store.attempts(driver.run.run_id)
        self.journal = [event for _, events in bench.store.journal(driver.run.run_id) for event in events]

    @property
    def result(self) -> Any:
        return self.outputs["result"]

    @property
    def states(self) -> dict[str, str]:
        """How each node and item ended, in the order of the attempts; an end without an attempt is the last word."""
        found: dict[str, str] = {}
        for record in sorted(self.attempts, key=lambda each: (each.attempt == 0, each.attempt)):
            found[item_id(record.node, record.item, record.key)] = record.state.value
        return found

    def fault(self, name: str) -> str:
        """The last fault of a node or an item, as text."""
        found = [each.fault for each in self.attempts if item_id(each.node, each.item, each.key) == name and each.fault]
        return f"{found[-1].type}: {found[-1].message}"


def _noun(key: str, task: Any) -> Task:
    if not inspect.isfunction(task):
        return Task(key, task, (), (Port("result"),))
    parameters = inspect.signature(task).parameters.values()
    ports = tuple(
        Port(each.name, required=each.default is each.empty and each.kind is not each.VAR_KEYWORD, kind=_kind(each))
        for each in parameters
    )
    outputs = (Port("result", required=False),)
    action = PythonAction(__name__, key, HERE)
    return Task(key, action, ports, outputs, yields=inspect.isgeneratorfunction(task))


def _kind(parameter: inspect.Parameter) -> Any:
    return "kwargs" if parameter.kind is parameter.VAR_KEYWORD else "keyword"


_PROVENANCE = Provenance(penstock="0", python="3.11", platform="any", machine={}, packages={}, configuration={})

Function = Callable[..., Any]
