"""The run document: what `run --json` and `show --json` print, and what the rest of the views are drawn from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from penstock.errors import StoreError
from penstock.kernel import RunProgress, handle
from penstock.model.graph import Graph
from penstock.model.run import ENDED, AttemptRecord, NodeState, Provenance, RunRecord, RunState, item_id, timestamp
from penstock.model.value import Argument, Artifact, Collection, Record
from penstock.ports import LoggedAttachment, LoggedMetric, Store
from penstock.runtime.origins import logged_in
from penstock.values import Values


def run_document(store: Store, values: Values, run: RunRecord) -> dict[str, Any]:
    """All about a run, as JSON-able data: the contract of the command line, with more keys besides."""
    graph = msgspec.json.decode(store.graph(run.run_id), type=Graph)
    attempts = store.attempts(run.run_id)
    logged = logged_in(store, run.run_id, attempts)
    tasks = task_documents(graph, attempts, values)
    for task in tasks:
        origin = logged.origins.get((task["node"], -1 if task["item"] is None else task["item"]))
        if origin is not None:
            task["cached_from"] = origin.run_id
    if run.state is RunState.RUNNING:
        tasks += _unfinished(store, graph, run.run_id)
        tasks = list({task["id"]: task for task in tasks}.values())
    return {
        **run_header(run),
        "outputs": {name: _output_document(argument, values) for name, argument in run.outputs.items()},
        "metrics": metrics_document(_in_graph_order(graph, logged.metrics, _place_of_logged)),
        "tasks": _in_graph_order(graph, tasks, _place_of_task),
        "artifacts": [
            _attachment_document(attached, values)
            for attached in _in_graph_order(graph, logged.attachments, _place_of_logged)
        ],
    }


def run_header(run: RunRecord) -> dict[str, Any]:
    """What can be told of a run without looking into it."""
    ended = run.finished_at
    return {
        "run_id": run.run_id,
        "pipeline": run.pipeline,
        "state": run.state.value,
        "parameters": run.parameters,
        "started_at": timestamp(run.started_at),
        "finished_at": None if ended is None else timestamp(ended),
        "duration_s": None if ended is None else round(ended - run.started_at, 6),
        "target": run.target,
    }


def provenance_document(provenance: Provenance) -> dict[str, Any]:
    """What a run depended on, as JSON-able data."""
    return msgspec.to_builtins(provenance)


def task_documents(graph: Graph, attempts: Sequence[AttemptRecord], values: Values) -> list[dict[str, Any]]:
    """One entry for every node, or item of one, that has ended or was attempted."""
    nodes = {node.id: node for node in graph.nodes}
    by_cell: dict[tuple[str, int], list[AttemptRecord]] = {}
    for attempt in attempts:
        by_cell.setdefault((attempt.node, attempt.item), []).append(attempt)
    return [
        _task_document(graph, nodes[name].task, name, item, records, values)
        for (name, item), records in by_cell.items()
    ]


def _task_document(
    graph: Graph, key: str, node: str, item: int, attempts: Sequence[AttemptRecord], values: Values
) -> dict[str, Any]:
    task = graph.tasks[key]
    # an end without an attempt (cancelled between two attempts, say) is attempt 0, and is the last word
    last = next((record for record in attempts if record.attempt == 0), attempts[-1])
    tried = [record for record in attempts if record.attempt > 0]
    fault = last.fault
    document: dict[str, Any] = {
        "id": item_id(node, item),
        "node": node,
        "item": None if item < 0 else item,
        "task": task.name,
        "state": last.state.value,
        "attempts": len(tried),
        "started_at": timestamp(tried[0].started_at if tried else last.started_at),
        "duration_s": round(sum((record.duration for record in tried), 0.0), 6),
        "cpu_s": round(sum((record.cpu for record in tried), 0.0), 6),
        "peak_memory_bytes": max((record.peak_memory for record in tried), default=0),
        "error": None if fault is None else f"{fault.type}: {fault.message}",
        "outputs": _outputs(graph, key, last.outputs, values),
    }
    if fault is not None:
        document["traceback"] = fault.traceback
    if last.reason:
        document["reason"] = last.reason
    return document


def _outputs(graph: Graph, key: str, outputs: tuple[Artifact, ...], values: Values) -> dict[str, Any]:
    ports = graph.tasks[key].outputs
    names = [port.name for port in ports] if len(ports) == len(outputs) else ["result"]
    return {name: argument_document(one, values) for name, one in zip(names, outputs, strict=False)}


def argument_document(argument: Argument, values: Values) -> dict[str, Any]:
    """An artifact, or what several make up: type, digest, size, and the value where it is small and JSON-able."""
    document: dict[str, Any] = {
        "type": argument_type(argument),
        "digest": values.digest(argument).hex(),
        "size": sum(artifact.size for artifact in artifacts_in(argument)),
    }
    shown, value = plain_value(argument, values)
    if shown:
        document["value"] = value
    return document


def _output_document(argument: Argument, values: Values) -> dict[str, Any]:
    """An output of the run; a file or folder is laid out in the workspace and named by its path there."""
    document = argument_document(argument, values)
    if isinstance(argument, Artifact) and argument.codec == "file":
        try:
            document["path"] = str(values.load(argument))
        except StoreError as error:
            document["missing"] = error.what
    return document


def argument_type(argument: Argument) -> str:
    """The Python type of what an argument stands for, for people."""
    if isinstance(argument, Artifact):
        return argument.type
    if isinstance(argument, Collection):
        return argument.kind
    return argument.type.replace(":", ".") if isinstance(argument, Record) else "part"


def artifacts_in(argument: Argument) -> Iterable[Artifact]:
    """The artifacts that an argument is made of."""
    if isinstance(argument, Artifact):
        yield argument
    elif isinstance(argument, (Collection, Record)):
        for item in argument.items:
            yield from artifacts_in(item)
    else:
        yield from artifacts_in(argument.of)


def plain_value(argument: Argument, values: Values) -> tuple[bool, Any]:
    """(True, value) where a value is small and JSON can hold it."""
    if isinstance(argument, Artifact):
        return values.plain(argument)
    if not isinstance(argument, (Collection, Record)) or len(argument.items) > 100:
        return False, None
    parts = [plain_value(item, values) for item in argument.items]
    if not all(shown for shown, _ in parts):
        return False, None
    plain = [value for _, value in parts]
    keys = argument.names if isinstance(argument, Record) else argument.keys
    return True, dict(zip(keys, plain, strict=True)) if keys else plain


def metrics_document(metrics: Sequence[LoggedMetric]) -> dict[str, float]:
    """The last value of every metric; named `node.metric` where more than one node logged the same name."""
    latest: dict[tuple[str, str], float] = {}
    for logged in metrics:
        latest[logged.metric.name, item_id(logged.node, logged.item)] = logged.metric.value
    owners: dict[str, set[str]] = {}
    for name, owner in latest:
        owners.setdefault(name, set()).add(owner)
    return {name if len(owners[name]) == 1 else f"{owner}.{name}": value for (name, owner), value in latest.items()}


def _attachment_document(attached: LoggedAttachment, values: Values) -> dict[str, Any]:
    attachment = attached.attachment
    owner = item_id(attached.node, attached.item)
    return {"name": attachment.name, "task": owner, **argument_document(attachment.artifact, values)}


def _unfinished(store: Store, graph: Graph, run_id: str) -> list[dict[str, Any]]:
    """Entries for what has not ended, by replaying the journal."""
    progress = RunProgress(graph)
    for _, events in store.journal(run_id):
        handle(progress, *events)
    documents: list[dict[str, Any]] = []
    for name, node in progress.nodes.items():
        cells = range(len(node.items.phases)) if node.items is not None else (-1,)
        for item in cells:
            state = node.phase_of(item).state
            if state not in ENDED:
                documents.append(_pending(graph, node.node.task, name, item, state, node.attempts.get(item, 0)))
    return documents


def _pending(graph: Graph, key: str, node: str, item: int, state: NodeState, attempts: int) -> dict[str, Any]:
    return {
        "id": item_id(node, item),
        "node": node,
        "item": None if item < 0 else item,
        "task": graph.tasks[key].name,
        "state": state.value,
        "attempts": attempts,
        "duration_s": 0.0,
        "error": None,
        "outputs": {},
    }


T = TypeVar("T")


def _in_graph_order(graph: Graph, every: Iterable[T], place_of: Callable[[T], tuple[str, int]]) -> list[T]:
    """Things of nodes and items, by their place in the graph; those of one place stay in their order."""
    order = {node.id: index for index, node in enumerate(graph.nodes)}

    def key(each: T) -> tuple[int, int]:
        node, item = place_of(each)
        return order[node], item

    return sorted(every, key=key)


def _place_of_task(task: Mapping[str, Any]) -> tuple[str, int]:
    return task["node"], -1 if task["item"] is None else task["item"]


def _place_of_logged(logged: LoggedMetric | LoggedAttachment) -> tuple[str, int]:
    return logged.node, logged.item
