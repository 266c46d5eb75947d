"""Conditions of compiled pipelines: the few forms of CEL that Kubeflow writes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from penstock.dialects.kfp.structures import Comparison, Condition, Constant, Logic, Source
from penstock.errors import NotCoveredError

_TOKEN = re.compile(
    r"""\s*(?:(?P<input>inputs\.parameter_values\[(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)")\])
    |(?P<operator>==|!=|<=|>=|&&|\|\||[<>!()])
    |(?P<number>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)
    |(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<name>[A-Za-z_]\w*))""",
    re.VERBOSE,
)
_COMPARISONS = ("==", "!=", "<=", ">=", "<", ">")
_CASTS = ("int", "double", "string", "bool")
_NAMES = {"true": True, "false": False, "null": None}


def parsed(text: str, source_of: Callable[[str], Source], where: str) -> Condition:
    """The condition in a text; `source_of` says what an input of the task stands for. Raises NotCoveredError."""
    return _Parser(text, source_of, where).whole()


class _Parser:
    def __init__(self, text: str, source_of: Callable[[str], Source], where: str) -> None:
        self._text, self._source_of, self._where = text, source_of, where
        self._tokens = list(self._scanned())
        self._next = 0

    def _scanned(self) -> Iterator[tuple[str, Any]]:
        at, end = 0, len(self._text.rstrip())
        while at < end:
            match = _TOKEN.match(self._text, at)
            if match is None:
                raise self._refused()
            at = match.end()
            kind = match.lastgroup if match["input"] is None else "input"
            yield str(kind), match["single"] or match["double"] if kind == "input" else match[str(kind)]

    def _refused(self) -> NotCoveredError:
        return NotCoveredError(
            f"the condition {self._text!r} is not covered by penstock's reader of compiled pipelines",
            where=self._where,
            remedy="Conditions are comparisons of inputs and constants, combined with &&, || and !.",
        )

    def whole(self) -> Condition:
        found = self._either()
        if self._next != len(self._tokens):
            raise self._refused()
        return found

    def _peek(self) -> tuple[str, Any]:
        return self._tokens[self._next] if self._next < len(self._tokens) else ("end", "")

    def _take(self, *texts: str) -> str | None:
        kind, text = self._peek()
        if kind != "operator" or text not in texts:
            return None
        self._next += 1
        return text

    def _either(self) -> Condition:
        found = [self._both()]
        while self._take("||"):
            found.append(self._both())
        return found[0] if len(found) == 1 else Logic("or", tuple(found))

    def _both(self) -> Condition:
        found = [self._single()]
        while self._take("&&"):
            found.append(self._single())
        return found[0] if len(found) == 1 else Logic("and", tuple(found))

    def _single(self) -> Condition:
        if self._take("!"):
            return Logic("not", (self._single(),))
        if self._take("("):
            found = self._either()
            if not self._take(")"):
                raise self._refused()
            return found
        left = self._operand()
        operator = self._take(*_COMPARISONS)
        if operator is None:
            return Comparison("==", left, Constant(True))
        return Comparison(operator, left, self._operand())  # pyright: ignore[reportArgumentType]

    def _operand(self) -> Source:
        kind, text = self._peek()
        self._next += 1
        if kind == "input":
            return self._source_of(text)
        if kind == "number":
            return Constant(json.loads(text))
        if kind == "text":
            return Constant(re.sub(r"\\(.)", r"\1", text[1:-1]))
        if kind == "name" and text in _NAMES:
            return Constant(_NAMES[text])
        if kind == "name" and text in _CASTS and self._take("("):
            inside = self._operand()
            if self._take(")"):
                return inside
        raise self._refused()


def told(condition: Condition, operand: Callable[[Source], tuple[str, str]]) -> str:
    """The condition as text; `operand` gives what a source is called in it, and the type of the parameter."""
    match condition:
        case Logic("not", (inner,)):
            return f"!({told(inner, operand)})"
        case Logic(operator, operands):
            symbol = " && " if operator == "and" else " || "
            return symbol.join(_grouped(each, operator, operand) for each in operands)
        case Comparison(operator, left, right):
            return _comparison(operator, operand(left), operand(right))


def _grouped(condition: Condition, outer: str, operand: Callable[[Source], tuple[str, str]]) -> str:
    text = told(condition, operand)
    return f"({text})" if isinstance(condition, Logic) and condition.operator not in ("not", outer) else text


def _comparison(operator: str, left: tuple[str, str], right: tuple[str, str]) -> str:
    kinds = {left[1], right[1]}
    # as Kubeflow does: text goes before booleans, and these before numbers
    common = next((kind for kind in ("STRING", "BOOLEAN", "NUMBER_DOUBLE") if kind in kinds), "NUMBER_INTEGER")
    return f"{_cast(*left, common)} {operator} {_cast(*right, common)}"


def _cast(text: str, kind: str, common: str) -> str:
    variable = text.startswith("inputs.")
    whole = f"int({text})" if variable and kind == "NUMBER_INTEGER" else text
    if kind == common:
        return whole
    if common == "STRING":
        return f"'{whole}'"
    if common == "NUMBER_DOUBLE":
        return f"double({whole})"
    return whole


def constant(value: Any) -> tuple[str, str]:
    """A constant as an operand, with the type of its parameter."""
    if isinstance(value, bool):
        return str(value).lower(), "BOOLEAN"
    if isinstance(value, (int, float)):
        return str(value), "NUMBER_INTEGER" if isinstance(value, int) else "NUMBER_DOUBLE"
    escaped = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'", "STRING"


__all__ = ["constant", "parsed", "told"]
