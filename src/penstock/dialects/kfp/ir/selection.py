"""What values are called, and of which types they are, where compiled groups hand them to each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock.dialects.kfp.structures import (
    ArtifactType,
    Collected,
    Constant,
    Given,
    Item,
    Loop,
    ParameterType,
    Produced,
    Source,
)


def channel_of(source: Source, loops: Mapping[str, Loop]) -> str:
    """The name of the input or output that hands a value over."""
    match source:
        case Produced(task, output):
            return f"pipelinechannel--{task}-{output}"
        case Given(name):
            return f"pipelinechannel--{name}"
        case Collected(inner):
            return channel_of(inner, loops)
        case Item(name):
            loop = loops[name]
            if isinstance(loop.items, Constant):
                return f"pipelinechannel--loop-item-param-{name.rpartition('-')[2]}"
            inner = loop.items
            suffix = "".join(f"-subvar-{each}" for each in getattr(inner, "path", ()))
            return f"{channel_of(inner, loops)}{suffix}-loop-item"
        case _:
            return "pipelinechannel--value"


def is_artifact(kind: ParameterType | ArtifactType) -> bool:
    return isinstance(kind, ArtifactType)


def list_type(kind: ParameterType | ArtifactType) -> ParameterType | ArtifactType:
    """The type of what a loop collects of a type."""
    return kind if isinstance(kind, ArtifactType) else "LIST"


def literal(value: Any) -> ParameterType:
    """The type of the parameter that a value is."""
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, int):
        return "NUMBER_INTEGER"
    if isinstance(value, float):
        return "NUMBER_DOUBLE"
    if isinstance(value, (list, tuple)):
        return "LIST"
    return "STRUCT" if isinstance(value, dict) else "STRING"


__all__ = ["channel_of", "is_artifact", "list_type", "literal"]
