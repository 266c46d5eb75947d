"""Tasks that a branch leaves out though tasks before them have failed, beside the real Airflow."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from penstock.app import Pipeline
from penstock.registering.loading import load_module, pipelines_in
from penstock.runtime.run import Run

FILES = Path(__file__).parent / "airflow_files"
FILE = FILES / "left_out.py"
#: what Airflow calls a state -> what it is called here
STATES = {"success": "succeeded"}


@pytest.fixture
def dags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Pipeline[..., Any]]:
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    return pipelines_in(load_module(str(FILE)))


def ran(pipeline: Pipeline[..., Any]) -> Run:
    return pipeline.options(executor="inline", progress=False, logs=False, cache=False).run()


def states(run: Run) -> dict[str, str]:
    return {task.id: str(task.state) for task in run.tasks}


def test_the_failure_may_come_before_the_branch(dags: Mapping[str, Pipeline[..., Any]]) -> None:
    run = ran(dags["failure_first"])
    found = states(run)
    assert (found["left"], found["after"], found["join"]) == ("skipped", "skipped", "succeeded")
    assert run.why("left").summary.startswith("its condition does not hold: ")
    assert run.state == "succeeded", "no failure has come to the last tasks"


def test_or_after_it(dags: Mapping[str, Pipeline[..., Any]]) -> None:
    run = ran(dags["failure_last"])
    found = states(run)
    assert (found["left"], found["after"], found["whatever"]) == ("skipped", "skipped", "succeeded")
    assert found["broken"] == "failed"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_airflow_itself_comes_to_the_same_states(
    peer: Callable[[str], Path], dags: Mapping[str, Pipeline[..., Any]], tmp_path: Path
) -> None:
    folder, results = tmp_path / "dags", tmp_path / "results.json"
    folder.mkdir()
    (folder / FILE.name).write_text(FILE.read_text())
    done = subprocess.run(
        [peer("airflow"), FILES / "dags_of_airflow.py", folder, results],
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert results.exists(), done.stderr[-3000:]
    there = json.loads(results.read_text())
    assert there.keys() == dags.keys()

    for name, pipeline in dags.items():
        run = ran(pipeline)
        told, found = there[name]["states"], states(run)
        # what is in a mapped group is not there where the group as a whole was left out
        here = {task: found.get(task, found.get(task.partition(".")[0])) for task in told}
        assert here == {task: STATES.get(state, state) for task, state in told.items()}, name
        assert run.state == STATES.get(there[name]["state"], there[name]["state"]), name
