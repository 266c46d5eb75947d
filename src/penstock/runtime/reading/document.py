"""The run document: what `run --json` and `show --json` print, and what the rest of the views are drawn from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from penstock.errors import NotFoundError, StoreError
from penstock.model.action import ApprovalAction
from penstock.model.generation import earlier_id, is_earlier, origin_of, root_of
from penstock.model.graph import from_json, ignored_document
from penstock.model.run import AttemptRecord, NodeState, Provenance, RunRecord, RunState, timestamp
from penstock.model.value import Argument, Artifact
from penstock.ports import LoggedAttachment, LoggedMetric, Store
from penstock.runtime.reading.argument_documents import argument_document
from penstock.runtime.reading.causes import cause_document
from penstock.runtime.reading.cells import Cells
from penstock.runtime.reading.drivers import driver_document
from penstock.runtime.reading.failures import body_fault, expiry, handled_nodes, is_handled
from penstock.runtime.reading.origins import logged_in
from penstock.runtime.reading.questions import approval_document, open_questions, question_document
from penstock.runtime.reading.replay import replayed
from penstock.runtime.reading.task_documents import task_documents, unfinished_documents
from penstock.values import Values


def run_document(store: Store, values: Values, run: RunRecord) -> dict[str, Any]:
    """All about a run, as JSON-able data: the contract of the command line, with more keys besides."""
    graph = from_json(store.graph(run.run_id))
    attempts = store.attempts(run.run_id)
    cells = Cells(graph, attempts)
    logged = logged_in(store, run.run_id, attempts)
    tasks = task_documents(cells, attempts, values)
    for task in tasks.values():
        origin = logged.origins.get((task["node"], -1 if task["item"] is None else task["item"]))
        if origin is not None:
            task["cached_from"] = origin.run_id
    for record in attempts:
        if generation := origin_of(record):
            tasks[record.node, record.item]["kept_from"] = generation
    _add_answers(store, run.run_id, cells, attempts, tasks, values)
    _mark_handled(store, run.run_id, tasks.values())
    document = run_header(run, store.tags([run.run_id]).get(run.run_id, ())) | driver_document(store, run)
    document |= _generations(store, run)
    if run.state in (RunState.RUNNING, RunState.PAUSED):
        now = replayed(store, run.run_id, graph)
        for cell, waiting in unfinished_documents(now.progress, cells, paused=run.state is RunState.PAUSED).items():
            # an attempt that is to be repeated has not ended the task; what it took is told all the same
            tasks[cell] = {**tasks.get(cell, {}), **waiting}
        document["questions"] = [question_document(each, values) for each in open_questions(now.progress, now.ledger)]
    if run.state is RunState.FAILED:
        document |= _own_failure(store, run.run_id)
    return {
        **document,
        "outputs": {name: _output_document(argument, values) for name, argument in run.outputs.items()},
        "metrics": metrics_document(_in_order(cells, logged.metrics), cells),
        "tasks": [tasks[cell] for cell in sorted(tasks, key=lambda cell: cells.position(*cell))],
        "ignored": ignored_document(store.provenance(run.run_id).ignored),
        "artifacts": [
            _attachment_document(attached, values, cells) for attached in _in_order(cells, logged.attachments)
        ],
    }


def _generations(store: Store, run: RunRecord) -> dict[str, Any]:
    """How many generations a run has, and the ids of those before the latest."""
    try:
        latest = store.find(root_of(run.run_id)) if is_earlier(run) else run
    except NotFoundError:
        latest = run
    earlier = [earlier_id(run, number) for number in range(1, latest.generation)]
    return {"generations": latest.generation, "earlier": earlier}


def _own_failure(store: Store, run_id: str) -> dict[str, Any]:
    """Why a run failed, where that is not the failure of a task: what its body raised, or the time that it took."""
    fault = body_fault(store, run_id)
    if fault is not None:
        return {"error": f"{fault.type}: {fault.message}", "traceback": fault.traceback}
    late = expiry(store, run_id)
    return {"error": late, "traceback": ""} if late else {}


def _mark_handled(store: Store, run_id: str, tasks: Iterable[dict[str, Any]]) -> None:
    """Mark the failures that the body of a dynamic pipeline has caught, and with them those inside."""
    failed = [task for task in tasks if task["state"] == NodeState.FAILED]
    handled = handled_nodes(store, run_id) if failed else ()
    for task in failed:
        if is_handled(task["node"], handled):
            task["handled"] = True


def _add_answers(
    store: Store,
    run_id: str,
    cells: Cells,
    attempts: Sequence[AttemptRecord],
    tasks: Mapping[tuple[str, int], dict[str, Any]],
    values: Values,
) -> None:
    """Tell of each approval who gave which answer, and when."""
    for record in attempts:
        origin = cells.origin(record.node)
        if origin is None or not isinstance(origin.task.action, ApprovalAction):
            continue
        name = cells.name(record.node, record.item)
        asked = f"{root_of(run_id)}.{kept}" if (kept := origin_of(record)) else run_id
        answer = approval_document(name, record.outputs, store.requests(asked), values)
        if answer is not None:
            tasks[record.node, record.item]["approval"] = answer


def run_header(run: RunRecord, tags: Sequence[str] = ()) -> dict[str, Any]:
    """What can be told of a run without looking into it."""
    ended = run.finished_at
    return {
        "run_id": run.run_id,
        "pipeline": run.pipeline,
        "state": run.state.value,
        "generation": run.generation,
        "parameters": run.parameters,
        "started_at": timestamp(run.started_at),
        "finished_at": None if ended is None else timestamp(ended),
        "duration_s": None if ended is None else round(ended - run.started_at, 6),
        "target": run.target,
        "version": run.version,
        "cause": cause_document(run.cause),
        "tags": list(tags),
    }


def provenance_document(provenance: Provenance) -> dict[str, Any]:
    """What a run depended on, as JSON-able data."""
    return msgspec.to_builtins(provenance)


def _output_document(argument: Argument, values: Values) -> dict[str, Any]:
    """An output of the run; a file or folder is laid out in the workspace and named by its path there."""
    document = argument_document(argument, values)
    if isinstance(argument, Artifact) and argument.codec == "file":
        try:
            document["path"] = str(values.load(argument))
        except StoreError as error:
            document["missing"] = error.what
    return document


def metrics_document(metrics: Sequence[LoggedMetric], cells: Cells) -> dict[str, float]:
    """The last value of every metric; named `node.metric` where more than one node logged the same name."""
    latest: dict[tuple[str, str], float] = {}
    for logged in metrics:
        latest[logged.metric.name, cells.name(logged.node, logged.item)] = logged.metric.value
    owners: dict[str, set[str]] = {}
    for name, owner in latest:
        owners.setdefault(name, set()).add(owner)
    return {name if len(owners[name]) == 1 else f"{owner}.{name}": value for (name, owner), value in latest.items()}


def _attachment_document(attached: LoggedAttachment, values: Values, cells: Cells) -> dict[str, Any]:
    attachment = attached.attachment
    owner = cells.name(attached.node, attached.item)
    return {"name": attachment.name, "task": owner, **argument_document(attachment.artifact, values)}


T = TypeVar("T", LoggedMetric, LoggedAttachment)


def _in_order(cells: Cells, every: Iterable[T]) -> list[T]:
    """Things of nodes and items, by their place in the graph; those of one place stay in their order."""
    return sorted(every, key=lambda each: cells.position(each.node, each.item))
