"""Backfills that were begun: how far they are, what has failed of them, and that tried again."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.errors import DefinitionError, NotFoundError
from penstock.model.firing import BACKFILLING, Backfill, Firing, FiringState
from penstock.model.run import RunState, timestamp
from penstock.model.trigger import Follows
from penstock.registering.backfills import Planned, Request, begin
from penstock.triggers import backfills
from penstock.triggers.backfills import Piece

if TYPE_CHECKING:
    from penstock.ports import Store

#: backfills that are looked at for one that tries another again
_LATEST = 1000


def failures(store: Store, backfill: Backfill) -> list[tuple[Firing, str]]:
    """The runs of a backfill that have failed, or could not begin, with why."""
    found: list[tuple[Firing, str]] = []
    states = (FiringState.STARTED, FiringState.FAILED)
    for firing in reversed(store.agenda.firings(trigger=_trigger(backfill), states=states, limit=None)):
        if firing.state is FiringState.FAILED:
            found.append((firing, firing.reason))
            continue
        try:
            run = store.find(firing.run_id)
        except NotFoundError:
            continue
        if run.state in (RunState.FAILED, RunState.CANCELLED):
            found.append((firing, _why(store, run.run_id, run.state)))
    return found


def _skipped(store: Store, backfill: Backfill) -> list[Firing]:
    """The runs of a backfill that were not made, since what they take was not made, or there was nothing to make."""
    found = store.agenda.firings(trigger=_trigger(backfill), states=[FiringState.SKIPPED], limit=None)
    return found[::-1]


def _why(store: Store, run_id: str, state: RunState) -> str:
    if state is RunState.CANCELLED:
        return "it was cancelled"
    faults = [each for each in store.attempts(run_id) if each.fault is not None]
    fault = faults[-1].fault if faults else None
    return "it failed" if fault is None else f"{faults[-1].node}: {fault.type}: {fault.message}"


def again(store: Store, backfill: Backfill, *, by: str = "", now: float | None = None) -> Backfill:
    """Begin another backfill with the runs of one that have failed, or were not made since others had. Raises DefinitionError where none has."""
    failed = sorted(
        (*(firing for firing, _ in failures(store, backfill)), *_skipped(store, backfill)), key=lambda each: each.run_id
    )
    if not failed:
        raise DefinitionError(f"no run of the backfill {backfill.backfill_id} has failed")
    ids = [firing.run_id for firing in failed]
    pieces = [_piece_of(firing, ids) for firing in failed]
    request = msgspec.convert(
        {name: value for name, value in backfill.request.items() if name not in ("first", "last", "zone", "retries")},
        Request,
    )
    plan = Planned(
        request=request,
        pieces=pieces,
        pipeline=backfill.pipeline,
        assets=backfill.assets,
        retries=backfill.backfill_id,
    )
    return begin(
        store,
        plan,
        at_most=backfill.at_most,
        priority=backfill.priority,
        tags=backfill.tags,
        on_failure=backfill.on_failure,
        by=by,
        now=now,
    )


def _piece_of(firing: Firing, ids: Sequence[str]) -> Piece:
    """What a firing is to do, once more; `ids` are those of all that are tried again, in order."""
    cause = firing.cause
    follows = cause.follows or Follows((), ())
    after = [(bisect_left(ids, first) + 1, bisect_right(ids, last)) for first, last in follows.runs]
    return Piece(
        key=firing.key,
        partitions=cause.partitions,
        parameters=firing.parameters,
        logical_time=cause.logical_time,
        interval=cause.interval,
        zone=cause.zone,
        assets=firing.assets,
        after=backfills.joined(span for span in after if span[0] <= span[1]),
        reads=follows.assets,
    )


def _trigger(backfill: Backfill) -> str:
    return f"{BACKFILLING}{backfill.backfill_id}"


def document(store: Store, backfill: Backfill, *, failed: bool = False) -> dict[str, Any]:
    """A backfill as JSON-able data; with `failed`, also which of its runs have failed or were not made, and why, and which
    backfills have tried them again."""
    progress = store.agenda.progress(_trigger(backfill))
    found: dict[str, Any] = {
        "backfill_id": backfill.backfill_id,
        "state": backfill.state.value,
        "pipeline": backfill.pipeline or None,
        "assets": backfill.assets or None,
        "total": backfill.total,
        "progress": progress._asdict(),
        "at_most": backfill.at_most,
        "on_failure": backfill.on_failure,
        "priority": backfill.priority,
        "tags": list(backfill.tags),
        "request": backfill.request,
        "created_at": timestamp(backfill.created_at),
        "created_by": backfill.created_by,
        "finished_at": None if backfill.finished_at is None else timestamp(backfill.finished_at),
    }
    if failed:
        found["retries"] = [
            each.backfill_id
            for each in store.agenda.backfills(limit=_LATEST)
            if each.request.get("retries") == backfill.backfill_id
        ]
        found["failures"] = [
            {"run_id": firing.run_id, "key": firing.key, "reason": why} for firing, why in failures(store, backfill)
        ]
        found["unmade"] = [
            {"run_id": firing.run_id, "key": firing.key, "reason": firing.reason}
            for firing in _skipped(store, backfill)
        ]
    return found


__all__ = ["again", "document", "failures"]
