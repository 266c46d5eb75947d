"""The parts of what a task returns: how one of several outputs, and what is inside of one, is taken in plain Python."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from penstock.dialects.code.formatting import quoted
from penstock.model.expression import Apply, Choose, Expression, Get, Output, Sequence
from penstock.model.expression import Mapping as MappingExpression
from penstock.model.graph import Node, Task


def port_text(task: Task | None, port: str | None) -> str:
    """How one of several outputs is taken of the value that a task returns; empty for that as a whole."""
    if port is None:
        return ""
    record = None if task is None else task.record
    if task is not None and record == "tuple":
        return f"[{[each.name for each in task.outputs].index(port)}]"
    return f".{port}" if record in ("named", "dataclass") else f"[{quoted(port)}]"


def keyed(expression: Expression, task_of: Callable[[str], Task | None]) -> Expression:
    """An expression with keys where it takes attributes of dicts, as expressions of other languages may."""

    def change(part: Expression) -> Expression | None:
        if isinstance(part, Get) and part.attribute and _is_dict(part.of, task_of):
            return Get(rewritten(part.of, change), part.key)
        return None

    return rewritten(expression, change)


def rewritten(expression: Expression, change: Callable[[Expression], Expression | None]) -> Expression:
    """An expression with parts of it changed; where `change` gives None, a part stays as it is."""
    changed = change(expression)
    if changed is not None:
        return changed
    match expression:
        case Get(of, key, attribute):
            return Get(rewritten(of, change), key, attribute)
        case Apply(name, arguments):
            return Apply(name, tuple(rewritten(each, change) for each in arguments))
        case Choose(options):
            return Choose(tuple(rewritten(each, change) for each in options))
        case Sequence(items, kind):
            return Sequence(tuple(rewritten(each, change) for each in items), kind)
        case MappingExpression(mapping):
            return MappingExpression({key: rewritten(each, change) for key, each in mapping.items()})
        case _:
            return expression


def changed(node: Node, change: Callable[[Expression], Expression | None]) -> Node:
    """A node with the expressions that it takes changed, as by `rewritten`."""
    bindings = {name: rewritten(each, change) for name, each in node.bindings.items()}
    guard = None if node.guard is None else rewritten(node.guard, change)
    each = node.each
    if each is not None:
        over = {name: rewritten(expression, change) for name, expression in each.over.items()}
        each = msgspec.structs.replace(each, over=over)
    return msgspec.structs.replace(node, bindings=bindings, guard=guard, each=each)


def _is_dict(whole: Expression, task_of: Callable[[str], Task | None]) -> bool:
    while isinstance(whole, Get):
        whole = whole.of
    task = task_of(whole.node) if isinstance(whole, Output) else None
    if task is None or not isinstance(whole, Output) or (task.record is not None and whole.port is None):
        return False
    return any(each.type.startswith("dict") for each in task.outputs if whole.port in (None, each.name))


__all__ = ["changed", "keyed", "port_text", "rewritten"]
