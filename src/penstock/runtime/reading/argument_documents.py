"""Stored values as JSON-able data: what they are, and what they are worth where that is little."""

from __future__ import annotations

from typing import Any

from penstock.model.value import Argument, Artifact, Collection, Record
from penstock.values import Values
from penstock.values.parts import artifacts_in


def argument_document(argument: Argument, values: Values) -> dict[str, Any]:
    """An artifact, or what several make up: type, digest, size, and the value where it is small and JSON-able."""
    document: dict[str, Any] = {
        "type": argument_type(argument),
        "digest": values.digest(argument).hex(),
        "size": sum(artifact.size for artifact in artifacts_in(argument)),
    }
    shown, value = plain_value(argument, values)
    if shown:
        document["value"] = value
    return document


def argument_type(argument: Argument) -> str:
    """The Python type of what an argument stands for, for people."""
    if isinstance(argument, Artifact):
        return argument.type
    if isinstance(argument, Collection):
        return argument.kind
    return argument.type.replace(":", ".") if isinstance(argument, Record) else "part"


def plain_value(argument: Argument, values: Values) -> tuple[bool, Any]:
    """(True, value) where a value is small and JSON can hold it."""
    if isinstance(argument, Artifact):
        return values.plain(argument)
    if not isinstance(argument, (Collection, Record)) or len(argument.items) > 100:
        return False, None
    parts = [plain_value(item, values) for item in argument.items]
    if not all(shown for shown, _ in parts):
        return False, None
    plain = [value for _, value in parts]
    keys = argument.names if isinstance(argument, Record) else argument.keys
    return True, dict(zip(keys, plain, strict=True)) if keys else plain


__all__ = ["argument_document", "argument_type", "plain_value"]
