from __future__ import annotations

import time
from pathlib import Path

import pytest
from command_line import Answer, penstock, started

FLOWS = """
import os, time
from penstock import RunRequest, cron, event, files, pipeline, sensor, trigger

@pipeline
def ingest(path: str = "none"):
    pass

def never():
    return False

def broken():
    return 1 / 0

arrivals = trigger(ingest, event("upload.done", where={"size >": 10}), parameters={"path": "{event.data.path}"})
guarded = trigger(ingest, cron("0 2 * * *"), condition=never)
faulty = trigger(ingest, cron("0 3 * * *"), condition=broken, enabled=False)
found = trigger(ingest, files("incoming/*.csv"), parameters={"path": "{event.data.path}"})

@sensor(ingest)
def new_rows():
    print("looking")
    return RunRequest("row-1", {"path": "a"})

@sensor(ingest, timeout=0.5)
def stuck():
    time.sleep(60)

@sensor(ingest)
def raising():
    raise KeyError("column")

@sensor(ingest)
def leaving():
    os._exit(7)
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with triggers, registered."""
    (tmp_path / "flows.py").write_text(FLOWS)
    (tmp_path / "penstock.toml").write_text('executor = "inline"\n')
    registered = penstock("register", "flows.py", cwd=tmp_path)
    assert registered.code == 0, registered.err
    return tmp_path


def ask(folder: Path, *arguments: str) -> Answer:
    return penstock("triggers", *arguments, cwd=folder)


def test_parameters_of_a_trigger_change(shop: Path) -> None:
    (shop / "flows.py").write_text(FLOWS.replace('parameters={"path": "{event.data.path}"})\nguarded', ")\nguarded"))
    told = penstock("register", "flows.py", cwd=shop)
    assert told.code == 0, told.err
    assert "~ trigger arrivals  changed, version 2" in told.out
    assert "parameters: path={event.data.path} -> -" in told.out


@pytest.mark.slow
def test_a_firing_without_a_run_is_told(shop: Path) -> None:
    run_id = ask(shop, "fire", "guarded").out.strip()
    for command in ("show", "why", "logs", "cancel", "resume", "tag"):
        told = penstock(command, run_id, cwd=shop)
        assert told.code == 2
        assert "has not begun: it is queued" in told.err
        assert f"penstock triggers cancel {run_id}" in told.err
    assert ask(shop, "cancel", run_id).code == 0
    assert "was not made: it is cancelled" in penstock("show", run_id[:-2], cwd=shop).err


@pytest.mark.slow
def test_a_run_that_is_yet_to_begin_is_waited_for(shop: Path) -> None:
    event = '{"data": {"path": "a", "size": 20}}'
    run_id = ask(shop, "fire", "arrivals", "--event", event).out.strip()
    waiting = started("wait", run_id, "--json", cwd=shop)
    assert penstock("up", "--once", cwd=shop).code == 0
    out, err = waiting.communicate(timeout=60)
    assert (waiting.returncode, "and its run" in err, run_id in out) == (0, True, True), err


def test_what_a_sensor_does_is_told_and_does_no_harm(shop: Path) -> None:
    hanging = ask(shop, "test", "stuck")
    assert (hanging.code, hanging.out) == (1, "stuck failed when it was asked: it gave no answer within 0.5 s\n")
    raised = ask(shop, "test", "raising")
    assert raised.code == 1
    assert "KeyError: 'column'" in raised.out
    assert "fault in penstock" not in raised.err
    assert "penstock/" not in raised.out
    left = ask(shop, "test", "leaving", "--json")
    assert left.code == 1
    assert left.document["fault"] == "its process ended with exit code 7 before it had answered"


@pytest.mark.slow
def test_a_condition_that_fails_is_told(shop: Path) -> None:
    told = ask(shop, "test", "faulty")
    assert told.code == 1
    assert "its condition failed" in told.out
    assert "ZeroDivisionError" in told.out


@pytest.mark.slow
def test_a_sensor_that_is_fired_is_asked(shop: Path) -> None:
    fired = ask(shop, "fire", "new_rows")
    assert fired.code == 0, fired.err
    assert "looking" in fired.err
    [firing] = ask(shop, "firings", "new_rows", "--json").document
    assert (firing["run_id"], firing["key"], firing["parameters"]) == (fired.out.strip(), "row-1", {"path": "a"})


@pytest.mark.slow
def test_what_keeps_a_trigger_from_being_fired_is_told(shop: Path) -> None:
    nothing = ask(shop, "fire", "arrivals")
    assert nothing.code == 2
    assert "penstock triggers fire arrivals --event" in nothing.err
    refused = ask(shop, "fire", "guarded", "--now")
    assert refused.code == 2
    assert "the condition of guarded does not let it start: never() returned False" in refused.err
    assert ask(shop, "firings", "--json").document == []
    assert ask(shop, "fire", "guarded", "--force").code == 2
    assert ask(shop, "fire", "guarded", "--now", "--force").code == 0


DOUBTFUL = """
from penstock import cron, once, pipeline, run_ends, trigger

@pipeline
def rep():
    pass

gone = trigger(rep, once("2020-01-01"))
lonely = trigger(rep, run_ends("nothere"))
again = trigger(rep, run_ends(rep))
"""


