"""A store with thousands of finished runs in it, and what is asked of a store, one thing at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import copytree
from statistics import median
from typing import Any

from blake3 import blake3

from penstock.model.event import Succeeded
from penstock.model.run import RunState
from penstock.ports import Turn
from penstock.stores.sqlite import SqliteStore
from penstock.testing.records import artifact, attempt, graph, provenance, result, run_record, turn

#: tasks of each of the finished runs
_TASKS = 20
#: a run that is the latest
_NOW = 2_000_000_000.0


def _fingerprint(*of: object) -> bytes:
    return blake3(repr(of).encode()).digest()


def _turn(run_id: str, number: int) -> Turn:
    """A turn with results of its own."""
    items = range(number * _TASKS, (number + 1) * _TASKS)
    return turn(
        number,
        events=[Succeeded("fit", item, 1, (artifact(item),)) for item in items],
        attempts=[attempt(item=item, outputs=(artifact(item),)) for item in items],
        results={_fingerprint(run_id, item): result(artifact(item), item=item) for item in items},
    )


def fill(home: Path, runs: int) -> None:
    """Make the store of a project with so many finished runs of fifty pipelines."""
    store = SqliteStore(home / "penstock.db")
    for number in range(runs):
        run_id = f"2026{number:06}-{_fingerprint(number).hex()[:6]}"
        record = run_record(run_id, pipeline=f"pipeline{number % 50}", started_at=1.7e9 + number)
        store.create(record, graph(), provenance())
        store.commit(run_id, _turn(run_id, 0))
        store.commit(run_id, turn(1, end=RunState.SUCCEEDED))
    store.close()


def copy(home: Path, to: Path) -> None:
    """Copy a store, down to the disk: what its first checkpoint has to wait for is then its own."""
    copytree(home, to, dirs_exist_ok=True)
    for path in to.iterdir():
        with path.open("rb+") as file:
            os.fsync(file)


def _median(work: Callable[[], object], times: int) -> float:
    taken: list[float] = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return median(taken)


def _queries(store: SqliteStore, run_id: str) -> Mapping[str, Callable[[], Any]]:
    wanted = [_fingerprint("none", number) for number in range(20)]
    return {
        "runs": store.runs,
        "runs of one pipeline": lambda: store.runs(pipeline="none"),
        "runs under way": lambda: store.runs(state=RunState.PAUSED),
        "the start of an id": lambda: store.find(run_id[:6]),
        "latest": lambda: store.find("latest"),
        "timings": lambda: store.timings("none"),
        "heard of": lambda: store.heard_of(run_id),
        "attempts": lambda: store.attempts(run_id),
        "journal": lambda: store.journal(run_id),
        "results": lambda: store.recorded(wanted),
        "claimants": lambda: store.claimants(wanted),
        "pools": store.pools,
    }


def queries(home: Path, times: int) -> float:
    """Seconds for one of each question, the sum of what each takes at the median."""
    store = SqliteStore(home / "penstock.db")
    run_id = f"run-{time.monotonic_ns()}"
    store.create(run_record(run_id, started_at=_NOW), graph(), provenance())
    store.commit(run_id, _turn(run_id, 0))
    total = sum(_median(work, times) for work in _queries(store, run_id).values())
    store.commit(run_id, turn(1, end=RunState.SUCCEEDED))
    store.close()
    return total


def taken_over(home: Path, times: int) -> float:
    """Seconds until another process goes on with a run, and has recorded its first turn."""
    store = SqliteStore(home / "penstock.db")
    run_id = f"run-{time.monotonic_ns()}"
    store.create(run_record(run_id, started_at=_NOW), graph(), provenance())
    numbers = iter(range(times))

    def take_over() -> None:
        other = SqliteStore(home / "penstock.db")
        token = other.reopen(run_id, "another").token
        other.commit(run_id, turn(next(numbers), token=token))
        other.close()

    taken = _median(take_over, times)
    store.commit(run_id, turn(times, end=RunState.SUCCEEDED))
    store.close()
    return taken


MEASURED: Mapping[str, Callable[[Path, int], float]] = {"queries": queries, "taken_over": taken_over}

__all__ = ["MEASURED", "copy", "fill"]
