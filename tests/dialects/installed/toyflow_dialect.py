"""A dialect that another package adds: `toyflow`, a small system for tests, which is installed nowhere."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from penstock.authoring.source import calling_module, location_of
from penstock.authoring.task import Task
from penstock.authoring.tasks.opaque import OpaqueTask
from penstock.authoring.triggers.schedules import every as schedule
from penstock.authoring.triggers.trigger import Trigger, trigger
from penstock.dialects import Account, Dialect, Export, Grade, Maker, Reading, Written
from penstock.dialects.foreign import MADE, made, made_in, user_line
from penstock.model.action import OpaqueAction
from penstock.model.graph import Ignored
from penstock.model.work import Imported


class Step(Task[..., Any]):
    """`@step`"""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function, function.__name__)


class Flow:
    """`@flow(owner=..., every=...)`"""

    def __init__(self, *, owner: str = "", every: str = "") -> None:
        self.owner, self.every = owner, every

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        self.function = function
        made(self)
        return function


def shout(text: str) -> str:
    return f"{text.upper()}!"


def constant(value: int) -> Any:
    """An operator: its function is made where it is called, and found again by a reference."""
    return _operator(sys.modules[calling_module()], value)


def _operator(module: ModuleType, value: int) -> Any:
    operator = Task(_constant(value), f"constant-{value}")
    operator.reference = Imported(module.__name__, f"constant/{value}", module.__file__, "toyflow")
    return operator()


def _constant(value: int) -> Callable[[], int]:
    def constant() -> int:
        return value

    return constant


def calling(function: Callable[[], Any]) -> Any:
    """An operator around a function of the user's."""
    module = sys.modules[function.__module__]
    operator = Task(_calling(function), f"calling-{function.__name__}")
    operator.reference = Imported(module.__name__, f"calling/{function.__name__}", module.__file__, "toyflow")
    return operator()


def _calling(function: Callable[[], Any]) -> Callable[[], Any]:
    def calling() -> Any:
        return function()

    return calling


def warehouse(query: str, after: Any = None) -> Any:
    """Something that only toyflow itself could do."""
    action = OpaqueAction("toyflow", "WarehouseQuery", f"warehouse({query!r})", user_line())
    task = OpaqueTask(action, "warehouse", ("query", "after"))
    return task(query=query, after=after)


def read(module: ModuleType, make: Maker) -> Reading:
    pipelines: dict[str, Any] = {}
    triggers: dict[str, Trigger] = {}
    for flow in made_in(module):
        name, place = flow.function.__name__, location_of(flow.function)
        # as readers of other systems do: a body of their own around what the user wrote
        ignored = (Ignored(f"{name}: owner={flow.owner!r}", place, "penstock has no owners"),) if flow.owner else ()
        pipelines[name] = make(_body(flow.function), name, None, ignored)
        if flow.every:
            triggers[f"{name}-schedule"] = trigger(pipelines[name], schedule(flow.every))
    return Reading(pipelines, triggers)


def _body(function: Callable[..., Any]) -> Callable[..., Any]:
    def body(**given: Any) -> Any:
        return function(**given)

    body.__signature__ = inspect.signature(function)  # pyright: ignore[reportFunctionMemberAccess]
    body.__name__ = function.__name__
    return body


def find(module: ModuleType, qualname: str) -> Callable[..., Any]:
    kind, _, value = qualname.partition("/")
    return _constant(int(value)) if kind == "constant" else _calling(getattr(module, value))


def write(export: Export) -> Written:
    graph = export.definition.graph
    grades: dict[str, Grade] = {"double": "exact", "warehouse": "opaque"}
    accounts = [Account(node.id, grades.get(graph.task_of(node).name, "equivalent")) for node in graph.nodes]
    accounts += [Account("", "changed", f"{each.name}: toyflow has no zones") for each in export.triggers]
    text = json.dumps({"flow": graph.name, "steps": [node.id for node in graph.nodes]}) + "\n"
    return Written(text, tuple(accounts), {f"{export.stem or graph.name}.notes": "kept beside it\n"})


def claims(text: str) -> bool:
    return text.startswith("# toyflow")


def execute(module: ModuleType) -> None:
    """Fill the module of a file of data, in which every line has the name of a step and a number."""
    lines = Path(str(module.__file__)).read_text().splitlines()[1:]

    def from_data() -> Any:
        return [_operator(module, int(line.split()[1])) for line in lines][-1]

    flow = Flow()
    flow.function = from_data
    module.__dict__[MADE] = [flow]


NAMES = {name: f"toyflow_dialect:{target}" for name, target in [("step", "Step"), ("flow", "Flow")]}
OTHERS = {name: f"toyflow_dialect:{name}" for name in ("calling", "constant", "warehouse")}
VOCABULARY = {"toyflow": {**NAMES, **OTHERS}, "toyflow.text.extras": {"shout": "toyflow_dialect:shout"}}

DIALECT = Dialect(
    "toyflow",
    "Toyflow",
    ("toyflow",),
    vocabulary=lambda: VOCABULARY,
    claims=claims,
    execute=execute,
    read=read,
    find=find,
    write=write,
)
