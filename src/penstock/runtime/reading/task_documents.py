"""The nodes and items of a run as the run document has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from penstock.kernel import NodeProgress, Phase, RunProgress
from penstock.model.graph import Task
from penstock.model.run import ENDED, AttemptRecord, NodeState, timestamp
from penstock.model.value import Argument
from penstock.runtime.reading.argument_documents import argument_document
from penstock.runtime.reading.cells import Cells
from penstock.runtime.reading.history import error_before_fallback, fallback_used, history_document, lost
from penstock.values import Values

#: a node, or an item of one
Cell = tuple[str, int]


def task_documents(cells: Cells, attempts: Sequence[AttemptRecord], values: Values) -> dict[Cell, dict[str, Any]]:
    """One entry for every node, or item of one, that has ended or was attempted."""
    by_cell: dict[Cell, list[AttemptRecord]] = {}
    for attempt in attempts:
        by_cell.setdefault((attempt.node, attempt.item), []).append(attempt)
    return {cell: _task_document(cells, cell, records, values) for cell, records in by_cell.items()}


def _task_document(cells: Cells, cell: Cell, attempts: Sequence[AttemptRecord], values: Values) -> dict[str, Any]:
    origin = cells.origin(cell[0])
    # an end without an attempt (cancelled between two attempts, say) is attempt 0, and is the last word
    last = next((record for record in attempts if record.attempt == 0), attempts[-1])
    tried = [record for record in attempts if record.attempt > 0]
    timed = tried or [last]
    fault = last.fault
    document = _named(cells, cells.name(*cell), cells.key(*cell), cell, origin.task.name if origin else cell[0]) | {
        "state": last.state.value,
        "attempts": len(tried),
        "started_at": timestamp(timed[0].started_at),
        "duration_s": round(sum((record.duration for record in timed), 0.0), 6),
        "cpu_s": round(sum((record.cpu for record in tried), 0.0), 6),
        "peak_memory_bytes": max((record.peak_memory for record in tried), default=0),
        "error": None if fault is None else f"{fault.type}: {fault.message}",
        "outputs": _outputs(origin.task if origin else None, last.outputs, values),
    }
    if fault is not None:
        document["traceback"] = fault.traceback
    elif last.state is NodeState.FAILED:
        # of a body: something in it failed, which says why
        document |= {"error": last.reason or "failed", "traceback": ""}
    if last.reason:
        document["reason"] = last.reason
    if last.state is NodeState.CANCELLED and tried:
        # an attempt that was stopped was not lost
        tried[-1] = replace(tried[-1], state=NodeState.CANCELLED, fault=None)
    if len(tried) > 1 or (tried and last is not tried[-1] and last.state is not NodeState.CANCELLED):
        document["history"] = history_document(tried)
    if gone := lost(tried):
        document["lost"] = gone
    if origin is not None and (fallback := fallback_used(origin.node, attempts)):
        document["fallback"] = fallback
    if origin is not None and (first := error_before_fallback(origin.node, attempts)):
        document["first_error"] = first
    return document


def _named(cells: Cells, name: str, key: str | None, cell: Cell, task: str) -> dict[str, Any]:
    node, item = cell
    named: dict[str, Any] = {"id": name, "node": node, "item": None if item < 0 else item, "key": key, "task": task}
    if (path := cells.path(node)) != node:
        named["path"] = path
    return named


def _outputs(task: Task | None, outputs: tuple[Argument, ...], values: Values) -> dict[str, Any]:
    names = ["result"] if task is None else [port.name for port in task.outputs]
    names = names if len(names) == len(outputs) else ["result"]
    return {name: argument_document(one, values) for name, one in zip(names, outputs, strict=False)}


def unfinished_documents(run: RunProgress, cells: Cells, *, paused: bool) -> dict[Cell, dict[str, Any]]:
    """One entry for every node, or item of one, that has not ended."""
    return {
        (progress.id, item): _unfinished(run, cells, progress, item, paused=paused)
        for progress in run.nodes.values()
        for item in _items(progress)
        if progress.phase_of(item).state not in ENDED
    }


def _items(progress: NodeProgress) -> Iterator[int]:
    if progress.items is None:
        yield -1
    else:
        yield from range(len(progress.items.phases))


#: what something waits for, by its phase
_WAITS = {
    Phase.QUEUED: "room",
    Phase.DELAYED: "time",
    Phase.AWAITING: "approval",
}


def _unfinished(run: RunProgress, cells: Cells, progress: NodeProgress, item: int, *, paused: bool) -> dict[str, Any]:
    phase = progress.phase_of(item)
    keys = None if progress.items is None or item < 0 else progress.items.keys
    key = None if keys is None else keys[item]
    task = run.tasks[progress.node.task].name
    document = _named(cells, progress.cell_id(item), key, (progress.id, item), task)
    document["state"] = phase.state.value
    document["attempts"] = progress.attempts.get(item, 0)
    document |= {"duration_s": 0.0, "error": None, "outputs": {}}
    if phase in _WAITS:
        document["waits_for"] = _WAITS[phase]
    elif paused and phase.state is NodeState.RUNNING:
        # a body that has begun; in a run that is paused it can only wait for an answer
        document |= {"state": NodeState.WAITING.value, "waits_for": _WAITS[Phase.AWAITING]}
    return document


__all__ = ["task_documents", "unfinished_documents"]
