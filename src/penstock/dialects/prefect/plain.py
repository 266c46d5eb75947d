"""Values that a text says without doing anything: what a script calls its flow with."""

from __future__ import annotations

import ast
import dataclasses
import datetime
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any, cast

_SCALARS = (str, int, float, bool, bytes, type(None), datetime.date, datetime.time, datetime.timedelta, PurePath, Enum)
#: types that are made of what they are given, and of nothing else
_MADE = (datetime.date, datetime.time, datetime.timedelta, PurePath)


def plain(node: ast.expr, held: Mapping[str, Any]) -> Any:
    """The value of an expression of literals, of names that hold data, and of records that are made of these. Raises
    ValueError for any other."""
    match node:
        case ast.Name(id=name) if name in held and is_data(held[name]):
            return held[name]
        case ast.List(elements):
            return [plain(each, held) for each in elements]
        case ast.Tuple(elements):
            return tuple(plain(each, held) for each in elements)
        case ast.Dict(keys, values) if all(keys):
            return {plain(cast(ast.expr, key), held): plain(each, held) for key, each in zip(keys, values, strict=True)}
        case ast.Call(ast.Name(id=name), arguments, keywords) if _is_record(held.get(name)):
            given = {each.arg: plain(each.value, held) for each in keywords if each.arg is not None}
            try:
                return held[name](*(plain(each, held) for each in arguments), **given)
            except Exception as error:
                raise ValueError(str(error)) from error
        case _:
            try:
                return ast.literal_eval(node)
            except (TypeError, SyntaxError) as error:
                raise ValueError(str(error)) from error


def is_data(value: Any) -> bool:
    """Whether it is made of plain values, lists, tuples, dicts and records."""
    if isinstance(value, _SCALARS) or _is_record(type(value)):
        return True
    kind = cast("Any", type(value))
    if kind in (list, tuple, set):
        return all(map(is_data, value))
    return kind is dict and all(is_data(key) and is_data(each) for key, each in value.items())


def _is_record(kind: Any) -> bool:
    """Whether a class is one whose objects are made of what they are given."""
    if not isinstance(kind, type):
        return False
    kind = cast(Any, kind)
    return issubclass(kind, _MADE) or dataclasses.is_dataclass(kind) or hasattr(kind, "model_fields")


__all__ = ["is_data", "plain"]
