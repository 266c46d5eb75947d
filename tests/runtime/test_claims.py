"""Two runs that need the same result at once make it once."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from running import Project

SOURCE = """
    import os, sys, time
    from pathlib import Path

    from penstock import pipeline, task

    HERE = Path(__file__).parent

    @task
    def slow(number: int) -> int:
        with (HERE / "made.txt").open("a") as log:
            log.write(f"{number}\\n")
        until = time.monotonic() + 60
        while not (HERE / "go").exists() and time.monotonic() < until:
            time.sleep(0.02)
        # what takes no time is made twice rather than waited for
        time.sleep(0.1)
        if (HERE / "fail").exists():
            (HERE / "fail").unlink()
            raise RuntimeError("told to")
        return number * 10

    @task
    def total(numbers: list) -> int:
        return sum(numbers)

    @pipeline
    def several(count: int = 3) -> int:
        return total(slow.map(range(count)))

    @pipeline
    def other(count: int = 3) -> int:
        return total(slow.map(range(count)))

    @task
    def draw(number: int) -> float:
        import random

        return random.random()

    @pipeline
    def samples() -> list:
        return draw.map([1] * 6)
"""


@pytest.fixture
def shared(project: Project) -> Project:
    project.write("shared.py", SOURCE)
    return project


def run(shared: Project, name: str, *more: str) -> Any:
    return shared.start("-m", "penstock", "run", f"shared.py:{name}", "--json", *more)


def made(shared: Project) -> list[str]:
    log = shared.folder / "made.txt"
    return sorted(log.read_text().split()) if log.exists() else []


def ended(process: Any) -> tuple[int, dict[str, Any]]:
    out, err = process.communicate(timeout=60)
    assert out, err
    return process.returncode, json.loads(out)


def states(document: dict[str, Any]) -> list[str]:
    return [task["state"] for task in document["tasks"] if task["task"] == "slow"]


@pytest.mark.parametrize("executor", [pytest.param("processes", marks=pytest.mark.slow), "inline"])
def test_what_another_run_makes_is_waited_for(shared: Project, executor: str) -> None:
    first = run(shared, "several", "--executor", executor)
    shared.wait_until(lambda: made(shared), first)
    second = run(shared, "other", "--executor", executor)
    shared.wait_until(lambda: waits(shared) >= 1, second)
    (shared.folder / "go").touch()
    answers = [ended(first), ended(second)]
    assert [code for code, _ in answers] == [0, 0]
    assert [document["outputs"]["result"]["value"] for _, document in answers] == [30, 30]
    assert made(shared) == ["0", "1", "2"]
    both = [state for _, document in answers for state in states(document)]
    assert sorted(both) == ["cached"] * 3 + ["succeeded"] * 3


def waits(shared: Project) -> int:
    """How many attempts have come back because another run makes their results."""
    from penstock.model.event import Returned
    from penstock.stores.sqlite import SqliteStore

    store = SqliteStore(next((shared.folder / ".penstock").glob("*.db")))
    try:
        journals = [store.journal(each.run_id) for each in store.runs()]
    finally:
        store.close()
    return sum(isinstance(event, Returned) for journal in journals for _, events in journal for event in events)


@pytest.mark.slow
def test_what_another_run_fails_to_make_is_made_here(shared: Project) -> None:
    first = run(shared, "several", "-p", "count=1")
    shared.wait_until(lambda: made(shared), first)
    second = run(shared, "other", "-p", "count=1")
    shared.wait_until(lambda: waits(shared), second)
    (shared.folder / "fail").touch()
    (shared.folder / "go").touch()
    assert ended(first)[0] == 1
    code, document = ended(second)
    assert (code, states(document)) == (0, ["succeeded"])
    assert made(shared) == ["0", "0"]


@pytest.mark.slow
def test_nobody_waits_for_a_run_that_was_killed(shared: Project) -> None:
    first = run(shared, "several", "-p", "count=1")
    shared.wait_until(lambda: made(shared), first)
    second = run(shared, "other", "-p", "count=1")
    shared.wait_until(lambda: waits(shared), second)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    (shared.folder / "go").touch()
    code, document = ended(second)
    assert (code, states(document)) == (0, ["succeeded"])


@pytest.mark.slow
def test_a_run_without_the_cache_waits_for_nobody(shared: Project) -> None:
    first = run(shared, "several", "-p", "count=1")
    shared.wait_until(lambda: made(shared), first)
    second = run(shared, "other", "-p", "count=1", "--no-cache")
    shared.wait_until(lambda: made(shared) == ["0", "0"], second)
    (shared.folder / "go").touch()
    assert [ended(first)[0], ended(second)[0]] == [0, 0]


@pytest.mark.slow
def test_a_run_that_waits_can_be_cancelled(shared: Project) -> None:
    first = run(shared, "several", "-p", "count=1")
    shared.wait_until(lambda: made(shared), first)
    second = run(shared, "other", "-p", "count=1")
    shared.wait_until(lambda: waits(shared), second)
    cancelled = shared.python("-m", "penstock", "cancel", "latest", "--json")
    assert json.loads(cancelled.stdout)["state"] == "cancelled"
    (shared.folder / "go").touch()
    assert ended(first)[0] == 0
    assert states(ended(second)[1]) == ["cancelled"]


def test_items_alike_of_one_run_are_made_each(shared: Project) -> None:
    code, document = ended(run(shared, "samples"))
    assert code == 0
    assert len(set(document["outputs"]["result"]["value"])) == 6
