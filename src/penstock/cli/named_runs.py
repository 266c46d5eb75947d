"""Runs by the names that people type: with those that are yet to be made of a firing, or of which none could be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.errors import NotFoundError
from penstock.model.firing import Firing, FiringState

if TYPE_CHECKING:
    from penstock.model.run import RunRecord
    from penstock.ports import Store

#: of the latest firings, how many are looked at for the start of an id
_LATEST = 1000
#: characters of the start of an id, at least
_SHORTEST = 6


def run_named(store: Store, name: str) -> RunRecord:
    """The run of an id, of the start of one, or `latest`. Raises NotFoundError; of a firing that has no run, with how it is
    and what to do."""
    try:
        return store.find(name)
    except NotFoundError:
        firing = _firing(store, name)
        if firing is None:
            raise
        raise _without_run(firing) from None


def firing_to_come(store: Store, name: str) -> Firing | None:
    """The firing by the id, or the start of one, of a run that is yet to be made of it."""
    firing = _firing(store, name)
    return firing if firing is not None and firing.state in (FiringState.QUEUED, FiringState.STARTED) else None


def _firing(store: Store, name: str) -> Firing | None:
    try:
        return store.agenda.firing(name)
    except NotFoundError:
        if len(name) < _SHORTEST:
            return None
    found = [each for each in store.agenda.firings(limit=_LATEST) if each.run_id.startswith(name)]
    return found[0] if len(found) == 1 else None


def _without_run(firing: Firing) -> NotFoundError:
    run_id, trigger = firing.run_id, firing.trigger
    whose = f"{trigger} fired for {firing.key}, and its run {run_id}"
    why = f": {firing.reason}" if firing.reason else ""
    known = ":" not in trigger
    match firing.state:
        case FiringState.QUEUED:
            look = f"\n  Why it waits: penstock triggers show {trigger}" if known else ""
            return NotFoundError(
                f"{whose} has not begun: it is queued{why}",
                remedy=f"It starts while penstock up runs.{look}\n  To take it out: penstock triggers cancel {run_id}",
            )
        case FiringState.STARTED:
            return NotFoundError(
                f"{whose} is about to begin: a process was started for it{why}",
                remedy="Look again in a moment. If it does not come, penstock up starts it anew.",
            )
        case FiringState.FAILED:
            again = f"penstock triggers fire {trigger}" if known else f"penstock run {firing.pipeline or '...'}"
            return NotFoundError(
                f"{whose} could not be made{why}",
                remedy=f"Mend what is wrong, register it (penstock register), and start another one: {again}",
            )
        case _:
            return NotFoundError(
                f"{whose} was not made: it is {firing.state.value}{why}",
                remedy=f"To make one all the same: penstock run {firing.pipeline}." if firing.pipeline else None,
            )


__all__ = ["firing_to_come", "run_named"]
