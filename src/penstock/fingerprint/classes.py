"""What a class is made of: the functions that its author wrote, and what tells it apart when its source is gone."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Collection, Iterator
from enum import Enum
from types import CodeType, FunctionType
from typing import Any, Final

from penstock.fingerprint.contents import class_of, is_plain

_CONTAINERS: Final = (list, tuple, set, frozenset, dict)
_WRAPPERS: Final = (
    (staticmethod, ("__func__",)),
    (classmethod, ("__func__",)),
    (property, ("fget", "fset", "fdel")),
    (functools.cached_property, ("func",)),
)


def functions_of(kind: type[Any]) -> list[FunctionType]:
    """The functions written in the body of a class, those behind properties and the like included."""
    return [function for member in vars(kind).values() for function in _functions_in(member)]


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
        held = is_plain(value) or isinstance(value, _CONTAINERS)
        if _functions_in(value) or (held and not name.startswith("_")):
            yield name, value


def variables_of(kind: type[Any], members: Collection[str]) -> Iterator[tuple[str, Any]]:
    """The variables of a class that hold plain data or containers, as these are now; `members` are the names that the
    body of the class binds. By name, sorted."""
    for name, value in sorted(vars(kind).items()):
        if name in members and (is_plain(value) or isinstance(value, _CONTAINERS)):
            yield name, value


def additions_to(kind: type[Any], members: Collection[str]) -> Iterator[tuple[str, Any]]:
    """What was put on a class after its body, or in place of what that says, by anybody. By name, sorted."""
    for name, value in sorted(vars(kind).items()):
        functions = _functions_in(value)
        body = f"{kind.__qualname__}."
        yield from ((name, function) for function in functions if not function.__qualname__.startswith(body))
        if not functions and name not in members and not name.startswith("_"):
            yield name, value


def _annotations(kind: Any) -> dict[str, Any]:
    try:
        return inspect.get_annotations(kind)
    except Exception:  # from Python 3.14 they are computed when they are asked for
        return {}


def _functions_in(member: Any) -> list[FunctionType]:
    for kind, attributes in _WRAPPERS:
        if issubclass(class_of(member), kind):
            return [function for name in attributes for function in _functions_in(getattr(member, name))]
    return [member] if isinstance(member, FunctionType) and not _is_generated(member) else []


def _is_generated(function: FunctionType) -> bool:
    """Whether a library wrote a method from the rest of the class: dataclasses, attrs, named tuples."""
    code: CodeType = inspect.unwrap(function).__code__
    generated = code.co_qualname.startswith("__create_fn__.") or code.co_filename.startswith("<attrs ")
    return generated or function.__module__.startswith("namedtuple_")
