"""The database server goes away in the midst of several runs, and comes back, or does not."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from penstock.stores.postgres import PostgresStore
from penstock.testing.chaos import evidence, reference
from penstock.testing.postgres import Cluster

pytestmark = pytest.mark.slow

PROGRAM = str(Path(sys.executable).with_name("penstock"))
#: the command line, with less patience for a server that is gone
IMPATIENT = """
from penstock.cli import main
from penstock.stores.postgres import PostgresStore
PostgresStore.__init__.__kwdefaults__["patience"] = 2.0
main()
"""


def placed(folder: Path) -> Path:
    """A folder with the reference pipeline."""
    folder.mkdir(parents=True)
    shutil.copy(reference.__file__, folder / "pipeline.py")
    return folder


def started(folder: Path, store: str, *words: str, program: tuple[str, ...] = (PROGRAM,)) -> subprocess.Popen[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    return subprocess.Popen(
        [*program, *words],
        cwd=folder,
        env=env | {"PENSTOCK_STORE": store},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, store: str, count: int, program: tuple[str, ...] = (PROGRAM,)) -> subprocess.Popen[str]:
    words = ["run", "pipeline.py", "-q", "--wait", "--json", "--workers", "2", "-p", f"notes={folder / 'notes'}"]
    return started(folder, store, *words, "-p", f"count={count}", program=program)


def outcome(process: subprocess.Popen[str]) -> tuple[int, Any, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, json.loads(out), err


def until_noted(folder: Path, processes: list[subprocess.Popen[str]], count: int) -> None:
    """Wait until tasks in a folder have noted down so much."""
    until = time.monotonic() + 30
    while len(evidence.notes(folder)) < count:
        assert time.monotonic() < until
        assert all(process.poll() is None for process in processes)
        time.sleep(0.01)


def recorded(store: str) -> set[evidence.Cell]:
    """The attempts of the one run in a store that are recorded as successful."""
    opened = PostgresStore(store)
    try:
        [record] = opened.runs()
        attempts = opened.attempts(record.run_id)
    finally:
        opened.close()
    return {(each.node, each.item) for each in attempts if each.attempt > 0 and each.state == "succeeded"}


def results(document: Any) -> dict[str, Any]:
    tasks = {task["id"]: task["outputs"] for task in document["tasks"] if task["id"] not in reference.TIMED}
    return {name: {port: each["digest"] for port, each in outputs.items()} for name, outputs in tasks.items()}


@pytest.mark.parametrize("trouble", ["killed", "stopped", "paused", "disconnected"])
def test_runs_under_way_ride_out_an_outage(postgres_cluster: Cluster, tmp_path: Path, trouble: str) -> None:
    undisturbed = placed(tmp_path / "undisturbed")
    code, expected, err = outcome(run(undisturbed, postgres_cluster.database(f"undisturbed_{trouble}"), 30))
    assert code == 0, err
    store, chance = postgres_cluster.database(f"shared_{trouble}"), random.Random(trouble)
    folders = [placed(tmp_path / f"run-{number}") for number in range(3)]
    processes = [run(folder, store, 30) for folder in folders]
    for folder in folders:
        until_noted(folder, processes, 1)
    for _ in range(6):
        time.sleep(chance.uniform(0.1, 0.4))
        if trouble == "disconnected":
            postgres_cluster.disconnect(f"shared_{trouble}")
            continue
        {"killed": postgres_cluster.kill, "stopped": postgres_cluster.stop, "paused": postgres_cluster.pause}[trouble]()
        time.sleep(chance.uniform(0.1, 0.6))
        if trouble == "paused":
            postgres_cluster.go_on()
        else:
            postgres_cluster.restart()
    for folder, process in zip(folders, processes, strict=True):
        code, document, err = outcome(process)
        assert code == 0, err
        assert document["state"] == "succeeded"
        assert results(document) == results(expected)
        assert evidence.repeated(evidence.notes(folder)).total() == 0, "no process died, so nothing ran twice"
    opened = PostgresStore(store)
    assert opened.check(full=True) == []
    opened.close()


def test_an_outage_beyond_all_patience_is_told_and_the_run_goes_on_later(
    postgres_cluster: Cluster, tmp_path: Path
) -> None:
    folder, store = placed(tmp_path / "run"), postgres_cluster.database("gone")
    process = run(folder, store, 40, program=(sys.executable, "-c", IMPATIENT))
    until_noted(folder, [process], 30)
    postgres_cluster.kill()
    code, document, err = outcome(process)
    postgres_cluster.restart()
    assert code == 1, err
    assert "broke off" in document["error"]["message"]
    assert "penstock resume" in document["error"]["remedy"]
    assert "s3cr" not in err + json.dumps(document), "no password is told"
    finished, seen = recorded(store), len(evidence.notes(folder))
    assert finished
    code, document, err = outcome(started(folder, store, "resume", "latest", "-q", "--wait", "--json"))
    assert code == 0, err
    assert document["state"] == "succeeded"
    began = {note.cell for note in evidence.notes(folder)[seen:] if note.what == "began"}
    assert not began & finished, "what was recorded before the server went is not made again"
