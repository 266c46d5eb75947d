"""What becomes of a body that uses the value of a task, where nothing runs."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from penstock import DefinitionError, Ref, pipeline, task, value
from penstock.model.graph import Graph, PipelineAction


@task
def number(x: int = 1) -> int:
    return x


@task
def increment(x: int) -> int:
    return x + 1


def line_of(graph: Graph) -> int:
    assert graph.dynamic_at is not None
    return graph.dynamic_at.line


def first_line(function: Any) -> int:
    return function.function.__code__.co_firstlineno


@pipeline
def lazy() -> Any:
    x = number()
    y = x + 1
    return {"sum": y * 2, "larger": (y > 3) & (x != 1), "part": x.real, "negative": -x}


@pipeline
def asking() -> Any:
    x = number()
    if x > 1:
        return increment(x)
    return x


@pipeline
def catching() -> Any:
    x = number()
    try:
        return increment(x)
    except ValueError:
        return x


def test_what_stays_in_the_graph_makes_nothing_dynamic() -> None:
    assert lazy.graph().dynamic_at is None


def test_the_graph_of_a_dynamic_pipeline_is_what_there_is_by_its_first_question() -> None:
    graph = asking.graph()
    assert [node.id for node in graph.nodes] == ["number"]
    assert line_of(graph) == first_line(asking) + 3


def test_a_call_in_a_try_with_handlers_is_a_question() -> None:
    graph = catching.graph()
    assert [node.id for node in graph.nodes] == ["number", "increment"]
    assert line_of(graph) == first_line(catching) + 4


def test_a_call_in_another_try_is_none() -> None:
    @pipeline
    def cleaning() -> Any:
        try:
            x = number()
        finally:
            y = number(2)
        try:
            number(3)
        except ValueError:
            z = increment(x)
        else:
            z = increment(y)
        return z

    graph = cleaning.graph()
    assert line_of(graph) == first_line(cleaning) + 7
    assert [node.id for node in graph.nodes] == ["number", "number-2", "number-3"]


def test_a_function_that_is_called_in_a_try_is_in_it_as_well() -> None:
    def twice(x: Any) -> Any:
        return increment(increment(x))

    @pipeline
    def nested() -> Any:
        x = number()
        with suppress(ValueError):
            x = twice(x)
        return x

    graph = nested.graph()
    assert [node.id for node in graph.nodes] == ["number", "increment"]


@pytest.mark.parametrize(
    "use",
    [
        bool,
        len,
        list,
        float,
        int,
        str,
        "{}".format,
        round,
        abs,
        value,
        lambda ref: 3 in ref,
        lambda ref: [1, 2, 3][ref],
        lambda ref: ref.bit_length(),
        lambda ref: value([1, {"x": ref}]),
        lambda ref: ref == 1 or ref == 2,
    ],
)
def test_every_use_of_a_value_is_a_question(use: Any) -> None:
    @pipeline
    def using() -> Any:
        use(number())
        raise AssertionError("the body is to end there")

    graph = using.graph()
    assert graph.dynamic_at is not None
    assert len(graph.nodes) == 1


def test_what_is_known_is_no_question() -> None:
    @pipeline
    def known(k: int, names: list[str]) -> Any:
        for name in names:
            number.options(name=name)(k)
        return f"{k:03d} {len(names)} {value({'k': k})}"

    graph = known.graph(k=2, names=["a", "b"])
    assert graph.dynamic_at is None
    assert [node.id for node in graph.nodes] == ["a", "b"]


def test_what_goes_wrong_on_the_way_out_does_not_matter() -> None:
    @pipeline
    def untidy() -> Any:
        opened: Any = None
        try:
            opened = float(number())
        finally:
            opened.close()

    assert untidy.graph().dynamic_at is not None


def test_a_body_that_holds_on_can_call_nothing_more() -> None:
    @pipeline
    def stubborn() -> Any:
        x = number()
        try:
            float(x)
        except BaseException:
            increment(x)

    graph = stubborn.graph()
    assert [node.id for node in graph.nodes] == ["number"]


def test_a_mapped_pipeline_can_be_dynamic_by_itself() -> None:
    @pipeline
    def choosy(n: int) -> Any:
        return increment(n) if n > 1 else number(n)

    @pipeline
    def outer() -> Any:
        return choosy.map([1, 2])

    graph = outer.graph()
    assert graph.dynamic_at is None
    action = graph.task_of(graph.nodes[0]).action
    assert isinstance(action, PipelineAction)
    assert action.dynamic


def test_a_ref_is_of_no_use_outside_its_pipeline() -> None:
    kept: list[Any] = []

    @pipeline
    def leaking() -> None:
        kept.append(number())

    leaking.graph()
    with pytest.raises(DefinitionError, match="outside its pipeline") as raised:
        float(kept[0])
    assert raised.value.where is not None
    assert "test_dynamic.py" in raised.value.where


def test_value_outside_a_pipeline_gives_what_it_is_given() -> None:
    given = [1, {"x": (2, 3)}]
    assert value(given) is given
    assert not isinstance(value(1), Ref)
