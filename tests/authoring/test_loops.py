"""Bodies that are repeated."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import pytest
from refusals import in_body, refusal

from penstock import pipeline, repeat, task
from penstock.model.expression import Apply, Constant, Get, Input, Item, Mapping, Output, Parameter
from penstock.model.graph import Loop, Node, PipelineAction


class State(TypedDict):
    loss: float
    turn: int


@dataclass
class Fit:
    loss: float
    note: str


@task
def improve(loss: float, turn: int = 0, by: float = 0.5) -> State:
    return {"loss": loss * by, "turn": turn + 1}


@task
def improved(loss: float, note: str = "first") -> Fit:
    return Fit(loss / 2, note)


@task
def halved(x: float) -> float:
    return x / 2


@task
def grown(state: dict[str, float]) -> dict[str, float]:
    return {"x": state["x"] * 2}


@pipeline
def step(loss: float, by: float = 0.5) -> Any:
    better = improve(loss, by=by)
    return {"loss": better["loss"], "extra": halved(better["loss"])}


def last(body: Any) -> tuple[Node, PipelineAction]:
    graph = pipeline(body).graph()
    node = graph.nodes[-1]
    action = graph.tasks[node.task].action
    assert isinstance(action, PipelineAction)
    return node, action


def value(body: Any) -> Any:
    return pipeline(body).options(executor="inline")()


def test_a_task_as_a_body() -> None:
    def body(least: float = 0.1) -> Any:
        return repeat(improve, until=lambda result: result["loss"] < least, maximum=5, strict=True, name="train")(8.0)

    node, action = last(body)
    assert (node.id, node.task) == ("train", "improve")
    assert node.bindings == {"loss": Constant(8.0), "turn": Constant(0), "by": Constant(0.5)}
    until = Apply("lt", (Get(Input("result"), "loss"), Parameter("least")))
    assert node.loop == Loop(5, until, {"loss": "loss", "turn": "turn"}, strict=True)
    (inner,) = action.nodes
    assert inner.bindings == {name: Input(name) for name in ("loss", "turn", "by")}
    assert action.result == Output("improve")


def test_a_pipeline_as_a_body() -> None:
    node, action = last(lambda: repeat(step, maximum=3)(halved(8.0), by=0.1))
    assert node.loop == Loop(3, None, {"loss": "loss"})
    assert node.bindings == {"loss": Output("halved"), "by": Constant(0.1)}
    assert [inner.id for inner in action.nodes] == ["improve", "halved"]
    assert action.result == Mapping({"loss": Output("improve", "loss"), "extra": Output("halved")})


def test_the_whole_result_goes_into_the_only_parameter() -> None:
    node, _ = last(lambda: repeat(halved, maximum=2)(8.0))
    assert node.loop == Loop(2, None, {"x": ""})


def test_what_is_carried_can_be_said() -> None:
    def loop(body: Any) -> dict[str, str]:
        found = last(body)[0].loop
        assert found is not None
        return found.carry

    assert loop(lambda: repeat(grown, maximum=2)({"x": 1.0})) == {"state": ""}
    assert loop(lambda: repeat(improve, maximum=2, carry="loss")(1.0)) == {"loss": ""}
    assert loop(lambda: repeat(improve, maximum=2, carry=["turn"])(1.0)) == {"turn": "turn"}
    assert loop(lambda: repeat(improve, maximum=2, carry=())(1.0)) == {}
    assert last(lambda: repeat(improved, maximum=2)(1.0))[0].loop == Loop(
        2, None, {"loss": "loss", "note": "note"}, attributes=True
    )


def test_a_condition_may_look_around() -> None:
    def body() -> Any:
        limit = halved(1.0)
        return repeat(halved, until=lambda result: result < limit, maximum=9)(8.0)

    node, _ = last(body)
    assert node.bindings == {"x": Constant(8.0), "halved": Output("halved")}
    assert node.loop is not None and node.loop.until == Apply("lt", (Input("result"), Input("halved")))
    assert value(body) == 0.25


def test_turns() -> None:
    assert value(lambda: repeat(improve, until=lambda r: r["loss"] < 1, maximum=9)(8.0)) == {"loss": 0.5, "turn": 4}
    assert value(lambda: repeat(improve, until=lambda r: r["loss"] < 1, maximum=2)(8.0)) == {"loss": 2.0, "turn": 2}
    assert value(lambda: repeat(step, maximum=2)(8.0)) == {"loss": 2.0, "extra": 1.0}
    assert value(lambda: repeat(halved, maximum=3)(8.0)) == 1.0
    assert value(lambda: repeat(grown, maximum=3)({"x": 1.0})) == {"x": 8.0}
    assert value(lambda: repeat(improved, maximum=2)(8.0, "kept")) == Fit(2.0, "kept")


def test_a_turn_has_nodes_of_its_own() -> None:
    @pipeline
    def pipe() -> Any:
        return repeat(step, maximum=2)(8.0)

    ended = pipe.options(executor="inline").run()
    assert {"step[0]/improve", "step[1]/improve"} <= {each.id for each in ended.tasks}


def test_a_strict_loop_that_does_not_get_there_fails() -> None:
    def body() -> Any:
        return repeat(halved, until=lambda x: x < 0, maximum=2, strict=True)(8.0)

    with pytest.raises(RuntimeError, match="halved was repeated 2 times, and result < 0 does not hold"):
        value(body)


def test_a_loop_in_a_fan_out() -> None:
    @pipeline
    def search(start: float) -> Any:
        return repeat(halved, until=lambda x: x < 1, maximum=9)(start)

    def body() -> Any:
        return search.map([8.0, 1.0])

    node, action = last(body)
    assert node.bindings == {"start": Item("start")}
    assert action.nodes[0].bindings == {"x": Input("start")}
    assert value(body) == [0.5, 0.5]


def test_outside_a_pipeline_it_is_a_loop() -> None:
    assert repeat(improve, until=lambda r: r["loss"] < 1, maximum=9)(8.0) == {"loss": 0.5, "turn": 4}
    assert repeat(halved, maximum=3)(8.0) == 1.0
    assert repeat(improved, maximum=2)(8.0) == Fit(2.0, "first")
    with pytest.raises(RuntimeError, match="did not hold in 2 turns"):
        repeat(halved, until=lambda x: x < 0, maximum=2, strict=True)(8.0)


@pipeline
def training() -> Any:
    return repeat(step, until=lambda result: result["loss"] < 1.5, maximum=5)(8.0)


def test_a_loop_in_worker_processes() -> None:
    assert training.options(workers=1)() == {"loss": 1.0, "extra": 0.5}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("repeat(load, maximum=0)()", "maximum must be a whole number from 1 up, not 0"),
        ("repeat(len, maximum=3)([])", "needs a task or a pipeline, and got"),
        ("repeat(load, maximum=2, until=3)()", "until must be a function of the result, not 3"),
        ("repeat(load, maximum=2, until=lambda a, b: a)()", r"with the result of a turn alone, and takes \(a, b\)"),
        ("repeat(load, maximum=2).map([1, 2])", r"a loop has no map: repeat\(...\) is called once"),
        ("repeat(add, maximum=2)(1, 2)", r"nothing says which parts of what a turn of add\(\) returns go into"),
        ("repeat(add, maximum=2, carry='z')(1, 2)", r"add\(\) has no parameter 'z' to carry"),
        ("repeat(count, maximum=2, until=lambda r: bool(r))([])", "expression of the result, and it uses the value of result"),
        ("repeat(load, maximum=2, max_parallel=3)()", "a loop has options of a fan-out"),
        ("repeat(add, maximum=2)(1)", "missing a required argument: 'y'"),
    ],
)  # fmt: skip
def test_mistakes(line: str, message: str, project: Path) -> None:
    error = refusal(in_body(f"{line}  #!"), project)
    assert re.search(message, error.what), error.what
