from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.dialects.kfp.ir import claims, component_of_text
from penstock.dialects.kfp.ir.conditions import parsed, told
from penstock.dialects.kfp.ir.writing import written
from penstock.dialects.kfp.structures import (
    ArtifactType,
    Comparison,
    Constant,
    Container,
    Given,
    IfPresent,
    Logic,
)
from penstock.errors import DefinitionError, NotCoveredError
from penstock.registering.loading import load_pipeline

CORPUS = Path(__file__).with_name("corpus") / "kfp"
COMPILED = sorted(CORPUS.glob("compiled_*.yaml"))


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two documents differ, but for the programs that start components and the names of groups for people."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [
            each
            for key in one.keys() | other.keys()
            for each in differences(one.get(key), other.get(key), f"{path}/{key}")
        ]
    if path.endswith("/command") or re.search(r"(condition|loop|exit)[\w-]*/taskInfo/name$", path):
        return []
    return [] if one == other else [f"{path}: {one!r} != {other!r}"]


def plain(text: str) -> Any:
    """A compiled document, with the items of loops that are written out called by one number."""
    return yaml.safe_load(re.sub(r"loop-item-param-\d+", "loop-item-param", text))


@pytest.mark.parametrize("file", COMPILED, ids=lambda file: file.stem)
def test_what_kubeflow_compiled_is_written_as_it_was(file: Path) -> None:
    text = file.read_text()
    component = component_of_text(text, file.name, "compiled")
    again = written(component)
    assert differences(plain(text), plain(again)) == []
    assert claims(text) and claims(again)


def test_a_compiled_pipeline_runs_as_what_it_is(tmp_path: Path) -> None:
    made = load_pipeline(str(CORPUS / "compiled_branches.yaml"))
    options = made.options(executor="inline", progress=False, home=str(tmp_path))
    assert options.run(seed=1).outputs == {"result": "heads it is"}


def test_a_failure_in_a_components_source_names_its_line(tmp_path: Path) -> None:
    text = (CORPUS / "compiled_branches.yaml").read_text().replace("return 'heads'", "return seed / 0 or 'heads'")
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    run = load_pipeline(str(file)).options(executor="inline", progress=False, home=str(tmp_path)).run()
    (failed,) = [each for each in run.document["tasks"] if each["error"]]
    assert failed["id"] == "flip"
    assert "ZeroDivisionError" in failed["error"]


def test_what_the_first_version_compiled_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "old.yaml"
    file.write_text(
        "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata:\n  generateName: old-\n  annotations:\n"
        "    pipelines.kubeflow.org/kfp_sdk_version: 1.8.22\nspec:\n  entrypoint: old\n"
    )
    with pytest.raises(NotCoveredError, match="compiled by kfp 1, as an Argo Workflow") as caught:
        load_pipeline(str(file))
    assert "compile that anew with kfp 2" in str(caught.value)


def test_other_versions_and_broken_documents_are_refused() -> None:
    text = "schemaVersion: 3.0.0\npipelineInfo: {name: a}\nroot: {dag: {tasks: {}}}\n"
    with pytest.raises(NotCoveredError, match=r"version 3\.0\.0"):
        component_of_text(text, "a.yaml", "a")
    with pytest.raises(DefinitionError, match="not whole: KeyError: 'comp-a'"):
        tasks = "{tasks: {a: {componentRef: {name: comp-a}}}}"
        component_of_text(f"schemaVersion: 2.1.0\nroot: {{dag: {tasks}}}\n", "a.yaml", "a")
    assert not claims("pipeline:\n  name: mine\nstages: []\n")


_COMPONENT = """
name: Train a Model
description: Trains.
inputs:
- {name: Data Set, type: Dataset}
- {name: Rate, type: Float, default: '0.5'}
- {name: tag, type: String, optional: true}
outputs:
- {name: Model, type: Model}
- {name: score, type: Float}
implementation:
  container:
    image: trainer:1
    command: [python, train.py]
    args:
    - --data
    - {inputPath: Data Set}
    - concat: [--rate=, {inputValue: Rate}]
    - if:
        cond: {isPresent: tag}
        then: [--tag, {inputValue: tag}]
        else: [--untagged]
    - {outputPath: Model}
    - {outputPath: score}
    env: {MODE: fast}
"""


def test_a_component_of_the_first_version_is_a_container_with_places() -> None:
    made = component_of_text(_COMPONENT, "component.yaml", "component")
    assert claims(_COMPONENT)
    assert (made.name, made.display_name) == ("train-a-model", "Train a Model")
    assert [(each.name, each.type, each.default) for each in made.inputs] == [
        ("data_set", ArtifactType("system.Dataset"), None),
        ("rate", "NUMBER_DOUBLE", 0.5),
        ("tag", "STRING", None),
    ]
    assert [each.name for each in made.outputs] == ["model", "score"]
    what = made.implementation
    assert isinstance(what, Container)
    assert what.environment == {"MODE": "fast"}
    assert what.arguments[1] == "{{$.inputs.artifacts['data_set'].path}}"
    assert what.arguments[3] == IfPresent("tag", ("--tag", "{{$.inputs.parameters['tag']}}"), ("--untagged",))
    assert what.arguments[4:] == (
        "{{$.outputs.artifacts['model'].path}}",
        "{{$.outputs.parameters['score'].output_file}}",
    )


def test_a_component_that_is_a_graph_is_refused() -> None:
    with pytest.raises(NotCoveredError, match="a component that is a graph"):
        component_of_text("name: a\nimplementation:\n  graph: {}\n", "component.yaml", "component")


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("int(inputs.parameter_values['x']) > 3", Comparison(">", Given("x"), Constant(3))),
        ("inputs.parameter_values['x'] == 'it\\'s'", Comparison("==", Given("x"), Constant("it's"))),
        (
            "!(inputs.parameter_values['x'] == true) && inputs.parameter_values['y'] != 'b'",
            Logic(
                "and",
                (
                    Logic("not", (Comparison("==", Given("x"), Constant(True)),)),
                    Comparison("!=", Given("y"), Constant("b")),
                ),
            ),
        ),
    ],
)
def test_conditions_are_read(text: str, condition: Any) -> None:
    assert parsed(text, Given, "here") == condition


def test_conditions_are_written_with_the_types_that_they_need() -> None:
    def operand(source: Any) -> tuple[str, str]:
        return ("3", "NUMBER_INTEGER") if source == Constant(3) else ("inputs.parameter_values['x']", "NUMBER_DOUBLE")

    assert told(Comparison(">", Given("x"), Constant(3)), operand) == "inputs.parameter_values['x'] > double(3)"


def test_a_condition_of_another_form_is_refused() -> None:
    with pytest.raises(NotCoveredError, match="the condition"):
        parsed("size(inputs.parameter_values['x']) > 3", Given, "here")
