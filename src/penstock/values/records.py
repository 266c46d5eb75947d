"""Records: dataclasses, named tuples and pydantic models, taken apart into named parts and put together again."""

from __future__ import annotations

import copyreg
import dataclasses
from typing import Any, cast, is_typeddict

import msgspec

from penstock.values.codec import loaded

_SLOTS_GETSTATE = getattr(dataclasses, "_dataclass_getstate", None)


class Parts(msgspec.Struct, frozen=True):
    """What a record consists of. `identity` is what makes two of them equal, `rest` what else has to be kept."""

    form: str
    identity: Any
    rest: Any = None


def take_apart(value: Any) -> Parts | None:
    """The parts of a record; None if it is none, or one that has its own idea of how it is copied."""
    kind = cast(Any, type(value))
    if kind in copyreg.dispatch_table:
        return None
    if issubclass(kind, tuple):
        return Parts("tuple", list(value)) if _is_named_tuple(kind) and not getattr(value, "__dict__", None) else None
    if dataclasses.is_dataclass(kind):
        return Parts("fields", _fields(value)) if _is_simple_dataclass(kind) else None
    pydantic: Any = loaded("pydantic")
    if pydantic is not None and issubclass(kind, pydantic.BaseModel):
        return _model_parts(value)
    return None


def put_together(kind: Any, form: str, identity: Any, rest: Any) -> Any:
    """The record again, without running its `__init__` or any validation."""
    if form == "tuple":
        return cast(Any, tuple).__new__(kind, identity)
    record = kind.__new__(kind)
    if form == "fields":
        for name, part in identity.items():
            object.__setattr__(record, name, part)
    else:
        state = {"__dict__": identity[0], "__pydantic_extra__": identity[1], "__pydantic_private__": identity[2]}
        record.__setstate__({**state, "__pydantic_fields_set__": rest})
    return record


def build(kind: Any, values: dict[str, Any]) -> Any:
    """One value from several outputs: a named tuple, a dataclass, a pydantic model or a typed dictionary."""
    if is_typeddict(kind):
        return values
    if issubclass(kind, tuple):
        return put_together(kind, "tuple", [values[name] for name in cast(Any, kind)._fields], None)
    if dataclasses.is_dataclass(kind):
        return put_together(kind, "fields", values, None)
    return kind.model_construct(**values)


def has_field(record: Any, name: str) -> bool:
    """Whether an attribute is a part of a record, not something that it computes."""
    fields = cast("tuple[str, ...]", getattr(record, "_fields", ()))
    return name in getattr(record, "__dict__", {}) or name in fields or _is_set(record, name)


def _is_named_tuple(kind: Any) -> bool:
    return hasattr(kind, "_fields") and kind.__reduce_ex__ is object.__reduce_ex__ and not _has_state_methods(kind)


def _is_simple_dataclass(kind: Any) -> bool:
    simple = kind.__new__ is object.__new__ and kind.__reduce_ex__ is object.__reduce_ex__
    return simple and kind.__reduce__ is object.__reduce__ and not _has_state_methods(kind)


def _has_state_methods(kind: Any) -> bool:
    # A frozen dataclass with slots is given these by Python itself.
    getstate = getattr(kind, "__getstate__", None)
    own = getstate is not getattr(object, "__getstate__", None) and getstate is not _SLOTS_GETSTATE
    return own or (hasattr(kind, "__setstate__") and getstate is not _SLOTS_GETSTATE)


def _fields(value: Any) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(value)]
    declared = {name: getattr(value, name) for name in names if _is_set(value, name)}
    return {**declared, **getattr(value, "__dict__", {})}


def _is_set(value: Any, name: str) -> bool:
    # A default that only the class has is no part of the instance.
    instance = cast("dict[str, Any] | None", getattr(value, "__dict__", None))
    slots = [getattr(kind, "__slots__", ()) for kind in cast(Any, type(value)).__mro__]
    slotted = any(name in names for names in slots)
    return (instance is not None and name in instance) or (slotted and hasattr(value, name))


def _model_parts(value: Any) -> Parts | None:
    kind = cast(Any, type(value))
    base: Any = loaded("pydantic").BaseModel
    if kind.__getstate__ is not base.__getstate__ or kind.__setstate__ is not base.__setstate__:
        return None
    state = value.__getstate__()
    identity = [state["__dict__"], state.get("__pydantic_extra__"), state.get("__pydantic_private__")]
    return Parts("model", identity, state.get("__pydantic_fields_set__"))
