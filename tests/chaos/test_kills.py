"""A pipeline is killed again and again, and nothing of it is lost."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from penstock.testing.faults import points
from penstock.testing.postgres import UnavailableError, programs


def chaos(*arguments: str, folder: Path) -> Any:
    """The summary of trials in a process of their own, which may fork."""
    command = [sys.executable, "-m", "penstock.testing.chaos", "--summary", "json", "--folder", str(folder), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_a_few_kills_lose_nothing(tmp_path: Path) -> None:
    summary = chaos("--trials", "3", "--seed", "5", folder=tmp_path)
    assert summary["trials"] == 3
    assert summary["kills"] >= 3
    assert (summary["rerun"], summary["failed"]) == (0, {})
    assert list(tmp_path.iterdir()) == [], "trials that go well leave nothing behind"


@pytest.mark.slow
def test_hundreds_of_kills_lose_nothing(tmp_path: Path) -> None:
    summary = chaos("--trials", "160", "--seed", "1", folder=tmp_path)
    assert summary["kills"] >= 250
    assert (summary["rerun"], summary["failed"]) == (0, {})
    # kills at all kinds of moments: between the end of an attempt and its record, and elsewhere
    assert summary["repeated"] > 0
    assert {"driver", "worker", "server", "machine"} <= summary["by_kind"].keys()
    assert summary["stories"] >= 40
    # every named point is aimed at by some kind of trial, and more than once; that a process does not get there again happens
    assert summary["never"] == []
    spared = [point for point in points() if not summary["by_kind"][point]]
    assert len(spared) <= 3, spared
    assert summary["by_kind"]["background"] > 0


@pytest.mark.slow
def test_kills_lose_nothing_of_what_is_kept_in_a_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("obstore")
    pytest.importorskip("moto")
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "blobs")
    servers: Any = importlib.import_module("object_server")
    server = servers.ObjectServer()
    try:
        server.bucket("blobs")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
        for name, value in servers.environment(server.endpoint).items():
            monkeypatch.setenv(name, value)
        summary = chaos("--blobs", "s3://blobs/chaos", "--trials", "4", "--seed", "2", folder=tmp_path)
    finally:
        server.kill()
    assert summary["kills"] >= 4
    assert (summary["rerun"], summary["failed"]) == (0, {})


@pytest.mark.slow
def test_kills_lose_nothing_of_what_a_database_server_keeps(tmp_path: Path) -> None:
    try:
        programs()
    except UnavailableError as error:
        pytest.skip(error.what)
    summary = chaos("--postgres", "--trials", "20", "--seed", "2", folder=tmp_path)
    assert summary["kills"] >= 20
    assert (summary["rerun"], summary["failed"]) == (0, {})
