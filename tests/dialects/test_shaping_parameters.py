"""Bodies that use the values of their parameters: what is written of them is the graph for certain values, and says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from penstock.registering.exporting import exported
from penstock.registering.loading import load_pipeline

NATIVE = """
from penstock import pipeline, task

@task
def one(x: int) -> int:
    return x + 1

@pipeline
def shaped(x: int = 1, why: str = "late"):
    if x > 1:
        return one(x)
    return f"{why} {one(0)}"
"""

FLOW = """
from prefect import flow, task

@task
def one(x: int) -> int:
    return x + 1

@flow
def shaped(x: int = 1, why: str = "late"):
    for number in range(x):
        one(number)
    return f"{why} {x}"
"""


def written(tmp_path: Path, name: str, text: str, dialect: str, texts: tuple[str, ...] = ()) -> Any:
    file = tmp_path / f"{name}.py"
    file.write_text(text)
    return exported(load_pipeline(str(file)), dialect, texts)


@pytest.mark.parametrize("dialect", ["penstock", "airflow", "prefect", "kfp", "argo"])
def test_it_is_told_for_which_values_a_graph_is_written(tmp_path: Path, dialect: str) -> None:
    found = written(tmp_path, f"shaped_{dialect}", NATIVE, dialect, ("x=3",))
    assert found.losses == ["the pipeline"]
    how = next(each.how for each in found.written.accounts if each.grade == "changed")
    assert how.startswith("its body uses the value of x (")
    assert how.endswith(f"shaped_{dialect}.py:10), and is written as it is for x=3 (-p for another)")


def test_parameters_that_are_handed_on_shape_nothing(tmp_path: Path) -> None:
    text = NATIVE.replace(
        '    if x > 1:\n        return one(x)\n    return f"{why} {one(0)}"', "    return one(x), why"
    )
    assert not written(tmp_path, "handing", text, "airflow").losses


def test_a_flow_keeps_what_it_decides_by_its_parameters_in_the_text_of_its_body(tmp_path: Path) -> None:
    found = written(tmp_path, "flow_of_prefect", FLOW, "penstock")
    assert not found.losses
    again = tmp_path / "flow_of_penstock.py"
    again.write_text(found.written.text)
    options = {"executor": "inline", "progress": False, "home": str(tmp_path / "home")}
    run = load_pipeline(str(again)).options(**options).run(x=2, why="soon")
    assert (run.result, len(run.document["tasks"])) == ("soon 2", 2)
    assert written(tmp_path, "flow_of_prefect_again", FLOW, "kfp").losses == ["the pipeline"]


def test_a_fan_out_of_prefect_over_a_parameter_is_one_over_whatever_it_is(tmp_path: Path) -> None:
    head, _, _ = FLOW.partition("@flow")
    text = f"{head}@flow\ndef shaped(xs: list[int] = [1, 2]):\n    return one.map(xs)\n"
    assert not written(tmp_path, "mapped", text, "yaml").losses
    options = {"executor": "inline", "progress": False, "home": str(tmp_path / "home")}
    pipeline = load_pipeline(str(tmp_path / "mapped.py")).options(**options)
    assert pipeline.run(xs=[4, 5, 6]).result == [5, 6, 7]
    counted = text.replace("return one.map(xs)", "made = one.map(xs)\n    return [made[at] for at in range(len(made))]")
    assert written(tmp_path, "counted", counted, "airflow").losses == ["the pipeline"]
