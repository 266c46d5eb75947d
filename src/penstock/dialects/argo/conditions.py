"""Conditions in Argo's expressions, and how tasks wait for others."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from penstock.dialects.argo.values import Value, text
from penstock.model.expression import (
    Apply,
    Choose,
    Constant,
    Ended,
    Expression,
    Get,
    Sequence,
)
from penstock.model.graph import Node

_SYMBOLS = {
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "and": "&&",
    "or": "||",
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "mod": "%",
    "pow": "**",
    "in": "in",
}
_TRUTHS = frozenset({"eq", "ne", "lt", "le", "gt", "ge", "in", "and", "or", "not", "selects"})
_EMPTY = ("null", "false", "0", "0.0", '""', "[]", "{}")


class Unsaid(Exception):
    """An expression that Argo's own cannot say."""


class Conditions:
    """Writes conditions; `value_of` says where a value is to be had, and `status_of` how a node ended."""

    def __init__(self, value_of: Callable[[Expression], Value], status_of: Callable[[str], str]) -> None:
        self._value_of, self._status_of = value_of, status_of

    def truth(self, expression: Expression) -> str:
        """Whether a value counts as true, as Python has it."""
        match expression:
            case Apply("not", (inner,)):
                return f"!({bare(self.truth(inner))})"
            case Apply("and" | "or" as name, (left, right)):
                return f"({self.truth(left)} {_SYMBOLS[name]} {self.truth(right)})"
            case Apply(name) if name in _TRUTHS:
                return self.value(expression)
            case Ended(node, states):
                return f"{self._status_of(node)} in [{', '.join(map(text, _statuses(states)))}]"
            case Constant(value):
                return str(bool(value)).lower()
            case _:
                return self._filled(expression)

    def _filled(self, expression: Expression) -> str:
        found = None if isinstance(expression, (Apply, Get)) else self._value_of(expression)
        if found is not None and found.mode == "json":
            if found.form == "bool":
                return f"{found.path} == 'true'"
            return f"!({found.path} in [{', '.join(map(text, _EMPTY))}])"
        if found is not None and found.mode == "text":
            return f"{found.path} != ''"
        return f"!(toJson({self.value(expression)}) in [{', '.join(map(text, _EMPTY))}])"

    def value(self, expression: Expression) -> str:
        """A value. Raises Unsaid."""
        match expression:
            case Constant(value):
                return _constant(value)
            case Apply("neg", (inner,)):
                return f"-({self.value(inner)})"
            case Apply("floordiv", (left, right)):
                return f"floor({self.value(left)} / {self.value(right)})"
            case Apply("selects", (choice, Constant(name))):
                return f"{self.value(choice)} == {_constant(name)}"
            case Apply("and" | "or" | "not"):
                return self.truth(expression)
            case Apply(name, (left, right)) if name in _SYMBOLS:
                return f"({self.value(left)} {_SYMBOLS[name]} {self.value(right)})"
            case Ended():
                return self.truth(expression)
            case Get():
                return self._part(expression)
            case Sequence(items):
                return f"[{', '.join(map(self.value, items))}]"
            case Choose():
                raise Unsaid("a choice between branches")
            case _:
                return self._whole(self._value_of(expression))

    def _whole(self, found: Value) -> str:
        if found.mode == "text":
            return found.path
        if found.mode != "json":
            raise Unsaid("the results of a fan-out, or a value in a file")
        match found.form:
            case "int":
                return f"asInt({found.path})"
            case "float":
                return f"asFloat({found.path})"
            case "bool":
                return f"({found.path} == 'true')"
            case _:
                return f"jsonpath({found.path}, '$')"

    def _part(self, expression: Get) -> str:
        keys: list[str] = []
        whole: Expression = expression
        while isinstance(whole, Get):
            if whole.attribute:
                raise Unsaid("an attribute of an object")
            keys.insert(0, f"[{whole.key}]" if isinstance(whole.key, int) else f".{whole.key}")
            whole = whole.of
        found = self._value_of(whole)
        if found.mode != "json" or not all(key[1:-1].isdigit() or key[1:].isidentifier() for key in keys):
            raise Unsaid("a part of a value")
        return f"jsonpath({found.path}, {text('$' + ''.join(keys))})"


def bare(text: str) -> str:
    """An expression without parentheses around the whole of it."""
    depth, quoted = 0, False
    for number, each in enumerate(text):
        quoted ^= each == "'" and text[number - 1 : number] != "\\"
        depth += 0 if quoted else {"(": 1, ")": -1}.get(each, 0)
        if depth == 0:
            return bare(text[1:-1]) if number and number == len(text) - 1 else text
    return text


def _constant(value: Any) -> str:
    if isinstance(value, str):
        return text(value)
    if value is None:
        return "nil"
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_constant(each) for each in value)}]"  # pyright: ignore[reportUnknownVariableType]
    raise Unsaid(f"the constant {value!r}")


def _statuses(states: tuple[str, ...]) -> list[str]:
    known = {
        "succeeded": ("Succeeded",),
        "failed": ("Failed", "Error"),
        "upstream_failed": ("Omitted",),
        "skipped": ("Skipped", "Omitted"),
    }
    return list(dict.fromkeys(each for state in states for each in known.get(state, ())))


