"""Expressions written as text, as `expressions` reads it."""

from __future__ import annotations

import math
from typing import Any, cast

from penstock.dialects.yaml.expressions import FUNCTIONS, STATES, WORDS
from penstock.dialects.yaml.names import SPACES, Known, Names
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
)


class Unspeakable(Exception):
    """An expression that has no form as text."""


#: how tight the operators bind; what binds looser stands in parentheses
_TIGHT = {
    "or": 1,
    "and": 2,
    "not": 3,
    "add": 5,
    "sub": 5,
    "mul": 6,
    "div": 6,
    "floordiv": 6,
    "mod": 6,
    "neg": 7,
    "pow": 8,
}
_COMPARISON = 4
_ATOM = 9
_KEYWORDS = frozenset({"and", "or", "not", "in", "is", "if", "else", "lambda", "for", "await", "yield"})


def phrase(expression: Expression, names: Names) -> str:
    """An expression as text. Raises Unspeakable."""
    return _say(expression, names)[0]


def _say(expression: Expression, names: Names) -> tuple[str, int]:
    match expression:
        case Constant(value):
            return _constant(value), _ATOM
        case Output(node, port):
            return _output(node, port, names), _ATOM
        case Parameter(name):
            return _name("parameter", name, names), _ATOM
        case Item(name):
            return _name("item", name, names), _ATOM
        case Input(name):
            return _name("input", name, names), _ATOM
        case Get(of, key, attribute):
            whole = _within(of, names, _ATOM)
            if attribute or (isinstance(key, str) and key.isidentifier() and _plain_item(of, key, names)):
                return f"{whole}.{_identifier(str(key))}", _ATOM
            return f"{whole}[{key!r}]", _ATOM
        case Apply(name, arguments):
            return _operation(name, arguments, names)
        case Choose() | Ended() | Outcome() | Sequence() | Mapping():
            return _compound(expression, names), _ATOM
        case _:
            raise Unspeakable


def _compound(expression: Expression, names: Names) -> str:
    match expression:
        case Ended(node, states):
            known = next((name for name, each in STATES.items() if each == states), None)
            stage = _name("stage", node, names)
            return f"{known}({stage})" if known else f"ended({', '.join((stage, *map(repr, states)))})"
        case Outcome(nodes):
            return f"outcome({', '.join(_name('stage', node, names) for node in nodes)})"
        case Choose(options):
            return f"choose({', '.join(phrase(each, names) for each in options)})"
        case Sequence(items, kind):
            inside = ", ".join(phrase(each, names) for each in items)
            if all(isinstance(each, Constant) for each in items):
                return f"{kind}({inside})"
            comma = "," if len(items) == 1 else ""
            return f"[{inside}]" if kind == "list" else f"({inside}{comma})"
        case Mapping(items):
            if all(isinstance(each, Constant) for each in items.values()):
                return f"dict({', '.join(f'{_identifier(key)}={phrase(each, names)}' for key, each in items.items())})"
            return "{" + ", ".join(f"{key!r}: {phrase(each, names)}" for key, each in items.items()) + "}"
        case _:
            raise Unspeakable


def _operation(name: str, arguments: tuple[Expression, ...], names: Names) -> tuple[str, int]:
    if name == "selects" and len(arguments) == 2:
        return f"selects({phrase(arguments[0], names)}, {phrase(arguments[1], names)})", _ATOM
    if name == "not" and len(arguments) == 1:
        inner = arguments[0]
        if isinstance(inner, Apply) and inner.operator == "in" and len(inner.arguments) == 2:
            left, right = (_within(each, names, _COMPARISON + 1) for each in inner.arguments)
            return f"{left} not in {right}", _COMPARISON
        return f"not {_within(inner, names, _TIGHT['not'])}", _TIGHT["not"]
    if name == "neg" and len(arguments) == 1:
        return f"-{_within(arguments[0], names, _ATOM)}", _TIGHT["neg"]
    if len(arguments) != 2 or name not in OPERATORS:
        raise Unspeakable
    tight = _TIGHT.get(name, _COMPARISON)
    left = _within(arguments[0], names, tight + (1 if name == "pow" or tight == _COMPARISON else 0))
    return f"{left} {OPERATORS[name]} {_within(arguments[1], names, tight + 1)}", tight


def _within(expression: Expression, names: Names, tight: int) -> str:
    text, own = _say(expression, names)
    return text if own >= tight and not (tight == _ATOM and _is_number(expression)) else f"({text})"


def _is_number(expression: Expression) -> bool:
    return isinstance(expression, Constant) and type(expression.value) in (int, float)


def _constant(value: Any) -> str:
    kind = cast(Any, type(value))
    if value is None or kind is bool:
        return {None: "null", True: "true", False: "false"}[value]
    if kind in (int, str, bytes) or (kind is float and math.isfinite(value)):
        return repr(value)
    if kind in (list, tuple):
        inside = ", ".join(map(_constant, value))
        comma = "," if kind is tuple and len(value) == 1 else ""
        return f"[{inside}]" if kind is list else f"({inside}{comma})"
    if kind is dict and all(type(key) is str for key in value):
        return "{" + ", ".join(f"{key!r}: {_constant(each)}" for key, each in value.items()) + "}"
    raise Unspeakable


def _output(node: str, port: str | None, names: Names) -> str:
    stage = _name("stage", node, names)
    if port is None:
        return stage
    known: Known | None = names.stages.get(node)
    if known is not None and known.task.record == "tuple":
        places = [each.name for each in known.task.outputs]
        if port in places and not port.isidentifier():
            return f"{stage}[{places.index(port)}]"
    return f"{stage}.{_identifier(port)}"


def _plain_item(of: Expression, key: str, names: Names) -> bool:
    """Whether an item can be written as `of.key`, because it is known that `of` is a dict."""
    from penstock.dialects.yaml.expressions import ExpressionError, parse

    try:
        return parse(f"{_within(of, names, _ATOM)}.{key}", names).expression == Get(of, key)
    except ExpressionError:
        return False


def _identifier(name: str) -> str:
    if not name.isidentifier() or name in _KEYWORDS:
        raise Unspeakable
    return name


def _name(kind: str, name: str, names: Names) -> str:
    plain = name.isidentifier() and name not in _KEYWORDS and name not in WORDS and name not in FUNCTIONS
    if plain and name not in SPACES and names.meanings(name) == [kind]:
        return name
    space = next(space for space, each in SPACES.items() if each == kind)
    return f"{space}.{name}" if name.isidentifier() and name not in _KEYWORDS else f"{space}[{name!r}]"


__all__ = ["Unspeakable", "phrase"]
