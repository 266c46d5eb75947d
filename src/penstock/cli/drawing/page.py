"""A graph as one web page: the drawing, to be moved and zoomed, and the details of what is clicked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from typing import Any

import msgspec

from penstock.cli.drawing.svg import as_svg
from penstock.model.action import ContainerAction, OpaqueAction, PythonAction
from penstock.model.expression import describe
from penstock.model.graph import Graph, Node
from penstock.observe import outline
from penstock.observe.bodies import opened


def as_html(graph: Graph, states: Mapping[str, str] | None = None) -> str:
    """The graph as one self-contained HTML page; it loads nothing from anywhere. `states` as for `as_svg`."""
    template = files("penstock.cli.drawing").joinpath("page.html").read_text(encoding="utf-8")
    parts = {
        "title": escape(graph.name),
        "drawing": as_svg(graph, states),
        "details": _embedded(_details(opened(graph), states or {})),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], template)


def _embedded(data: dict[str, Any]) -> str:
    """JSON that may stand inside a script element: no character of it can end the element."""
    return msgspec.json.encode(data).decode().replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _details(graph: Graph, states: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": graph.name,
        "description": graph.description,
        "parameters": [[port.name, _without_name(outline.signature(port))] for port in graph.parameters],
        "result": outline.result_of(graph),
        "nodes": {node.id: _node(graph, node, states.get(node.id)) for node in graph.nodes},
    }


def _without_name(signature: str) -> str:
    return signature.partition(": ")[2]


def _node(graph: Graph, node: Node, state: str | None) -> dict[str, Any]:
    task = graph.task_of(node)
    return {
        "description": task.description,
        "sections": [
            ["", _facts(graph, node, state)],
            ["Inputs", _inputs(node)],
            ["Outputs", [[port.name, port.type] for port in task.outputs]],
        ],
    }


def _inputs(node: Node) -> list[list[str]]:
    over = node.each.over if node.each is not None else {}
    elements = [[name, f"each of {describe(source)}"] for name, source in over.items()]
    return elements + [[reading.input, reading.source] for reading in outline.readings(node)]


def _facts(graph: Graph, node: Node, state: str | None) -> list[list[str]]:
    task = graph.task_of(node)
    action = task.action
    place = action.command.location if isinstance(action, ContainerAction) else action.location
    facts = {
        "state": (state or "").replace("_", " "),
        "task": f"{action.module}.{action.qualname}" if isinstance(action, PythonAction) else task.name,
        "defined at": str(place),
        "called at": str(node.location),
        "mapped over": outline.mapped_over(node),
        "runs": outline.condition(node),
        "also": "; ".join(outline.notes(graph, node)),
        "after": ", ".join(node.after),
        "policy": "; ".join(outline.policy_words(node.policy)),
        "source": action.source if isinstance(action, OpaqueAction) else "",
    }
    return [[name, text] for name, text in facts.items() if text]
