"""What a class is made of: the functions that its author wrote, and what tells it apart when its source is gone."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from enum import Enum
from types import CodeType, FunctionType
from typing import Any, Final

from penstock.fingerprint.contents import class_of, is_plain

_WRAPPERS: Final = (
    (staticmethod, "__func__"),
    (classmethod, "__func__"),
    (property, "fget"),
    (functools.cached_property, "func"),
)


def functions_of(kind: type[Any]) -> list[FunctionType]:
    """The functions written in the body of a class, those behind properties and the like included."""
    return [function for member in vars(kind).values() if (function := _function_of(member)) is not None]


def members_of(kind: Any) -> Iterator[tuple[str, Any]]:
    """The members that say what a class does, by name; without what Python and libraries add of their own."""
    if issubclass(kind, Enum):
        yield from ((name, member.value) for name, member in kind.__members__.items())
    else:
        yield "annotations", _annotations(kind)
        yield "fields", getattr(kind, "_fields", ())
        yield "defaults", getattr(kind, "_field_defaults", {})
    for name, field in vars(kind).get("__dataclass_fields__", {}).items():
        if isinstance(field.default_factory, FunctionType | type):
            yield f"factory of {name}", field.default_factory
    if "__dataclass_params__" in vars(kind):
        yield "dataclass", repr(vars(kind)["__dataclass_params__"])
    for name, value in vars(kind).items():
        if _function_of(value) is not None or (not name.startswith("_") and is_plain(value)):
            yield name, value


def _annotations(kind: Any) -> dict[str, Any]:
    try:
        return inspect.get_annotations(kind)
    except Exception:  # from Python 3.14 they are computed when they are asked for
        return {}


def _function_of(member: Any) -> FunctionType | None:
    for kind, attribute in _WRAPPERS:
        if issubclass(class_of(member), kind):
            member = getattr(member, attribute)
    return member if isinstance(member, FunctionType) and not _is_generated(member) else None


def _is_generated(function: FunctionType) -> bool:
    """Whether a library wrote a method from the rest of the class: dataclasses, attrs, named tuples."""
    code: CodeType = inspect.unwrap(function).__code__
    generated = code.co_qualname.startswith("__create_fn__.") or code.co_filename.startswith("<attrs ")
    return generated or function.__module__.startswith("namedtuple_")
