"""Several processes at work in one project at the same time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

#: the long ring: several processes in one project
pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from running import Project

PIPELINES = """
    import sys
    from penstock import pipeline, task

    @task
    def shared(number: int) -> int:
        return number * number

    @task
    def large(number: int) -> str:
        return f"{number:09d}" * 2000

    @task(cache=False)
    def own(name: str, numbers: list[int], texts: list[str]) -> str:
        return f"{name}: {sum(numbers)} and {sum(map(len, texts))}"

    @pipeline
    def work(name: str, start: int):
        numbers = list(range(20))
        return own(name, shared.map([start + number for number in numbers]), large.map([start + n for n in numbers]))

    if __name__ == "__main__":
        name, executor, runs = sys.argv[1:]
        subject = work.options(executor=executor, workers=2, progress=False)
        for number in range(int(runs)):
            start = 5 * number
            expected = sum((start + each) ** 2 for each in range(20))
            assert subject(name, start) == f"{name}: {expected} and {20 * 18000}"
"""


@pytest.mark.parametrize(("executor", "runs"), [("inline", 20), ("processes", 8)])
def test_two_processes_that_run_pipelines_in_one_project(project: Project, executor: str, runs: int) -> None:
    project.write("work.py", PIPELINES)
    both = [project.start("work.py", name, executor, str(runs)) for name in ("ada", "ben")]
    for process in both:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    listed = json.loads(project.penstock("runs", "--json", "--limit", "100").stdout)
    assert len(listed) == 2 * runs
    assert {each["state"] for each in listed} == {"succeeded"}
    assert {each["parameters"]["name"] for each in listed} == {"ada", "ben"}


def test_a_second_process_uses_what_the_first_has_recorded(project: Project) -> None:
    project.write("work.py", PIPELINES)
    project.python("work.py", "ada", "inline", "2")
    project.python("work.py", "ben", "processes", "2")
    document = json.loads(project.penstock("show", "latest", "--json").stdout)
    assert [each["state"] for each in document["tasks"]] == ["cached"] * 40 + ["succeeded"]
