"""Which two runs are compared."""

from __future__ import annotations

from penstock.errors import DefinitionError, NotFoundError
from penstock.model.run import RunRecord
from penstock.ports import Store
from penstock.runtime.generations.earlier import generations_before


def check_two(before: RunRecord, after: RunRecord) -> None:
    """Raise DefinitionError where two runs are one."""
    if before.run_id == after.run_id:
        raise DefinitionError(f"{before.run_id} and {after.run_id} are the same run", remedy="Name two: penstock runs")


def run_before(store: Store, run: RunRecord) -> RunRecord:
    """The generation of a run before it, or else the latest run of the same pipeline that began before it. Raises NotFoundError if there is none."""
    for each in generations_before(store, run):
        return each
    for each in store.runs(pipeline=run.pipeline, limit=_LOOKED_AT):
        if each.started_at <= run.started_at and each.run_id != run.run_id:
            return each
    raise NotFoundError(
        f"there is no earlier run of {run.pipeline} to compare {run.run_id} with",
        remedy="Name the other one: penstock diff BEFORE AFTER, or run.diff(before).",
    )


#: how many of the latest runs of a pipeline are looked at
_LOOKED_AT = 1000

__all__ = ["check_two", "run_before"]
