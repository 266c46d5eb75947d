"""What is said when a name does not tell which run is meant."""

from __future__ import annotations

from penstock.errors import NotFoundError
from penstock.model.run import RunRecord, timestamp

#: how many runs a message names
NAMED = 5


def not_found(name: str, ambiguous: list[RunRecord], latest: list[RunRecord], place: str) -> NotFoundError:
    """That several runs could be meant; or none, with the nearest of the latest ones."""
    if ambiguous:
        return NotFoundError(f"several runs start with {name!r}", remedy=_listed("Say which:", ambiguous))
    if not latest:
        return NotFoundError(f"there is no run {name!r}: none is recorded in {place}")
    return NotFoundError(f"there is no run {name!r}", remedy=_listed("The nearest are:", _nearest(name, latest)))


def no_generation(run: RunRecord, number: int) -> NotFoundError:
    """That a run has no generation of a number."""
    if 0 < number < run.generation:
        return NotFoundError(f"generation {number} of run {run.run_id} is no longer recorded")
    has = "only one generation" if run.generation == 1 else f"generations 1 to {run.generation}"
    return NotFoundError(f"there is no generation {number} of run {run.run_id}", remedy=f"Run {run.run_id} has {has}.")


def _nearest(name: str, runs: list[RunRecord]) -> list[RunRecord]:
    from difflib import get_close_matches

    by_id = {run.run_id: run for run in runs}
    return [by_id[run_id] for run_id in get_close_matches(name, by_id, n=NAMED)] or runs[:NAMED]


def _listed(lead: str, runs: list[RunRecord]) -> str:
    named = [f"\n    {run.run_id}  {run.pipeline}, started {timestamp(run.started_at)}" for run in runs[:NAMED]]
    return lead + "".join(named) + ("\n    ..." if len(runs) > NAMED else "")


__all__ = ["NAMED", "no_generation", "not_found"]
