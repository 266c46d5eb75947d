"""Another pipeline as a run of its own."""

from __future__ import annotations

import importlib.util
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from refusals import in_body, refusal

from penstock import DefinitionError, pipeline, start, task
from penstock.app import Services
from penstock.model.expression import Constant, Mapping, Output

FILE = """
from penstock import pipeline, start, task

@task
def double(x: int) -> int:
    if x < 0:
        raise ValueError(f"{x} is too small")
    return 2 * x

@pipeline
def other(x: int, name: str = "a") -> dict:
    return {"doubled": double(x), "name": name}

@pipeline
def training(x: int = 3) -> dict:
    return start(other, x=double(x))
"""


@task
def number(x: int = 3) -> int:
    return x


def load(project: Path) -> Any:
    file = project / "pipes.py"
    file.write_text(FILE)
    spec = importlib.util.spec_from_file_location("pipes", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["pipes"] = module
    spec.loader.exec_module(module)
    return module


def test_the_node(project: Path) -> None:
    (project / "flows.py").write_text(FILE.replace("training", "retraining"))

    @pipeline
    def pipe() -> Any:
        return start("flows.py:retraining", x=number(), wait=False)

    graph = pipe.graph()
    node = graph.nodes[-1]
    assert node.id == "start-retraining"
    assert node.bindings == {
        "target": Constant("flows.py:retraining"),
        "parameters": Mapping({"x": Output("number")}),
        "wait": Constant(False),
        "home": Constant(None),
    }
    assert not node.policy.cache


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_it_is_a_run_of_its_own(executor: str, project: Path) -> None:
    pipes = load(project)
    run = pipes.training.options(executor=executor).run()
    assert run.result == {"doubled": 12, "name": "a"}
    with Services().store() as store:
        assert {each.pipeline for each in store.runs()} == {"training", "other"}


def test_a_registered_pipeline_goes_by_its_name(project: Path) -> None:
    from penstock.registering.registration import register

    (project / "elsewhere").mkdir()
    (project / "elsewhere" / "registered_pipes.py").write_text(FILE.replace("def other", "def registered_other"))
    register(Services(), ["elsewhere"])

    @pipeline
    def pipe() -> Any:
        return start("registered_other", x=number())

    assert pipe.options(executor="inline")() == {"doubled": 6, "name": "a"}

    @pipeline
    def wrong() -> Any:
        return start("registered_othr", x=3)

    with pytest.raises(DefinitionError, match="did you mean 'registered_other'"):
        wrong.graph()


def test_a_run_that_fails_fails_the_task(project: Path) -> None:
    load(project)

    @pipeline
    def pipe() -> Any:
        return start("pipes.py:other", x=-1)

    with pytest.raises(ValueError, match="-1 is too small"):
        pipe.options(executor="inline")()


def test_a_target_that_does_not_load(project: Path) -> None:
    (project / "broken.py").write_text("other = undefined")

    @pipeline
    def pipe() -> Any:
        return start("broken.py:other", x=1)

    ended = pipe.options(executor="inline").run()
    assert ended.state == "failed"
    assert "NameError" in (ended.tasks[0].error or "")


def test_without_waiting(project: Path) -> None:
    load(project)

    @pipeline
    def pipe() -> Any:
        return start("pipes.py:other", wait=False, x=4)

    run_id = pipe.options(executor="inline")()
    until = time.monotonic() + 30
    with Services().store() as store:
        while (found := store.find(run_id)).state == "running" and time.monotonic() < until:
            time.sleep(0.05)
    assert (found.pipeline, found.state) == ("other", "succeeded")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("start(3)", "start() takes a pipeline, or the text that names it, not 3"),
        ("start(part)", "part needs x"),
        ("start('nowhere.py:p')", "there is no file nowhere.py to start"),
        ("start('folder/nowhere.py')", "there is no file folder/nowhere.py to start"),
        ("start('no_such_package.module:p')", "there is no module 'no_such_package'"),
        ("start('pipe.py:' + 'q' * 3)", "there is no pipeline 'qqq' in pipe.py"),
        ("start('a_registered_nam')", "there is no file, module or registered pipeline 'a_registered_nam' to start"),
        ("start('')", "start() takes a pipeline, or the text that names it, not ''"),
        ("start(part, x=1, y=2)", "y: there is no such parameter"),
        ("start(part, x=1, y=load())", "part has no parameter 'y'"),
        ("start(part, x='a')", "expected a whole number"),
    ],
)
def test_mistakes(line: str, message: str, project: Path) -> None:
    part = "\n@pipeline\ndef part(x: int): ...\n"
    error = refusal(part + in_body(f"{line}  #!"), project)
    assert re.search(re.escape(message), error.what), error.what


def test_a_pipeline_that_no_other_process_can_load() -> None:
    @pipeline
    def local(x: int) -> int:
        return number(x)

    @pipeline
    def pipe() -> Any:
        return start(local, x=1)

    with pytest.raises(DefinitionError, match="local cannot be loaded by another process"):
        pipe.graph()
