"""Runs whose process was killed, and whose code was edited before somebody goes on with them."""

from __future__ import annotations

import importlib
import signal
import sys
from pathlib import Path

import pytest
from command_line import penstock

PIPELINE = """
import os, signal
from pathlib import Path
from penstock import approval, pipeline, task


def called(name):
    with Path("calls").open("a") as file:
        file.write(name + " ")


@task(cache=False)
def one() -> int:
    called("one")
    return 1


@task(cache=False)
def two(x: int) -> int:
    called(f"two-{x}")
    if x == 2 and not Path("go").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return x + 10


@task
def total(given: list[int], n: int) -> int:
    called("total")
    return sum(given) + n


@pipeline
def short() -> list[int]:
    return total(two.map(x=[1, 2]), one())


@pipeline
def grown() -> int:
    found = int(one())
    return two(two(x=found) - 9)


@pipeline
def asking() -> int:
    n = one()
    ok = approval("Go on?", name="ok")(n=n)
    return two.options(after=ok)(x=n)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "penstock.toml").write_text('executor = "inline"\n')
    (tmp_path / "tasks.py").write_text(PIPELINE)
    return tmp_path


def edit(folder: Path, old: str, new: str) -> None:
    file = folder / "tasks.py"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def calls(folder: Path) -> list[str]:
    found = (folder / "calls").read_text().split()
    (folder / "calls").unlink()
    return found


def killed(folder: Path, pipeline: str) -> list[str]:
    """What a run called before it was killed."""
    answer = penstock("run", f"tasks.py:{pipeline}", "-q", cwd=folder)
    assert answer.code in (-signal.SIGKILL, 128 + signal.SIGKILL)
    (folder / "go").touch()
    return calls(folder)


def test_an_edit_of_what_has_finished_begins_a_new_generation(folder: Path) -> None:
    assert sorted(killed(folder, "short")) == ["one", "two-1", "two-2"]
    edit(folder, "return 1\n", "return 100\n")
    assert penstock("resume", "latest", "--plan", "--json", cwd=folder).document["kept"] == ["two[0]"]
    answer = penstock("resume", "latest", "-q", cwd=folder)
    assert (answer.code, sorted(calls(folder))) == (0, ["one", "total", "two-2"])
    run_id = answer.err.split()[1].rstrip(",")
    lines = answer.err.splitlines()
    assert lines[0] == f"run {run_id}, generation 2: 1 result kept"
    assert lines[2].startswith("  invalidated: one: tasks:one (tasks.py:")
    assert "result  123" in answer.out
    told = penstock("diff", f"{run_id}.1", run_id, cwd=folder).out
    assert "-    return 1\n" in told and "+    return 100\n" in told
    assert "return 100" not in penstock("diff", f"{run_id}.1", f"{run_id}.1", cwd=folder).out


def test_an_edited_map_that_was_half_done_is_made_anew(folder: Path) -> None:
    killed(folder, "short")
    edit(folder, "x + 10", "x + 20")
    document = penstock("resume", "latest", "-q", "--json", cwd=folder).document
    assert (document["generation"], document["outputs"]["result"]["value"]) == (2, 44)
    assert document["resumed"]["kept"] == ["one"]
    assert sorted(calls(folder)) == ["total", "two-1", "two-2"]


def test_an_edited_run_goes_on_from_python(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(folder, "short")
    edit(folder, "return 1\n", "return 100\n")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    try:
        short = importlib.import_module("tasks").short.options(executor="inline", progress=False)
        run = short.resume(take_over=True)
    finally:
        sys.modules.pop("tasks", None)
    assert (run.document["generation"], run.result, sorted(calls(folder))) == (2, 123, ["one", "total", "two-2"])


def test_an_edit_of_what_has_not_run_goes_on_in_place(folder: Path) -> None:
    killed(folder, "short")
    edit(folder, "sum(given) + n", "sum(given) + 2 * n")
    document = penstock("resume", "latest", "-q", "--json", cwd=folder).document
    assert (document["generation"], document["outputs"]["result"]["value"]) == (1, 25)
    assert sorted(calls(folder)) == ["total", "two-2"]


def test_an_edit_of_what_a_dynamic_body_had_called(folder: Path) -> None:
    assert killed(folder, "grown") == ["one", "two-1", "two-2"]
    edit(folder, "x + 10", "x - 10 + 20")
    document = penstock("resume", "latest", "-q", "--json", cwd=folder).document
    assert (document["generation"], document["resumed"]["kept"]) == (2, ["one"])
    assert calls(folder) == ["two-1", "two-2"]


def test_a_run_that_is_to_end_ends(folder: Path) -> None:
    killed(folder, "short")
    edit(folder, "return 1\n", "return 100\n")
    assert penstock("cancel", "latest", cwd=folder).code == 0
    assert not (folder / "calls").exists()
    assert penstock("show", "latest", "--json", cwd=folder).document["generation"] == 1


def test_a_paused_run_keeps_what_it_has_and_says_so(folder: Path) -> None:
    (folder / "go").touch()
    run_id = penstock("run", "tasks.py:asking", "-q", "--json", cwd=folder).document["run_id"]
    edit(folder, "return 1\n", "return 100\n")
    document = penstock("approve", run_id, "ok", "-q", "--json", cwd=folder).document
    assert (document["state"], document["generation"], document["outputs"]["result"]["value"]) == ("succeeded", 1, 11)
    note = f"one was edited since it ran; its result stays. To make it anew: penstock retry {run_id} one, once the run"
    assert note in penstock("logs", run_id, cwd=folder).out.replace("\n", " ")
    document = penstock("retry", run_id, "two", "--plan", "--json", cwd=folder).document
    assert [each["id"] for each in document["invalidated"]] == ["one"]
