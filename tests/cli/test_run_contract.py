from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import PROGRAM, Project, environment, penstock, started
from contract import check_run, states


def test_run_prints_one_run_document_whatever_the_file_writes_to_stdout(project: Project) -> None:
    document = project.trained.document
    check_run(document)
    assert project.trained.code == 0
    assert document["state"] == "succeeded"
    assert document["parameters"] == {"rows": 20, "threshold": 0.5, "strengths": [0.1, 1.0, 10.0]}
    assert document["metrics"]["candidates"] == 3
    assert states(document)["publish"] == "succeeded"
    assert states(document)["refuse"] == "skipped"
    for text in ("printed while the file is loaded", "written by the system call", "written by a child"):
        assert text in project.trained.err


def test_outputs_have_values_where_they_are_small_and_paths_where_they_are_files(project: Project) -> None:
    outputs = project.trained.document["outputs"]
    assert outputs["score"]["value"] == 0.875
    assert "value" not in outputs["model"]
    assert Path(outputs["report"]["path"]).read_text() == "score 0.875\n"


def test_a_second_run_takes_what_is_unchanged_from_the_cache_and_keeps_its_metrics(project: Project) -> None:
    document = project.again.document
    check_run(document)
    ran = [name for name, state in states(document).items() if state == "succeeded"]
    assert ran == ["refuse"]
    assert states(document)["ingest"] == states(document)["fit[2]"] == "cached"
    assert document["metrics"] == project.trained.document["metrics"]


def test_a_failed_run_exits_with_1_and_the_other_branches_went_on(project: Project) -> None:
    document = project.failed.document
    check_run(document)
    assert project.failed.code == 1
    assert states(document) == {
        "number": "succeeded",
        "fragile": "failed",
        "after_fragile": "upstream_failed",
        "scaled[0]": "succeeded",
        "scaled[1]": "succeeded",
        "scaled[2]": "succeeded",
        "total": "succeeded",
    }
    fragile = next(task for task in document["tasks"] if task["id"] == "fragile")
    assert fragile["error"] == "ValueError: no 1 today"
    source = (project.folder / "steps.py").read_text().splitlines()
    line = source.index('        raise ValueError(f"no {value} today")') + 1
    assert f'steps.py", line {line}, in checked' in fragile["traceback"]
    assert "penstock" not in fragile["traceback"].replace(str(project.folder), "")


def test_the_summary_of_a_failed_run_has_the_traceback_and_what_to_do(folder: Path) -> None:
    answer = penstock("run", "steps.py", "-p", "fail=true", "-p", "value=7", cwd=folder)
    assert answer.code == 1
    lines = answer.out.splitlines()
    assert lines[0] == "✗ fragile failed"
    assert lines[1] == "  Traceback (most recent call last):"
    assert "  ValueError: no 7 today" in lines
    assert "  scaled[*].scaled  7 to 21, 3 items" in lines, "what many items logged is told once"
    assert "7 tasks: 5 ran, 1 failed, 1 not run" in lines
    steps = lines[lines.index("next") + 1 :]
    assert steps[0].split("  ")[1:2] == ["penstock logs latest fragile"]
    assert steps[1].strip().startswith("penstock resume ")
    assert "✗ fragile failed: ValueError: no 7 today" in answer.err
    assert "! after_fragile  not run: fragile failed" in answer.err


def test_the_summary_of_a_run_names_outputs_and_next_steps(folder: Path) -> None:
    answer = penstock("run", "steps.py", cwd=folder)
    assert answer.code == 0
    assert answer.out.startswith("✓ steps succeeded in ")
    assert "\noutputs\n  result  6\n" in answer.out
    assert "penstock graph steps.py -o graph.html" in answer.out
    assert "✓ scaled[*]  3 items" in answer.err
    assert [line for line in answer.out.splitlines() if line != line.rstrip()] == []


def test_quiet_shows_no_progress_and_logs_show_what_tasks_print(folder: Path) -> None:
    quiet = penstock("run", "steps.py", "--quiet", cwd=folder)
    assert quiet.err == ""
    logs = penstock("run", "steps.py", "-p", "value=8", "--logs", cwd=folder)
    assert "number | the number is 8" in logs.err.splitlines()


def test_no_cache_runs_everything_again(folder: Path) -> None:
    penstock("run", "steps.py", "--executor", "inline", cwd=folder)
    document = penstock("run", "steps.py", "--executor", "inline", "--no-cache", "--json", cwd=folder).document
    assert set(states(document).values()) == {"succeeded"}


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_stdout_carries_nothing_else_with_either_executor(executor: str, folder: Path) -> None:
    (folder / "noisy.py").write_text(
        "import atexit, os, sys\n"
        "from penstock import pipeline, task\n"
        "atexit.register(print, 'printed at exit')\n"
        "os.write(1, b'written on import\\n')\n"
        "print('on the first stdout', file=sys.__stdout__)\n"
        "@task\n"
        "def noise() -> int:\n"
        "    os.write(1, b'written in a task\\n')\n"
        "    os.system('echo from a shell')\n"
        "    return 1\n"
        "@pipeline\n"
        "def main() -> int:\n"
        "    print('in the body')\n"
        "    return noise()\n"
    )
    answer = penstock("run", "noisy.py", "--json", "--executor", executor, cwd=folder)
    assert answer.code == 0
    assert answer.document["outputs"]["result"]["value"] == 1
    for text in ("printed at exit", "written on import", "on the first stdout", "in the body", "from a shell"):
        assert text in answer.err, text
    drawn = penstock("graph", "noisy.py", "--json", cwd=folder)
    assert drawn.document["name"] == "main"


