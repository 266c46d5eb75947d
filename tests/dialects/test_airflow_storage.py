"""`ObjectStoragePath` for files of this machine, and what is said of those elsewhere."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.dialects.airflow.storage import ObjectStoragePath
from penstock.errors import NotCoveredError
from penstock.registering.loading import load_module, pipelines_in

SCRIPT = Path(__file__).parent / "airflow_files" / "paths_of_storage.py"
FILE = """\
import os

from airflow.sdk import DAG, ObjectStoragePath, task

base = ObjectStoragePath("file://" + os.environ["BASE"])
lake = ObjectStoragePath("s3://conn@bucket/") / "lake"


@task
def write():
    base.mkdir(parents=True, exist_ok=True)
    path = base / "text"
    path.write_text("hello")
    return path


@task
def read(path):
    return [path.read_text(), path.protocol, path.name]


@task
def fetch():
    return lake.exists()


@task
def late():
    return ObjectStoragePath("gs://bucket/x").exists()


with DAG("here", schedule=None):
    read(write())
with DAG("there", schedule=None):
    fetch()
with DAG("later", schedule=None):
    late()
"""


def ours(folder: Path) -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location("paths_of_storage", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder.mkdir()
    return json.loads(json.dumps(module.told(ObjectStoragePath, str(folder))))


def test_files_of_this_machine(tmp_path: Path) -> None:
    found = ours(tmp_path / "ours")
    assert found["texts"][:2] == ["file://ROOT/a/b/x.txt", "ROOT/a/b/x.txt"]
    assert found["found"] == [f"file://ROOT/a/{name}" for name in ("b/w.txt", "b/x.txt", "b/y.txt", "y.txt")]
    assert found["left"] == ["w.txt", "x.txt"]


@pytest.mark.slow
def test_paths_go_from_task_to_task_and_others_stop_their_dags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASE", str(tmp_path / "base"))
    file = tmp_path / f"stored_{tmp_path.name}.py"
    file.write_text(FILE)
    found: dict[str, Any] = pipelines_in(load_module(str(file)))
    options: dict[str, Any] = {"executor": "inline", "progress": False, "logs": False, "home": tmp_path / "home"}

    run = found["here"].options(**options).run()
    assert run.outputs["read"] == ["hello", "file", "text"]
    with pytest.raises(NotCoveredError, match=r"ObjectStoragePath of s3://, which the task 'fetch' uses"):
        found["there"].define({})
    assert "ObjectStoragePath of gs:// is not covered" in str(
        found["later"].options(**options).run().task("late").error
    )


def test_they_are_as_the_real_ones(peer: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    done = subprocess.run(
        [peer("airflow"), SCRIPT, tmp_path / "real"],
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert ours(tmp_path / "ours") == json.loads(done.stdout.partition("ANSWER")[2])
