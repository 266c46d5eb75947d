"""Dynamic runs whose driver was killed go on where they were."""

from __future__ import annotations

from typing import Any

PIPELINE = """
import os
from pathlib import Path
from penstock import pipeline, task

@task(cache=False)
def step(x: int) -> int:
    with open("log", "a") as log:
        log.write(f"{x} ")
    if x == 3 and not Path("go").exists():
        os._exit(9)
    return x + 1

@task(cache=False)
def refuse(x: int) -> int:
    with open("log", "a") as log:
        log.write("refused ")
    raise ValueError(x)

@task
def other(x: int) -> int:
    return x + 1

@pipeline
def climb():
    x = step(0)
    while x < 6:
        if Path("other").exists() and x == 2:
            x = other(x)
        else:
            x = step(x)
        print("at", int(x))
    return x

@pipeline
def careful(n: int):
    try:
        x = refuse(n)
    except ValueError:
        x = step(n)
    return step(x) if x > 1 else x

@task(cache=False)
def add(xs: list[int], x: int) -> int:
    return sum(xs) + x

@pipeline
def counting():
    least = 100 if Path("other").exists() else 0
    x = add([1, 2], least)
    while x < 6:
        x = step(x)
    return x

@pipeline
def many():
    return careful.map([0, 1, 2])
"""

RUN = "import pipes; pipes.{0}.options(executor='inline').run()"
RESUME = "import pipes; print(pipes.{0}.options(executor='inline').resume().result)"


def test_a_loop_goes_on_with_the_step_that_it_was_at(project: Any) -> None:
    project.write("pipes.py", PIPELINE)
    project.python("-c", RUN.format("climb"), code=9)
    project.write("go", "")
    done = project.python("-c", RESUME.format("climb").replace("executor=", "progress=True, executor="))
    # what the body had called before it was killed is there for who watches
    _, goes_on, lost, *ends, _ = done.stderr.splitlines()
    assert goes_on == "goes on: 3 of 4 tasks are done"
    assert "was lost, and is repeated" in lost
    assert len(ends) == 2
    assert (project.folder / "log").read_text().split() == ["0", "1", "2", "3", "3", "4", "5"]
    # the body says again what it had said before
    assert done.stdout.split("\n")[:2] == ["at 2", "at 3"]
    assert done.stdout.split()[-1] == "6"


def test_bodies_of_a_fan_out_go_on_as_well(project: Any) -> None:
    project.write("pipes.py", PIPELINE)
    project.python("-c", RUN.format("many"), code=9)
    before = (project.folder / "log").read_text().split()
    project.write("go", "")
    done = project.python("-c", RESUME.format("many"))
    after = (project.folder / "log").read_text().split()[len(before) :]
    assert done.stdout.strip() == "[1, 3, 4]"
    assert after.count("3") == 1
    assert before.count("refused") + after.count("refused") == 3


def test_a_body_that_does_something_else_is_named_and_can_be_resumed_once_it_does_not(project: Any) -> None:
    project.write("pipes.py", PIPELINE)
    project.python("-c", RUN.format("climb"), code=9)
    project.write("go", "")
    other = project.write("other", "")
    failed = project.python("-c", RESUME.format("climb"), code=1)
    assert "NondeterministicError" in failed.stderr
    assert "pipes.py:31" in failed.stderr
    assert "other is called, and before it was step-3" in failed.stderr
    other.unlink()
    assert project.python("-c", RESUME.format("climb")).stdout.split()[-1] == "6"


def test_a_call_with_another_value_is_another_call(project: Any) -> None:
    project.write("pipes.py", PIPELINE)
    project.python("-c", RUN.format("counting"), code=9)
    project.write("go", "")
    other = project.write("other", "")
    failed = project.python("-c", RESUME.format("counting"), code=1)
    assert "add is given another 'x' than before: 100, and before 0 (pipes.py:" in failed.stderr
    other.unlink()
    assert project.python("-c", RESUME.format("counting")).stdout.split()[-1] == "6"


def test_a_pipeline_that_has_changed_is_not_resumed(project: Any) -> None:
    project.write("pipes.py", PIPELINE)
    project.python("-c", RUN.format("climb"), code=9)
    project.write("go", "")
    project.write("pipes.py", PIPELINE.replace("x = step(0)", "x = other(0)"))
    failed = project.python("-c", RESUME.format("climb"), code=1)
    assert "no longer the pipeline that run" in failed.stderr
    project.write("pipes.py", PIPELINE)
    assert project.python("-c", RESUME.format("climb")).stdout.split()[-1] == "6"