def test_numbers_that_json_does_not_know_become_null(folder: Path) -> None:
    (folder / "nan.py").write_text(
        "from penstock import current, pipeline, task\n"
        "@task\n"
        "def diverge() -> int:\n"
        "    current().log_metric('loss', float('nan'))\n"
        "    return 1\n"
        "@pipeline\n"
        "def main():\n"
        "    diverge()\n"
    )
    answer = penstock("run", "nan.py", "--json", cwd=folder)

    def refuse(text: str) -> Any:
        raise AssertionError(f"{text} is not JSON")

    document = json.loads(answer.out, parse_constant=refuse)
    check_run(document)
    assert document["metrics"] == {"loss": None}


PARAMETERS = """
from penstock import pipeline, task
@task
def keep(value: dict[str, str]) -> dict[str, str]:
    return value
@pipeline
def main(a: str = "default", b: str = "default", c: str = "default", d: str = "default"):
    return keep({"a": a, "b": b, "c": c, "d": d})
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("some.yaml", "a: file\nb: file\n"),
        ("some.json", '{"a": "file", "b": "file"}'),
        ("some.toml", 'a = "file"\nb = "file"\n'),
    ],
)
def test_parameters_come_from_the_line_then_the_file_then_the_environment(
    name: str, content: str, folder: Path
) -> None:
    (folder / "parameters.py").write_text(PARAMETERS)
    (folder / name).write_text(content)
    variables = {f"PENSTOCK_PARAM_{each}": "environment" for each in "ABC"}
    answer = penstock("run", "parameters.py", "-p", "a=line", "--config", name, "--json", cwd=folder, **variables)
    expected = {"a": "line", "b": "file", "c": "environment", "d": "default"}
    assert answer.document["parameters"] == expected
    assert answer.document["outputs"]["result"]["value"] == expected


@pytest.mark.slow
def test_settings_and_the_options_of_the_file_stand_behind_the_command_line(folder: Path) -> None:
    (folder / "where.py").write_text(
        "import os\n"
        "from penstock import pipeline, task\n"
        "@task(cache=False)\n"
        "def process() -> int:\n"
        "    return os.getpid()\n"
        "@pipeline\n"
        "def plain() -> list[int]:\n"
        "    return [os.getpid(), process()]\n"
        "inline = plain.options(executor='inline')\n"
    )

    def same_process(*arguments: str) -> bool:
        driver, worker = penstock("run", *arguments, "--json", cwd=folder).document["outputs"]["result"]["value"]
        return driver == worker

    assert not same_process("where.py:plain")
    assert same_process("where.py:inline")
    assert not same_process("where.py:inline", "--executor", "processes")
    (folder / "penstock.toml").write_text('executor = "inline"\nhome = "kept here"\n')
    assert same_process("where.py:plain")
    assert (folder / "kept here" / "penstock.db").is_file()


def test_the_state_is_where_the_environment_says(folder: Path, tmp_path: Path) -> None:
    answer = penstock("run", "steps.py", "--json", cwd=folder, PENSTOCK_HOME=str(tmp_path / "elsewhere"))
    assert answer.code == 0
    assert (tmp_path / "elsewhere" / "penstock.db").is_file()
    assert not (folder / ".penstock").exists()


class Gate:
    """A run of `gated.py` that has reached the task that waits."""

    def __init__(self, folder: Path, *options: str, **settings: Any) -> None:
        self.folder = folder
        self.file = folder / "gate"
        self.process = started("run", "gated.py", "-p", f"gate={self.file}", "--logs", *options, cwd=folder, **settings)
        self.read_until("wait | waiting")

    def read_until(self, text: str) -> None:
        """Read progress up to a line."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if line.rstrip("\n") == text:
                return
        raise AssertionError(f"{text!r} was never told")

    def finish(self) -> tuple[int, str]:
        """Wait for the end. Returns the exit code and what was written to stdout."""
        out, _ = self.process.communicate(timeout=60)
        return self.process.returncode, out


@pytest.fixture
def gate(folder: Path) -> Any:
    """Starts a run that waits at a gate."""
    gates: list[Gate] = []

    def gate(*options: str, **settings: Any) -> Gate:
        gates.append(Gate(folder, *options, **settings))
        return gates[-1]

    yield gate
    for each in gates:
        each.file.touch()
        each.process.kill()
        each.process.communicate()


Gates = Callable[..., Gate]


