from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import argo_pipelines
import pytest

from penstock import pipeline, task
from penstock.dialects import Export, Written
from penstock.dialects.kfp.writing import written as write
from penstock.errors import DefinitionError
from penstock.registering.loading import load_pipeline


def written(one: Any) -> Written:
    given = {each.name: each.default for each in one.parameters if not each.required}
    return write(Export(one.define(given)))


def outputs_of(one: Any, tmp_path: Path) -> dict[str, Any]:
    document = one.options(executor="inline", progress=False, home=str(tmp_path / "home")).run().document
    return {name: each["value"] for name, each in document["outputs"].items()}


def read_back(text: str, tmp_path: Path) -> Any:
    file = tmp_path / "pipeline_in_kfp.py"
    file.write_text(text)
    return load_pipeline(str(file))


def test_what_is_written_is_read_back_and_gives_the_same(tmp_path: Path) -> None:
    text = written(argo_pipelines.wide).text
    assert outputs_of(read_back(text, tmp_path), tmp_path) == outputs_of(argo_pipelines.wide, tmp_path)


def test_functions_stand_in_the_file_as_a_person_would_write_them() -> None:
    text = written(argo_pipelines.wide).text
    assert '@dsl.component(base_image="python:3.11")\ndef square(x: int) -> int:\n    return x * x\n' in text
    assert "with dsl.ParallelFor(load_task.output) as" in text
    assert "dsl.OneOf(" in text
    assert "with dsl.Else():" in text
    assert 'total_task.set_memory_limit("1Gi")' in text
    assert "argo_pipelines" not in text


def test_an_exit_handler_stands_around_the_rest() -> None:
    found = written(argo_pipelines.leaving)
    assert "with dsl.ExitHandler(rescue_task):\n        load_task = load(n=n)" in found.text
    told = {(each.node, each.grade) for each in found.accounts}
    assert {("load", "equivalent"), ("rescue", "equivalent")} <= told
    assert any(each.grade == "changed" and "exit handler" in each.how for each in found.accounts)


def test_a_loop_becomes_one_task(tmp_path: Path) -> None:
    found = written(argo_pipelines.nested)
    assert ("step", "changed") in {(each.node, each.grade) for each in found.accounts}
    assert outputs_of(read_back(found.text, tmp_path), tmp_path) == outputs_of(argo_pipelines.nested, tmp_path)


def test_a_container_is_a_container_component() -> None:
    text = written(argo_pipelines.contained).text
    assert "@dsl.container_component\ndef say(n: int, result: dsl.OutputPath(str)):" in text
    assert "args=[n, result]" in text
    assert 'echo "$0" is a number' in text.replace("\\", "")


def test_limits_of_time_and_waits_are_said_and_read_back(tmp_path: Path) -> None:
    @task(timeout=90, retries=3, retry_delay=[10, 20, 40], on_failure=print)
    def patient(kind: Literal["small", "large"]) -> str:
        return kind

    @pipeline
    def limited(kind: Literal["small", "large"] = "small") -> str:
        return patient(kind)

    found = written(limited)
    assert "from kfp import compiler, dsl, kubernetes\n" in found.text
    assert "    kubernetes.set_timeout(patient_task, 90)\n" in found.text
    assert 'patient_task.set_retry(3, backoff_duration="10s")' in found.text
    assert 'def limited(kind: str = "small") -> str:' in found.text
    told = {each.how for each in found.accounts if each.grade == "changed"}
    assert told == {"functions that are told of its events are left out"}
    (node,) = read_back(found.text, tmp_path).define({}).graph.nodes
    assert node.policy.timeouts.attempt == 90
    assert [node.policy.retries.delay(number) for number in (1, 2, 3)] == [10, 20, 40]


def test_what_kubeflow_cannot_say_names_the_node() -> None:
    with pytest.raises(
        DefinitionError, match="'rescue' cannot be written for Kubeflow Pipelines: it starts by the rule"
    ):
        written(argo_pipelines.rescuing)

    @pipeline
    def apart(n: int = 1) -> int:
        return argo_pipelines.total(argo_pipelines.square.map({"a": n}))  # pyright: ignore[reportArgumentType]

    with pytest.raises(DefinitionError, match="'square' cannot be written for Kubeflow Pipelines"):
        written(apart)


_RUN = """
import importlib.util, json, sys, warnings
warnings.simplefilter("ignore")
from kfp import local
local.init(local.SubprocessRunner(use_venv=False), pipeline_root=sys.argv[3])
spec = importlib.util.spec_from_file_location("written", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print("OUT" + json.dumps(getattr(module, sys.argv[2])().outputs))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wide", "nested", "leaving"])
def test_the_real_kubeflow_runs_what_is_written(peer: Callable[[str], Path], name: str, tmp_path: Path) -> None:
    one = getattr(argo_pipelines, name)
    file = tmp_path / "written.py"
    # what it needs of kfp is there: nothing is to be installed for every component
    file.write_text(written(one).text.replace("@dsl.component(", "@dsl.component(install_kfp_package=False, "))
    python = peer("kfp")
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [python, "-c", _RUN, file, name, tmp_path / "root"],
        env={**os.environ, "PATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if "OUT{" in line]
    assert lines, done.stdout[-2000:] + done.stderr[-2000:]
    found = json.loads(lines[-1].partition("OUT")[2])
    assert found == ({} if name == "leaving" else outputs_of(one, tmp_path))
