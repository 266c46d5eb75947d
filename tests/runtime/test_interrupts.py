"""Ctrl-C, SIGTERM and kill -9 on real runs in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from running import PATIENCE, Project

#: the long ring: signals to real processes
pytestmark = pytest.mark.slow

EXECUTORS = ["processes", "inline"]

SLOW = """
    import os, sys, time
    from pathlib import Path
    from penstock import pipeline, task

    @task
    def quick() -> int:
        return 1

    @task
    def gated(one: int, item: int) -> int:
        Path(f"began-{item}").write_text(f"{os.getpid()} {os.getppid()}")
        while not Path("gate").exists():
            time.sleep(0.01)
        Path(f"ended-{item}").touch()
        return one + item

    @task
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    @pipeline
    def slow():
        one = quick()
        return total([gated(one, item) for item in range(20)])

    if __name__ == "__main__":
        slow.options(executor=sys.argv[1], workers=2, progress=False)()
"""


@pytest.fixture
def slow(project: Project) -> Project:
    project.write("slow.py", SLOW)
    return project


def began(project: Project) -> list[Path]:
    return [file for file in project.folder.glob("began-*") if file.read_text()]


def pids_of(project: Project) -> set[int]:
    """The workers that have begun something, and their parent."""
    return {int(word) for file in began(project) for word in file.read_text().split()}


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def command(executor: str) -> list[str]:
    return ["-m", "penstock", "run", "slow.py", "--executor", executor, "--workers", "2", "-q"]


def outcome(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def shown(project: Project) -> dict[str, Any]:
    return json.loads(project.penstock("show", "latest", "--json").stdout)


def states(document: dict[str, Any]) -> list[str]:
    return [task["state"] for task in document["tasks"]]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_ctrl_c_once_ends_the_run_cleanly(slow: Project, executor: str) -> None:
    at_once = 2 if executor == "processes" else 1
    process = slow.start(*command(executor))
    slow.wait_until(lambda: len(began(slow)) == at_once, process)
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    (slow.folder / "gate").touch()
    code, out, _ = outcome(process)
    assert code == 130
    assert f"penstock resume {shown(slow)['run_id']}" in out
    assert len(began(slow)) == len(list(slow.folder.glob("ended-*"))) == at_once
    document = shown(slow)
    assert document["state"] == "cancelled"
    assert states(document).count("succeeded") == 1 + at_once
    assert states(document).count("cancelled") == 21 - at_once


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_ran_when_ctrl_c_was_pressed_is_told(slow: Project, executor: str) -> None:
    process = slow.start(*command(executor)[:-1])
    at_once = 2 if executor == "processes" else 1
    slow.wait_until(lambda: len(began(slow)) == at_once, process)
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    (slow.folder / "gate").touch()
    told = (
        "2 tasks are finishing; Ctrl-C again kills them" if executor == "processes" else "1 task finished, and nothing"
    )
    assert f"stopping: {told}" in outcome(process)[2]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_next_run_takes_what_had_finished_from_the_cache(slow: Project, executor: str) -> None:
    process = slow.start(*command(executor))
    slow.wait_until(lambda: began(slow), process)
    process.send_signal(signal.SIGINT)
    (slow.folder / "gate").touch()
    assert outcome(process)[0] == 130
    finished = states(shown(slow)).count("succeeded")
    assert finished >= 2
    again = json.loads(slow.penstock("run", "slow.py", "--executor", executor, "--json", "-q").stdout)
    assert again["state"] == "succeeded"
    assert states(again).count("cached") == finished
    assert again["outputs"]["result"]["value"] == sum(range(20)) + 20


@pytest.mark.parametrize("executor", EXECUTORS)
def test_ctrl_c_twice_kills_what_runs(slow: Project, executor: str) -> None:
    process = slow.start(*command(executor))
    slow.wait_until(lambda: began(slow), process)
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    process.send_signal(signal.SIGINT)
    assert outcome(process)[0] == 130
    assert not list(slow.folder.glob("ended-*"))
    slow.wait_until(lambda: not any(map(is_alive, pids_of(slow) - {1})) or executor == "inline")
    document = shown(slow)
    assert document["state"] == "cancelled"
    assert set(states(document)) == {"succeeded", "cancelled"}


@pytest.mark.parametrize("executor", EXECUTORS)
def test_sigterm_ends_the_run_without_waiting(slow: Project, executor: str) -> None:
    process = slow.start(*command(executor))
    slow.wait_until(lambda: began(slow), process)
    process.send_signal(signal.SIGTERM)
    assert outcome(process)[0] == 130
    assert not list(slow.folder.glob("ended-*"))
    assert shown(slow)["state"] == "cancelled"


@pytest.mark.parametrize("executor", EXECUTORS)
def test_ctrl_c_in_a_script(slow: Project, executor: str) -> None:
    process = slow.start("slow.py", executor)
    slow.wait_until(lambda: began(slow), process)
    process.send_signal(signal.SIGINT)
    (slow.folder / "gate").touch()
    code, _, err = outcome(process)
    # Python ends itself by the signal, which shells show as 130
    assert code == -signal.SIGINT
    assert "KeyboardInterrupt" in err
    assert "cache" in err
    assert shown(slow)["state"] == "cancelled"


def test_ctrl_c_of_a_terminal_reaches_the_driver_alone(slow: Project) -> None:
    process = slow.start(*command("processes"), start_new_session=True)
    slow.wait_until(lambda: len(began(slow)) == 2, process)
    os.killpg(process.pid, signal.SIGINT)
    (slow.folder / "gate").touch()
    assert outcome(process)[0] == 130
    assert len(list(slow.folder.glob("ended-*"))) == 2


def test_a_driver_that_is_killed_leaves_no_process_behind(slow: Project) -> None:
    process = slow.start(*command("processes"))
    slow.wait_until(lambda: len(began(slow)) == 2, process)
    pids = pids_of(slow)
    assert len(pids) == 3
    assert all(map(is_alive, pids))
    process.kill()
    _, _, err = outcome(process)
    slow.wait_until(lambda: not any(map(is_alive, pids)))
    assert "Traceback" not in err


def test_a_run_that_was_killed_is_taken_up_by_the_next(slow: Project) -> None:
    process = slow.start(*command("processes"))
    slow.wait_until(lambda: len(began(slow)) == 2, process)
    process.kill()
    outcome(process)
    (slow.folder / "gate").touch()
    again = json.loads(slow.penstock("run", "slow.py", "--json", "-q").stdout)
    assert again["state"] == "succeeded"
    assert states(again).count("cached") == 1
