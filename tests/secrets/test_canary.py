"""A secret that tasks try to give away is in nothing that is written or shown."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from searching import leaks

HERE = Path(__file__).parent


def penstock(*arguments: str, codes: tuple[int, ...] = (0, 1)) -> str:
    """All that a command says. What it leaves in temporary folders lands in the project too."""
    command = [sys.executable, "-m", "penstock", *arguments]
    environment = {**os.environ, "TMPDIR": str(Path.cwd() / "temporary"), "NO_COLOR": "1"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode in codes, f"{arguments}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    return f"{ended.stdout}\n{ended.stderr}"


def looked_at(run_id: str) -> list[str]:
    """What the command line shows of a run, in all ways."""
    told = [penstock(*arguments) for arguments in (["runs"], ["show", run_id], ["show", run_id, "--json"])]
    document = json.loads(penstock("show", run_id, "--json").partition("\n\n")[0])
    told.append(penstock("logs", run_id))
    told.append(penstock("why", run_id, "--json"))
    told.append(penstock("artifacts", "list", run_id))
    for each in document["tasks"]:
        told.append(penstock("why", run_id, each["id"], codes=(0, 1, 2)))
    told.append(penstock("diff", run_id, run_id, "--json", codes=(0, 1, 2)))
    told.append(penstock("diff", run_id, run_id, "-o", "diff.html", codes=(0, 1, 2)))
    return told


@pytest.mark.slow
@pytest.mark.parametrize("name", ["leaking", "growing"])
@pytest.mark.parametrize("executor", ["processes", "inline"])
def test_nothing_gives_the_canary_away(name: str, executor: str, canary: str, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    shutil.copy(HERE / "leaky.py", tmp_path / "leaky.py")
    target = f"leaky.py:{name}"
    deadly = ["-p", "deadly=true"] if executor == "processes" and name == "leaking" else []
    told = [penstock("plan", target), penstock("graph", target), penstock("graph", target, "-o", "graph.html")]
    for shown in (["--logs"], ["--json"], ["--no-cache"]):
        told.append(penstock("run", target, "--executor", executor, *shown, *deadly))
    document = json.loads(penstock("show", "latest", "--json").partition("\n\n")[0])
    states = {each["id"]: each["state"] for each in document["tasks"]}
    assert "failed" in states.values()
    if name == "leaking":
        kept = {"returns_text", "returns_file", "yields", "in_output", "in_arguments", "by_environment", "records"}
        assert {states[each] for each in kept} == {"failed"}
        assert states["prints"] == states["mapped[0]"] == "succeeded"
    told += looked_at(document["run_id"])
    assert any("***" in text for text in told)
    assert leaks(tmp_path, canary, *told) == []


@pytest.mark.slow
def test_nothing_is_left_of_a_run_that_is_killed(canary: str, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    shutil.copy(HERE / "leaky.py", tmp_path / "leaky.py")
    for seconds in (1.0, 2.0, 3.0):
        command = [sys.executable, "-m", "penstock", "run", "leaky.py:leaking", "--logs"]
        environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            time.sleep(seconds)
            process.kill()
            said, _ = process.communicate(timeout=60)
        # with its write-ahead log as the dead process left it
        assert leaks(tmp_path, canary, said.decode(errors="replace")) == []


LOUD = """
import os
import subprocess
import sys
from penstock import Secret, pipeline, task

@task
def loud(password: Secret) -> None:
    value = password.reveal()
    print("told", value)
    subprocess.run(["echo", value], check=True)
    subprocess.run(["echo", value], stdout=sys.stdout, check=True)
    os.write(1, value.encode())
    os.write(2, value.encode())

@pipeline
def main(password: Secret = Secret("env:CANARY")) -> None:
    print("composed", file=sys.stderr)
    loud(password)
"""


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["processes", "inline"])
def test_the_log_of_a_run_in_the_background_has_nothing_that_is_not_masked(
    executor: str, canary: str, tmp_path: Path
) -> None:
    (tmp_path / "temporary").mkdir()
    (tmp_path / "loud.py").write_text(LOUD)
    left = penstock("run", "loud.py", "--executor", executor, "--logs", "--detach", "--json")
    document = json.loads(left.partition("\n\n")[0])
    told = penstock("wait", document["run_id"])
    assert "succeeded" in told
    log = Path(document["log"]).read_text()
    assert "composed" in log
    assert "told ***" in log
    assert leaks(tmp_path, canary, told) == []
