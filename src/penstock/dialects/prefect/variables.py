"""Prefect's variables."""

from __future__ import annotations

import os
from typing import Any

from penstock.dialects.prefect.local import parsed, store, stored, variable_of
from penstock.dialects.prefect.sessions import either_way


class Variable:
    """A value with a name, kept as `local` says."""

    def __init__(self, name: str, value: Any = None, tags: Any = None) -> None:
        self.name = name
        self.value = value

    @classmethod
    def get(cls, name: str, default: Any = None) -> Any:
        """The value of a variable; the default where there is none."""
        return either_way(lambda: _found(name, default))

    @classmethod
    def set(cls, name: str, value: Any, tags: Any = None, overwrite: bool = False) -> Any:
        """Give a variable a value. Raises ValueError if it has one, and is not to be overwritten."""

        def put() -> Variable:
            if not overwrite and _found(name, _MISSING) is not _MISSING:
                raise ValueError(f"Variable {name!r} already exists. Use `overwrite=True` to update it.")
            store("variables", name, value)
            return cls(name, value)

        return either_way(put)

    aget = get
    aset = set


_MISSING = object()


def _found(name: str, default: Any) -> Any:
    text = os.environ.get(variable_of("VARIABLE", name))
    if text is not None:
        return parsed(text)
    try:
        return stored("variables", name)
    except KeyError:
        return default


def get(name: str, default: Any = None) -> Any:
    """Of Prefect 2: the value of a variable."""
    return Variable.get(name, default)


__all__ = ["Variable", "get"]
