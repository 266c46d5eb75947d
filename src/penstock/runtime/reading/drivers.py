"""What can be told at once of who drives a run."""

from __future__ import annotations

import time
from typing import Any

from penstock.model.run import RunRecord, RunState, shown_driver
from penstock.ports import Store
from penstock.runtime.surroundings.leases import LEASE
from penstock.runtime.surroundings.processes import is_elsewhere, is_gone


def driver_document(store: Store, run: RunRecord) -> dict[str, Any]:
    """Who drives a run that is under way, as JSON-able data.

    `orphaned` is whether that process is gone. Of one elsewhere that cannot be told without watching it: `unheard_s` has
    the seconds since it was heard of, where these are more than they should be, by the clocks of both machines.
    """
    if run.state is not RunState.RUNNING:
        return {"driver": None, "orphaned": False, "unheard_s": None}
    heard_of = store.heard_of(run.run_id)
    unheard = time.time() - heard_of
    silent = is_elsewhere(run.driver) and unheard > LEASE
    return {
        "driver": shown_driver(run.driver),
        "orphaned": is_gone(run, heard_of),
        "unheard_s": round(unheard, 1) if silent else None,
    }


__all__ = ["driver_document"]
