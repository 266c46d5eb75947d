"""Expressions as a person would write them, with the values that a recorded graph has in them."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.model.expression import Constant, Expression, Stored, describe
from penstock.ports import Store
from penstock.runtime.explaining.shown import shown
from penstock.values import Values


class _Value:
    """Stands for a stored value in a text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def spoken(expression: Expression, values: Values, store: Store) -> str:
    """`evaluate.accuracy >= threshold`; a constant that is stored is told as `shown` does."""

    def told(part: Any) -> Any:
        if isinstance(part, Stored):
            return Constant(_Value(shown(part.value, values, store)))
        if isinstance(part, tuple):
            return tuple(map(told, part))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        if isinstance(part, dict):
            return {key: told(each) for key, each in part.items()}  # pyright: ignore[reportUnknownVariableType]
        if isinstance(part, Constant) or not isinstance(part, msgspec.Struct):
            return part
        fields = {name: told(getattr(part, name)) for name in part.__struct_fields__}
        return msgspec.structs.replace(part, **fields)

    return describe(told(expression))


__all__ = ["spoken"]
