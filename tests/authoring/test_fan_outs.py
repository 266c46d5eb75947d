"""Fan-outs: of tasks and of pipelines, over lists, dicts and what is not known yet."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypedDict

import pytest
from refusals import in_body, refusal

from penstock import DefinitionError, Pipeline, pipeline, task, unmapped, when
from penstock.model.expression import Apply, Constant, Get, Input, Item, Mapping, Output, Parameter
from penstock.model.graph import Each, Graph, PipelineAction


@task
def load(rows: int = 3) -> list[int]:
    return list(range(rows))


@task
def fit(x: int, depth: int = 1, *, scale: float = 1.0) -> float:
    return x * depth * scale


@task
def half(x: float) -> float:
    return x / 2


@task
def shown(what: Any, more: Any = None) -> str:
    return f"{what} {more}"


@task
def numbers(n: int) -> Any:
    yield from range(n)


def each(body: Any, **parameters: Any) -> tuple[Each, dict[str, Any]]:
    """The fan-out of the last node, and its bindings."""
    node = pipeline(body).graph(**parameters).nodes[-1]
    assert node.each is not None
    return node.each, node.bindings


def value(body: Any, **parameters: Any) -> Any:
    return pipeline(body).options(executor="inline").run(**parameters).result


# As graphs.


def test_a_dict_gives_its_keys() -> None:
    fan, bindings = each(lambda: fit.map(x={"rf": 1, "gb": 2}, depth=unmapped(5)))
    assert fan == Each({"x": Constant({"rf": 1, "gb": 2})})
    assert bindings == {"x": Item("x"), "depth": Constant(5)}


def test_a_dict_of_refs() -> None:
    fan, _ = each(lambda: half.map({"a": fit(1), "b": fit(2)}))
    assert fan.over == {"x": Mapping({"a": Output("fit"), "b": Output("fit-2")})}


def test_a_product() -> None:
    fan, bindings = each(lambda: fit.product(x=[1, 2], depth=load(2), scale=unmapped(0.5)))
    assert fan == Each({"x": Constant([1, 2]), "depth": Output("load")}, "product")
    assert bindings == {"x": Item("x"), "depth": Item("depth"), "scale": Constant(0.5)}


def test_a_partial() -> None:
    fan, bindings = each(lambda: fit.partial(depth=4).map([1, 2]))
    assert fan == Each({"x": Constant([1, 2])})
    assert bindings == {"x": Item("x"), "depth": Constant(4)}


def test_partials_add_up() -> None:
    fan, bindings = each(lambda: fit.partial(depth=4).partial(scale=0.25).map([1, 2]))
    assert fan == Each({"x": Constant([1, 2])})
    assert bindings == {"x": Item("x"), "depth": Constant(4), "scale": Constant(0.25)}
    assert fit.partial(depth=4).partial(scale=0.25).map([1]) == fit.map([1], [4], scale=[0.25])
    with pytest.raises(DefinitionError, match="'depth' is held fixed already"):
        fit.partial(depth=4).partial(depth=5)


def test_keyword_maps() -> None:
    rows = [{"x": 1}, {"x": 2, "depth": 3}]
    fan, bindings = each(lambda: fit.partial(scale=2.0).map_kwargs(rows))
    assert fan == Each({"kwargs": Constant(rows)}, spread="kwargs")
    assert bindings == {"scale": Constant(2.0)}


def test_limits_and_keys() -> None:
    def body() -> Any:
        tuned = shown.options(max_parallel=2, failure_threshold=0.1, key=lambda it: it["name"] + "-" + it["fold"])
        return tuned.map([{"name": "rf", "fold": "a"}], more=unmapped(1))

    fan, _ = each(body)
    assert (fan.max_parallel, fan.failure_threshold) == (2, 0.1)
    name, fold = Get(Item("what"), "name"), Get(Item("what"), "fold")
    assert fan.key == Apply("add", (Apply("add", (name, Constant("-"))), fold))


def test_a_key_of_several() -> None:
    fan, _ = each(lambda: shown.options(key=lambda more, what: what).product(what=["a"], more=["b"]))
    assert fan.key == Item("what")


def test_items_are_called_by_their_key() -> None:
    @pipeline
    def pipe() -> Any:
        return shown.options(key=lambda what: what["name"]).map([{"name": "rf"}, {"name": "gb"}], [1, 2])

    ended = pipe.options(executor="inline").run()
    assert [each.id for each in ended.tasks] == ["shown[rf]", "shown[gb]"]


def test_a_map_over_a_map_is_passed_on_as_a_whole() -> None:
    fan, _ = each(lambda: half.map(fit.map([1, 2])))
    assert fan.over == {"x": Output("fit")}


def test_a_generator_is_a_list_that_grows() -> None:
    graph = pipeline(lambda: fit.map(numbers(3))).graph()
    assert graph.tasks["numbers"].yields
    assert graph.nodes[-1].each == Each({"x": Output("numbers")})


def body_of(graph: Graph, key: str) -> PipelineAction:
    action = graph.tasks[key].action
    assert isinstance(action, PipelineAction)
    return action


def test_a_map_of_a_pipeline_is_a_body() -> None:
    @pipeline
    def fold(x: int, depth: int = 2) -> dict[str, float]:
        model = fit(x, depth)
        with when(model > 1):
            small = half(model)
        return {"model": model, "small": small}

    @pipeline
    def pipe(depth: int) -> Any:
        return fold.options(name="folds", max_parallel=2).map([1, 2], depth=unmapped(depth))

    graph = pipe.graph()
    (node,) = graph.nodes
    assert (node.id, node.task) == ("folds", "fold")
    assert node.each == Each({"x": Constant([1, 2])}, max_parallel=2)
    assert node.bindings == {"x": Item("x")}
    body = body_of(graph, "fold")
    assert [inner.id for inner in body.nodes] == ["fit", "half"]
    assert body.nodes[0].bindings == {"x": Input("x"), "depth": Parameter("depth")}
    assert body.nodes[1].guard == Apply("gt", (Output("fit"), Constant(1)))
    assert body.result == Mapping({"model": Output("fit"), "small": Output("half")})
    assert set(graph.tasks) == {"fold", "fit", "half"}


def test_what_a_body_takes_from_around_it_is_an_input() -> None:
    @pipeline
    def pipe() -> Any:
        data = load()
        first = fit(1)

        @pipeline
        def inner(y: int) -> float:
            return fit.options(after=first)(y, data[0])

        @pipeline
        def outer(x: int) -> Any:
            return inner.map([x, 2])

        return outer.map([1, 2])

    graph = pipe.graph()
    node = graph.nodes[-1]
    assert node.bindings == {"x": Item("x"), "load[0]": Get(Output("load"), 0)}
    assert node.after == ("fit",)
    outer, inner = body_of(graph, "outer"), body_of(graph, "inner")
    assert outer.nodes[0].bindings == {"y": Item("y"), "load[0]": Input("load[0]")}
    assert outer.nodes[0].after == ()
    assert inner.nodes[0].bindings == {"x": Input("y"), "depth": Input("load[0]")}


def test_known_values_stay_values_in_a_body() -> None:
    @pipeline
    def part(x: int, times: int, name: str = "fit") -> list[float]:
        return [fit.options(name=f"{name}-{turn}")(x) for turn in range(times)]

    graph = pipeline(lambda: part.partial(times=2).map([1])).graph()
    assert [node.id for node in body_of(graph, "part").nodes] == ["fit-0", "fit-1"]


# When they run.


def test_results_by_key_and_in_order() -> None:
    assert value(lambda: fit.map(x={"rf": 1, "gb": 2}, depth=unmapped(5))) == {"rf": 5.0, "gb": 10.0}
    assert value(lambda: fit.product(x=[1, 2], depth=[1, 10])) == [1.0, 10.0, 2.0, 20.0]
    assert value(lambda: fit.map_kwargs([{"x": 1}, {"x": 2, "depth": 3}])) == [1.0, 6.0]
    assert value(lambda: fit.partial(scale=0.5).map([2, 4], [1, 2])) == [1.0, 4.0]
    assert value(lambda: half.map(fit.map(load(0)))) == []
    assert value(lambda: fit.map(numbers(3), [1, 2, 3])) == [0.0, 2.0, 6.0]


def test_outside_a_pipeline_everything_is_called_here() -> None:
    assert fit.map({"a": 1, "b": 2}, unmapped(3)) == {"a": 3.0, "b": 6.0}
    assert fit.product(x=[1, 2], depth=[1, 10]) == [1.0, 10.0, 2.0, 20.0]
    assert fit.map_kwargs([{"x": 1}, {"x": 2, "depth": 3}]) == [1.0, 6.0]
    assert fit.partial(scale=0.5).map([2, 4], [1, 2]) == [1.0, 4.0]


class Scores(TypedDict):
    model: float
    small: float


@pipeline
def fold(x: int, depth: int = 2) -> Scores:
    model = fit(x, depth)
    return {"model": model, "small": half(model)}


@pipeline
def folds(depth: int = 3) -> list[Scores]:
    return fold.map(load(2), depth=unmapped(depth))


@pipeline
def nested(n: int = 2) -> Any:
    base = load(n)

    @pipeline
    def row(x: int) -> list[float]:
        return fit.map(base, unmapped(x))

    return row.map(base)


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_maps_of_pipelines(executor: str) -> None:
    def result(pipe: Pipeline[..., Any], **parameters: Any) -> Any:
        return pipe.options(executor=executor, workers=None if executor == "inline" else 1).run(**parameters).result

    assert result(folds) == [{"model": 0.0, "small": 0.0}, {"model": 3.0, "small": 1.5}]
    assert result(nested, n=3) == [[0.0, 0.0, 0.0], [0.0, 1.0, 2.0], [0.0, 2.0, 4.0]]


def test_the_nodes_of_a_body_are_called_by_their_items() -> None:
    @pipeline
    def pipe() -> Any:
        return fold.map({"rf": 1, "gb": 2})

    ended = pipe.options(executor="inline").run()
    assert ended.result == {"rf": {"model": 2.0, "small": 1.0}, "gb": {"model": 4.0, "small": 2.0}}
    assert {"fold[rf]/fit", "fold[gb]/half"} <= {each.id for each in ended.tasks}


def test_a_template_takes_tasks_and_returns_a_pipeline() -> None:
    def trained_by(train: Any, score: Any) -> Pipeline[..., Any]:
        @pipeline
        def trained(x: int) -> float:
            return score(train(x))

        return trained

    for executor in ("inline", "processes"):
        assert trained_by(fit.options(name="train"), half).options(executor=executor, workers=1)(4) == 2.0
    assert value(lambda: trained_by(fit, half).map([2, 4])) == [1.0, 2.0]


# Mistakes.


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("add.map({'a': 1}, {'b': 1})", "x, y do not have the same keys in the same order"),
        ("load.map({1: 2})", "calls its items by the keys of rows, and 1 is no text"),
        ("add.product(x={'a': 1}, y=[2])", "takes lists, and x is a dict"),
        ("add.product()", "missing a required argument: 'x'"),
        ("add.partial(z=1)", "unexpected keyword argument 'z'"),
        ("add.partial(x=1).map(x=[1], y=[2])", "'x' is held fixed already"),
        ("add.map_kwargs([{'x': 1}])", r"add\(\) needs y, and {'x': 1} does not give it"),
        ("add.map_kwargs([{'x': 1, 'z': 2}])", r"add\(\) has no argument 'z' to give"),
        ("add.map_kwargs([3])", "takes dicts of arguments, and one is 3"),
        ("add.map_kwargs([{'x': 1, 'y': 'a'}])", r"add\(\) takes y: int, and is given 'a'"),
        ("load.options(key=lambda row: 'a').map([1])", "expression of the item, and it gives 'a' for every item"),
        (
            "load.options(key=lambda row: f'{row}').map([1])",
            "expression of the item, and it uses the value of each rows",
        ),
        ("add.options(key=lambda z: z).map([1], [2])", "key takes z, and what is mapped over is x, y"),
    ],
)
def test_mistakes(line: str, message: str, project: Path) -> None:
    error = refusal(in_body(f"{line}  #!"), project)
    assert re.search(message, error.what), error.what


def test_a_body_that_returns_a_record_of_refs(project: Path) -> None:
    part = "\n@pipeline\ndef part(x: int):\n    return Box(add(x, 1))\n"
    error = refusal(part + in_body("part.map([1])  #!"), project)
    assert "a body returns a Box with results of tasks in its fields" in error.what


def test_an_element_of_the_wrong_type_for_a_pipeline(project: Path) -> None:
    part = "\n@pipeline\ndef part(x: int): ...\n"
    error = refusal(part + in_body("part.map([1, 'a'])  #!"), project)
    assert "part cannot be given x='a': x: expected a whole number" in error.what
