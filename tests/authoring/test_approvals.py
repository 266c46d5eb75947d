"""Questions to people: the nodes that ask them, and what counts as an answer."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import pytest
from refusals import in_body, refusal

from penstock import ParameterError, approval, pipeline, task
from penstock.authoring.tasks.approvals import check_answer
from penstock.model.action import ApprovalAction, Field
from penstock.model.expression import Constant, Get, Output


@dataclass
class Form:
    traffic: float
    how: Literal["fast", "slow"] = "fast"
    until: date | None = None
    regions: list[str] = field(default_factory=list[str])


@task
def train() -> float:
    return 0.9


@task
def ship(share: float) -> float:
    return share


@pipeline
def shipping() -> float:
    answer = approval("Ship it?", name="sign_off", form=Form, deadline=timedelta(hours=1), default="reject")(
        accuracy=train(), note="see the report"
    )
    return ship(answer.values["traffic"])


def action() -> ApprovalAction:
    found = shipping.graph().tasks["sign_off"].action
    assert isinstance(found, ApprovalAction)
    return found


def test_a_question_is_a_node() -> None:
    graph = shipping.graph()
    nodes = {node.id: node for node in graph.nodes}
    assert nodes["sign_off"].bindings == {"accuracy": Output("train"), "note": Constant("see the report")}
    assert nodes["ship"].bindings == {"share": Get(Get(Output("sign_off"), "values", attribute=True), "traffic")}
    asked = graph.tasks["sign_off"]
    assert [port.name for port in asked.inputs] == ["accuracy", "note"]
    assert [(port.name, port.type) for port in asked.outputs] == [("result", "penstock.Approval")]
    assert "sign_off" not in shipping.define({}).functions


def test_what_is_asked() -> None:
    found = action()
    assert (found.question, found.deadline, found.default, found.on_reject) == ("Ship it?", 3600.0, "reject", "skip")
    assert found.fields == (
        Field("traffic", "float"),
        Field("how", "Literal['fast', 'slow']", False, "fast"),
        Field("until", "date | None", False),
        Field("regions", "list[str]", False, []),
    )


def test_a_form_can_be_a_dict() -> None:
    @pipeline
    def pipe() -> None:
        approval("?", form={"share": float, "note": (str, "none")}, on_reject="return")()

    found = pipe.graph().tasks["approval"].action
    assert isinstance(found, ApprovalAction)
    assert found.fields == (Field("share", "float"), Field("note", "str", False, "none"))


def test_an_answer_is_read_as_what_was_asked_for() -> None:
    assert check_answer(action(), {"traffic": "0.5", "until": "2026-11-21", "regions": "eu,us"}, texts=True) == {
        "traffic": 0.5,
        "how": "fast",
        "until": date(2026, 11, 21),
        "regions": ["eu", "us"],
    }
    assert check_answer(action(), {"traffic": 1, "how": "slow"})["traffic"] == 1.0


def test_a_wrong_answer_names_everything() -> None:
    with pytest.raises(ParameterError) as caught:
        check_answer(action(), {"trafic": 1, "how": "faster", "regions": 3})
    text = str(caught.value)
    assert "4 problems with the answer" in text
    assert "trafic: there is no such field; did you mean 'traffic'?" in text
    assert "traffic: missing; it takes a number" in text
    assert "how: expected one of: fast, slow" in text
    assert "regions: expected a list" in text
    assert "traffic: float, how: Literal['fast', 'slow']" in text


def test_two_questions() -> None:
    @pipeline
    def pipe() -> None:
        first = approval("First?", name="a")()
        approval("Second?", name="b", after=first, join="all_done")()

    graph = pipe.graph()
    assert [(node.id, node.after, node.join) for node in graph.nodes] == [
        ("a", (), "all_success"),
        ("b", ("a",), "all_done"),
    ]
    assert {task.description for task in graph.tasks.values()} == {"First?", "Second?"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("approval('')", "an approval needs a question, not ''"),
        ("approval('?', default='yes')", 'default must be "approve" or "reject", not \'yes\''),
        ("approval('?', default='approve')", "default is the answer once the deadline has passed"),
        ("approval('?', default='approve', deadline=1, form={'n': int})", "by the deadline approves, and then n would"),
        ("approval('?', on_reject='stop')", 'on_reject must be "skip", "fail" or "return"'),
        ("approval('?', deadline=-1)", "deadline must be a number of seconds from 0 up"),
        ("approval('?', form=3)", "a form is a dataclass or a dict of types, not 3"),
        ("approval('?', form={'x': Box})", "x is of a type that a person cannot fill in: "),
        ("approval('?', form={'x': (int, 'a')})", "the default of x is not of its type"),
        ("approval('?', name='a/b')", "cannot be empty or contain '/'"),
        ("approval('?', join='al_done')", "did you mean 'all_done'?"),
    ],
)
def test_mistakes(call: str, message: str, project: Path) -> None:
    error = refusal(in_body(f"{call}()  #!"), project)
    assert re.search(re.escape(message), error.what), error.what


def test_types_of_answers_are_not_code() -> None:
    odd = ApprovalAction("?", action().location, (Field("x", "__import__('os').getcwd()"),))
    with pytest.raises(ValueError, match="no type that can be filled in"):
        check_answer(odd, {"x": 1})
