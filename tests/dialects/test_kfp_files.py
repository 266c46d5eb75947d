"""Components of Kubeflow's with artifacts, as functions of paths; what files compile; recurring runs under a daemon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from dialect_peers import kubeflow_outputs

from penstock.errors import DefinitionError, LibraryMissingError
from penstock.registering.exporting import exported
from penstock.registering.loading import load_pipeline

CORPUS = Path(__file__).with_name("corpus") / "kfp"
HEAD = """
from typing import List, NamedTuple

from kfp import compiler, components, dsl
from kfp.dsl import *
"""
TRAINING = """
@dsl.component
def make(rows: int, data: Output[Dataset], count: OutputPath(int)):
    '''Makes rows.'''
    import os

    # the folder is there already, and this does no harm
    os.makedirs(os.path.dirname(data.path), exist_ok=True)
    data.metadata["rows"] = (
        rows
    )
    with open(data.path, "w") as file:
        file.write("x" * rows)
    with open(count, "w") as file:
        file.write(str(rows))
    print(f"{data.path} has {rows} rows")


@dsl.component
def fit(
    data: Input[Dataset], model: Output[Model], metrics: Output[Metrics], scale: float = 1.0
) -> NamedTuple("Out", [("size", int), ("label", str)]):
    if scale < 0:
        return (0, "none")
    with open(data.path) as file:
        size = len(file.read())
    os_path = data.path + "/x"
    os = __import__("os")
    os.mkdir(model.path)
    with open(model.path + "/weights", "w") as file:
        file.write(str(size))
    metrics.log_metric("size", size)
    metrics.log_metric(metric="scale", value=scale)
    return size, f"{data.name} of {len(os_path) > 2}"


@dsl.component
def score(model: Input[Model], size: int) -> bool:
    from pathlib import Path

    return int(Path(f"{model.path}/weights").read_text()) == size


@dsl.pipeline
def training(rows: int = 4) -> bool:
    made = make(rows=rows)
    fitted = fit(data=made.outputs["data"], scale=2.0)
    return score(model=fitted.outputs["model"], size=made.outputs["count"]).output
