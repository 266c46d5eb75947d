"""Functions of the user's that belong to a node and are not a part of what it computes."""

from __future__ import annotations

from penstock.authoring.pipeline import Definition
from penstock.model.graph import Node, PipelineAction


def functions_lost(definition: Definition, node: Node) -> list[str]:
    """What of them is left out where a node, of the pipeline or of a body in it, is written as a program of its own."""
    known = next(
        (each for (body, name), each in definition.attached.items() if _is(definition, body, name, node)), None
    )
    if known is None:
        return []
    found: list[str] = []
    if any(getattr(known.hooks, event) for event in known.hooks.__struct_fields__):
        found.append("functions that are told of its events are left out")
    if known.retry_if is not None and node.policy.retries.count:
        found.append("every failure is repeated, whatever retry_if says")
    return found


def _is(definition: Definition, body: str, name: str, node: Node) -> bool:
    """Whether a node is the one of this name in a body; the pipeline itself has an empty key."""
    if name != node.id:
        return False
    action = definition.graph.tasks[body].action if body else None
    nodes = action.nodes if isinstance(action, PipelineAction) else definition.graph.nodes
    return any((each.id, each.location) == (node.id, node.location) for each in nodes)


__all__ = ["functions_lost"]
