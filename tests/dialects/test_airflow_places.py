"""Templates of Airflow that only put params into texts are parameters of the run, which any language has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from penstock import DefinitionError
from penstock.registering.exporting import exported
from penstock.registering.loading import load_pipeline

FILE = """\
from datetime import datetime

from airflow import DAG
from airflow.models.param import Param
from airflow.operators.bash import BashOperator
from airflow.operators.python import PythonOperator


def joined(word, words):
    return [word, *words]


PARAMS = {"word": "hey you", "n": Param(3, type="integer"), "ratio": 1.5, "items": "shown"}

with DAG("placed", schedule=None, start_date=datetime(2024, 1, 1), params=PARAMS, %s):
    BashOperator(task_id="say", bash_command="echo \\"{{ params['word'] }} {\\" ${HOME:+{{params.n}}}\\n", %s)
    PythonOperator(task_id="join", python_callable=joined, op_args=["{{ params.word }}"], op_kwargs={"words": ["{{params.word}}"]})
"""


def read(folder: Path, of_dag: str = "", of_task: str = "", change: tuple[str, str] = ("", "")) -> Any:
    file = folder / f"placed_{folder.name}.py".replace("-", "_")
    file.write_text((FILE % (of_dag, of_task)).replace(*change))
    return load_pipeline(str(file)).options(executor="inline", progress=False, logs=False, home=folder / "home")


def kinds(pipeline: Any) -> dict[str, list[str]]:
    graph = pipeline.define(pipeline.signature.resolve(given={})).graph
    return {node.id: sorted(port.name for port in graph.task_of(node).inputs) for node in graph.nodes}


def test_params_are_inputs_of_what_is_run(tmp_path: Path) -> None:
    pipeline = read(tmp_path)
    assert kinds(pipeline) == {"say": ["n", "word"], "join": ["word", "words"]}
    assert pipeline.run().outputs == {"say": "hey you { 3", "join": ["hey you", "hey you"]}
    assert pipeline.run(word="ho", n=4).outputs == {"say": "ho { 4", "join": ["ho", "ho"]}
    assert pipeline.run(conf={"word": "said"}).outputs == {"say": "said { 3", "join": ["said", "said"]}


def test_they_are_written_for_others(tmp_path: Path) -> None:
    pipeline = read(tmp_path)
    assert {each.grade for each in exported(pipeline, "penstock").written.accounts} == {"exact"}
    assert "say.submit(word, n)" in exported(pipeline, "prefect").written.text


@pytest.mark.parametrize(
    ("of_dag", "of_task", "change"),
    [
        ("user_defined_macros={'params': {'word': 'own', 'n': 1}}", "", ("", "")),
        ("", "params={'word': 'own'}", ("", "")),
        ("", "", ("params.n", "params.ratio")),
        ("", "", ("params.n", "params.items")),
        ("", "", ("params.n", "params.n + 1")),
        ("", "", ("params.n", "ds")),
        ("", "env={'A': '{{ ds }}'}, append_env=True", ("", "")),
    ],
)
def test_any_other_template_is_filled_in_as_before(
    tmp_path: Path, of_dag: str, of_task: str, change: tuple[str, str]
) -> None:
    pipeline = read(tmp_path, of_dag, of_task, change)
    assert "says" in kinds(pipeline)["say"]
    with pytest.raises(DefinitionError, match="'say' cannot be written for Prefect"):
        exported(pipeline, "prefect")