"""


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / ".penstock"))


def written(body: str, name: str) -> str:
    Path(name).write_text(HEAD + dedent(body))
    return name


def run(place: str) -> Any:
    return load_pipeline(place).options(executor="inline", progress=False).run()


def metrics_of(document: Any) -> list[tuple[str, float]]:
    return sorted(document["metrics"].items())


def test_components_with_artifacts_become_functions_of_paths() -> None:
    place = written(TRAINING, "training_kfp.py")
    found = exported(load_pipeline(place), "penstock").written
    assert {each.grade for each in found.accounts} == {"exact"}
    assert "def make(rows: int) -> MakeOutputs:" in found.text
    assert "class MakeOutputs(TypedDict):\n    data: Path\n    count: int\n" in found.text
    assert 'data = current().folder / "data"' in found.text
    assert 'print(f"{data} has' in found.text.replace("'", '"')
    assert 'return {"data": data, "count": int(count.read_text())}' in found.text
    assert 'current().log_metric("scale", scale)' in found.text
    assert "kfp" not in found.text
    Path("training_native.py").write_text(found.text)
    before, after = run(place), run("training_native.py")
    assert before.result is after.result is True
    assert metrics_of(before.document) == metrics_of(after.document) == [("scale", 2.0), ("size", 4.0)]


@pytest.mark.slow
def test_they_go_to_kubeflow_and_back() -> None:
    Path("training_native.py").write_text(
        exported(load_pipeline(written(TRAINING, "training_kfp.py")), "penstock").written.text
    )
    back = exported(load_pipeline("training_native.py"), "kfp").written
    assert "model: Output[Artifact], metrics: Output[Metrics]" in back.text
    assert {each.node: each.grade for each in back.accounts if each.node} == {
        "make": "changed",
        "fit": "equivalent",
        "score": "equivalent",
    }
    Path("training_back.py").write_text(back.text)
    assert run("training_back.py").result is True


@pytest.mark.slow
def test_what_is_recorded_is_printed_elsewhere_and_said_so() -> None:
    found = exported(load_pipeline(written(TRAINING, "training_kfp.py")), "prefect").written
    assert 'data = Path(tempfile.mkdtemp()) / "data"' in found.text
    assert 'print("size", size)' in found.text
    assert any("what it records is printed" in each.how for each in found.accounts if each.node == "make")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("print(data.uri)", r"'use' cannot be written for penstock: its function uses data.uri"),
        ("print(data.metadata['a'])", r"uses data.metadata, which a file does not have"),
        ("print(out.metadata['a'])", r"reads the metadata of 'out'"),
        ("print(data)", r"hands on 'data' as a whole"),
        ("open(out.path + '.pkl', 'w')", r"uses files beside the path of 'out'"),
        ("out.path = '/tmp/x'", r"uses out.path, which a file does not have"),
        ("data = 3", r"gives the name 'data' to something else"),
        ("rows = [each for each in many if each]", r"hands on 'each' as a whole"),
    ],
)
def test_what_a_file_does_not_have_is_refused_by_name(line: str, what: str) -> None:
    body = f"""
    @dsl.component
    def first(data: Output[Dataset]):
        open(data.path, "w").close()

    @dsl.component
    def use(data: Input[Dataset], many: Input[List[Dataset]], out: Output[Dataset]):
        open(out.path, "w").close()
        {line}

    @dsl.pipeline
    def refused():
        made = first().outputs["data"]
        use(data=made, many=[made])
    """
    place = written(body, "refused.py")
    with pytest.raises(DefinitionError, match=what) as raised:
        exported(load_pipeline(place), "penstock")
    assert str(raised.value.where).startswith(place)


def test_metrics_that_others_take_are_refused() -> None:
    body = """
    @dsl.component
    def first(metrics: Output[Metrics]):
        metrics.log_metric("a", 1)

    @dsl.component
    def second(metrics: Input[Metrics]) -> str:
        return metrics.name

    @dsl.pipeline
    def taken():
        second(metrics=first().outputs["metrics"])
    """
    with pytest.raises(DefinitionError, match=r"'first' .* hands on 'metrics', of which there are metrics or metadata"):
        exported(load_pipeline(written(body, "taken.py")), "penstock")


def test_what_a_file_compiles_is_written_when_a_run_of_it_begins() -> None:
    body = """
    @dsl.component
    def one(x: int = 1) -> int:
        return x

    compiler.Compiler().compile(one, "one.yaml")
    again = components.load_component_from_file("one.yaml")

    @dsl.pipeline
    def whole() -> int:
        return again(x=2).output

    compiler.Compiler().compile(whole, "whole.json")
    """
    place = f"{written(body, 'compiles.py')}:whole"
    exported(load_pipeline(place), "penstock")
    load_pipeline(place).options(executor="inline").plan()
    assert not Path("one.yaml").exists()
    assert not Path("whole.json").exists()
    assert run(place).result == 2
    assert "exec-one" in Path("one.yaml").read_text()
    assert "whole" in Path("whole.json").read_text()


def test_an_artifact_is_one_value_that_says_what_it_is() -> None:
    body = """
    @dsl.component
    def make(data: Output[Dataset]):
        with open(data.path, "w") as file:
            file.write("abc")
        data.metadata["rows"] = 3

    @dsl.pipeline
    def gives() -> Dataset:
        return make().outputs["data"]
    """
    document = run(written(body, "gives.py")).document
    (task,) = document["tasks"]
    assert list(task["outputs"]) == ["result"]
    told = {"type": "Dataset", "name": "data", "size": 3, "metadata": {"rows": 3}}
    assert document["outputs"]["result"]["value"] == told


def test_a_library_that_a_value_needs_is_named_with_what_to_add() -> None:
    from penstock.values.codec import module

    with pytest.raises(LibraryMissingError, match="cannot be had without no_such_library") as raised:
        module("no_such_library.part")
    assert "packages_to_install" in str(raised.value)


@pytest.mark.slow
def test_what_is_written_runs_on_the_real_kubeflow(peer: Callable[[str], Path], tmp_path: Path) -> None:
    names = ("artifacts",)
    folder = tmp_path / "there"
    folder.mkdir()
    for name in names:
        native = tmp_path / f"{name}_native.py"
        native.write_text(exported(load_pipeline(str(CORPUS / f"{name}.py")), "penstock").written.text)
        (folder / f"{name}.py").write_text(exported(load_pipeline(str(native)), "kfp").written.text)
    found = kubeflow_outputs(peer("kfp"), *(folder / f"{name}.py" for name in names))
    for name in names:
        assert found[name]["Output"] == json.loads((CORPUS / f"{name}.json").read_text())["outputs"]["result"]


@pytest.mark.slow
def test_a_recurring_run_is_started_by_a_daemon(tmp_path: Path) -> None:
    body = """
    import kfp

    @dsl.component
    def make(x: int, data: Output[Dataset]):
        open(data.path, "w").write("a" * x)

    @dsl.component
    def size(data: Input[Dataset]) -> int:
        return len(open(data.path).read())

    @dsl.pipeline
    def nightly(x: int = 1) -> int:
        return size(data=make(x=x).outputs["data"]).output

    compiler.Compiler().compile(nightly, "nightly.yaml")
    kfp.Client().create_recurring_run(
        experiment_id="e", job_name="often", interval_second=2, pipeline_package_path="nightly.yaml", params={"x": 3}
    )
    """
    written(body, "nightly.py")

    environment = {**os.environ, "PENSTOCK_HOME": str(tmp_path / ".penstock")}

    def penstock(*words: str) -> Any:
        line = [sys.executable, "-m", "penstock", *words]
        done = subprocess.run(line, capture_output=True, text=True, timeout=200, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    penstock("register", "nightly.py")
    assert not Path("nightly.yaml").exists()
    with Path("up.log").open("w") as log:
        daemon = subprocess.Popen([sys.executable, "-m", "penstock", "up"], stdout=log, stderr=log, env=environment)
        try:
            ended: list[Any] = []
            deadline = time.monotonic() + 150
            while time.monotonic() < deadline and not ended:
                ended = [each for each in json.loads(penstock("runs", "--json")) if each["state"] == "succeeded"]
                time.sleep(0.3)
        finally:
            daemon.terminate()
            daemon.wait(60)
    assert ended, Path("up.log").read_text()
    document = json.loads(penstock("show", ended[-1]["run_id"], "--json"))
    assert document["parameters"] == {"x": 3}
    assert document["outputs"]["result"]["value"] == 3
