"""The public face as a user meets it: runs and what they tell, in scripts, modules, `python -c` and notebooks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from penstock import NotFoundError, OutputError, Pipeline, Run, RunFailedError, current, pipeline, task, when

RUN_KEYS = {
    *("run_id", "pipeline", "state", "parameters", "started_at"),
    *("duration_s", "outputs", "metrics", "tasks"),
}
TASK_KEYS = {"id", "task", "state", "attempts", "duration_s", "error", "outputs"}
STATES = {
    *("succeeded", "cached", "failed", "skipped", "upstream_failed"),
    *("cancelled", "waiting", "running", "pending"),
}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own for every test."""
    (tmp_path / "penstock.toml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PENSTOCK_HOME", raising=False)
    return tmp_path


class TrainingError(Exception):
    """What a task raises."""


class OddError(Exception):
    """Cannot be made again from its message alone."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")


@task
def load(rows: int) -> list[int]:
    return list(range(rows))


@task
def mean(numbers: list[int]) -> float:
    found = sum(numbers) / len(numbers)
    current().log_metric("mean", found)
    return found


@task
def fail(x: float, kind: str = "own") -> float:
    if kind == "own":
        raise TrainingError(f"cannot train on {x}")
    if kind == "odd":
        raise OddError(7, "odd")
    if kind == "exit":
        sys.exit("enough")
    return None  # pyright: ignore[reportReturnType]


@task
def report(x: float) -> str:
    return f"<{x}>"


@pipeline
def training(rows: int = 4, least: float = 100.0) -> dict[str, Any]:
    """Means, and a report where they are large."""
    data = load(rows)
    average = mean(data)
    with when(average > least):
        page = report(average)
    return {"average": average, "page": page, "data": data}


@pipeline
def failing(kind: str = "own") -> str:
    return report(fail(mean(load(3)), kind))


def run(pipe: Pipeline[..., Any], **parameters: Any) -> Run:
    return pipe.options(executor="inline").run(**parameters)


# Runs.


def test_a_run_tells_what_became_of_it() -> None:
    ended = run(training, rows=5)
    assert isinstance(ended, Run)
    assert (ended.state, ended.pipeline, ended.parameters) == ("succeeded", "training", {"rows": 5, "least": 100.0})
    assert ended.outputs == {"average": 2.0, "page": None, "data": [0, 1, 2, 3, 4]}
    assert ended.result == ended.outputs
    assert ended.metrics == {"mean": 2.0}
    assert [(each.id, each.state, each.attempts) for each in ended.tasks] == [
        ("load", "succeeded", 1),
        ("mean", "succeeded", 1),
        ("report", "skipped", 0),
    ]
    assert ended.duration is not None and ended.duration > 0
    assert repr(ended) == f"<run {ended.run_id} of training: succeeded>"


def test_a_task_of_a_run() -> None:
    ended = run(training)
    found = ended.task("mean")
    assert (found.output, found.outputs, found.error) == (1.5, {"result": 1.5}, None)
    skipped = ended.task("report")
    assert "mean > least" in skipped.reason
    assert skipped.outputs == {}
    with pytest.raises(LookupError, match="report has 0 outputs: it was skipped"):
        _ = skipped.output
    assert repr(skipped) == "<report: skipped>"


def test_a_task_that_is_not_there_names_near_ones() -> None:
    with pytest.raises(NotFoundError, match=r"has no task 'laod'\n.*Did you mean load\?"):
        run(training).task("laod")


def test_a_second_run_takes_its_tasks_from_the_cache() -> None:
    run(training)
    again = run(training)
    assert [(each.state, each.attempts) for each in again.tasks] == [("cached", 0), ("cached", 0), ("skipped", 0)]
    assert again.result == {"average": 1.5, "page": None, "data": [0, 1, 2, 3]}
    without = training.options(executor="inline", cache=False).run()
    assert [each.state for each in without.tasks] == ["succeeded", "succeeded", "skipped"]


def of_json(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A document as one finds it after it was printed and read."""
    return json.loads(json.dumps(document))


def test_the_document_keeps_to_the_contract() -> None:
    document = of_json(run(training).document)
    assert document.keys() >= RUN_KEYS
    assert (document["state"], document["pipeline"]) == ("succeeded", "training")
    assert document["started_at"].endswith("Z") and "T" in document["started_at"]
    assert isinstance(document["duration_s"], float)
    assert document["metrics"] == {"mean": 1.5}
    assert [entry["id"] for entry in document["tasks"]] == ["load", "mean", "report"]
    for entry in document["tasks"]:
        assert entry.keys() >= TASK_KEYS
        assert entry["state"] in STATES
        assert isinstance(entry["attempts"], int) and isinstance(entry["duration_s"], float)
        assert entry["error"] is None
    found = document["tasks"][0]["outputs"]["result"]
    assert found.keys() == {"type", "digest", "size", "value"}
    assert (found["type"], found["value"]) == ("list", [0, 1, 2, 3])
    assert len(found["digest"]) == 64 and found["size"] > 0
    assert document["outputs"]["average"]["value"] == 1.5
    assert document["tasks"][2]["outputs"] == {}


def test_the_document_of_a_failed_run() -> None:
    document = of_json(run(failing).document)
    assert document["state"] == "failed"
    assert document["outputs"] == {}
    told = {entry["id"]: (entry["state"], entry["error"]) for entry in document["tasks"]}
    assert told["fail"][0] == "failed"
    assert told["fail"][1].endswith("TrainingError: cannot train on 1.0")
    assert told["report"] == ("upstream_failed", None)


