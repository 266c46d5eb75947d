"""Types of parameters by their names: `int`, `list[float]`, `number`, `Literal['a', 'b']`, `project.config:Config`."""

from __future__ import annotations

import ast
import datetime
import typing
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, cast
from uuid import UUID

from penstock.secrets import Secret

_NAMES: dict[str, Any] = {
    **{kind.__name__: kind for kind in (int, float, str, bool, bytes, list, dict, tuple, set, frozenset, complex)},
    **{name: getattr(datetime, name) for name in ("date", "datetime", "time", "timedelta")},
    **{kind.__name__: kind for kind in (Decimal, UUID, Path, Secret)},
    "Any": Any,
    "None": None,
    "NoneType": None,
}
#: as others call them
_ALSO: dict[str, Any] = {
    "integer": int,
    "number": float,
    "double": float,
    "string": str,
    "text": str,
    "boolean": bool,
    "array": list,
    "object": dict,
    "map": dict,
    "mapping": dict,
    "any": Any,
    "path": Path,
    "secret": Secret,
    "null": None,
    "duration": datetime.timedelta,
}
NAMES = (*_NAMES, *_ALSO)


def annotation(text: str, find: Callable[[str], Any]) -> Any:
    """The type that a text names; `find` imports `module:name`. Raises ValueError for none, and what `find` raises."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        if ":" in text:
            return find(text)
        raise ValueError(f"{text!r} is no type") from None
    return _type(tree)


def _type(node: ast.expr) -> Any:
    match node:
        case ast.Name(name) if name in _NAMES:
            return _NAMES[name]
        case ast.Name(name) if name.lower() in _ALSO:
            return _ALSO[name.lower()]
        case ast.Constant(None):
            return None
        case ast.Subscript(ast.Name("Literal"), choice):
            values = choice.elts if isinstance(choice, ast.Tuple) else [choice]
            return cast(Any, Literal)[tuple(ast.literal_eval(value) for value in values)]
        case ast.Subscript(ast.Name("Optional"), of):
            return typing.Optional[_type(of)]  # noqa: UP045
        case ast.Subscript(of, ast.Tuple(elts)):
            return _type(of)[tuple(_type(each) for each in elts)]
        case ast.Subscript(of, element):
            return _type(of)[_type(element)]
        case ast.Constant(value) if value is ...:
            return ...
        case ast.BinOp(left, ast.BitOr(), right):
            return cast(Any, typing.Union)[_type(left), _type(right)]
        case _:
            raise ValueError(f"{ast.unparse(node)!r} is no type")


__all__ = ["NAMES", "annotation"]
