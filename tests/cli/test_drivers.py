"""Drivers that die, are suspended, or are left in the background, and runs that others take over. All of them are real."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from command_line import penstock, started
from contract import check_run, states


def ledger(folder: Path) -> list[str]:
    """What tasks have written down."""
    file = folder / "ledger"
    return file.read_text().splitlines() if file.exists() else []


def wait_for(folder: Path, line: str, times: int = 1) -> None:
    deadline = time.monotonic() + 60
    while ledger(folder).count(line) < times:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def begun(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A run that is in the middle of its second task."""
    before = ledger(folder).count("second 1")
    running = started("run", "shifts.py", *arguments, cwd=folder, start_new_session=True)
    wait_for(folder, "second 1", before + 1)
    return running


def orphaned(folder: Path, *arguments: str) -> str:
    """The id of a run whose driver was killed in the middle of it."""
    running = begun(folder, *arguments)
    os.kill(running.pid, signal.SIGKILL)
    running.communicate()
    return penstock("runs", "--json", "--limit", "1", cwd=folder).document[0]["run_id"]


def drive_from_elsewhere(folder: Path, run_id: str) -> None:
    """Let it look as if a run was driven on another machine."""
    with closing(sqlite3.connect(folder / ".penstock" / "penstock.db")) as connection, connection:
        connection.execute("UPDATE runs SET driver = 'elsewhere:77@00000000-1' WHERE run_id = ?", (run_id,))


def shown(folder: Path, run: str = "latest") -> Any:
    return penstock("show", run, "--json", cwd=folder).document


# Orphans.


@pytest.mark.slow
def test_an_orphan_is_seen_and_gone_on_with(folder: Path) -> None:
    run_id = orphaned(folder)
    [listed] = penstock("runs", "--json", cwd=folder).document
    assert (listed["state"], listed["orphaned"], listed["unheard_s"]) == ("running", True, None)
    text = penstock("runs", cwd=folder).out
    assert "orphaned" in text
    assert "penstock resume --orphans" in text
    (folder / "go").touch()
    answer = penstock("run", "shifts.py", "--resume", cwd=folder)
    assert answer.code == 0, answer.err
    assert f"going on with run {run_id}, which has lost its process" in answer.err
    assert ledger(folder) == ["first 1", "second 1", *["second 1", "second 1 done", "third 1"]]
    document = shown(folder)
    check_run(document)
    assert (document["run_id"], document["state"], document["orphaned"]) == (run_id, "succeeded", False)
    # what was lost with its driver tells nothing of what it was made of, and the attempt after it does
    assert "no earlier run" in penstock("why", "latest", "second", cwd=folder).out


@pytest.mark.slow
def test_every_view_tells_of_an_orphan(folder: Path) -> None:
    run_id = orphaned(folder)
    text = penstock("show", cwd=folder).out
    assert re.search(r"! shifts orphaned .*\n  the process \S+:\d+ that drove it is gone", text)
    assert f"penstock resume {run_id}" in text
    assert penstock("why", "latest", "third", cwd=folder).out.count("is gone") == 1
    followed = penstock("logs", "latest", "--follow", cwd=folder)
    assert (followed.code, "the process that drove it is gone: penstock resume" in followed.err) == (0, True)
    awaited = penstock("wait", cwd=folder)
    assert (awaited.code, f"penstock resume {run_id}" in awaited.err) == (1, True)
    drive_from_elsewhere(folder, run_id)
    time.sleep(21)
    listed = penstock("runs", "--json", cwd=folder).document[0]
    assert (listed["driver"], listed["orphaned"], listed["unheard_s"] > 20) == ("elsewhere:77", False, True)
    assert "running, not heard of for 2" in penstock("runs", cwd=folder).out
    assert "that drives it was not heard of for" in penstock("show", cwd=folder).out
    assert "was last heard of at" in penstock("why", "latest", "third", cwd=folder).out


@pytest.mark.slow
@pytest.mark.parametrize("command", [("resume",), ("cancel",), ("wait",)])
def test_a_driver_elsewhere_is_watched_before_it_counts_as_gone(folder: Path, command: tuple[str, ...]) -> None:
    run_id = orphaned(folder)
    drive_from_elsewhere(folder, run_id)
    (folder / "go").touch()
    began = time.monotonic()
    answer = penstock(*command, cwd=folder)
    assert time.monotonic() - began > 15
    assert answer.code == (1 if command == ("wait",) else 0), answer.err
    if command != ("wait",):
        assert answer.err.count(f"run {run_id} is driven by elsewhere:77 elsewhere; watching for 20 s") == 1
    ends = {"resume": "succeeded", "cancel": "cancelled", "wait": "running"}
    assert shown(folder)["state"] == ends[command[0]]