# Waiting.


class Waiting:
    """What a task's `depends` says. In Argo, what is after something that failed is `Omitted`, as what is after something
    that was skipped is."""

    def __init__(
        self, nodes: Mapping[str, Node], task_of: Callable[[str], str], emptiable: Callable[[str], bool]
    ) -> None:
        self._nodes, self._task_of, self._emptiable = nodes, task_of, emptiable

    def succeeded(self, node: str) -> str:
        name = self._task_of(node)
        return f"({name}.Succeeded || {name}.Skipped)" if self._emptiable(node) else f"{name}.Succeeded"

    def failed(self, node: str) -> str:
        name = self._task_of(node)
        before = self._before(node)
        omitted = [f"({name}.Omitted && ({before}))"] if before else []
        return f"({' || '.join([f'{name}.Failed', f'{name}.Errored', *omitted])})"

    def skipped(self, node: str) -> str:
        name = self._task_of(node)
        before = self._before(node)
        omitted = f"({name}.Omitted && !({before}))" if before else f"{name}.Omitted"
        return f"({name}.Skipped || {omitted})"

    def _before(self, node: str) -> str:
        """Whether something before a node failed."""
        found: dict[str, None] = {}
        waiting = list(self._nodes[node].upstream())
        while waiting:
            each = waiting.pop(0)
            if each not in found:
                found[each] = None
                waiting += self._nodes[each].upstream()
        names = [self._task_of(each) for each in found]
        return " || ".join(f"{name}.Failed || {name}.Errored" for name in names)

    def _left_out(self, node: str) -> str:
        name = self._task_of(node)
        return f"({name}.Succeeded || {name}.Skipped || {name}.Omitted)"

    def done(self, node: str) -> str:
        name = self._task_of(node)
        return f"({' || '.join(f'{name}.{each}' for each in ('Succeeded', 'Failed', 'Errored', 'Skipped', 'Omitted'))})"

    def of(self, node: Node, skipped: Collection[str] = ()) -> str:
        """The whole condition; empty for a task that waits for nothing. Of what it needs, some may be skipped."""
        ups = node.upstream()
        if not ups:
            return ""
        if not isinstance(node.join, str):
            found = self._expression(node.join)
            rest = [each for each in ups if f"{self._task_of(each)}." not in found]
            return _all([found, *(self.done(each) for each in rest)])
        match node.join:
            case "all_success":
                return self._all_succeeded(node, ups, skipped)
            case "all_failed":
                return _all([self.failed(each) for each in ups])
            case "all_skipped":
                return _all([self.skipped(each) for each in ups])
            case "one_success":
                return _any([self.succeeded(each) for each in ups])
            case "one_failed":
                return _any([self.failed(each) for each in ups])
            case "one_done":
                return _any([f"({self.succeeded(each)} || {self.failed(each)})" for each in ups])
            case "none_failed":
                return _all([f"!{self.failed(each)}" for each in ups])
            case "none_skipped":
                return _all([f"!{self.skipped(each)}" for each in ups])
            case "none_failed_min_one_success":
                one = _any([self.succeeded(each) for each in ups])
                return _all([f"({one})", *(f"!{self.failed(each)}" for each in ups)])
            case _:
                return _all([self.done(each) for each in ups])

    def _all_succeeded(self, node: Node, ups: tuple[str, ...], skipped: Collection[str]) -> str:
        needed = node.requirements()
        parts = [
            _any([self._left_out(each) if each in skipped else self.succeeded(each) for each in names])
            for names in needed
        ]
        parts = [f"({part})" if len(names) > 1 else part for part, names in zip(parts, needed, strict=True)]
        known = {name for names in needed for name in names}
        return _all([*parts, *(self.done(each) for each in ups if each not in known)])

    def _expression(self, join: Expression) -> str:
        match join:
            case Apply("not", (inner,)):
                return f"!({self._expression(inner)})"
            case Apply("and", (left, right)):
                return f"({self._expression(left)} && {self._expression(right)})"
            case Apply("or", (left, right)):
                return f"({self._expression(left)} || {self._expression(right)})"
            case Ended(node, states):
                return self._ended(node, states)
            case _:
                raise Unsaid("a join that takes a value")

    def _ended(self, node: str, states: tuple[str, ...]) -> str:
        given = set(states)
        if {"succeeded", "failed", "skipped"} <= given:
            return self.done(node)
        found: list[str] = []
        if "succeeded" in given or "cached" in given:
            found.append(self.succeeded(node))
        if "failed" in given or "upstream_failed" in given:
            found.append(self.failed(node))
        if "skipped" in given:
            found.append(self.skipped(node))
        return f"({' || '.join(found)})"


def _all(parts: list[str]) -> str:
    return " && ".join(dict.fromkeys(parts))


def _any(parts: list[str]) -> str:
    return " || ".join(dict.fromkeys(parts))


__all__ = ["Conditions", "Unsaid", "Waiting", "bare"]
