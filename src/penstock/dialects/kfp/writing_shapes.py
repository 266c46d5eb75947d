"""What the writer of steps asks of expressions: their conditions, their forms, and what they take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from penstock.dialects.kfp import structures as kfp
from penstock.dialects.portable.forms import FILES, Form, form_of
from penstock.model.expression import Apply, Constant, Expression, Output, parts
from penstock.model.expression import Mapping as MappingExpression
from penstock.model.expression import Sequence as SequenceExpression

#: forms of values that Kubeflow compares
SCALARS = ("int", "float", "bool", "str")
#: operator -> how Kubeflow writes it
OPERATORS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


def as_it_is(expression: Expression) -> Expression | None:
    return None


def text_or(form: Form) -> str:
    return "str" if form == "json" else form


def whole(expression: Expression) -> Iterator[str]:
    """The nodes whose results an expression takes as a whole."""
    if isinstance(expression, Output) and expression.port is None:
        yield expression.node
    for each in parts(expression):
        yield from whole(each)


def parameter_form(type: str) -> Form:
    """The form of a parameter of the pipeline."""
    found = form_of(type)
    return "json" if found in FILES else found


def form_of_expression(expression: Expression) -> Form:
    match expression:
        case MappingExpression():
            return "dict"
        case SequenceExpression():
            return "list"
        case Constant(value):
            kind = type(value).__name__
            return cast(Form, kind) if kind in (*SCALARS, "list", "dict") else "json"
        case Apply(name) if name in (*OPERATORS, "not", "in"):
            return "bool"
        case _:
            return "json"


def form_of_type(kind: kfp.ParameterType | kfp.ArtifactType) -> Form:
    forms: Mapping[Any, Form] = {
        "STRING": "str",
        "NUMBER_INTEGER": "int",
        "NUMBER_DOUBLE": "float",
        "BOOLEAN": "bool",
        "LIST": "list",
        "STRUCT": "dict",
    }
    return "pickle" if isinstance(kind, kfp.ArtifactType) else forms[kind]


def flat(guard: Expression) -> list[Expression]:
    """The conditions that a guard is made of."""
    match guard:
        case Apply("and", (left, right)):
            return [*flat(left), *flat(right)]
        case Apply("not", (Apply("or", (left, right)),)):
            return [*flat(Apply("not", (left,))), *flat(Apply("not", (right,)))]
        case Apply("not", (Apply("not", (inner,)),)):
            return flat(inner)
        case _:
            return [guard]


def base(condition: Expression) -> Expression:
    return condition.arguments[0] if isinstance(condition, Apply) and condition.operator == "not" else condition


def prefix(paths: list[tuple[Expression, ...]]) -> tuple[Expression, ...]:
    found: list[Expression] = []
    for each in zip(*paths, strict=False):
        if any(other != each[0] for other in each):
            break
        found.append(each[0])
    return tuple(found)


def is_truth(expression: Expression) -> bool:
    return isinstance(expression, Apply) and expression.operator in (*OPERATORS, "not", "in", "selects")


def constant(source: kfp.Source) -> bool:
    return isinstance(source, kfp.Constant)


__all__ = [
    "OPERATORS",
    "SCALARS",
    "as_it_is",
    "base",
    "constant",
    "flat",
    "form_of_expression",
    "form_of_type",
    "is_truth",
    "parameter_form",
    "prefix",
    "text_or",
    "whole",
]
