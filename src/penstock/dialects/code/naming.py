"""What nodes are called as variables of the code that is written."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping

from penstock.model.expression import Expression, Output
from penstock.model.expression import Mapping as MappingExpression
from penstock.model.graph import Node

_NO_IDENTIFIER = re.compile(r"\W+")


def identifier(text: str) -> str:
    """A text as the name of a variable or a function: `fit-2` becomes `fit_2`."""
    found = _NO_IDENTIFIER.sub("_", text).strip("_") or "step"
    found = f"_{found}" if found[0].isdigit() else found
    return f"{found}_" if keyword.iskeyword(found) or keyword.issoftkeyword(found) else found


def variables(nodes: Iterable[Node], result: Expression, taken: Iterable[str]) -> dict[str, str]:
    """A variable for each node: what those that take its result call it, if that is free, else after the node.

    `taken` are the names that the code around it uses: functions, parameters, imports.
    """
    listed = list(nodes)
    wishes = _wishes(listed, result)
    used = set(taken)
    found: dict[str, str] = {}
    for node in listed:
        own = identifier(node.id.rpartition("/")[2])
        options = [wish for wish in wishes.get(node.id, ()) if wish not in used]
        name = options[0] if options else own if own not in used else f"{own}_result"
        count = 1
        base = name
        while name in used:
            count += 1
            name = f"{base}_{count}"
        used.add(name)
        found[node.id] = name
    return found


def _wishes(nodes: list[Node], result: Expression) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for node in nodes:
        sources: Mapping[str, Expression] = {**({} if node.each is None else node.each.over), **node.bindings}
        for name, expression in sources.items():
            if isinstance(expression, Output) and expression.port is None and name.isidentifier() and len(name) > 2:
                plural = node.each is not None and name in node.each.over and not name.endswith("s")
                found.setdefault(expression.node, []).append(f"{name}s" if plural else name)
    if isinstance(result, MappingExpression):
        for name, expression in result.items.items():
            if isinstance(expression, Output) and name.isidentifier() and not keyword.iskeyword(name):
                found.setdefault(expression.node, []).append(name)
    return {name: [wish for wish in wishes if wish not in ("self", "args", "kwargs")] for name, wishes in found.items()}


__all__ = ["identifier", "variables"]
