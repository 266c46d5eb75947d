"""Expressions: what they come to, what they read, what must have run for them, and how they are shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from penstock.model.expression import (
    OPERATORS,
    Apply,
    Choose,
    Constant,
    Ended,
    Expression,
    Get,
    Input,
    Item,
    Mapping,
    Outcome,
    Output,
    Parameter,
    Sequence,
    Stored,
    chosen,
    describe,
    evaluate,
    parts,
    references,
    requirements,
)
from penstock.model.value import Artifact

A, B, C = Output("a"), Output("b"), Output("c", "score")
ZERO, ONE, TWO = Constant(0), Constant(1), Constant(2)


@dataclass
class Known:
    """A scope in which values are known by name."""

    values: dict[str, Any] = field(default_factory=dict[str, Any])

    def parameter(self, name: str) -> Any:
        return self.values[name]

    def output(self, node: str, port: str | None) -> Any:
        return self.values[node] if port is None else self.values[node][port]

    def item(self, name: str) -> Any:
        return self.values[f"each {name}"]

    def input(self, name: str) -> Any:
        return self.values[f"input {name}"]

    def stored(self, value: Artifact) -> Any:
        return value.payload

    def state(self, node: str) -> str:
        return "succeeded" if node in self.values else "failed"

    def outcome(self, nodes: tuple[str, ...]) -> Any:
        return [self.state(node) for node in nodes]

    def ran(self, node: str) -> bool:
        return node in self.values


SCOPE = Known({"p": 7, "a": 3, "c": {"score": 0.5}, "each x": "element", "input y": 8})
STORED = Stored(Artifact("data", "bytes", b"0" * 32, 3, b"abc"))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (Constant([1, {"k": None}]), [1, {"k": None}]),
        (Parameter("p"), 7),
        (A, 3),
        (C, 0.5),
        (Item("x"), "element"),
        (Input("y"), 8),
        (STORED, b"abc"),
        (Ended("a", ("succeeded", "cached")), True),
        (Ended("b", ("succeeded", "cached")), False),
        (Outcome(("a", "b")), ["succeeded", "failed"]),
        (Get(Output("c"), "score"), 0.5),
        (Get(Constant((4, 5)), -1), 5),
        (Get(Constant(1 + 2j), "imag", attribute=True), 2.0),
        (Sequence((A, ONE)), [3, 1]),
        (Sequence((A, Sequence((), "list")), "tuple"), (3, [])),
        (Mapping({"x": A, "y": Mapping({})}), {"x": 3, "y": {}}),
        (Apply("ge", (C, Constant(0.5))), True),
        (Choose((B, A)), 3),
    ],
)
def test_evaluate(expression: Expression, value: Any) -> None:
    found = evaluate(expression, SCOPE)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("operator", "arguments", "value", "shown"),
    [
        ("eq", (7, 2), False, "7 == 2"),
        ("ne", (7, 2), True, "7 != 2"),
        ("lt", (7, 2), False, "7 < 2"),
        ("le", (7, 7), True, "7 <= 7"),
        ("gt", (7, 2), True, "7 > 2"),
        ("ge", (6, 7), False, "6 >= 7"),
        ("and", (7, 2), 2, "7 and 2"),
        ("or", (7, 2), 7, "7 or 2"),
        ("not", (7,), False, "not 7"),
        ("add", (7, 2), 9, "7 + 2"),
        ("sub", (7, 2), 5, "7 - 2"),
        ("mul", (7, 2), 14, "7 * 2"),
        ("div", (7, 2), 3.5, "7 / 2"),
        ("floordiv", (7, 2), 3, "7 // 2"),
        ("mod", (7, 4), 3, "7 % 4"),
        ("pow", (7, 2), 49, "7 ** 2"),
        ("neg", (7,), -7, "-7"),
        ("in", (7, [6, 7]), True, "7 in [6, 7]"),
        ("selects", ("full", "full"), True, "'full' selects 'full'"),
        ("selects", (["a", "full"], "full"), True, "['a', 'full'] selects 'full'"),
        ("selects", ("fuller", "full"), False, "'fuller' selects 'full'"),
    ],
)
def test_operators(operator: str, arguments: tuple[Any, ...], value: Any, shown: str) -> None:
    expression = Apply(operator, tuple(map(Constant, arguments)))
    assert evaluate(expression, Known()) == value
    assert describe(expression) == shown


def test_every_operator_can_be_evaluated() -> None:
    for name, symbol in OPERATORS.items():
        unary = name in ("not", "neg")
        expression = Apply(name, (ONE,) if unary else (ONE, Constant([1]) if name == "in" else ONE))
        evaluate(expression, Known())
        assert symbol in describe(expression)


@pytest.mark.parametrize(("operator", "first", "value"), [("and", 0, 0), ("or", 4, 4)])
def test_and_or_leave_out_what_they_need_not_know(operator: str, first: int, value: int) -> None:
    """A nested `when(total / count > 2)` is not computed where `when(count > 0)` does not hold."""
    undefined = Apply("div", (ONE, ZERO))
    assert evaluate(Apply(operator, (Constant(first), undefined)), Known()) == value
    with pytest.raises(ZeroDivisionError):
        evaluate(Apply(operator, (Constant(not first), undefined)), Known())


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        (Parameter("other"), KeyError),
        (Get(Constant({}), "k"), KeyError),
        (Get(Constant([]), 0), IndexError),
        (Get(Constant(1), "k", attribute=True), AttributeError),
        (Apply("lt", (ONE, Constant("x"))), TypeError),
        (Choose((B,)), LookupError),
        (Choose(()), LookupError),
    ],
)
def test_evaluate_raises_what_look_ups_raise(expression: Expression, error: type[Exception]) -> None:
    with pytest.raises(error):
        evaluate(expression, SCOPE)


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        (Constant(A), []),
        (Parameter("p"), []),
        (C, ["c"]),
        (Get(A, "k"), ["a"]),
        (Apply("add", (B, Apply("neg", (A,)))), ["b", "a"]),
        (Sequence((A, B, A)), ["a", "b", "a"]),
        (Mapping({"x": B, "y": Choose((A, C))}), ["b", "a", "c"]),
    ],
)
def test_references_come_in_order_with_repeats(expression: Expression, found: list[str]) -> None:
    assert list(references(expression)) == found


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        (ONE, []),
        (A, [("a",)]),
        (Apply("and", (A, B)), [("a",), ("b",)]),
        (Choose((A, B)), [("a", "b")]),
        (Choose((A, A)), [("a",)]),
        (Get(Choose((A, B)), "k"), [("a", "b")]),
        (Choose((Choose((A, B)), C)), [("a", "b", "c")]),
        # a constant can always be had, so nothing is required
        (Choose((A, ZERO)), []),
        (Choose((A, Parameter("p"))), []),
        # both of a and b, or else c
        (Choose((Sequence((A, B)), C)), [("a", "c"), ("b", "c")]),
        (Sequence((Choose((A, B)), C)), [("a", "b"), ("c",)]),
        (Mapping({"x": A, "y": Constant(B)}), [("a",)]),
    ],
)
def test_requirements(expression: Expression, found: list[tuple[str, ...]]) -> None:
    assert list(requirements(expression)) == found


@pytest.mark.parametrize(
    ("choice", "ran", "taken"),
    [
        (Choose((A, B)), "ab", A),
        (Choose((A, B)), "b", B),
        (Choose((A, ZERO)), "", ZERO),
        (Choose((Sequence((A, B)), C)), "abc", Sequence((A, B))),
        (Choose((Sequence((A, B)), C)), "ac", C),
        (Choose((Choose((A, B)), C)), "b", Choose((A, B))),
        (Choose((Get(A, "k"), B)), "b", B),
    ],
)
def test_chosen_is_the_first_that_can_be_had(choice: Choose, ran: str, taken: Expression) -> None:
    assert chosen(choice, set(ran).__contains__) == taken


def test_a_choice_can_be_evaluated_exactly_when_what_it_requires_ran() -> None:
    choice = Choose((Sequence((A, Choose((B, Output("d"))))), Get(Output("c"), "score")))
    for ran in range(16):
        known = Known({name: {"score": 1} for place, name in enumerate("abcd") if ran >> place & 1})
        met = all(any(map(known.ran, names)) for names in requirements(choice))
        if met:
            evaluate(choice, known)
        else:
            with pytest.raises(LookupError, match="none of the branches to choose from ran"):
                evaluate(choice, known)


@pytest.mark.parametrize(
    ("expression", "inside"),
    [
        (ONE, ()),
        (A, ()),
        (Get(A, "k"), (A,)),
        (Apply("add", (A, B)), (A, B)),
        (Choose((A, B)), (A, B)),
        (Sequence((A,)), (A,)),
        (Mapping({"x": B, "y": A}), (B, A)),
    ],
)
def test_parts(expression: Expression, inside: tuple[Expression, ...]) -> None:
    assert parts(expression) == inside


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        (Constant("x"), "'x'"),
        (Constant("x" * 80), "'" + "x" * 56 + "..."),
        (Parameter("threshold"), "threshold"),
        (Item("candidate"), "each candidate"),
        (A, "a"),
        (C, "c.score"),
        (Get(A, "k"), "a['k']"),
        (Get(A, 0), "a[0]"),
        (Get(A, "k", attribute=True), "a.k"),
        (Apply("ge", (C, Parameter("threshold"))), "c.score >= threshold"),
        (Apply("not", (Apply("ge", (C, ONE)),)), "not (c.score >= 1)"),
        (Apply("mul", (Apply("add", (A, ONE)), TWO)), "(a + 1) * 2"),
        (Choose((A, B)), "choose(a, b)"),
        (Sequence((A, ONE)), "[a, 1]"),
        (Sequence((A, ONE), "tuple"), "(a, 1)"),
        (Mapping({"x": A, "y": ONE}), "{'x': a, 'y': 1}"),
    ],
)
def test_describe(expression: Expression, shown: str) -> None:
    assert describe(expression) == shown


@pytest.mark.parametrize(
    "expression",
    [
        Constant({"k": [1, 2.5, None, True, "x"]}),
        Choose((Get(C, 0), Apply("and", (Parameter("p"), Item("x"))))),
        Mapping({"x": Sequence((A, Get(B, "k", attribute=True)), "tuple")}),
    ],
)
def test_an_expression_survives_json(expression: Expression) -> None:
    assert msgspec.json.decode(msgspec.json.encode(expression), type=Expression) == expression
