"""Whatever graph is written as YAML, what is read back is the same graph.

PENSTOCK_GRAPHS sets how many random ones are drawn in the long ring (300 if it is not set).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from yaml_graphs import graph_of, plain, written_again
from yaml_random import Drawing

from penstock import command, pipeline, task, when
from penstock.dialects import Export
from penstock.dialects.yaml import DIALECT
from penstock.errors import DefinitionError

GRAPHS = int(os.environ.get("PENSTOCK_GRAPHS", "300"))


@pytest.mark.parametrize(
    "start", [0, *(pytest.param(start, marks=pytest.mark.slow) for start in range(20, GRAPHS, 20))]
)
def test_any_graph_is_the_same_when_it_is_read_back(start: int, tmp_path: Path) -> None:
    for seed in range(start, start + 20):
        folder = tmp_path / str(seed)
        folder.mkdir()
        definition = Drawing(seed).definition()
        again, text = written_again(definition, folder)
        assert plain(again.graph) == plain(definition.graph), f"{seed}\n{text}"


@task
def load() -> list[int]:
    return [1, 2]


@task(retries=2)
def fit(rows: list[int], rate: float = 0.1) -> float:
    return sum(rows) * rate


@pipeline(timeout=60)
def training(rate: float = 0.5) -> dict[str, object]:
    """Fits a model."""
    rows = load()
    model = fit.options(timeout=5)(rows, rate)
    with when(model > 1):
        shipped = command("ship {model}", name="ship")(model=model)
    return {"model": model, "shipped": shipped}


def test_what_is_written_is_what_a_person_would_write() -> None:
    assert DIALECT.write is not None
    written = DIALECT.write(Export(graph_of(training), stem="training"))
    assert (
        written.text
        == f"""\
pipeline:
  name: training
  description: Fits a model.
  parameters: {{rate: 0.5}}
  outputs: {{model: '${{fit}}', shipped: '${{ship}}'}}
  timeout: 1m

stages:
  - name: load
    uses: {__name__}:load

  - name: fit
    uses: {__name__}:fit
    inputs: {{rows: '${{load}}', rate: '${{rate}}'}}
    timeout: 5s

  - name: ship
    run: ship ${{model}}
    inputs: {{model: '${{fit}}'}}
    condition: fit > 1
"""
    )
    assert [account.grade for account in written.accounts] == ["exact"] * 3


def test_a_function_that_nobody_can_find_again() -> None:
    @task
    def inner() -> int:
        return 1

    @pipeline
    def outer() -> int:
        return inner()

    assert DIALECT.write is not None
    with pytest.raises(DefinitionError, match=r"the function of inner, .*, is not at the top level of a module"):
        DIALECT.write(Export(graph_of(outer)))


def test_a_graph_that_is_not_complete_before_it_runs() -> None:
    @pipeline
    def outer() -> int:
        return fit([1], 0.1) if load()[0] > 1 else 0  # type: ignore[return-value]

    assert DIALECT.write is not None
    with pytest.raises(DefinitionError, match="the nodes of outer appear while it runs"):
        DIALECT.write(Export(graph_of(outer)))


def test_a_value_that_no_file_can_hold() -> None:
    @pipeline
    def outer() -> float:
        return fit(object())  # type: ignore[arg-type]

    assert DIALECT.write is not None
    with pytest.raises(DefinitionError, match=r"fit is given a builtins\.object, which no file can hold"):
        DIALECT.write(Export(graph_of(outer)))
