"""Which runs there are to go on with: those of a target, the overdue, the orphaned."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from penstock.cli.running import Asked, say
from penstock.model.run import RunRecord, RunState
from penstock.ports import Store

#: how many of the latest runs of a pipeline are looked through
_LATEST = 1000


def unfinished(asked: Asked) -> RunRecord | None:
    """The latest run of a pipeline with the same parameters that is paused, has lost its driver or has failed. Those
    before one that has succeeded do not count."""
    from penstock.app import Services
    from penstock.runtime.orphans import is_orphaned

    services = Services(asked.options)
    if not services.has_store:
        return None
    with services.store() as store:
        for run in store.runs(pipeline=asked.pipeline.name, limit=_LATEST):
            if not _is_the_same(store, run, asked):
                continue
            if run.state is RunState.SUCCEEDED:
                return None
            if run.state in (RunState.PAUSED, RunState.FAILED) or is_orphaned(store, run, say):
                return run
    return None


def described(run: RunRecord) -> str:
    """Why there is something to go on with: `run X, which failed`."""
    return f"run {run.run_id}, which {_WHICH[run.state]}"


_WHICH = {
    RunState.PAUSED: "is paused",
    RunState.FAILED: "failed",
    RunState.RUNNING: "has lost its process",
}


def due_and_orphaned(*, due: bool, orphaned: bool) -> list[RunRecord]:
    """The runs that are paused and overdue, and those under way whose driver is gone, oldest first."""
    from penstock.app import Services
    from penstock.runtime.orphans import orphans
    from penstock.runtime.requests import overdue

    services = Services()
    if not services.has_store:
        return []
    with services.store() as store:
        return [*(overdue(store) if due else ()), *(orphans(store, say) if orphaned else ())]


def _is_the_same(store: Store, run: RunRecord, asked: Asked) -> bool:
    """Whether a run is one of the same pipeline, in the same file, with the same parameters."""
    from penstock.authoring.kinds.parameters import to_json

    given: dict[str, Any] = {name: to_json(value) for name, value in asked.parameters.items()}
    if run.parameters != msgspec.json.decode(msgspec.json.encode(given)):
        return False
    files = store.provenance(run.run_id).source
    file = getattr(sys.modules.get(asked.pipeline.function.__module__), "__file__", None)
    return not files or file is None or file in files


__all__ = ["described", "due_and_orphaned", "unfinished"]
