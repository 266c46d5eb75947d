"""Graphs and events, made by hand, to drive the kernel with. Reading another node is all that the kernel sees."""

from __future__ import annotations

from typing import Any

from penstock.kernel import Phase, RunProgress
from penstock.model.event import Fault, Hit, Missed, Started, Succeeded
from penstock.model.expression import Expression, Item, Output, Parameter
from penstock.model.graph import Each, Graph, Node
from penstock.model.place import Location
from penstock.model.policy import Policy, Retries
from penstock.model.value import Artifact

FAULT = Fault("ValueError", "no luck")
PLACE = Location("pipeline.py", 7)


def outputs(seed: int = 0) -> tuple[Artifact, ...]:
    """The outputs of an attempt, different for each seed."""
    return (Artifact("json", "int", seed.to_bytes(32, "big"), 1, b"0"),)


def node(id: str, *reads: str | Expression, retries: int = 0, delay: float = 0.0, **fields: Any) -> Node:
    """A node with one input for each node (or expression) that it reads."""
    sources = [Output(read) if isinstance(read, str) else read for read in reads]
    bindings = {f"input{place}": source for place, source in enumerate(sources)}
    return Node(id, "task", bindings, PLACE, Policy(retries=Retries(count=retries, delays=(delay,))), **fields)


def mapped(id: str, *reads: str | Expression, **fields: Any) -> Node:
    """A node that is mapped over a parameter, besides what it reads."""
    return node(id, *reads, Item("element"), each=Each({"element": Parameter("elements")}), **fields)


def run_of(*nodes: Node) -> RunProgress:
    return RunProgress(Graph("pipeline", (), {}, nodes))


def hit(node: str, item: int = -1, seed: int = 0) -> Hit:
    return Hit(node, item, b"fingerprint", outputs(seed))


def missed(node: str, item: int = -1) -> Missed:
    return Missed(node, item, b"fingerprint")


def started(node: str, item: int = -1, attempt: int = 1) -> Started:
    return Started(node, item, attempt)


def succeeded(node: str, item: int = -1, attempt: int = 1, seed: int = 0) -> Succeeded:
    return Succeeded(node, item, attempt, outputs(seed))


def phases(run: RunProgress) -> dict[str, str]:
    """The phase of every node and item, by name: `fit`, `fit[2]`."""
    found: dict[str, str] = {}
    for name, progress in run.nodes.items():
        found[name] = progress.phase.name
        for item, phase in enumerate(progress.items.phases if progress.items is not None else ()):
            found[f"{name}[{item}]"] = Phase(phase).name
    return found


def picture(run: RunProgress) -> dict[str, Any]:
    """Everything that the kernel remembers of a run, to compare runs by."""
    nodes = {
        name: (each.phase, each.blockers, dict(each.attempts), each.outputs, _items(run, name))
        for name, each in run.nodes.items()
    }
    return {
        "nodes": nodes,
        "frames": {name: (frame.unfinished, frame.growing, frame.turn) for name, frame in run.frames.items()},
        "run": (run.started, run.finished, run.cancelling, run.final, run.stopping, run.expired),
    }


def _items(run: RunProgress, name: str) -> Any:
    items = run.nodes[name].items
    return None if items is None else (bytes(items.phases), list(items.outputs), items.unfinished, list(items.counts))