def test_ctrl_c_once_lets_tasks_finish_and_a_second_run_goes_on(gate: Gates) -> None:
    run = gate("--json")
    run.process.send_signal(signal.SIGINT)
    run.read_until("stopping: 1 task is finishing; Ctrl-C again kills it")
    run.file.touch()
    code, out = run.finish()
    assert code == 130
    document = json.loads(out)
    check_run(document)
    assert document["state"] == "cancelled"
    assert states(document) == {"first": "succeeded", "wait": "succeeded", "last": "cancelled"}
    again = penstock("run", "gated.py", "-p", f"gate={run.file}", "--json", cwd=run.folder).document
    assert states(again) == {"first": "cached", "wait": "cached", "last": "succeeded"}


def test_ctrl_c_twice_kills(gate: Gates) -> None:
    run = gate()
    run.process.send_signal(signal.SIGINT)
    run.read_until("stopping: 1 task is finishing; Ctrl-C again kills it")
    run.process.send_signal(signal.SIGINT)
    run.read_until("stopping: 1 task killed")
    code, out = run.finish()
    assert code == 130
    assert out.startswith("□ gated cancelled after ")
    assert re.search(r"penstock resume [\w-]+  go on: what has finished is kept", out)


def test_a_run_under_way_is_seen_from_another_process(gate: Gates) -> None:
    run = gate("--json")
    document = penstock("show", "--json", cwd=run.folder).document
    check_run(document)
    assert document["state"] == "running"
    assert states(document) == {"first": "succeeded", "wait": "running", "last": "pending"}
    shown = penstock("show", cwd=run.folder)
    assert shown.out.startswith("▸ gated running")
    assert penstock("logs", "latest", "wait", cwd=run.folder).out == "wait | waiting\n"
    follower = started("logs", "latest", "--follow", cwd=run.folder)
    with follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == "wait | waiting\n"
        run.file.touch()
        # not by communicate(), which does not know what has been read ahead
        assert follower.stdout.read() == "wait | went on\n"
    assert follower.returncode == 0
    assert run.finish()[0] == 0


def test_interrupting_before_the_run_exits_with_130(folder: Path) -> None:
    (folder / "slow_import.py").write_text("import sys, time\nprint('loading', flush=True)\ntime.sleep(60)\n")
    with started("run", "slow_import.py", "--json", cwd=folder) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stderr.readline() == "loading\n"
        process.send_signal(signal.SIGINT)
        # not by communicate(), which does not know what has been read ahead
        out, err = process.stdout.read(), process.stderr.read()
    assert process.returncode == 130
    assert json.loads(out)["error"]["message"] == "interrupted"
    assert err.strip() == "interrupted"
    assert not (folder / ".penstock").exists()


@pytest.mark.parametrize("command", ["runs", "runs --json", "show latest", "logs latest", "graph steps.py"])
def test_a_reader_that_is_gone_is_no_error_to_tell(command: str, project: Project) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with started(*command.split(), cwd=project.folder, stdout=writer) as process:
        os.close(writer)
        _, err = process.communicate(timeout=60)
    assert err == ""


def test_no_stdout_at_all_is_no_error_either(project: Project) -> None:
    command = ["sh", "-c", '"$0" runs >&-', str(PROGRAM)]
    with subprocess.Popen(command, cwd=project.folder, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


def test_a_run_that_loses_its_store_broke_off(folder: Path) -> None:
    (folder / "saboteur.py").write_text(
        "import sqlite3\n"
        "from penstock import pipeline, task\n"
        "@task\n"
        "def drop() -> int:\n"
        "    with sqlite3.connect('.penstock/penstock.db') as connection:\n"
        "        connection.execute('DROP TABLE journal')\n"
        "    connection.close()\n"
        "    return 1\n"
        "@pipeline\n"
        "def main():\n"
        "    drop()\n"
    )
    answer = penstock("run", "saboteur.py", "--executor", "inline", "--quiet", "--json", cwd=folder)
    assert answer.code == 1, "it had begun"
    error = answer.document["error"]
    assert error["type"] == "RunFailedError"
    assert "broke off" in error["message"]
    assert "no such table" in error["message"]
    assert "Traceback" not in answer.err


def test_a_run_whose_workers_cannot_be_started_any_more_has_failed(folder: Path) -> None:
    # each one is killed before it has started a worker
    command = [sys.executable, "-m", "penstock.testing.faults", "--at", "server.fork:*", "--", "run", "naps.py"]
    running = subprocess.run(command, check=False, cwd=folder, env=environment(), capture_output=True, text=True)
    err = " ".join(running.stderr.split())
    assert running.returncode == 1, err
    assert "broke off: the process that starts workers was ended by SIGKILL" in err
    document = penstock("show", "--json", cwd=folder).document
    check_run(document)
    assert document["state"] == "failed"
    assert document["error"] == "the process that starts workers was ended by SIGKILL"
    assert states(document)["nap[0]"] == states(document)["total"] == "cancelled"
    assert "the process that starts workers was ended by SIGKILL" in penstock("show", cwd=folder).out