@pytest.mark.slow
def test_a_driver_elsewhere_that_lives_is_left_alone(folder: Path) -> None:
    running = begun(folder)
    run_id = shown(folder)["run_id"]
    drive_from_elsewhere(folder, run_id)
    refused = penstock("resume", cwd=folder)
    assert (refused.code, f"run {run_id} is under way, driven by elsewhere:77" in refused.err) == (2, True)
    assert penstock("resume", "--orphans", cwd=folder).err.endswith("no run has lost its process\n")
    (folder / "go").touch()
    out, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    assert ledger(folder) == ["first 1", "second 1", "second 1 done", "third 1"]
    assert "succeeded" in out


@pytest.mark.slow
def test_of_many_that_take_orphans_over_each_run_has_one(folder: Path) -> None:
    names = {orphaned(folder, "--no-cache") for _ in range(4)}
    before = len(ledger(folder))
    (folder / "go").touch()
    takers = [started("resume", "--orphans", "--quiet", cwd=folder) for _ in range(6)]
    answers = [taker.communicate(timeout=120) for taker in takers]
    assert [taker.returncode for taker in takers] == [0] * 6, answers
    runs = penstock("runs", "--json", cwd=folder).document
    assert {run["run_id"]: run["state"] for run in runs} == dict.fromkeys(names, "succeeded")
    assert sorted(ledger(folder)[before:]) == sorted(["second 1", "second 1 done", "third 1"] * 4)
    assert ledger(folder).count("first 1") == 4


# Takeovers.


def test_a_suspended_driver_that_wakes_up_after_a_takeover_does_nothing(folder: Path) -> None:
    driver = begun(folder, "--json")
    os.kill(driver.pid, signal.SIGSTOP)
    run_id = penstock("runs", "--json", cwd=folder).document[0]["run_id"]
    refused = penstock("resume", cwd=folder)
    assert (refused.code, "--take-over" in refused.err) == (2, True)
    (folder / "go").touch()
    # the worker of the suspended driver ends its task; nobody takes that in
    wait_for(folder, "second 1 done")
    taken = penstock("resume", run_id, "--take-over", cwd=folder)
    assert taken.code == 0, taken.err
    after = ledger(folder)
    assert after[-1] == "third 1"
    assert after.count("second 1 done") == 2
    before = shown(folder)
    os.kill(driver.pid, signal.SIGCONT)
    out, err = driver.communicate(timeout=60)
    assert driver.returncode == 1
    assert re.search(rf"run {run_id} was taken over from this process by \S+:\d+, and has succeeded", err)
    assert '"type": "LeaseLostError"' in out
    assert ledger(folder) == after
    assert shown(folder) == before


@pytest.mark.slow
def test_a_driver_that_is_at_work_gives_way_to_a_takeover(folder: Path) -> None:
    driver = begun(folder)
    taker = started("resume", "--take-over", cwd=folder)
    wait_for(folder, "second 1", 2)
    _, err = driver.communicate(timeout=60)
    assert driver.returncode == 1
    assert re.search(r"was taken over from this process by \S+:\d+, which drives it now", err)
    (folder / "go").touch()
    taker.communicate(timeout=60)
    assert taker.returncode == 0
    # the worker of the first driver was stopped
    assert ledger(folder) == ["first 1", "second 1", "second 1", "second 1 done", "third 1"]


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_drivers_suspended_at_any_moment_run_nothing_after_the_fence(folder: Path, executor: str) -> None:
    (folder / "go").touch()
    for tenths in range(7):
        (folder / "ledger").write_text("")
        driver = started("run", "shifts.py", "-p", "nap=0.2", "--no-cache", "--executor", executor, cwd=folder)
        time.sleep(0.4 + tenths / 10)
        os.kill(driver.pid, signal.SIGSTOP)
        # the worker of the suspended driver may be at a task
        time.sleep(0.2)
        runs = penstock("runs", "--json", "--limit", "1", "--state", "running", cwd=folder).document
        runs = runs if isinstance(runs, list) else []
        try:
            taken = bool(runs) and _taken_over(folder, runs[0]["run_id"])
            after = ledger(folder)
        finally:
            os.kill(driver.pid, signal.SIGCONT)
            out, err = driver.communicate(timeout=60)
        if taken:
            assert driver.returncode == 1, (out, err, after, ledger(folder), shown(folder, runs[0]["run_id"]))
            # at most, it ends the one attempt that it was at
            late = ledger(folder)[len(after) :]
            assert len({line.split()[0] for line in late}) <= 1
        else:
            assert driver.returncode == 0, (out, err)
        assert states(shown(folder)) == dict.fromkeys(("first", "second", "third"), "succeeded")


def _taken_over(folder: Path, run_id: str) -> bool:
    """Take a run over. One that was suspended in the middle of a transaction keeps everybody out."""
    answer = penstock("resume", run_id, "--take-over", cwd=folder)
    assert answer.code == 0 or "another process has it locked" in answer.err, answer.err
    return answer.code == 0


