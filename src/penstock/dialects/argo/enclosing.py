"""Tasks that run in a DAG of their own, which limits how many items are under way, or succeeds whatever comes of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from penstock.dialects.argo.scripts import inputs_of
from penstock.dialects.argo.values import Value
from penstock.model.expression import Ended
from penstock.model.graph import Node

if TYPE_CHECKING:
    from penstock.dialects.argo.dags import Dag

#: the output that says how a task ended whose failure is no failure of the DAG
STATUS = "run-status"
#: rules by which a node starts, or not, without regard to which of what it waits for failed
_REGARDLESS = ("all_success", "all_done", "always")
#: rules by which a node starts where one that it waits for failed
_STARTING = ("all_done", "always", "one_failed", "one_done")
_ITEM = re.compile(r"\{\{(?:item\b|=(?:[^']|'[^']*')*\bitem\b)")


class Tolerance:
    """What becomes of the nodes of a graph whose failure decides nothing."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        #: they run in a DAG of their own, which succeeds
        self.enclosed: set[str] = set()
        #: they are no targets of the DAG
        self.aside: set[str] = set()
        #: their failure is a failure of the DAG all the same
        self.lost: set[str] = set()
        for node in nodes.values():
            if node.decides:
                continue
            following = [each for each in nodes.values() if node.id in each.upstream()]
            if all(each.join in _REGARDLESS for each in following):
                self.enclosed.add(node.id)
            elif all(_starts(each, node.id) for each in following):
                self.aside.add(node.id)
            else:
                self.lost.add(node.id)


def _starts(node: Node, failed: str) -> bool:
    """Whether a node starts where another one failed."""
    if isinstance(node.join, Ended):
        return node.join.node == failed and "failed" in node.join.states
    return node.join in _STARTING


def enclosed(dag: Dag, node: Node, task: dict[str, Any], loop: Mapping[str, Any]) -> dict[str, Any]:
    """The task that runs a task of a node, with its items if it is fanned out, in a DAG of its own."""
    tolerated = node.id in dag.tolerance.enclosed
    limit = None if node.each is None else node.each.max_parallel
    arguments = task.get("arguments", {})
    inner: dict[str, Any] = {"name": "item" if loop else "run", "template": task["template"]}
    outer: dict[str, list[Any]] = {}
    given: dict[str, Value] = {}
    inside: dict[str, list[Any]] = {}
    for kind, key in (("parameters", "value"), ("artifacts", "from")):
        for each in arguments.get(kind, ()):
            name = each["name"]
            if loop and _ITEM.search(each[key]):
                inside.setdefault(kind, []).append(each)
                continue
            given[name] = Value(f"inputs.{kind}['{name}']", "file" if kind == "artifacts" else "json")
            inside.setdefault(kind, []).append({"name": name, key: given[name].argument})
            outer.setdefault(kind, []).append(each)
    if "withParam" in loop:
        name = "items"
        while name in given:
            name += "-listed"
        given[name] = Value(f"inputs.parameters['{name}']", "json")
        outer.setdefault("parameters", []).append({"name": name, "value": loop["withParam"]})
        loop = {"withParam": given[name].argument}
    inner |= {**({"arguments": inside} if inside else {}), **loop}
    if tolerated:
        inner["continueOn"] = {"failed": True, "error": True}
    template: dict[str, Any] = {"name": f"{task['name']}-{'each' if loop else 'tolerated'}", **inputs_of(given)}
    if limit is not None:
        template["parallelism"] = limit
    template["dag"] = {"tasks": [inner], **({"failFast": False} if loop else {})}
    outputs = _outputs(dag, node, inner, tolerated)
    if outputs:
        template["outputs"] = outputs
    made = {"name": task["name"], "template": dag.manifest.add(template)}
    return {**made, **({"arguments": outer} if outer else {})}


def _outputs(dag: Dag, node: Node, inner: Mapping[str, Any], tolerated: bool) -> dict[str, Any]:
    """What the DAG of a task hands on, which may have had no items, or have failed."""
    ran = next(each for each in dag.manifest.templates if each["name"] == inner["template"])
    name = inner["name"]
    missing = "[]" if node.each is not None else "null" if tolerated else None
    parameters: list[dict[str, Any]] = []
    for each in ran.get("outputs", {}).get("parameters", ()):
        source = {"parameter": f"{{{{tasks.{name}.outputs.parameters.{each['name']}}}}}"}
        parameters.append(
            {"name": each["name"], "valueFrom": source if missing is None else {**source, "default": missing}}
        )
    if tolerated and any(node.id in each.upstream() for each in dag.nodes.values()):
        parameters.append({"name": STATUS, "valueFrom": {"expression": f"tasks['{name}'].status"}})
    artifacts = [
        {"name": each["name"], "from": f"{{{{tasks.{name}.outputs.artifacts.{each['name']}}}}}"}
        | ({"optional": True} if tolerated else {})
        for each in ran.get("outputs", {}).get("artifacts", ())
    ]
    return {key: each for key, each in (("parameters", parameters), ("artifacts", artifacts)) if each}


__all__ = ["STATUS", "Tolerance", "enclosed"]
