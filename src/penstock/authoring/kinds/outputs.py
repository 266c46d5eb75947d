"""What a function declares that it returns, as output ports."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from typing import Any, cast

from penstock.model.graph import Port

#: the port of a task with a single output
RESULT = "result"


class Outputs(typing.NamedTuple):
    """The output ports of a task, and the kind of record that several of them make up (see `model.graph.Task`)."""

    ports: tuple[Port, ...]
    record: str | None
    #: the resolved annotation; Any where there is none or it cannot be resolved
    annotation: Any

    @property
    def names(self) -> list[str]:
        """What the ports are called, in order."""
        return [port.name for port in self.ports]

    def port(self, key: str | int) -> str | None:
        """The name of the port that is taken by a name or, where the outputs are in an order, by a position."""
        names = self.names
        if isinstance(key, int):
            return names[key] if self.record != "dict" and -len(names) <= key < len(names) else None
        return key if key in names else None


def declared_outputs(function: Callable[..., Any]) -> Outputs:
    """The outputs of a function by its return annotation.

    A fixed-length tuple, a named tuple, a dataclass and a TypedDict are several outputs, called by position or by
    field; everything else is one, called `result`. So is a record of one field, a TypedDict with keys that may be
    missing, and a dataclass that takes more than its fields to make (`InitVar`, `ClassVar`). That of a generator is the
    list of what it yields.
    """
    import inspect

    annotation = resolved_annotations(function).get("return", Any)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        element = next(iter(typing.get_args(annotation)), Any)
        return Outputs((Port(RESULT, f"list[{type_text(element)}]"),), None, list[element])
    if typing.get_origin(annotation) is tuple:
        elements = typing.get_args(annotation)
        if len(elements) > 1 and elements[-1] is not Ellipsis:
            return Outputs(tuple(_port(str(i), kind) for i, kind in enumerate(elements)), "tuple", annotation)
    record = record_kind(annotation)
    if record is not None and len(fields := _fields(annotation)) > 1:
        return Outputs(tuple(_port(name, kind) for name, kind in fields.items()), record, annotation)
    return Outputs((_port(RESULT, annotation),), None, annotation)


def record_kind(annotation: Any) -> str | None:
    """Which kind of record with named fields a class is: "named", "dataclass", "dict" (a TypedDict), or none."""
    if not isinstance(annotation, type) or not _fields(annotation):
        return None
    if typing.is_typeddict(annotation):
        from penstock.authoring.kinds.annotations import required_fields

        return "dict" if all(required_fields(annotation, _hints(annotation, markers=True)).values()) else None
    import dataclasses

    record = cast(Any, annotation)
    if issubclass(record, tuple):
        return "named"
    return "dataclass" if dataclasses.is_dataclass(record) and _has_only_fields(record) else None


def _has_only_fields(record: Any) -> bool:
    import dataclasses

    return list(record.__dataclass_fields__) == [field.name for field in dataclasses.fields(record)]


def _hints(record: Any, *, markers: bool = False) -> dict[str, Any]:
    try:
        return typing.get_type_hints(record, include_extras=markers)
    except (NameError, TypeError):
        return dict(getattr(record, "__annotations__", {}))


def _fields(record: Any) -> dict[str, Any]:
    import dataclasses

    hints = _hints(record)
    if dataclasses.is_dataclass(record):
        return {field.name: hints.get(field.name, Any) for field in dataclasses.fields(record)}
    if issubclass(record, tuple):
        return {name: hints.get(name, Any) for name in getattr(cast(Any, record), "_fields", ())}
    return hints


def resolved_annotations(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function as objects; those that cannot be resolved here are left out."""
    hints: dict[str, Any] = {}
    for name, annotation in getattr(function, "__annotations__", {}).items():
        try:
            hints[name] = _resolve(annotation, function)
        except (NameError, AttributeError, TypeError, SyntaxError):
            continue
    return hints


def _resolve(annotation: Any, function: Callable[..., Any]) -> Any:
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    return typing.get_type_hints(holder, getattr(function, "__globals__", {}))["it"]


def type_text(annotation: Any) -> str:
    """An annotation as people write it."""
    if annotation is Any:
        return "Any"
    if isinstance(annotation, type) and not typing.get_args(annotation):
        module = annotation.__module__
        return (
            annotation.__qualname__
            if module in ("builtins", "__main__")
            else f"{module.split('.')[0]}.{annotation.__qualname__}"
        )
    return str(annotation).replace("typing.", "")


def _port(name: str, annotation: Any) -> Port:
    return Port(name, type_text(annotation), required=not _allows_none(annotation))


def _allows_none(annotation: Any) -> bool:
    if annotation is None or annotation is type(None) or annotation in (Any, object):
        return True
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return any(_allows_none(member) for member in typing.get_args(annotation))
    return not isinstance(annotation, type) and typing.get_origin(annotation) is None