def test_what_is_hardly_meant_is_told_when_it_is_registered(tmp_path: Path) -> None:
    (tmp_path / "flows.py").write_text(DOUBTFUL)
    told = penstock("register", "flows.py", cwd=tmp_path)
    assert told.code == 2
    assert "gone is never due: the last of its times is over" in told.err
    assert (
        "warning: lonely waits for the pipeline 'nothere', and none of that name is registered\n  at flows" in told.err
    )
    assert "warning: again starts rep when a run of rep has ended" in told.err
    assert {name for name in ("gone", "lonely", "again") if f"+ trigger {name}" in told.out} == {"lonely", "again"}


@pytest.mark.slow
def test_a_time_that_has_come_meanwhile_is_no_fault(tmp_path: Path) -> None:
    from datetime import UTC, datetime, timedelta

    soon = datetime.now(UTC) + timedelta(seconds=1)
    (tmp_path / "flows.py").write_text(DOUBTFUL.replace("2020-01-01", soon.isoformat()))
    assert penstock("register", "flows.py", cwd=tmp_path).code == 0
    time.sleep(max(0.0, soon.timestamp() - time.time()))
    assert penstock("register", "flows.py", cwd=tmp_path).code == 0


def test_a_filter_is_told(shop: Path) -> None:
    assert "an event upload.done with size > 10" in ask(shop, "show", "arrivals").out
    small = ask(shop, "test", "arrivals", "--event", '{"data": {"size": 3, "path": "a"}}')
    assert small.out == "arrivals would start nothing: size > 10 does not hold (it is 3)\n"


@pytest.mark.slow
def test_all_that_is_queued_of_a_trigger_is_taken_out(shop: Path) -> None:
    for day in (20, 21):
        assert ask(shop, "fire", "guarded", "--at", f"2026-11-{day}").code == 0
    assert "2 firings of guarded are queued" in ask(shop, "cancel", "guarded").err
    assert ask(shop, "cancel", "guarded", "--all").code == 0
    told = ask(shop, "firings", "--state", "cancelled", "--json").document
    assert [each["reason"] for each in told] == ["cancelled by hand: penstock triggers cancel"] * 2
    assert ask(shop, "skip", "guarded", "--all").out == "nothing was queued\n"
    assert ask(shop, "cancel", "nothing", "--all").code == 2


@pytest.mark.slow
def test_firings_are_found_by_the_states_of_their_runs(shop: Path) -> None:
    made = ask(shop, "fire", "guarded", "--now", "--force", "--json")
    ask(shop, "fire", "faulty")
    [told] = ask(shop, "firings", "--state", "succeeded", "--json").document
    assert (told["run_id"], told["state"]) == (made.document["run_id"], "succeeded")
    assert ask(shop, "firings", "--state", "running", "--json").document == []
    assert len(ask(shop, "firings", "--state", "started", "--json").document) == 1


@pytest.mark.slow
def test_what_a_command_is_given_counts_or_is_refused(shop: Path) -> None:
    times = ask(shop, "next", "guarded", "--zone", "Asia/Tokyo", "-n", "1", "--after", "2026-11-21")
    assert "2026-11-21 11:00 JST" in times.out
    assert "follows a schedule, and no events" in ask(shop, "test", "guarded", "--event", "{}").err
    assert "has no schedule" in ask(shop, "test", "arrivals", "--at", "2026-11-21").err
    assert (
        "2026-11-21T05:00:00Z is none of the times of guarded"
        in ask(shop, "fire", "guarded", "--at", "2026-11-21T05:00").err
    )
    ask(shop, "disable", "guarded")
    assert "guarded is switched off; were it on:" in ask(shop, "test", "guarded").out
    lacking = ask(shop, "test", "found", "--event", "{}").out
    assert "where=" not in lacking
    assert "Give the event that field in its data." in lacking


def test_that_no_daemon_runs_is_told(shop: Path) -> None:
    assert ask(shop).err == "no daemon is running: penstock up\n"
    assert "no daemon is running" in ask(shop, "show", "guarded").err


def test_the_doctor_looks_at_what_is_registered(shop: Path) -> None:
    (shop / "flows.py").write_text("import nothing_of_the_kind\n")
    told = penstock("doctor", "--json", cwd=shop).document
    texts = [each["text"] for each in told["findings"]]
    assert any("triggers are switched on, and no daemon is running" in each for each in texts)
    [problem] = told["problems"]
    assert "flows.py is registered, and something is wrong with it" in problem


@pytest.mark.slow
def test_tables_and_near_names_are_short(shop: Path) -> None:
    assert max(map(len, ask(shop).out.splitlines())) <= 120
    unknown = ask(shop, "show", "zzz").err
    assert "there is no trigger 'zzz'" in unknown
    assert "arrivals" not in unknown
    assert "The nearest are: arrivals." in ask(shop, "show", "arivals").err


SHARED = """
from penstock import pipeline, task

@task
def double(number: int) -> int:
    return 2 * number

@pipeline
def one():
    return double(1)

@pipeline
def two():
    return double(2)
"""


@pytest.mark.slow
def test_a_change_of_what_pipelines_share_is_shown_once(tmp_path: Path) -> None:
    (tmp_path / "flows.py").write_text(SHARED)
    assert penstock("register", "flows.py", cwd=tmp_path).code == 0
    (tmp_path / "flows.py").write_text(SHARED.replace("2 * number", "3 * number"))
    told = penstock("register", "flows.py", cwd=tmp_path).out
    assert told.count("3 * number") == 1
    assert "as in one" in told
