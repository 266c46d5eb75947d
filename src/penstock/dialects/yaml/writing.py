"""A graph as a file of YAML, and how well each of its nodes is written."""

from __future__ import annotations

import sys
from typing import Any

from penstock.authoring.options.hooks import PIPELINE_EVENTS
from penstock.authoring.pipeline import Definition
from penstock.dialects import Account, Export, Written
from penstock.dialects.yaml.dumping import Block, dumped, listed
from penstock.dialects.yaml.entries import Entries, names_of
from penstock.dialects.yaml.inputs import write_value
from penstock.dialects.yaml.literals import Unwritable
from penstock.dialects.yaml.notifications import write_notification
from penstock.dialects.yaml.references import reference_of
from penstock.dialects.yaml.schedules import write_schedule
from penstock.dialects.yaml.structs import write_length
from penstock.dialects.yaml.types import annotation
from penstock.errors import DefinitionError
from penstock.model.action import OpaqueAction
from penstock.model.expression import Constant
from penstock.model.expression import Mapping as MappingExpression
from penstock.model.graph import Graph, ParameterPort


def write(export: Export) -> Written:
    """The file of a pipeline. Raises DefinitionError, naming the node, for what no file can say."""
    definition = export.definition
    graph = definition.graph
    if graph.dynamic_at is not None:
        raise DefinitionError(
            f"from {graph.dynamic_at} on, the nodes of {graph.name} appear while it runs, and a file has none of them",
            where=str(graph.dynamic_at),
            remedy="Keep branches and loops in the graph: when(...), task.map(...), repeat(...).",
        )
    parameters, accounts = _parameters(graph.parameters, definition)
    entries = Entries(definition, export.stem)
    stages = entries.stages(graph.nodes, graph.parameters)
    changed = dict(entries.changes)
    accounts += [_account(graph, node.id, node.task, changed.get(node.id, "")) for node in graph.nodes]
    text = (
        _head(graph, parameters, definition, accounts) + "\n" + (listed("stages", stages) if stages else "stages: []\n")
    )
    text += _tail(export, accounts)
    return Written(text, tuple(accounts))


def _account(graph: Graph, node: str, task: str, changed: str) -> Account:
    action = graph.tasks[task].action
    if changed:
        return Account(node, "changed", changed)
    if isinstance(action, OpaqueAction):
        return Account(node, "opaque", f"{action.kind} of {action.dialect}, as it stands")
    return Account(node, "exact")


def _head(graph: Graph, parameters: dict[str, Any], definition: Definition, accounts: list[Account]) -> str:
    about: dict[str, Any] = {"name": graph.name}
    if graph.description:
        about["description"] = graph.description
    if parameters:
        about["parameters"] = parameters
    names = names_of(graph.nodes, graph.tasks, graph.parameters)
    try:
        if isinstance(graph.result, MappingExpression):
            about["outputs"] = {name: write_value(each, names) for name, each in graph.result.items.items()}
        elif graph.result != Constant(None):
            about["result"] = write_value(graph.result, names)
    except Unwritable as unwritable:
        raise DefinitionError(f"the result of {graph.name} holds {unwritable}, which no file can") from None
    if graph.policy.on_failure != "continue":
        about["on_failure"] = graph.policy.on_failure
    for name in ("timeout", "concurrency"):
        value = getattr(graph.policy, name)
        if value is not None:
            about[name] = write_length(value) if name == "timeout" else value
    if definition.settings.deadline is not None:
        about["deadline"] = write_length(definition.settings.deadline)
    return dumped({"pipeline": Block(about)})


def _parameters(ports: tuple[ParameterPort, ...], definition: Definition) -> tuple[dict[str, Any], list[Account]]:
    found: dict[str, Any] = {}
    accounts: list[Account] = []
    for port in ports:
        kind = _type_of(port.type, definition)
        if kind is None:
            kind = "Any"
            how = f"the type of the parameter {port.name} is not known to the file any more: {port.type}"
            accounts.append(Account("", "changed", how))
        if port.required:
            found[port.name] = {"type": kind}
        elif _is_plain(port, kind):
            found[port.name] = port.default
        else:
            found[port.name] = {"type": kind, "default": _default(port.default)}
    return found, accounts


def _is_plain(port: ParameterPort, kind: str) -> bool:
    """Whether the default says the type as well."""
    if type(port.default) is str and ("${" in port.default or _is_type(port.default)):
        return False
    return type(port.default) in (int, float, bool, str) and type(port.default).__name__ == kind


def _default(value: Any) -> Any:
    causes = ("logical_time()", "interval_start()", "interval_end()", "partition()")
    return f"${{{value[:-2]}}}" if isinstance(value, str) and value in causes else value


def _is_type(text: str) -> bool:
    from penstock.dialects.yaml.types import NAMES

    return text in NAMES


def _type_of(text: str, definition: Definition) -> str | None:
    """A type as the file names it; None where it cannot be found again."""
    from penstock.authoring.kinds.annotations import kind_of

    def refuse(name: str) -> Any:
        raise ValueError(name)

    try:
        if kind_of(annotation(text, refuse)).name == text:
            return text
    except (ValueError, TypeError, SyntaxError):
        pass
    for task in definition.functions.values():
        module = sys.modules.get(task.function.__module__)
        found = None if module is None else getattr(module, text, None)
        if isinstance(found, type) and module is not None:
            return f"{found.__module__}:{found.__qualname__}"
    return None


def _tail(export: Export, accounts: list[Account]) -> str:
    graph = export.definition.graph
    schedules: list[dict[str, Any]] = []
    for trigger in export.triggers:
        written = write_schedule(trigger, graph.name if not schedules else f"{graph.name}-{len(schedules) + 1}")
        if written is None:
            accounts.append(
                Account("", "changed", f"the trigger {trigger.name} is no schedule of a file, and is left out")
            )
        else:
            schedules.append(written)
    text = ""
    if schedules:
        text += "\n" + dumped({"schedule": Block(schedules[0]) if len(schedules) == 1 else schedules})
    notifications = _notifications(export.definition, accounts)
    return text + ("\n" + dumped({"notifications": Block(notifications)}) if notifications else "")


def _notifications(definition: Definition, accounts: list[Account]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for event in PIPELINE_EVENTS:
        written: list[dict[str, Any]] = []
        for hook in getattr(definition.settings.hooks, event):
            name = write_notification(hook)
            reference = None if name is not None else reference_of(hook)
            if name is not None:
                written.append(name)
            elif reference is not None:
                written.append({"call": reference})
            else:
                called = getattr(hook, "__name__", repr(hook))
                accounts.append(
                    Account("", "changed", f"the hook on_{event} {called} has no name that a file could have")
                )
        if written:
            found[f"on_{event}"] = written[0] if len(written) == 1 else written
    return found


__all__ = ["write"]
