"""Airflow's containers, and functions in containers: by an engine that stands for the real one, and by that."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from penstock.registering.loading import load_pipeline

#: runs the program of a container right here: the folder that is mounted is where it runs
ENGINE = """\
#!{python}
import os, subprocess, sys
if sys.argv[1] != "run":
    raise SystemExit
words = sys.argv[2:]
mounts, variables, entry = {{}}, dict(os.environ), []
while words[0].startswith("-"):
    name, _, value = words.pop(0).partition("=")
    if not value and name not in ("--rm", "--init", "--interactive", "--tty", "-i", "-t"):
        value = words.pop(0)
    if name in ("-v", "--volume", "--mount"):
        outside, inside = value.split(":")[:2]
        mounts[inside] = outside
    if name in ("-e", "--env"):
        key, equals, text = value.partition("=")
        variables.update({{key: text}} if equals else {{}})
    if name == "--entrypoint":
        entry = [sys.executable if value.startswith("python") else value]
image, *command = words
for inside, outside in mounts.items():
    command = [each.replace(inside, outside) for each in command]
raise SystemExit(subprocess.run(entry + command, cwd=next(iter(mounts.values())), env=variables).returncode)
"""
FILE = """\
from datetime import datetime

from airflow.decorators import dag, task
from airflow.providers.docker.operators.docker import DockerOperator


@dag(schedule=None, start_date=datetime(2024, 1, 1), params={"word": "hey"})
def boxed():
    @task
    def numbers():
        return [1, 2, 3]

    @task.docker(image="python:3.12")
    def total(numbers: "list[int]", scale=1, braces="{}"):
        '''Text
at the margin.'''
        import os

        return {"total": sum(numbers) * scale, "braces": braces}

    @task.kubernetes(image="python:3.12", do_xcom_push=True, namespace="default")
    def told(found, word):
        return f"{word} {found['total']}"

    @task.kubernetes(image="python:3.12")
    def silent():
        return "not pushed"

    found = total(numbers(), scale=2)
    told(found, "{{ params.word }}")
    silent()
    total.partial(scale=10).expand(numbers=[[1], [2, 3]])
    DockerOperator(task_id="say", image="busybox", command=["echo", "{{ params.word }} you"])


boxed()
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin" / "podman"
    program.parent.mkdir()
    program.write_text(ENGINE.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return program


def read(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str = FILE) -> Any:
    monkeypatch.chdir(folder)
    file = folder / f"boxed_{folder.name}.py".replace("-", "_")
    file.write_text(text)
    return load_pipeline(str(file))


@pytest.mark.slow
@pytest.mark.usefixtures("engine")
def test_functions_run_in_containers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = read(tmp_path, monkeypatch)
    run = pipeline.options(executor="inline", progress=False, logs=False, home=tmp_path / "home").run()
    run.raise_for_state()
    assert run.outputs["told"] == "hey 12"
    assert run.outputs["total__1"] == [{"total": 10, "braces": "{}"}, {"total": 50, "braces": "{}"}]
    assert run.outputs["say"] == "hey you"
    assert run.task("total").output == {"total": 12, "braces": "{}"}
    assert run.outputs.get("silent") is None
