"""The arguments of a call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, cast

from penstock.dialects.code.formatting import keywords
from penstock.model.expression import Constant, Expression, Sequence
from penstock.model.expression import Mapping as MappingExpression
from penstock.model.graph import Task


class Text(Protocol):
    """Writes expressions, and plain values."""

    def text(self, expression: Expression) -> str: ...

    def value(self, value: object) -> str: ...


def arguments(bindings: Mapping[str, Expression], task: Task, shape: Any, write: Text) -> list[str]:
    """The arguments of a call: those in front by position as long as they are short and none is left out."""
    positional: list[str] = []
    named: dict[str, str] = {}
    rest: list[str] = []
    for port in task.inputs:
        if port.kind in ("args", "kwargs"):
            rest += _variable(port.kind, bindings.get(port.name), write)
            continue
        if port.name not in bindings:
            named.setdefault("", "")
            continue
        text = write.text(bindings[port.name])
        by_keyword = shape is not None and shape[port.name].kind.name == "KEYWORD_ONLY"
        plain = isinstance(bindings[port.name], Constant) and len(bindings) > 1
        if port.kind == "positional" or (
            not named and not by_keyword and not (plain and (positional or len(bindings) > 2))
        ):
            positional.append(text)
        else:
            named[port.name] = text
    named.pop("", None)
    if any(port.kind == "args" and port.name in bindings for port in task.inputs):
        # what comes after `*args` would be taken for one of them
        return [*positional, *named.values(), *rest]
    return [*positional, *keywords(named), *rest]


def _variable(kind: str, expression: Expression | None, write: Text) -> list[str]:
    found: Iterable[Any]
    if expression is None:
        return []
    if kind == "args":
        if isinstance(expression, Sequence):
            return [write.text(each) for each in expression.items]
        return [write.value(each) for each in cast(Constant, expression).value]
    if isinstance(expression, MappingExpression):
        return keywords({name: write.text(each) for name, each in expression.items.items()})
    found = cast("dict[str, Any]", cast(Constant, expression).value).items()
    return keywords({name: write.value(each) for name, each in found})


__all__ = ["Text", "arguments"]
