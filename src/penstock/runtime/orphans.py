"""Runs whose driver is gone: found, and made sure of before somebody else drives them."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable

from penstock.errors import NotFoundError, StoreError
from penstock.model.run import RunRecord, RunState, shown_driver
from penstock.ports import Store
from penstock.runtime.surroundings.leases import LEASE, Fate, Watch

#: is told what takes a while
Say = Callable[[str], object]

#: seconds between two looks at a driver that is watched
_LOOK = 0.25


def log(text: str) -> None:
    """Tell whoever reads the log of this process."""
    logging.getLogger("penstock").warning("%s", text)


def watching(run: RunRecord, lease: float = LEASE) -> str:
    """That it takes a while to tell whether a driver lives."""
    return f"run {run.run_id} is driven by {shown_driver(run.driver)} elsewhere; watching for {lease:.0f} s whether it still lives"


def check_undriven(store: Store, run: RunRecord, say: Say = log, *, lease: float = LEASE) -> None:
    """Raise StoreError if somebody drives a run. A driver elsewhere is watched first, for as long as a lease at most."""
    if run.state is RunState.RUNNING and not is_orphaned(store, run, say, lease=lease):
        raise StoreError(
            f"run {run.run_id} is under way, driven by {shown_driver(run.driver)}",
            remedy=f"Wait for it (penstock wait {run.run_id}), or cancel it: penstock cancel {run.run_id}\n"
            f"If that process hangs: penstock resume {run.run_id} --take-over",
        )


def check_driver(run: RunRecord, driver: str) -> None:
    """Raise StoreError if somebody else than a driver has a run by now."""
    if run.driver != driver:
        raise StoreError(
            f"run {run.run_id} is driven by {shown_driver(run.driver)} by now, and not by {shown_driver(driver)}",
            remedy=f"Leave it to that process. See: penstock show {run.run_id}",
        )


def is_orphaned(store: Store, run: RunRecord, say: Say = log, *, lease: float = LEASE) -> bool:
    """Whether the driver of a run is gone. One that is elsewhere is watched, for as long as a lease at most."""
    return bool(_without_driver(store, [run], say, lease))


def orphans(store: Store, say: Say = log, *, lease: float = LEASE) -> list[RunRecord]:
    """The runs under way whose driver is gone, oldest first. Drivers elsewhere are watched, all at once, for as long as a
    lease at most."""
    running = store.runs(state=RunState.RUNNING, limit=sys.maxsize)
    return _without_driver(store, running[::-1], say, lease)


def _without_driver(store: Store, runs: list[RunRecord], say: Say, lease: float) -> list[RunRecord]:
    watch = Watch(store, lease=lease)
    fates = {run.run_id: _fate(watch, run) for run in runs}
    unknown = [run for run in runs if fates[run.run_id] is Fate.UNKNOWN]
    for run in unknown:
        say(watching(run, lease))
    while unknown:
        time.sleep(min(_LOOK, lease))
        fates |= {run.run_id: _fate(watch, run) for run in unknown}
        unknown = [run for run in unknown if fates[run.run_id] is Fate.UNKNOWN]
    return [run for run in runs if fates[run.run_id] is Fate.GONE]


def _fate(watch: Watch, run: RunRecord) -> Fate:
    try:
        return watch.fate(run)
    except NotFoundError:
        # it was removed meanwhile, which is no work for anybody
        return Fate.LIVES


__all__ = ["Say", "check_driver", "check_undriven", "is_orphaned", "log", "orphans", "watching"]
