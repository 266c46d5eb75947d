"""Parts of the model as mappings with the names of their fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from penstock.authoring.options.reading import Refused, duration
from penstock.dialects.yaml.inputs import Find
from penstock.dialects.yaml.literals import read_literal
from penstock.dialects.yaml.source import Part

T = TypeVar("T", bound=msgspec.Struct)


def read_struct(
    kind: type[T], part: Part, find: Find, *, lengths: Iterable[str] = (), given: Mapping[str, Any] | None = None
) -> T | None:
    """A part of the model from a mapping of its fields. `lengths` are fields that are lengths of time, `given` those that do
    not stand in the file. What is wrong is noted."""
    names = [name for name in kind.__struct_fields__ if name not in (given or {})]
    values: dict[str, Any] = {}
    for name, value in part.fields(names, part.called).items():
        values[name] = read_length(value) if name in lengths else read_literal(value, find)
    values = {name: value for name, value in values.items() if value is not None or name not in lengths}
    try:
        return msgspec.convert({**values, **(given or {})}, kind, strict=True)
    except msgspec.ValidationError as error:
        part.refuse(f"{part.called}: {error}")
        return None


def read_length(part: Part) -> float | None:
    """A length of time: seconds, or a text such as `90s`, `1h 30m`; null for none. What is wrong is noted."""
    if part.is_null:
        return None
    value = read_literal(part, lambda name: name)
    try:
        return duration(value)
    except Refused:
        if value == 0 and type(value) in (int, float):
            return 0.0
        part.wrong('a length of time: seconds, or a text such as "90s", "10m", "1h 30m"')
        return None


def write_struct(value: msgspec.Struct, without: Iterable[str] = ()) -> dict[str, Any]:
    """The fields of a part of the model that are not as by default."""
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(value):
        given = getattr(value, field.name)
        if field.name in without:
            continue
        default = field.default
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()  # pyright: ignore[reportCallIssue]
        if default is msgspec.NODEFAULT or given != default:
            found[field.name] = msgspec.to_builtins(given)
    return found


def write_length(seconds: float | None) -> Any:
    """A length of time as people write it, without loss."""
    if seconds is None or seconds <= 0:
        return seconds
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % length == 0:
            return f"{seconds / length:g}{unit}" if seconds / length < 1e6 else seconds
    return (
        f"{seconds:g}s"
        if float(f"{seconds:g}") == seconds and seconds >= 0.001 and "e" not in f"{seconds:g}"
        else seconds
    )


__all__ = ["read_length", "read_struct", "write_length", "write_struct"]
