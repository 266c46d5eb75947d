"""`penstock up` for real: processes, signals, files."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from serving import Project, twice, wait_for

from penstock.stores.sqlite import SqliteStore

HEARD = 'heard = trigger(noting, event("upload"), parameters={"what": "{event.data.path}"})\n'


@pytest.mark.slow
def test_once_looks_at_everything_and_leaves_the_runs_to_themselves(tmp_path: Path) -> None:
    refused = (
        "def never():\n    return False\n\n"
        'asked = trigger(noting, event("upload"), name="asked", parameters={"what": "not"}, condition=never)\n'
    )
    project = Project(tmp_path, HEARD + refused)
    project.run("register", "pipes.py")
    project.run("emit", "upload", "--data", '{"path": "a.csv"}')
    said = project.run("up", "--once")
    assert said.count("heard starts run") == 1
    assert said.count("never() returned False") == 1
    wait_for(lambda: project.notes == ["a.csv"], "the run ends")


@pytest.mark.slow
def test_stopping_it_disturbs_no_run(tmp_path: Path) -> None:
    project = Project(tmp_path, HEARD.replace('{"what"', '{"seconds": 2.0, "what"'))
    project.run("register", "pipes.py")
    project.run("emit", "upload", "--data", '{"path": "slow.csv"}')
    log = tmp_path / "up.log"
    daemon = project.started("up")
    wait_for(lambda: "starts run" in log.read_text(), "the run is started")
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(60) == 0
    assert project.notes == []
    wait_for(lambda: project.notes == ["slow.csv"], "the run goes on")
    assert "serving 1 trigger" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert log.read_text().splitlines()[-1].endswith("stopped; 1 run goes on by itself")


@pytest.mark.slow
def test_a_file_that_is_broken_by_now_is_told_of(tmp_path: Path) -> None:
    project = Project(tmp_path, HEARD)
    project.run("register", "pipes.py")
    project.run("emit", "upload", "--data", '{"path": "a.csv"}')
    (tmp_path / "pipes.py").write_text("this is no Python\n")
    log = tmp_path / "up.log"
    daemon = project.started("up", "--quiet")
    wait_for(lambda: "heard failed" in log.read_text(), "it is told")
    daemon.terminate()
    daemon.wait(60)
    assert "invalid syntax" in log.read_text()
    assert project.notes == []


@pytest.mark.slow
def test_a_run_whose_process_is_killed_goes_on(tmp_path: Path) -> None:
    project = Project(tmp_path, HEARD.replace('{"what"', '{"seconds": 3.0, "what"'))
    project.run("register", "pipes.py")
    log = tmp_path / "up.log"
    daemon = project.started("up")
    project.run("emit", "upload", "--data", '{"path": "a.csv"}')
    wait_for(lambda: any(run["state"] == "running" for run in project.runs()), "it runs")
    store = SqliteStore(tmp_path / ".penstock" / "penstock.db")
    driver = store.runs()[0].driver
    store.close()
    os.kill(int(driver.partition(":")[2].partition("@")[0]), signal.SIGKILL)
    wait_for(lambda: project.notes == ["a.csv"], "the run goes on")
    daemon.terminate()
    daemon.wait(60)
    assert "goes on: its process" in log.read_text()
    assert len(project.runs()) == 1


@pytest.mark.slow
def test_files_that_change_are_registered_again(tmp_path: Path) -> None:
    project = Project(tmp_path, HEARD)
    log = tmp_path / "up.log"
    first = project.started("up", "pipes.py", "--reload", "--json")
    wait_for(lambda: "serving 1 trigger" in log.read_text(), "it serves")
    second = project.started("up", "--json", log=tmp_path / "second.log")
    wait_for(lambda: "another daemon" in (tmp_path / "second.log").read_text(), "it says that it is not alone")
    source = (tmp_path / "pipes.py").read_text()
    (tmp_path / "pipes.py").write_text(source + 'more = trigger(noting, event("more"), parameters={"what": "more"})\n')
    wait_for(lambda: "trigger more" in log.read_text(), "it is registered")
    assert {json.loads(line)["what"] for line in log.read_text().splitlines()} == {"serving"}
    assert "stopped" not in log.read_text()
    project.run("emit", "more")
    wait_for(lambda: project.notes == ["more"], "it is served")
    for daemon in (first, second):
        daemon.send_signal(signal.SIGINT)
        assert daemon.wait(60) == 0
    assert not twice(project.notes)


@pytest.mark.slow
def test_it_serves_in_the_background_once_it_is_left_there(tmp_path: Path) -> None:
    project = Project(tmp_path, HEARD)
    assert "--once ends by itself" in project.run("up", "--once", "--detach", code=2)
    (tmp_path / "torn.py").write_text("def (\n")
    told = project.run("up", "pipes.py", "torn.py", "--detach")
    assert "torn.py:1" in told and "serving 1 trigger" in told
    pid = int(told.splitlines()[0])
    try:
        project.run("emit", "upload", "--data", '{"path": "a.csv"}')
        wait_for(lambda: project.notes == ["a.csv"], "the run ends")
    finally:
        os.kill(pid, signal.SIGTERM)
    log = tmp_path / ".penstock" / "daemon.log"
    wait_for(lambda: "stopped" in log.read_text(), "it stops")
