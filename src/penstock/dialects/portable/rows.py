"""The items of a fan-out as rows: dicts of what every item is given."""

from __future__ import annotations

from itertools import product
from typing import Any, cast

from penstock.dialects.code.formatting import quoted
from penstock.dialects.portable.programs import Program, Writing
from penstock.model.expression import Constant, Mapping, Sequence
from penstock.model.graph import Each, Node


def rows(writing: Writing, node: Node, each: Each) -> list[dict[str, Any]] | None:
    """The rows of a fan-out over what is known; None where something is not.

    Raises DefinitionError for dicts of inputs that do not give the same ones."""
    columns: dict[str, list[Any]] = {}
    for name, over in each.over.items():
        values = _known(over)
        if values is None:
            return None
        columns[name] = values
    if each.spread is not None:
        spread = [dict(row) for row in columns[each.spread]]
        if len({frozenset(row) for row in spread}) > 1:
            raise writing.refuse(
                node.id,
                "is fanned out over dicts with different keys",
                "Let every dict give the same inputs.",
                str(node.location),
            )
        return spread
    taken = product(*columns.values()) if each.mode == "product" else zip(*columns.values(), strict=True)
    return [dict(zip(columns, values, strict=True)) for values in taken]


def _known(over: Any) -> list[Any] | None:
    if isinstance(over, Sequence) and all(isinstance(item, Constant) for item in over.items):
        return [cast(Constant, item).value for item in over.items]
    if not isinstance(over, Constant):
        return None
    values: Any = over.value
    return list(cast("dict[str, Any]", values).values()) if isinstance(values, dict) else list(values)


def rows_program(writing: Writing, node: Node, each: Each, around: dict[str, Node]) -> Program:
    """The program that lists the rows of a fan-out, with JSON texts for values."""
    whole = writing.computation(node.id, Mapping(dict(each.over)), around, node)
    whole.imports.module("json")
    lines = [f"columns = {whole.value}"]
    if each.spread is not None:
        lines.append(f"rows = columns[{quoted(each.spread)}]")
    elif each.mode == "product":
        product_name = whole.imports.name("itertools", "product")
        lines.append(f"rows = [dict(zip(columns, row)) for row in {product_name}(*columns.values())]")
    else:
        lines.append("rows = [dict(zip(columns, row)) for row in zip(*columns.values(), strict=True)]")
    lines.append("value = [{name: json.dumps(each) for name, each in row.items()} for row in rows]")
    return whole._replace(lines=tuple(lines), value="value")


__all__ = ["rows", "rows_program"]
