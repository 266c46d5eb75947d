"""The corpus of penstock's YAML: every file runs as its description says, and says the same when it is written again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from yaml_graphs import graph_of, plain, written_again

from penstock.app import Pipeline
from penstock.registering.loading import load_pipeline

CORPUS = Path(__file__).parent / "corpus" / "yaml"
FILES = sorted(file.stem for file in CORPUS.glob("*.yaml"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test is in a project of its own."""
    monkeypatch.chdir(tmp_path)


def _pipeline(name: str) -> Pipeline[..., Any]:
    return load_pipeline(str(CORPUS / f"{name}.yaml"))


@pytest.mark.parametrize("name", FILES)
def test_a_file_runs_as_its_description_says(name: str) -> None:
    told = json.loads((CORPUS / f"{name}.json").read_text())
    run = _pipeline(name).options(executor="inline", progress=False, cache=False).run(**told["parameters"])
    assert {task.id: task.state for task in run.tasks if task.id in told["states"]} == told["states"]
    assert _found(run.outputs, told["outputs"]) == told["outputs"]


@pytest.mark.parametrize("name", FILES)
def test_a_file_says_the_same_when_it_is_written_again(name: str, tmp_path: Path) -> None:
    definition = graph_of(_pipeline(name))
    again, text = written_again(definition, tmp_path)
    assert plain(again.graph) == plain(definition.graph), text


def _found(outputs: Any, wanted: Any) -> Any:
    """What there is of what is wanted, as JSON has it."""
    if isinstance(wanted, dict):
        return {name: _found(outputs[name], each) for name, each in wanted.items()}
    return json.loads(json.dumps(outputs))
