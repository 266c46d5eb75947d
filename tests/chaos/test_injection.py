"""Faults at named points, put in from outside."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from penstock import pipeline, task
from penstock.errors import DefinitionError, StoreError
from penstock.services import Services
from penstock.testing.faults import Fault, counted, fault, injected, points, struck
from penstock.testing.faults.points import PLACES, methods

PIPELINE = """
from penstock import pipeline, task

@task
def part(x: int) -> bytes:
    with open("ran", "a") as log:
        log.write(f"{x} ")
    return bytes([x]) * 9_000

@task
def total(parts: list[bytes]) -> int:
    return sum(map(len, parts))

@pipeline
def parts(n: int = 6) -> int:
    return total(part.map(list(range(n))))
"""


@task
def nine(x: int) -> bytes:
    return bytes([x]) * 9_000


@pipeline
def nines() -> list[bytes]:
    return nine.map([1, 2, 3])


def faults(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "penstock.testing.faults", *arguments]
    env = {name: value for name, value in os.environ.items() if name != "PENSTOCK_HOME"}
    return subprocess.run(command, check=False, cwd=cwd, env=env, capture_output=True, text=True, timeout=60)


def test_every_point_is_at_a_method_that_is_there() -> None:
    assert [place.name for place in PLACES if not list(methods(place))] == []
    assert len(points()) == 2 * len(PLACES) == len(set(points()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("store.commit:after:7", Fault("store.commit:after", 7)),
        ("store.commit:after", Fault("store.commit:after", 1)),
        ("observer", Fault("observer:before", 1)),
        ("worker.store-output:*", Fault("worker.store-output:before", None)),
    ],
)
def test_faults_are_named(text: str, expected: Fault) -> None:
    assert fault(text) == expected


@pytest.mark.parametrize(("text", "action"), [("store.comit", "kill"), ("observer:0", "kill"), ("observer", "explode")])
def test_names_that_there_are_not_are_refused(text: str, action: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        fault(text, action)
    assert caught.value.remedy


def test_points_are_counted_and_nothing_is_left_in_place(tmp_path: Path) -> None:
    counting = [Fault("store.commit:after", None, "count"), Fault("blob.commit:before", None, "count")]
    before = Services.worker_settings
    with injected(counting, tmp_path / "counts"):
        assert Services.worker_settings is not before
        nines.options(home=tmp_path / "home", executor="inline").run()
    reached = counted(tmp_path / "counts")
    assert reached["blob.commit:before"] == 3
    assert reached["store.commit:after"] >= 2
    assert Services.worker_settings is before
    nines.options(home=tmp_path / "other", executor="inline").run()
    assert counted(tmp_path / "counts") == reached


def test_an_error_strikes_once_and_the_run_goes_on(tmp_path: Path) -> None:
    options = nines.options(home=tmp_path / "home", executor="inline")
    with (
        injected([fault("store.commit:before:2", "ENOSPC")], tmp_path / "counts"),
        pytest.raises(StoreError, match="No space left"),
    ):
        options.run()
    assert [line.split()[:2] for line in struck(tmp_path / "counts")] == [["store.commit:before:2", "ENOSPC"]]
    assert options.run().result == [bytes([x]) * 9_000 for x in (1, 2, 3)]


def test_a_worker_is_killed_at_a_point_and_the_run_succeeds_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "parts.py").write_text(PIPELINE)
    done = faults("--at", "worker.report:2", "--", "run", "parts.py", "-q", "--workers", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "fault: worker.report:before:2 kill" in done.stderr
    assert set((tmp_path / "ran").read_text().split()) == set("012345")


def test_usage_is_checked(tmp_path: Path) -> None:
    wrong = faults("--at", "nowhere", "--", "runs", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "there is no fault point 'nowhere'" in wrong.stderr
