"""Stages that are whole pipelines: of penstock's own Python, of other files of YAML, of other systems."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from penstock.app import Pipeline
from penstock.errors import DefinitionError
from penstock.model.graph import Graph, PipelineAction
from penstock.registering.exporting import exported
from penstock.registering.loading import load_pipeline

Write = Callable[[str, str], str]

LIB = """
    from penstock import pipeline, task

    @task
    def double(x: int) -> int:
        return 2 * x

    @task
    def add(a: int, b: int) -> int:
        return a + b

    @pipeline
    def doubled(x: int, times: int = 2):
        for _ in range(times):
            x = double(x)
        return {"end": x, "more": add(x, 1)}

    @pipeline
    def grown(start: int):
        found = double(start)
        while found < 20:
            found = double(found)
        return found
"""
INNER = """
    pipeline: {name: inner, parameters: {n: 3, k: 2}, outputs: {out: last, inside: body}, owner: ann, timeout: 1h}
    stages:
      - {name: first, uses: 'lib:double', inputs: {x: n}}
      - name: body
        inputs: {f: first}
        stages:
          - {name: sum, uses: 'lib:add', inputs: {a: '${inputs.f}', b: '${parameters.n}'}}
        result: sum
      - {name: last, uses: 'lib:add', inputs: {a: body, b: k}, condition: n < 100}
"""
OUTER = """
    pipeline: {name: outer, parameters: {x: 1, times: 3}, outputs: {a: one.end, b: two.out, c: all, d: two.inside}}
    stages:
      - {name: one, uses: 'lib:doubled'}
      - {name: two, uses: inner.yaml, inputs: {n: one.more, k: 10}}
      - {name: all, uses: inner.yaml, map: {n: [1, 2]}, depends_on: [two]}
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)

    def write(name: str, text: str) -> str:
        (tmp_path / name).write_text(dedent(text))
        return name

    write("lib.py", LIB)
    write("inner.yaml", INNER)
    return write


def _run(pipeline: Pipeline[..., Any], **parameters: Any) -> dict[str, Any]:
    run = pipeline.options(executor="inline", progress=False).run(**parameters)
    assert run.state == "succeeded", [(task.id, task.state, task.error) for task in run.tasks]
    return dict(run.outputs)


def _graph(pipeline: Pipeline[..., Any]) -> Graph:
    return pipeline.define(pipeline.signature.resolve(given={}, partial=True)).graph


EXPECTED = {"a": 8, "b": 37, "c": [{"out": 5, "inside": 3}, {"out": 8, "inside": 6}], "d": 27}


def test_pipelines_as_stages(write: Write) -> None:
    pipeline = load_pipeline(write("outer.yaml", OUTER))
    assert _run(pipeline) == EXPECTED
    # parameters shape what is inside
    assert _run(pipeline, times=1)["a"] == 2
    assert [each.what for each in pipeline.ignored] == [
        "pipeline.owner: ann",
        "the stage 'two': timeout of the pipeline inner",
        "the stage 'all': timeout of the pipeline inner",
    ]
    graph = _graph(pipeline)
    # one task for one function, wherever it is called
    assert [key for key, task in graph.tasks.items() if not isinstance(task.action, PipelineAction)] == [
        "double",
        "add",
    ]


@pytest.mark.slow
def test_their_graph_is_kept_as_a_file(write: Write) -> None:
    pipeline = load_pipeline(write("outer.yaml", OUTER))
    first = exported(pipeline, "yaml", stem="kept").written.text
    kept = load_pipeline(write("kept.yaml", first))
    assert _run(kept) == EXPECTED
    assert exported(kept, "yaml", stem="kept").written.text == first
    assert [node.id for node in _graph(kept).nodes] == ["one", "two", "all"]
    native = write("native.py", exported(pipeline, "penstock", stem="native").written.text)
    assert _run(load_pipeline(f"{native}:outer")) == EXPECTED


@pytest.mark.slow
def test_pipelines_of_other_systems_and_dynamic_ones(write: Write) -> None:
    write(
        "flows.py",
        """
        from prefect import flow, task

        @task
        def up(x: int) -> int:
            return x + 1

        @flow
        def rise(x: int = 1):
            return up(up(x))
        """,
    )
    text = """
        pipeline: {name: mixed, outputs: {low: rise, high: grow}}
        stages:
          - {name: rise, uses: flows.py, inputs: {x: 5}}
          - {name: grow, uses: 'lib.py:grown', inputs: {start: rise}}
    """
    assert _run(load_pipeline(write("mixed.yaml", text))) == {"low": 7, "high": 28}


@pytest.mark.parametrize(
    ("stage", "told", "remedy"),
    [
        ("uses: lib.py", "lib.py has several pipelines: doubled, grown", "Write lib.py:doubled."),
        ("uses: flow.yaml", "the pipelines of flow.yaml cannot be told: flow.yaml is a part of itself", "own stages"),
        ("uses: none.yaml", "there is no file none.yaml", "Name it from the folder"),
        ("uses: 'lib:doubled', inputs: {y: 1}", "one() takes no 'y'", "It takes x, times."),
        ("uses: 'lib:doubled', inputs: {x: many}", "doubled cannot be given x='many'", ""),
        (
            "uses: 'lib:doubled', inputs: {x: 1}, outputs: [a]",
            "one is a pipeline, which says its outputs itself",
            "Take",
        ),
        ("uses: 'lib:add', inputs: {a: 1, b: 2}, fallback: 'lib:doubled'", "a fallback is a function, a command", ""),
    ],
)
def test_what_is_wrong_with_them(write: Write, stage: str, told: str, remedy: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        load_pipeline(write("flow.yaml", f"stages:\n  - {{name: one, {stage}}}\n"))
    assert told in str(caught.value)
    assert remedy in str(caught.value)
    assert "flow.yaml:2" in str(caught.value)
