"""Expressions of the model as Python text, over names that the caller gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from penstock.dialects.code.formatting import Imports, literal, mapping, quoted
from penstock.model.expression import Apply, Choose, Constant, Expression, Get, Mapping, Sequence


class Symbol(NamedTuple):
    """How an operator is written, and how strongly it binds."""

    text: str
    strength: int


_ATOM = 100
_COMPARISON = 4
_ARITHMETIC = {
    "add": Symbol("+", 10),
    "sub": Symbol("-", 10),
    "mul": Symbol("*", 11),
    "div": Symbol("/", 11),
    "floordiv": Symbol("//", 11),
    "mod": Symbol("%", 11),
    "pow": Symbol("**", 13),
    "neg": Symbol("-", 12),
    "eq": Symbol("==", _COMPARISON),
    "ne": Symbol("!=", _COMPARISON),
    "lt": Symbol("<", _COMPARISON),
    "le": Symbol("<=", _COMPARISON),
    "gt": Symbol(">", _COMPARISON),
    "ge": Symbol(">=", _COMPARISON),
    "in": Symbol("in", _COMPARISON),
}
#: over values, as in plain Python
PLAIN = {**_ARITHMETIC, "and": Symbol("and", 2), "or": Symbol("or", 1), "not": Symbol("not ", 3)}
#: over refs, where `and`, `or` and `not` are no operators that stay in a graph
OVER_REFS = {**_ARITHMETIC, "and": Symbol("&", 7), "or": Symbol("|", 6), "not": Symbol("~", 12)}

Leaf = Callable[[Expression], str]


def python(expression: Expression, leaf: Leaf, imports: Imports, symbols: dict[str, Symbol] | None = None) -> str:
    """An expression as Python text.

    `leaf` writes what has no parts, and `Choose`; constants are written as literals. `symbols` are `PLAIN` (the default)
    or `OVER_REFS`. Raises Unwritable for a constant that is no literal.
    """
    return _Writer(leaf, imports, symbols or PLAIN).text(expression)[0]


class _Writer:
    def __init__(self, leaf: Leaf, imports: Imports, symbols: dict[str, Symbol]) -> None:
        self._leaf = leaf
        self._imports = imports
        self._symbols = symbols

    def text(self, expression: Expression) -> tuple[str, int]:
        """The text, and how strongly its outermost operator binds."""
        match expression:
            case Constant(value):
                negative = isinstance(value, (int, float)) and value < 0
                return literal(value, self._imports), 12 if negative else _ATOM
            case Get(of, key, attribute):
                whole = self.inside(of, _ATOM)
                return (f"{whole}.{key}" if attribute else f"{whole}[{_key(key)}]"), _ATOM
            case Apply("selects", (choice, name)):
                return self._selects(choice, name)
            case Apply(name, arguments):
                return self._operation(name, arguments)
            case Sequence(items, kind):
                return self._sequence(items, kind), _ATOM
            case Mapping(items):
                pairs = ((quoted(key), self.text(item)[0]) for key, item in items.items())
                return mapping(pairs), _ATOM
            case _:
                found = self._leaf(expression)
                simple = found.replace("_", "a").replace(".", "a").isalnum() or found[-1:] in ")]}"
                return found, _ATOM if simple and not isinstance(expression, Choose) else 0

    def inside(self, expression: Expression, strength: int) -> str:
        """The text, in parentheses where what is around it binds more strongly."""
        text, own = self.text(expression)
        return text if own >= strength else f"({text})"

    def _operation(self, name: str, arguments: tuple[Expression, ...]) -> tuple[str, int]:
        symbol = self._symbols[name]
        if len(arguments) == 1:
            return f"{symbol.text}{self.inside(arguments[0], symbol.strength)}", symbol.strength
        left, right = arguments
        # comparisons do not chain, and a power binds to the right
        closer = symbol.strength + 1
        leftmost = closer if symbol.strength == _COMPARISON or name == "pow" else symbol.strength
        rightmost = symbol.strength if name == "pow" else closer
        return f"{self.inside(left, leftmost)} {symbol.text} {self.inside(right, rightmost)}", symbol.strength

    def _selects(self, choice: Expression, name: Expression) -> tuple[str, int]:
        self._imports.helpers.add("selects")
        return f"selects({self.text(choice)[0]}, {self.text(name)[0]})", _ATOM

    def _sequence(self, items: tuple[Expression, ...], kind: str) -> str:
        inside = ", ".join(self.text(item)[0] for item in items)
        if kind == "list":
            return f"[{inside}]"
        return f"({inside},)" if len(items) == 1 else f"({inside})"


def _key(key: str | int) -> str:
    return quoted(key) if isinstance(key, str) else repr(key)


__all__ = ["OVER_REFS", "PLAIN", "Leaf", "python"]
