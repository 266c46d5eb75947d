"""Questions whose time is over: the daemon goes on with their runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from serving import Project, wait_for

ASKING = """
from penstock import approval

@pipeline
def asking():
    return note.options(after=[approval("shall it?", default="approve", deadline=4.0)()])("went on", 0.0)
"""
# a run that is asked for so short a time would wait for it
_PAUSES = """
import sys
from penstock.runtime.driving import approvals
approvals.NEAR = 0.0
from penstock.cli import main
sys.argv = ["penstock", "run", "pipes.py:asking"]
main()
"""


@pytest.mark.slow
def test_a_run_goes_on_when_the_time_to_answer_is_over(tmp_path: Path) -> None:
    project = Project(tmp_path, ASKING)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PENSTOCK_")}
    subprocess.run([sys.executable, "-c", _PAUSES], cwd=tmp_path, env=environment, capture_output=True, check=False)
    (run,) = project.runs()
    assert run["state"] == "paused"
    daemon = project.started("up")
    try:
        wait_for(lambda: project.notes == ["went on"], "the run goes on")
        wait_for(lambda: project.runs()[0]["state"] == "succeeded", "the run ends")
    finally:
        daemon.terminate()
        assert daemon.wait(60) == 0
    assert "the deadline of its question has passed" in (tmp_path / "up.log").read_text()
    assert len(project.runs()) == 1
