"""The types and defaults of parameters of a pipeline as Python text."""

from __future__ import annotations

import types
import typing
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from penstock.authoring.kinds.annotations import kind_of
from penstock.authoring.kinds.conversion import Form, Mismatch
from penstock.dialects.code.formatting import Imports, Unwritable, literal
from penstock.model.graph import ParameterPort

_NAMES: dict[str, Any] = {
    **{kind.__name__: kind for kind in (date, datetime, time, timedelta, Decimal, UUID, Path)},
    "Any": Any,
    "Literal": Literal,
}
_BUILTIN = frozenset({"int", "float", "str", "bool", "list", "dict", "tuple", "set", "frozenset", "bytes", "None"})
#: the defaults that stand for a part of the cause of a run, as they are recorded
CAUSES = ("logical_time(", "interval_start(", "interval_end(", "partition(")


def resolved(text: str) -> Any:
    """The type that an annotation stands for. Raises NameError (or what else is wrong with it) for one of the user's."""
    holder = types.SimpleNamespace(__annotations__={"it": text})
    return typing.get_type_hints(holder, dict(_NAMES))["it"]


def annotation(text: str, imports: Imports) -> str | None:
    """An annotation for a file, with what it needs imported; None for a type that is the user's own."""
    try:
        resolved(text)
    except (NameError, TypeError, SyntaxError, AttributeError):
        return None
    for name, kind in _NAMES.items():
        if name in text.replace("[", " ").replace("]", " ").replace(",", " ").replace("|", " ").split():
            imports.name("typing" if name in ("Any", "Literal") else kind.__module__.partition(".")[0], name)
    return text


def default(port: ParameterPort, imports: Imports) -> str | None:
    """The default of a parameter as Python text. None where it cannot be written."""
    value = port.default
    if isinstance(value, str) and value.startswith(CAUSES):
        return None
    try:
        kind = kind_of(resolved(port.type))
        value = kind.read(value, Form.DATA)
    except (NameError, TypeError, SyntaxError, AttributeError, Mismatch, ValueError):
        pass
    try:
        return literal(value, imports)
    except Unwritable:
        return None


__all__ = ["CAUSES", "annotation", "default", "resolved"]
