"""What chaos has brought to light, each by itself."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from surroundings import Place

from penstock.executors.watching import scratch
from penstock.services import Services

DYNAMIC = """
from penstock import current, pipeline, repeat, task

@task
def draw() -> int:
    return 3

@task(cache=False)
def step(x: int) -> int:
    with open("ran", "a") as log:
        log.write(f"{x} ")
    return x + 1

@task
def cheap() -> str:
    return "a mean"

@task(fallback=cheap)
def dear() -> str:
    raise ValueError("did not converge")

@pipeline
def grown():
    if draw() > 2:
        last = repeat(step, until=lambda x: x >= 4, maximum=9)(x=0)
    return {"last": last, "model": dear()}
"""


def faulty(place: Place, at: str, *words: str) -> tuple[int, str]:
    """Carry out a command with a process killed at a point."""
    answer = place.command(sys.executable, "-m", "penstock.testing.faults", "--at", at, "--", *words)
    return answer.code, answer.err


@pytest.mark.slow
@pytest.mark.parametrize("turn", [2, 3, 5])
def test_loops_and_fallbacks_that_a_dynamic_body_has_called_go_on(tmp_path: Path, turn: int) -> None:
    (tmp_path / "grown.py").write_text(DYNAMIC)
    place = Place(tmp_path)
    words = ("run", "grown.py", "-q", "--executor", "inline")
    assert faulty(place, f"store.commit:after:{turn}", *words)[0] == 128 + 9
    answer = place.penstock("resume", "latest", "-q", "--json")
    assert answer.code == 0, answer.err
    assert '"a mean"' in answer.out
    assert set(place.ran) == {0, 1, 2, 3}


@pytest.mark.slow
@pytest.mark.parametrize("at", ["server.fork:after", "server.fork:before:2", "server.bury:before"])
def test_the_process_that_starts_workers_is_replaced(tmp_path: Path, at: str) -> None:
    (tmp_path / "grown.py").write_text(DYNAMIC)
    code, err = faulty(Place(tmp_path), at, "run", "grown.py", "-q", "--workers", "2")
    assert code == 0, err
    assert f"fault: {at}" in err


@pytest.mark.slow
def test_a_process_that_starts_workers_and_dies_each_time_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "grown.py").write_text(DYNAMIC)
    place = Place(tmp_path)
    code, err = faulty(place, "server.fork:*", "run", "grown.py", "-q")
    assert code == 1
    assert "broke off: the process that starts workers was ended by SIGKILL" in err
    assert place.penstock("resume", "latest", "-q").code == 0


def test_scratch_folders_of_dead_processes_are_collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    left = tmp_path / f"{scratch.prefix(child.pid)}abc-1"
    mine, other = scratch.new(), tmp_path / "penstock-something"
    for each in (left, mine, other):
        each.mkdir()
    later = left.stat().st_ctime + 1
    assert sorted(scratch.left(later)) == sorted([(child.pid, left), (os.getpid(), mine)])
    assert list(scratch.left(left.stat().st_ctime - 1)) == []
    scratch.discard(child.pid)
    assert not left.exists()
    assert mine.exists() and other.exists()


def test_what_a_killed_resume_has_laid_out_to_look_is_collected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with Services().looking():
        [folder] = temporary.iterdir()
        assert list(scratch.left(folder.stat().st_ctime + 1)) == [(os.getpid(), folder)]