# In the background.


def test_a_run_is_left_to_the_background(folder: Path) -> None:
    wrong = penstock("run", "shifts.py", "--detach", "-p", "shift=much", cwd=folder)
    assert (wrong.code, wrong.out, "shift" in wrong.err) == (2, "", True)
    answer = penstock("run", "shifts.py", "--detach", "-p", "shift=3", "--tag", "late", "--json", cwd=folder)
    assert answer.code == 0, answer.err
    document = answer.document
    log = Path(document["log"])
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert stat.S_IMODE(log.parent.stat().st_mode) == 0o700
    assert [file.name for file in log.parent.iterdir()] == [f"{document['run_id']}.log"]
    assert os.getsid(document["pid"]) == document["pid"]
    waiting = started("wait", "--json", cwd=folder)
    running = shown(folder)
    assert (running["run_id"], running["state"], running["tags"]) == (document["run_id"], "running", ["late"])
    (folder / "go").touch()
    out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, err
    assert '"state": "succeeded"' in out
    assert "✓ third" in log.read_text()


@pytest.mark.slow
def test_a_run_in_the_background_outlives_its_terminal_and_is_ended_by_cancel(folder: Path) -> None:
    shell = started("run", "shifts.py", "--detach", cwd=folder, start_new_session=True)
    run_id = shell.communicate(timeout=60)[0].strip()
    wait_for(folder, "second 1")
    # what a terminal does when it is closed
    with pytest.raises(ProcessLookupError):
        os.killpg(shell.pid, signal.SIGHUP)
    assert penstock("cancel", run_id, cwd=folder).code == 0
    awaited = penstock("wait", run_id, cwd=folder)
    assert (awaited.code, "cancelled" in awaited.out) == (1, True)


@pytest.mark.slow
def test_orphans_go_on_in_the_background(folder: Path) -> None:
    names = {orphaned(folder, "--no-cache") for _ in range(2)}
    (folder / "go").touch()
    answer = penstock("resume", "--orphans", "--detach", cwd=folder)
    assert (answer.code, set(answer.out.split())) == (0, names), answer.err
    for name in names:
        assert penstock("wait", name, cwd=folder).code == 0
    logs = folder / ".penstock" / "logs"
    assert sorted(file.stem for file in logs.iterdir()) == sorted(names)
    assert penstock("gc", "--keep", "0", "--grace", "0s", "--yes", cwd=folder).code == 0
    assert list(logs.iterdir()) == []


@pytest.mark.slow
def test_a_paused_run_goes_on_in_the_background(folder: Path) -> None:
    asked = penstock("run", "release.py", "--detach", "--json", cwd=folder).document["run_id"]
    assert penstock("wait", asked, cwd=folder).code == 3
    assert penstock("approve", asked, "sign_off", "-v", "traffic=0.5", "--no-resume", cwd=folder).code == 0
    left = penstock("run", "release.py", "--resume", "--detach", cwd=folder)
    assert (left.code, left.out.strip()) == (0, asked), left.err
    assert f"going on with run {asked}, which is paused" in left.err
    assert penstock("wait", asked, cwd=folder).code == 0
    assert "no unfinished run of the same" in penstock("run", "release.py", "--resume", cwd=folder).err
    again = penstock("resume", asked, "--detach", cwd=folder)
    assert (again.code, again.out, "succeeded" in again.err) == (2, "", True)


@pytest.mark.slow
def test_only_a_run_with_the_same_parameters_is_gone_on_with(folder: Path) -> None:
    orphaned(folder)
    (folder / "go").touch()
    answer = penstock("run", "shifts.py", "--resume", "-p", "shift=2", cwd=folder)
    assert (answer.code, "no unfinished run of the same: a new one" in answer.err) == (0, True)
    assert penstock("run", "shifts.py", "--resume", "--plan", "--yes", cwd=folder).code == 2
    cancelled = penstock("cancel", orphaned_id(folder), cwd=folder)
    assert cancelled.code == 0


def orphaned_id(folder: Path) -> str:
    return next(run["run_id"] for run in penstock("runs", "--json", cwd=folder).document if run["orphaned"])


@pytest.mark.slow
def test_resuming_from_python_takes_over_as_well(folder: Path) -> None:
    run_id = orphaned(folder)
    (folder / "go").touch()
    (folder / "again.py").write_text(
        "from shifts import shifts\n"
        "from penstock import find_run\n"
        f"print(find_run({run_id!r}).orphaned, shifts.resume({run_id!r}).result, find_run({run_id!r}).orphaned)\n"
    )
    ended = subprocess.run(
        [sys.executable, "again.py"], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.stdout.split() == ["True", "1", "False"], ended.stderr
