"""Whatever graph is written as YAML, what is read back is the same graph.

PENSTOCK_GRAPHS sets how many random ones are drawn in the long ring (300 if it is not set).
"""

from __future__ import annotations

import os
import shutil
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
    ("start", "end"),
    [(0, 5), *(pytest.param(start, start + 20, marks=pytest.mark.slow) for start in range(5, GRAPHS, 20))],
)
def test_any_graph_is_the_same_when_it_is_read_back(start: int, end: int, tmp_path: Path) -> None:
    for seed in range(start, end):
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


def by_rate(rate: float) -> float:
    return round(rate)


@pipeline
def keyed() -> float:
    return fit.options(cache_key=by_rate, cache_for=60)([1], 0.1)


def test_a_cache_key_of_a_call(tmp_path: Path) -> None:
    definition = graph_of(keyed)
    again, text = written_again(definition, tmp_path)
    assert f"cache: {{for: 1m, key: '{__name__}:by_rate'}}" in text
    key = again.attached["", "fit"].cache_key
    assert key is not None
    assert key.function is by_rate
    assert plain(again.graph) == plain(definition.graph)


def test_a_cache_key_without_a_name() -> None:
    @pipeline
    def outer() -> float:
        return fit.options(cache_key=lambda rate: rate)([1], 0.1)

    assert DIALECT.write is not None
    written = DIALECT.write(Export(graph_of(outer)))
    assert [account.grade for account in written.accounts] == ["changed"]
    assert "cache_key" in written.accounts[0].how


@task
def anything(value: object) -> object:
    return value


@pipeline
def doubtful() -> object:
    return anything.options(name="second")(anything("anything.result.a"))


def test_a_text_that_a_reader_would_doubt(tmp_path: Path) -> None:
    definition = graph_of(doubtful)
    again, text = written_again(definition, tmp_path)
    assert "${''anything.result.a''}" in text
    assert plain(again.graph) == plain(definition.graph)


def test_functions_of_a_file_of_another_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from penstock.registering.exporting import exported
    from penstock.registering.loading import load_pipeline

    shutil.copy(Path(__file__).parent / "corpus" / "kfp" / "compiled_branches.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    text = exported(load_pipeline("compiled_branches.yaml"), "yaml", stem="again").written.text
    assert "uses: compiled_branches.yaml:branches/flip" in text
    (tmp_path / "again.yaml").write_text(text)
    assert load_pipeline("again.yaml").name == "branches"


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
