"""The inputs and outputs of compiled components."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from penstock.dialects.kfp.structures import ArtifactType, Input, Output, ParameterType

#: what versions of the format before 2.1 call the types
_OLDER: Mapping[str, ParameterType] = {"STRING": "STRING", "INT": "NUMBER_INTEGER", "DOUBLE": "NUMBER_DOUBLE"}


def inputs_of(component: Mapping[str, Any]) -> tuple[Input, ...]:
    """The inputs of a component: parameters first, each kind by name as Kubeflow sorts them."""
    given = component.get("inputDefinitions", {})
    found = [_parameter(name, spec) for name, spec in given.get("parameters", {}).items()]
    for name, spec in given.get("artifacts", {}).items():
        found.append(
            Input(
                name,
                artifact_type(spec),
                optional=bool(spec.get("isOptional")),
                listed=bool(spec.get("isArtifactList")),
                description=spec.get("description", ""),
            )
        )
    return tuple(found)


def outputs_of(component: Mapping[str, Any]) -> tuple[Output, ...]:
    """The outputs of a component."""
    given = component.get("outputDefinitions", {})
    found = [
        Output(name, _type(spec), description=spec.get("description", ""))
        for name, spec in given.get("parameters", {}).items()
    ]
    for name, spec in given.get("artifacts", {}).items():
        listed = bool(spec.get("isArtifactList"))
        found.append(Output(name, artifact_type(spec), listed, spec.get("description", "")))
    return tuple(found)


def _parameter(name: str, spec: Mapping[str, Any]) -> Input:
    kind = _type(spec)
    default = spec.get("defaultValue")
    return Input(
        name,
        kind,
        typed(default, kind),
        optional=bool(spec.get("isOptional")) or "defaultValue" in spec,
        description=spec.get("description", ""),
    )


def _type(spec: Mapping[str, Any]) -> ParameterType:
    known = spec.get("parameterType")
    return _OLDER.get(spec.get("type", ""), "STRING") if known is None else known


def artifact_type(spec: Mapping[str, Any]) -> ArtifactType:
    """The class of an artifact."""
    kind = spec.get("artifactType", {})
    return ArtifactType(kind.get("schemaTitle", "system.Artifact"), kind.get("schemaVersion", "0.0.1"))


def typed(value: Any, kind: ParameterType | ArtifactType | None) -> Any:
    """A value of the document as the type of its parameter; the format has no whole numbers of its own."""
    if kind == "NUMBER_INTEGER" and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind == "NUMBER_DOUBLE" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return whole(value) if kind in ("LIST", "STRUCT", None) else value


def whole(value: Any) -> Any:
    """The same with whole numbers where numbers are whole, as Kubeflow hands them to components."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [whole(each) for each in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: whole(each) for key, each in cast("dict[str, Any]", value).items()}
    return value


__all__ = ["artifact_type", "inputs_of", "outputs_of", "typed", "whole"]
