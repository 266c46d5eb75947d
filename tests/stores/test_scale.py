"""Many runs at one store, and a run of very many tasks. All processes are real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from penstock.model.run import RunState
from penstock.stores.postgres import PostgresStore
from penstock.stores.relational import RelationalStore
from penstock.stores.sqlite import SqliteStore
from penstock.testing.postgres import Cluster

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("many_runs.py")
RUNS, TASKS = 50, 200


def begun(home: Path, tasks: int, seed: int, **variables: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PENSTOCK_HOME": str(home), **variables}
    command = [sys.executable, str(PROGRAM), str(tasks), str(seed)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(*processes: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """What the processes have told, once all of them are at their end."""
    said = [process.communicate(timeout=300) for process in processes]
    assert [(process.returncode, err) for process, (_, err) in zip(processes, said, strict=True) if err] == []
    return [json.loads(out) for out, _ in said]


def check_all(store: RelationalStore, told: list[dict[str, Any]]) -> None:
    """That all runs are recorded whole, and whatever one of them has made, the others could take."""
    runs = {run.run_id: run for run in store.runs(limit=1000)}
    assert runs.keys() == {each["run"] for each in told}
    assert {run.state for run in runs.values()} == {RunState.SUCCEEDED}
    attempts = [attempt for run_id in runs for attempt in store.attempts(run_id)]
    items = [attempt for attempt in attempts if attempt.node == "scaled" and attempt.item >= 0]
    assert len(items) == RUNS * TASKS
    assert {str(attempt.state) for attempt in items} <= {"succeeded", "cached"}
    # two runs for each seed
    fingerprints = {attempt.fingerprint for attempt in items if attempt.fingerprint is not None}
    assert len(fingerprints) == RUNS * TASKS // 2 == len(store.recorded(list(fingerprints)))
    assert store.check(full=True) == []
    assert [pool.held for pool in store.pools() if pool.held] == []


def test_fifty_runs_at_once_share_a_file(tmp_path: Path) -> None:
    processes = [begun(tmp_path, TASKS, number % (RUNS // 2)) for number in range(RUNS)]
    told = ended(*processes)
    expected = [number % (RUNS // 2) * sum(range(TASKS)) for number in range(RUNS)]
    assert [each["result"] for each in told] == expected
    store = SqliteStore(tmp_path / "penstock.db")
    check_all(store, told)
    # the log was begun anew on the way, and is gone when all are
    store.close()
    assert [path.name for path in tmp_path.glob("penstock.db*")] == ["penstock.db"]


def test_fifty_runs_at_once_share_a_server(tmp_path: Path, postgres_cluster: Cluster) -> None:
    address = postgres_cluster.database("fifty")
    processes = [begun(tmp_path, TASKS, number % (RUNS // 2), PENSTOCK_STORE=address) for number in range(RUNS)]
    told = ended(*processes)
    assert [each["result"] for each in told] == [number % (RUNS // 2) * sum(range(TASKS)) for number in range(RUNS)]
    store = PostgresStore(address)
    check_all(store, told)
    store.close()


def test_a_run_of_two_hundred_thousand_tasks(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        [small] = ended(begun(Path(folder), 1_000, 1))
    [told] = ended(begun(tmp_path, 200_000, 3))
    assert told["result"] == 3 * sum(range(200_000))
    # what each further task takes of the driver's memory is bounded: a page of it would be 800 MB
    assert (told["peak_kb"] - small["peak_kb"]) * 1024 / 199_000 < 4096
    store = SqliteStore(tmp_path / "penstock.db")
    assert store.check() == []
    before = store.journal(told["run"])
    assert store.compact(told["run"]) > 0
    assert store.journal(told["run"]) == before
    store.close()