class Tags(HTMLParser):
    """Holds every tag that is opened to be closed in its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data + " "


def test_a_run_shows_itself_in_a_notebook() -> None:
    @task
    def angry() -> None:
        raise ValueError("<b>1 & 2</b>")

    @pipeline(name="a <pipeline>")
    def pipe() -> float:
        return mean.options(after=angry())(load(2))

    page = run(pipe)._repr_html_()
    tags = Tags()
    tags.feed(page)
    tags.close()
    assert tags.open == []
    for told in ("a <pipeline>", "failed", "load", "ValueError: <b>1 & 2</b>", "upstream_failed"):
        assert told in tags.text
    assert "&lt;b&gt;1 &amp; 2&lt;/b&gt;" in page


# Failures.


def test_a_failed_run_is_returned_and_its_result_raises() -> None:
    ended = run(failing)
    assert ended.state == "failed"
    assert ended.outputs == {}
    with pytest.raises(TrainingError, match=r"cannot train on 1\.0") as caught:
        _ = ended.result
    (note,) = caught.value.__notes__
    assert "In the task:" in note
    assert f'File "{__file__}", line {fail.function.__code__.co_firstlineno + 3}, in fail' in note
    assert "site-packages" not in note and "attempt.py" not in note


def test_calling_a_pipeline_raises_the_tasks_own_exception() -> None:
    for here in (failing.options(executor="inline"), failing.options(workers=1)):
        with pytest.raises(TrainingError) as caught:
            here()
        assert (type(caught.value), str(caught.value)) == (TrainingError, "cannot train on 1.0")


def test_the_last_attempt_is_the_one_that_counts() -> None:
    tries: list[int] = []

    @task(retries=2)
    def unlucky() -> None:
        tries.append(len(tries))
        raise TrainingError(f"attempt {len(tries)}")

    @pipeline
    def pipe() -> None:
        return unlucky()

    with pytest.raises(TrainingError, match="attempt 3"):
        pipe.options(executor="inline")()


def test_the_first_failure_is_the_one_that_is_raised() -> None:
    @pipeline
    def pipe() -> list[float]:
        return [fail.options(name="b")(1.0), fail.options(name="a")(2.0)]

    with pytest.raises(TrainingError, match=r"cannot train on 1\.0"):
        pipe.options(executor="inline")()


def test_an_exception_that_cannot_be_made_again_is_told() -> None:
    with pytest.raises(RunFailedError, match=r"fail failed: .*OddError: 7: odd\n(?s:.*)in fail(?s:.*)penstock show"):
        failing.options(executor="inline")("odd")


def test_a_task_that_ends_python_does_not_end_the_caller() -> None:
    with pytest.raises(RunFailedError, match=r"fail failed: SystemExit: enough"):
        failing.options(executor="inline")("exit")


def test_a_return_value_that_was_not_declared() -> None:
    with pytest.raises(OutputError, match=r"fail\(\) returned None, but declares float"):
        failing.options(executor="inline")("nothing")


# Wherever Python runs.

SCRIPT = """
from penstock import pipeline, task

class TooSmall(Exception): ...

@task
def square(x: int) -> int:
    if x < 0:
        raise TooSmall(f"{x} is too small")
    return x * x

@task
def total(numbers: list[int]) -> int:
    return sum(numbers)

@pipeline
def squares(n: int = 3, start: int = 0) -> int:
    return total(square.map(range(start, n)))
"""
USE = """
print(squares(), squares.run(n=4).result, squares.options(executor="inline")(5))
try:
    squares(start=-1)
except TooSmall as error:
    print(error)
"""
EXPECTED = "5 14 30\n-1 is too small\n"


def python(*command: str, given: str | None = None) -> str:
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    ran = subprocess.run(
        [sys.executable, *command],
        check=False,
        capture_output=True,
        text=True,
        input=given,
        env=environment,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


@pytest.mark.slow
def test_a_script(project: Path) -> None:
    main = 'if __name__ == "__main__":\n' + textwrap.indent(USE, "    ")
    (project / "script.py").write_text(SCRIPT + main)
    assert python("script.py") == EXPECTED


@pytest.mark.slow
def test_a_module(project: Path) -> None:
    (project / "package").mkdir()
    (project / "package" / "__init__.py").touch()
    (project / "package" / "work.py").write_text(SCRIPT)
    (project / "package" / "main.py").write_text("from package.work import *\n" + USE)
    assert python("-m", "package.main") == EXPECTED


@pytest.mark.slow
def test_a_command() -> None:
    assert python("-c", SCRIPT + USE) == EXPECTED


def test_standard_input() -> None:
    assert python("-", given=SCRIPT + USE) == EXPECTED


NOTEBOOK = """
import sys
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
for cell in sys.stdin.read().split("# %%"):
    ran = shell.run_cell(cell, store_history=True)
    ran.raise_error()
"""


def test_the_cells_of_a_notebook() -> None:
    pytest.importorskip("IPython")
    show = """
run = squares.run(n=3)
print(run.state, len(get_ipython().display_formatter.format(run)[0]["text/html"]) > 100)
"""
    again = """
# %%
@task
def square(x: int) -> int:
    return x + 100
# %%
@pipeline
def squares(n: int = 3) -> int:
    return total(square.map(range(n)))
print(squares(), [task.state for task in squares.run().tasks])
"""
    cells = SCRIPT.replace("\n@", "\n# %%\n@") + "\n# %%\n" + USE + "\n# %%\n" + show + again
    assert python("-c", NOTEBOOK, given=cells) == EXPECTED + "succeeded True\n303 " + str(["cached"] * 4) + "\n"
