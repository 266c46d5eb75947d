"""A pool that is shared by runs in processes of their own."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

#: the long ring: two processes at one pool
pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from running import Project

USER = str(Path(__file__).with_name("pool_user.py"))


def use(
    project: Project, run: str, attempts: int, seconds: float, *, lapse: float = 30, runs: int = 1
) -> subprocess.Popen[str]:
    return project.start(USER, str(project.folder / "penstock.db"), run, *map(str, (attempts, seconds, lapse, runs)))


def times(output: str) -> list[tuple[float, float]]:
    """When each attempt began and ended."""
    words = [line.split() for line in output.splitlines()]
    return [(float(word[1]), float(word[2])) for word in words if word[0] == "ended"]


def test_two_processes_never_have_more_of_a_pool_than_there_is(project: Project) -> None:
    users = [use(project, f"run-{number}", 30, 0.01, runs=2) for number in range(2)]
    told = [user.communicate(timeout=60) for user in users]
    assert [user.returncode for user in users] == [0, 0], told
    spans = [span for out, _ in told for span in times(out)]
    assert len(spans) == 60
    most = max(sum(began <= moment < ended for began, ended in spans) for moment, _ in spans)
    assert most == 2
    # neither had to wait until the other was done with everything
    first, second = (times(out) for out, _ in told)
    assert first[0][0] < second[-1][1]
    assert second[0][0] < first[-1][1]


def test_what_a_killed_process_held_is_free_again_after_a_while_and_no_sooner(project: Project) -> None:
    holder = use(project, "run-1", 2, 60, lapse=0.6)
    assert holder.stdout is not None
    assert sorted(holder.stdout.readline() for _ in range(2)) == ["began 0\n", "began 1\n"]
    heir = use(project, "run-2", 1, 0)
    # kept by being renewed, for longer than it would last
    with pytest.raises(subprocess.TimeoutExpired):
        heir.wait(1.5)
    holder.kill()
    out, err = heir.communicate(timeout=60)
    assert heir.returncode == 0, err
    assert len(times(out)) == 1
