"""Plain data as JSON has it, for people and for documents; there is no way back."""

from __future__ import annotations

import dataclasses
import datetime
import math
import sys
from collections import deque
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, cast
from uuid import UUID

from penstock.secrets import Secret

_TEXTUAL = (Decimal, UUID, PurePath, complex, range)
_DATES = (datetime.date, datetime.time)
_EXACT = frozenset({type(None), bool, int, str})
_SEQUENCES: Any = (list, tuple, set, frozenset, deque)


class NotJsonable(TypeError):
    """A value has no likeness in JSON."""


def jsonable(value: Any) -> Any:
    """The value with dates as ISO text, tuples and sets as lists, records as objects. Raises NotJsonable."""
    kind = cast(Any, type(value))
    if kind in _EXACT:
        return value
    if issubclass(kind, Enum):
        return jsonable(value.value)
    for simple in (str, int):
        if issubclass(kind, simple):
            return simple(value)
    if issubclass(kind, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if issubclass(kind, dict):
        return {_key(key): jsonable(element) for key, element in value.items()}
    if issubclass(kind, _SEQUENCES) and not hasattr(kind, "_fields"):
        return [jsonable(element) for element in value]
    return _jsonable_leaf(value, kind)


def _jsonable_leaf(value: Any, kind: Any) -> Any:
    if issubclass(kind, _DATES):
        return value.isoformat()
    if issubclass(kind, datetime.timedelta):
        return value.total_seconds()
    if issubclass(kind, _TEXTUAL):
        return str(value)
    if kind is Secret:
        return value.reference
    names = _field_names(kind)
    if names is None:
        raise NotJsonable(kind.__qualname__)
    return {name: jsonable(getattr(value, name)) for name in names}


def _field_names(kind: Any) -> list[str] | None:
    if hasattr(kind, "_fields"):
        return list(kind._fields)
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    pydantic: Any = sys.modules.get("pydantic")
    return list(kind.model_fields) if pydantic is not None and issubclass(kind, pydantic.BaseModel) else None


def _key(key: Any) -> str:
    if isinstance(key, str):
        return str(key)
    simple = jsonable(key)
    if isinstance(simple, (list, dict)):
        raise NotJsonable(type(key).__qualname__)
    return str(simple)


def shown(value: Any, *, longest: int = 200, most: int = 20, depth: int = 4) -> Any:
    """Something JSON-able that gives a person an idea of any value: long texts and collections are cut short."""
    kind = cast(Any, type(value))
    if depth and issubclass(kind, dict):
        entries = list(value.items())[:most]
        return {str(key): shown(part, longest=longest, most=most, depth=depth - 1) for key, part in entries}
    if depth and issubclass(kind, (list, tuple, set, frozenset)):
        return [shown(part, longest=longest, most=most, depth=depth - 1) for part in list(value)[:most]]
    try:
        simple = jsonable(value)
    except NotJsonable:
        simple = repr(value)
    return simple if isinstance(simple, (int, float, type(None))) else shown_text(simple, longest)


def shown_text(value: Any, longest: int) -> str:
    """The value as text, cut short."""
    text = str(value)
    return text if len(text) <= longest else text[:longest] + "…"
