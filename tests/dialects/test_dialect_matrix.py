"""Every pipeline of the corpus, written in every dialect and read back, gives what it gave before."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import matrix
import pytest

CASES = matrix.cases()
#: at the least, and what has to be among them
MOST_SMALL, SHAPES = (
    12,
    {"linear", "fan_out", "nested_map", "branch", "join", "scope", "retry", "condition", "artifact"},
)


def ids(case: matrix.Case) -> str:
    return f"{case.dialect}/{case.name}"


def made(program: str) -> Any:
    """What a program that uses the matrix prints, in a process that forks without threads beside it."""
    done = subprocess.run(
        [sys.executable, "-c", f"import json, matrix\n{program}"],
        cwd=Path(matrix.__file__).parent,
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def found() -> matrix.Matrix:
    rows = made("print(json.dumps([[*where, cells] for where, cells in matrix.matrix().items()]))")
    return {
        (dialect, name): {writer: matrix.Cell(*each) for writer, each in cells.items()} for dialect, name, cells in rows
    }


def test_the_native_corpus_has_every_shape() -> None:
    native = [case for case in CASES if case.dialect == "penstock"]
    assert len(native) >= MOST_SMALL
    assert {shape for case in native for shape in case.expected["shape"]} >= SHAPES


@pytest.mark.slow
def test_native_pipelines_give_what_they_are_said_to_give() -> None:
    told = made(
        "print(json.dumps([[case.name, matrix.apart(lambda: matrix.read(case))] "
        "for case in matrix.cases() if case.dialect == 'penstock']))"
    )
    for name, document in told:
        expected = next(case.expected for case in CASES if (case.dialect, case.name) == ("penstock", name))
        assert {each: output["value"] for each, output in document["outputs"].items()} == expected["outputs"], name
        assert {task["id"]: task["state"] for task in document["tasks"]} == expected["states"], name


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=ids)
def test_what_is_written_says_the_same(found: matrix.Matrix, case: matrix.Case) -> None:
    wrong = {writer: each.why for writer, each in found[case.dialect, case.name].items() if each.grade == "wrong"}
    assert not wrong, "\n\n".join(f"in {writer}: {why}" for writer, why in wrong.items())


@pytest.mark.slow
def test_the_page_is_up_to_date(found: matrix.Matrix) -> None:
    text = matrix.PAGE.read_text("utf-8")
    assert matrix.page(found, text) == text, "write it anew: make matrix"


def test_outputs_are_compared_by_value() -> None:
    def run(tasks: dict[str, Any], **outputs: Any) -> dict[str, Any]:
        return {"outputs": described(outputs), "tasks": [{"id": "task", "outputs": described(tasks)}]}

    def described(values: dict[str, Any]) -> dict[str, Any]:
        return {name: {"value": value, "digest": f"digest of {value}"} for name, value in values.items()}

    assert matrix.same_outputs(run({}, result=1), run({}, result=1))
    assert matrix.same_outputs(run({}, result=[1]), run({"return_value": [1]}))
    assert not matrix.same_outputs(run({}, result=1), run({"return_value": 2}))
    assert not matrix.same_outputs(run({}, result=1), run({}, result=True))
    assert matrix.same_outputs(run({}, one=1, two=[2]), run({}, result={"one": 1, "two": [2]}))
    items = [{"id": f"fit[{n}]", "outputs": described({"result": n})} for n in (1, 2)]
    assert matrix.same_outputs(run({}, fits=[1, 2]), {"outputs": {}, "tasks": items})
    assert not matrix.same_outputs(run({}, fits=[2, 1]), {"outputs": {}, "tasks": items})


def test_the_page_tells_what_is_refused() -> None:
    cells = {
        "kfp": matrix.Cell("refused", "'fit' cannot be written for Kubeflow Pipelines: no loops\nhere"),
        "yaml": matrix.Cell("exact", same=True),
    }
    told = matrix.page({("penstock", "loop"): cells}, f"# Dialects\n{matrix.BEGIN}\nold\n{matrix.END}\nmore\n")
    assert told.startswith("# Dialects\n") and told.endswith("\nmore\n") and "old" not in told
    assert "| penstock/loop | refused | exact, same |" in told
    assert "- no loops here: penstock/loop in kfp\n" in told
    assert matrix.page({("penstock", "loop"): cells}, told) == told
