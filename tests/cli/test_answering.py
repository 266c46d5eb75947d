"""Runs that are answered, gone on with and ended by other processes. All of them are real."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from command_line import Answer, asleep, penstock, started
from contract import check_run, states

from penstock.cli.running import answer_command
from penstock.model.graph import Graph
from penstock.model.run import Provenance, RunRecord, RunState, shown_driver
from penstock.stores.sqlite import SqliteStore


@pytest.fixture
def paused(folder: Path) -> tuple[Path, Answer]:
    """A folder in which a release waits for its approval, and what `run` answered."""
    return folder, penstock("run", "release.py", "--json", cwd=folder)


def task_of(document: Any, name: str) -> Any:
    return next(task for task in document["tasks"] if task["id"] == name)


# Approving.


def test_a_run_that_waits_for_an_answer_is_paused(paused: tuple[Path, Answer]) -> None:
    folder, answer = paused
    assert answer.code == 3
    document = answer.document
    check_run(document)
    assert document["state"] == "paused"
    assert document["duration_s"] is None
    assert states(document) == {"train": "succeeded", "sign_off": "waiting", "deploy": "pending"}
    assert task_of(document, "sign_off")["waits_for"] == "approval"
    [question] = document["questions"]
    assert question["question"] == "Ship this model?"
    assert question["inputs"] == {"model": "model-7"}
    assert question["fields"] == [{"name": "traffic", "type": "float", "required": True}]
    assert "paused: sign_off asks: Ship this model?" in answer.err
    assert f"penstock approve {document['run_id']} sign_off -v traffic=FLOAT" in answer.err
    assert [run["state"] for run in penstock("runs", "--json", cwd=folder).document] == ["paused"]
    assert penstock("resume", cwd=folder).code == 3


def test_a_field_of_no_simple_type_goes_by_its_name_in_what_to_type() -> None:
    fields = [
        {"name": name, "type": kind, "required": True} for name, kind in (("n", "int"), ("to", "list[Literal['a']]"))
    ]
    assert answer_command("run", {"id": "ask", "fields": fields}) == "penstock approve run ask -v n=INT -v to=TO"


def test_what_is_asked_is_listed_with_its_form(paused: tuple[Path, Answer]) -> None:
    folder, _ = paused
    listed = penstock("approve", cwd=folder)
    assert listed.code == 0
    assert "sign_off: Ship this model?" in listed.out
    assert "model-7" in listed.out
    assert "-v traffic=  float" in listed.out
    assert [each["id"] for each in penstock("approve", "latest", "--json", cwd=folder).document] == ["sign_off"]


def test_an_answer_goes_on_with_the_run(paused: tuple[Path, Answer], tmp_path: Path) -> None:
    folder, before = paused
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    answer = ["-v", "traffic=0.25", "--why", "looks good", "--by", "ada"]
    ended = penstock("approve", "latest", "sign_off", *answer, "--json", cwd=elsewhere)
    assert ended.code == 0, ended.err
    document = ended.document
    check_run(document)
    assert document["run_id"] == before.document["run_id"]
    assert document["outputs"]["result"]["value"] == "model-7 at 25%, says ada"
    assert task_of(document, "train")["attempts"] == 1
    said = task_of(document, "sign_off")["approval"]
    assert (said["approved"], said["by"], said["why"], said["values"]) == (True, "ada", "looks good", {"traffic": 0.25})
    shown = penstock("show", "latest", cwd=folder).out
    assert "approved by ada" in shown
    assert "looks good (traffic = 0.25)" in shown
    again = penstock("approve", "latest", "sign_off", "-v", "traffic=1", cwd=folder)
    assert again.code == 2
    assert re.search(r"is answered: ada approved it on \d{4}-.*, and the run has succeeded", again.err)
    resumed = penstock("resume", "latest", cwd=folder)
    assert (resumed.code, "succeeded" in resumed.err) == (2, True)
    assert "no open questions" in penstock("approve", "latest", cwd=folder).out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sign_of", "-v", "traffic=1"], "Did you mean 'sign_off'?"),
        (["sign_off"], "traffic: missing"),
        (["sign_off", "-v", "traffic=much"], "traffic"),
        (["sign_off", "-v", "traffic"], "Write -v name=value"),
        (["sign_off", "-v", "traffic=1", "-v", "speed=2"], "speed: there is no such field"),
        (["--reject"], "approve needs a NODE"),
    ],
)
def test_a_wrong_answer_is_refused_and_not_recorded(
    paused: tuple[Path, Answer], arguments: list[str], message: str
) -> None:
    folder, _ = paused
    refused = penstock("approve", "latest", *arguments, cwd=folder)
    assert refused.code == 2
    assert message in refused.err
    assert penstock("show", "--json", cwd=folder).document["state"] == "paused"


@pytest.mark.slow
def test_a_rejection_skips_what_depends_on_it(paused: tuple[Path, Answer]) -> None:
    folder, _ = paused
    recorded = penstock(
        "approve", "latest", "sign_off", "--reject", "--by", "bob", "--why", "too slow", "--no-resume", cwd=folder
    )
    assert (recorded.code, recorded.out.split(" of ")[0]) == (0, "bob rejected sign_off")
    assert penstock("approve", "latest", cwd=folder).out.rstrip().endswith("has no open questions")
    again = penstock("approve", "latest", "sign_off", "-v", "traffic=1", cwd=folder)
    assert (again.code, "is answered: bob rejected it on " in again.err) == (2, True)
    resumed = penstock("resume", "latest", "--json", cwd=folder)
    assert states(resumed.document) == {"train": "succeeded", "sign_off": "skipped", "deploy": "skipped"}
    sign_off = task_of(resumed.document, "sign_off")
    assert sign_off["reason"] == "bob rejected it: too slow"
    assert sign_off["approval"]["approved"] is False


# Ending.


def test_a_run_is_ended_from_another_process(folder: Path) -> None:
    running = started("run", "naps.py", "--json", cwd=folder)
    asleep(folder)
    before = time.monotonic()
    ended = penstock("cancel", "latest", "--reason", "wrong data", "--json", cwd=folder)
    assert time.monotonic() - before < 30
    out, _ = running.communicate(timeout=30)
    assert ended.code == 0
    assert ended.document["state"] == "cancelled"
    assert "nap[0]" in ended.document["stopped"]
    assert len(ended.document["stopped"]) + ended.document["not_begun"] == 4
    assert running.returncode == 1
    document = Answer(1, out, "").document
    check_run(document)
    assert set(states(document).values()) == {"cancelled"}
    assert task_of(document, "total")["reason"] == "wrong data"
    again = penstock("cancel", "latest", cwd=folder)
    assert (again.code, "had ended already: it was cancelled" in again.out) == (0, True)


@pytest.mark.slow
def test_a_run_whose_process_is_gone_is_ended_by_the_command(folder: Path) -> None:
    running = started("run", "naps.py", cwd=folder, start_new_session=True)
    asleep(folder)
    os.kill(running.pid, signal.SIGKILL)
    running.communicate()
    ended = penstock("cancel", "latest", cwd=folder)
    assert ended.code == 0, ended.err
    assert "was cancelled: stopped nap[0]" in ended.out
    document = penstock("show", "--json", cwd=folder).document
    check_run(document)
    assert document["state"] == "cancelled"
    assert set(states(document).values()) == {"cancelled"}


@pytest.mark.slow
def test_a_paused_run_is_ended_by_the_command(paused: tuple[Path, Answer]) -> None:
    folder, _ = paused
    ended = penstock("cancel", cwd=folder)
    assert (ended.code, "nothing was running, 2 tasks not begun" in ended.out) == (0, True)
    document = penstock("show", "--json", cwd=folder).document
    assert states(document) == {"train": "succeeded", "sign_off": "cancelled", "deploy": "cancelled"}
    assert penstock("approve", "latest", "sign_off", "-v", "traffic=1", cwd=folder).code == 2


def test_an_unknown_run_is_refused(paused: tuple[Path, Answer]) -> None:
    folder, _ = paused
    for command in (["cancel"], ["resume"], ["approve"]):
        refused = penstock(*command, "2020", cwd=folder)
        assert refused.code == 2
        assert "there is no run '2020'" in refused.err


def test_a_number_that_another_process_has_by_now_is_not_the_driver(tmp_path: Path) -> None:
    from penstock.runtime.surroundings.processes import is_gone, this_process

    # as an earlier penstock recorded it
    run = RunRecord(
        run_id="r",
        pipeline="p",
        state=RunState.RUNNING,
        parameters={},
        started_at=1.0,
        driver=shown_driver(this_process()),
    )
    assert not is_gone(run, time.time())
    assert is_gone(run, 1.0) == Path("/proc/self/stat").exists()
    other = RunRecord(
        run_id="r", pipeline="p", state=RunState.RUNNING, parameters={}, started_at=1.0, driver="elsewhere:1"
    )
    assert not is_gone(other, 1.0)
    store = SqliteStore(tmp_path / "store.db")
    machine: dict[str, Any] = {}
    provenance = Provenance(penstock="0", python="3", platform="", machine=machine, packages={}, configuration={})
    store.create(run, Graph("p", (), {}, ()), provenance)
    assert store.find("r").driver.startswith(socket.gethostname())
    store.close()


# Pools.


@pytest.mark.slow
def test_pools_are_made_and_listed(folder: Path) -> None:
    (folder / "penstock.toml").write_text("[pools]\napi = 2\n")
    assert [pool["name"] for pool in penstock("pools", "--json", cwd=folder).document] == ["api"]
    made = penstock("pools", "set", "db=4", "gpu farm=1", cwd=folder)
    assert made.code == 0
    pools = {pool["name"]: pool["size"] for pool in penstock("pools", "--json", cwd=folder).document}
    assert pools == {"api": 2, "db": 4, "gpu farm": 1}
    assert "gpu farm" in penstock("pools", cwd=folder).out


@pytest.mark.slow
@pytest.mark.parametrize("text", ["db", "db=", "=4", "db=-1", "db=many"])
def test_a_size_that_is_none_is_refused(folder: Path, text: str) -> None:
    refused = penstock("pools", "set", "api=1", text, cwd=folder)
    assert refused.code == 2
    assert penstock("pools", "--json", cwd=folder).document == []


# What is shown.


def test_nodes_of_bodies_stand_behind_their_items(shapes: tuple[Path, Answer]) -> None:
    document = shapes[1].document
    check_run(document)
    assert [name for name in states(document) if name.startswith(("fold", "grow"))] == [
        "fold[a]",
        "fold[a]/fit",
        "fold[a]/score",
        "fold[b/c]",
        "fold[b/c]/fit",
        "fold[b/c]/score",
        "fold[d]",
        "fold[d]/fit",
        "fold[d]/score",
        "grow",
        "grow[0]/bump",
        "grow[1]/bump",
        "grow[2]/bump",
    ]
    failed = task_of(document, "fold[b/c]")
    assert (failed["key"], failed["item"], failed["state"]) == ("b/c", 1, "failed")
    assert task_of(document, "fold[b/c]/fit")["path"] == "fold/fit"
    assert document["outputs"]["scores"]["value"] == 2


def test_every_attempt_is_shown(shapes: tuple[Path, Answer]) -> None:
    folder, answer = shapes
    first, second = task_of(answer.document, "flaky")["history"]
    assert (first["attempt"], first["state"], first["error"]) == (1, "failed", "OSError: busy")
    assert (second["attempt"], second["state"], second["error"]) == (2, "succeeded", None)
    assert second["waited_s"] >= 0.005
    assert task_of(answer.document, "hopeless")["fallback"] == "value"
    assert "history" not in task_of(answer.document, "counted")
    shown = penstock("show", cwd=folder).out
    assert "OSError: busy" in shown
    assert "its fallback value is used" in shown


def test_the_lines_and_artifacts_of_a_node_in_a_body(shapes: tuple[Path, Answer]) -> None:
    folder, _ = shapes
    assert penstock("logs", "latest", "fold[b/c]/fit", cwd=folder).out == "fold[b/c]/fit | fitting 2\n"
    names = [each["name"] for each in penstock("artifacts", "list", "--json", cwd=folder).document]
    assert names.index("fold[a]/fit") + 1 == names.index("fold[a]/score")
    assert "fold[b/c]/score" not in names


def test_the_graph_of_a_run_shows_bodies_with_their_states(shapes: tuple[Path, Answer]) -> None:
    folder, _ = shapes
    drawn = penstock("graph", "--run", "latest", "-f", "svg", cwd=folder).out
    assert 'class="node failed" data-node="fold/score"' in drawn
    assert 'class="node succeeded" data-node="grow/bump"' in drawn


# Deadlines.


def test_a_run_waits_for_a_deadline_that_is_near(folder: Path) -> None:
    answer = penstock("run", "deadline.py:soon", "--json", cwd=folder)
    assert answer.code == 0, answer.err
    assert answer.document["outputs"]["result"]["value"] == "deadline"


def test_a_deadline_that_is_far_is_told_wherever_the_question_is(folder: Path) -> None:
    paused = penstock("run", "deadline.py:later", cwd=folder)
    assert paused.code == 3
    told = r"until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d, then it counts as rejected"
    assert re.search(rf"paused: sign_off asks: Ship it\? \({told}\)", paused.err)
    assert re.search(rf"sign_off +Ship it\? \({told}\)", penstock("show", cwd=folder).out)
    assert re.search(told.replace("until ", "until +"), penstock("approve", cwd=folder).out)


@pytest.mark.slow
def test_no_answer_is_taken_after_a_deadline(folder: Path, tmp_path: Path) -> None:
    paused = penstock("run", "deadline.py:later", "--json", cwd=folder).document
    with closing(sqlite3.connect(next((folder / ".penstock").glob("*.db")))) as store, store:
        store.execute("update journal set at = at - 7200")
    refused = penstock("approve", "latest", "sign_off", cwd=folder)
    assert refused.code == 2
    assert "sign_off of run" in refused.err
    assert "its deadline has passed" in refused.err
    assert f"penstock resume {paused['run_id']} counts it as rejected" in refused.err
    assert penstock("resume", "--json", cwd=folder).document["outputs"]["result"]["value"] == "deadline"


def overdue(folder: Path) -> str:
    """A run that was paused two hours ago. Returns its id."""
    run_id = penstock("run", "deadline.py:later", "--json", cwd=folder).document["run_id"]
    with closing(sqlite3.connect(next((folder / ".penstock").glob("*.db")))) as store, store:
        key = "(select id from runs where run_id = ?)"
        store.execute(f"update journal set at = at - 7200 where run = {key}", (run_id,))
    return run_id


@pytest.mark.slow
def test_all_runs_that_are_overdue_go_on_at_once(folder: Path) -> None:
    late = [overdue(folder), overdue(folder)]
    in_time = penstock("run", "deadline.py:later", "--json", cwd=folder).document["run_id"]
    answer = penstock("resume", "--due", "-q", cwd=folder)
    assert answer.code == 0, answer.err
    ended = {run["run_id"]: run["state"] for run in penstock("runs", "--json", cwd=folder).document}
    assert [ended[run_id] for run_id in late] == ["succeeded", "succeeded"]
    assert ended[in_time] == "paused"
    again = penstock("resume", "--due", cwd=folder)
    assert (again.code, again.err.strip()) == (0, "no paused run is overdue")


def test_due_goes_without_a_run(folder: Path) -> None:
    refused = penstock("resume", "latest", "--due", cwd=folder)
    assert refused.code == 2
    assert "--due goes with neither a RUN nor --json" in refused.err


@pytest.mark.slow
def test_a_run_may_stay_for_its_answer(folder: Path) -> None:
    with started("run", "deadline.py:later", "--wait", "-q", cwd=folder) as waiting:
        given = penstock("approve", "latest", "sign_off", "--by", "ada", cwd=folder)
        while given.code == 2 and waiting.poll() is None:
            time.sleep(0.1)
            given = penstock("approve", "latest", "sign_off", "--by", "ada", cwd=folder)
        assert given.code == 0, given.err
        waiting.communicate(timeout=30)
    assert waiting.returncode == 0
    assert penstock("show", "--json", cwd=folder).document["outputs"]["result"]["value"] == "ada"


@pytest.mark.slow
def test_the_user_answers_where_nobody_is_named(paused: tuple[Path, Answer]) -> None:
    folder, _ = paused
    document = penstock(
        "approve", "latest", "sign_off", "-v", "traffic=1", "--json", cwd=folder, LOGNAME="grace"
    ).document
    assert task_of(document, "sign_off")["approval"]["by"] == "grace"
    assert document["outputs"]["result"]["value"] == "model-7 at 100%, says grace"


@pytest.mark.slow
def test_bodies_of_a_paused_run_wait(folder: Path) -> None:
    paused = penstock("run", "deadline.py:reviews", "--json", cwd=folder)
    assert paused.code == 3
    assert states(paused.document) == dict.fromkeys(
        ["review[0]", "review[0]/keep", "review[1]", "review[1]/keep"], "waiting"
    )
    assert "4 tasks: 4 waiting" in penstock("resume", "-q", cwd=folder).out
