"""Pipelines whose artifacts are in an object store, run by the real command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from object_server import prefix

from penstock.blobs.bucket import Bucket

pytest.importorskip("numpy")

PIPELINE = """
import pathlib
import numpy as np
from penstock import pipeline, task

def note(name):
    with pathlib.Path("ran.txt").open("a") as file:
        file.write(name + "\\n")

@task
def make(seed: int) -> np.ndarray:
    note("make")
    return np.random.default_rng(seed).random(50_000)

@task
def write(numbers: np.ndarray) -> pathlib.Path:
    note("write")
    path = pathlib.Path("numbers.txt").absolute()
    path.write_text("\\n".join(map(str, numbers)))
    return path

@task
def total(numbers: np.ndarray, file: pathlib.Path) -> float:
    note("total")
    return round(float(numbers.sum()) + len(file.read_text().splitlines()), 3)

@pipeline
def main(seed: int = 1) -> float:
    numbers = make(seed)
    return total(numbers, write(numbers))
"""


@pytest.fixture
def folder(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    (tmp_path / "penstock.toml").write_text('blob_cache = "50MB"\n')
    monkeypatch.setenv("PENSTOCK_BLOBS", f"s3://{prefix(tmp_path)}")
    return tmp_path


def penstock(folder: Path, *arguments: str, code: int = 0) -> Any:
    """The document of a command."""
    ended = subprocess.run(
        [sys.executable, "-m", "penstock", *arguments, "--json"],
        cwd=folder,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == code, ended.stderr + ended.stdout
    return json.loads(ended.stdout)


def states(document: Any) -> dict[str, str]:
    return {each["id"]: each["state"] for each in document["tasks"]}


def ran(folder: Path) -> list[str]:
    file = folder / "ran.txt"
    names = file.read_text().split() if file.exists() else []
    file.unlink(missing_ok=True)
    return names


def clear_caches(folder: Path) -> None:
    """What there is on another machine: the record, and nothing of what was stored."""
    for name in ("cache", "files"):
        path = folder / ".penstock" / name
        if path.exists():
            path.rename(folder / f"{name}-of-another-{len(list(folder.iterdir()))}")


def objects(folder: Path) -> dict[str, int]:
    """The blobs on the server, by address, with their sizes."""
    listed = Bucket(f"s3://{prefix(folder)}").listed()
    return {key.removesuffix("/bytes"): meta.size for key, meta in listed if key.endswith("/bytes")}


def run(folder: Path, *more: str) -> Any:
    return penstock(folder, "run", "pipeline.py", "--executor", "processes", "--workers", "2", *more)


def test_a_run_keeps_its_artifacts_in_a_bucket(folder):
    first = run(folder)
    assert ran(folder) == ["make", "write", "total"]
    stored = objects(folder)
    assert max(stored.values()) >= 400_000
    assert not (folder / ".penstock" / "blobs").exists()

    # from the cache of results, without the local one
    clear_caches(folder)
    again = run(folder)
    assert ran(folder) == []
    assert states(again) == dict.fromkeys(("make", "write", "total"), "cached")
    assert again["outputs"]["result"]["value"] == first["outputs"]["result"]["value"]
    assert not (folder / ".penstock" / "cache").exists()


@pytest.mark.slow
def test_what_is_damaged_or_gone_in_the_bucket_is_made_anew(folder):
    first = run(folder)
    ran(folder)
    bucket = Bucket(f"s3://{prefix(folder)}")
    largest = max(objects(folder), key=lambda address: objects(folder)[address])
    bucket.put(f"{largest}/bytes", b"damaged")
    clear_caches(folder)
    again = run(folder)
    # the file is larger than the array
    assert ran(folder) == ["write"]
    assert again["outputs"]["result"] == first["outputs"]["result"]
    for key in [key for key, _ in bucket.listed() if key.endswith("/bytes")]:
        bucket.delete([key])
    clear_caches(folder)
    third = run(folder)
    assert ran(folder)[:1] == ["make"]
    assert third["outputs"]["result"] == first["outputs"]["result"]


@pytest.mark.slow
def test_what_was_stored_elsewhere_is_read_by_workers(folder):
    first = run(folder)
    ran(folder)
    clear_caches(folder)
    (folder / "pipeline.py").write_text(PIPELINE.replace(", 3)", ", 2)"))
    changed = run(folder)
    assert ran(folder) == ["total"]
    assert changed["outputs"]["result"]["value"] == round(first["outputs"]["result"]["value"], 2)


@pytest.mark.slow
def test_what_nobody_needs_is_collected_in_the_bucket(folder):
    run(folder)
    kept = objects(folder)
    run(folder, "-p", "seed=2")
    both = objects(folder)
    assert len(both) > len(kept)
    dry = penstock(folder, "gc", "--keep", "1", "--grace", "0", "--no-cache-of-removed", "--dry-run")
    assert objects(folder) == both
    done = penstock(folder, "gc", "--keep", "1", "--grace", "0", "--no-cache-of-removed", "--yes")
    left = objects(folder)
    assert done["removed"]["blobs"] == dry["removed"]["blobs"]
    assert len(left) == len(both) - done["removed"]["blobs"]["count"] < len(both)
    clear_caches(folder)
    assert set(states(run(folder, "-p", "seed=2")).values()) == {"cached"}
    assert objects(folder) == left


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_told_before_a_run_begins(folder, monkeypatch):
    monkeypatch.setenv("PENSTOCK_BLOBS", "s3://no-such-bucket/some")
    ended = subprocess.run(
        [sys.executable, "-m", "penstock", "run", "pipeline.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode != 0
    assert "the bucket 'no-such-bucket'" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ran(folder) == []
    assert penstock(folder, "runs") == []


@pytest.mark.slow
def test_a_shared_folder_is_named_by_a_url(folder, monkeypatch):
    monkeypatch.setenv("PENSTOCK_BLOBS", (folder / "shared").as_uri())
    run(folder)
    assert list((folder / "shared").glob("*/*/*"))
    assert not (folder / ".penstock" / "blobs").exists()


ENVIRONMENT = """
from penstock import pipeline, task

@task(environment=["six==1.16.0"])
def make(count: int) -> list[int]:
    import six
    assert six.__version__ == "1.16.0"
    return list(range(count))

@task(environment=["six==1.16.0"])
def total(numbers: list[int]) -> int:
    return sum(numbers)

@pipeline
def main() -> int:
    return total(make(20_000))
"""


@pytest.mark.slow
def test_tasks_in_environments_of_their_own_reach_the_bucket(folder):
    pytest.importorskip("uv")
    (folder / "pipeline.py").write_text(ENVIRONMENT)
    assert run(folder)["outputs"]["result"]["value"] == sum(range(20_000))
    assert len(objects(folder)) == 1
    # the environment is known for one that is in use
    penstock(folder, "gc", "--grace", "0", "--yes")
    assert len(list((folder / ".penstock" / "environments").glob("*/penstock-ready"))) == 1
