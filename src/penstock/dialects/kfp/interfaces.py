"""What the function of a component takes and returns, by its annotations."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, cast

from penstock.authoring.source import location_of
from penstock.dialects.kfp.annotations import InputMarker, InputPath, OutputMarker, OutputPath
from penstock.dialects.kfp.artifacts import SYSTEM, Artifact, PipelineTaskFinalStatus
from penstock.dialects.kfp.structures import PARAMETER_TYPES, ArtifactType, Input, Output, ParameterType
from penstock.errors import DefinitionError

#: what a single output is called
SINGLE = "Output"

#: how the function gets at an input, or at the place for an output
Kind = Literal["value", "artifact", "artifacts", "input_path", "status", "output_artifact", "output_path"]

#: classes of artifacts by the names that annotations of text give them
_NAMED = {each.__name__.lower(): each for each in SYSTEM.values()}
_WORDS = {str: "str", int: "int", float: "float", bool: "bool", list: "list", dict: "dict", tuple: "list"}


class Role(NamedTuple):
    """What one parameter of the function is for."""

    name: str
    #: what the component calls it
    called: str
    kind: Kind
    #: the class of artifacts, or the type of values
    type: Any
    #: the annotation without what marks it
    annotation: Any = None


class Interface(NamedTuple):
    """What a component's function takes and returns."""

    roles: tuple[Role, ...]
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    #: how its value becomes outputs: name -> type, in order; one called `Output` is the value itself
    returned: Mapping[str, ParameterType | ArtifactType]
    #: the annotations of parameters, by input; of outputs, by output
    details: Mapping[str, Any]


def interface_of(function: Callable[..., Any], *, legacy: bool = False) -> Interface:
    """Raises DefinitionError for a parameter without an annotation, and for one that no component can take.

    With `legacy`, as the first version of Kubeflow had it: `x_path` with a path is called `x`, and what has no annotation,
    or one that is not known, is text.
    """
    annotations = annotations_of(function)
    roles: list[Role] = []
    inputs: list[Input] = []
    outputs: list[Output] = []
    details: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        role = _role(function, parameter, annotations.get(parameter.name, parameter.empty), legacy)
        roles.append(role)
        details[role.called] = role.annotation
        if role.kind in ("output_artifact", "output_path"):
            outputs.append(Output(role.called, _type(role.type)))
            continue
        optional = parameter.default is not parameter.empty or role.kind == "status"
        default = None if parameter.default is parameter.empty else parameter.default
        inputs.append(Input(role.called, _type(role.type), default, optional, role.kind == "artifacts"))
    returned = _returned(function, annotations.get("return"), legacy)
    outputs += [Output(name, _type(kind), listed) for name, (kind, listed) in returned.items()]
    details.update({name: kind for name, (kind, _) in returned.items()})
    return Interface(
        tuple(roles),
        tuple(inputs),
        tuple(outputs),
        {name: _type(kind) for name, (kind, _) in returned.items()},
        details,
    )


def annotations_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations as objects, with what is attached to them. Raises DefinitionError for one that has no meaning."""
    found: dict[str, Any] = dict(getattr(function, "__annotations__", {}))
    for name, annotation in found.items():
        if isinstance(annotation, str) and annotation.lower() not in PARAMETER_TYPES:
            try:
                found[name] = eval(annotation, function.__globals__)
            except Exception as error:
                raise DefinitionError(
                    f"the annotation of {name} cannot be resolved: {error}", where=str(location_of(function))
                ) from None
    return found


def parameter_type(annotation: Any) -> ParameterType | None:
    """The type of values with an annotation; None if they are no parameters."""
    if annotation is PipelineTaskFinalStatus:
        return "TASK_FINAL_STATUS"
    if isinstance(annotation, dict):
        annotation = next(iter(typing.cast("dict[Any, Any]", annotation)), None)
    if isinstance(annotation, str):
        return PARAMETER_TYPES.get(annotation.lower())
    origin = typing.get_origin(annotation) or annotation
    word = _WORDS.get(origin)
    if word is None and isinstance(origin, type):
        abstract = origin.__module__ == "collections.abc"
        word = {"Sequence": "list", "Iterable": "list", "Mapping": "dict"}.get(origin.__name__) if abstract else None
    return None if word is None else PARAMETER_TYPES[word]


def stripped(annotation: Any) -> Any:
    """The annotation inside `Optional[...]`, and inside `Annotated[...]` where nothing of Kubeflow's is attached to it."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = [each for each in typing.get_args(annotation) if each is not type(None)]
        return stripped(members[0]) if len(members) == 1 else annotation
    attached = getattr(annotation, "__metadata__", ())
    if attached and attached[0] not in (InputMarker, OutputMarker):
        path = next((each for each in attached if isinstance(each, (InputPath, OutputPath))), None)
        return stripped(typing.get_args(annotation)[0]) if path is None else path
    return annotation


def artifact_class(annotation: Any) -> type[Artifact] | None:
    """The class of artifacts that an annotation is, or names; None if it is none."""
    if isinstance(annotation, str):
        return _NAMED.get(annotation.lower())
    return annotation if isinstance(annotation, type) and hasattr(annotation, "schema_title") else None


def _role(function: Any, parameter: inspect.Parameter, given: Any, legacy: bool) -> Role:
    name = parameter.name
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise _unfit(function, name, "takes any number of arguments")
    if given is parameter.empty:
        if not legacy:
            raise _unfit(function, name, "has no annotation")
        given = str
    annotation = stripped(given)
    if isinstance(annotation, (InputPath, OutputPath)):
        kind: Kind = "input_path" if isinstance(annotation, InputPath) else "output_path"
        called = name.removesuffix("_path").removesuffix("_file") if legacy else name
        return Role(name, called, kind, _path_type(annotation.type), annotation.type)
    marks = getattr(annotation, "__metadata__", ())
    if marks:
        return _marked(function, name, typing.get_args(annotation)[0], written=marks[0] is OutputMarker)
    if annotation is PipelineTaskFinalStatus:
        return Role(name, name, "status", PipelineTaskFinalStatus)
    element = _element(annotation)
    if element is not None:
        return Role(name, name, "artifacts", element)
    found = artifact_class(annotation)
    if found is not None:
        return Role(name, name, "artifact", found)
    if parameter_type(annotation) is not None:
        return Role(name, name, "value", annotation, annotation)
    if legacy:
        return Role(name, name, "value", str)
    raise _unfit(function, name, f"has an annotation that no component takes: {annotation!r}")


def _marked(function: Any, name: str, inner: Any, *, written: bool) -> Role:
    element = _element(inner)
    if element is not None and not written:
        return Role(name, name, "artifacts", element)
    found = artifact_class(inner)
    if found is None:
        raise _unfit(function, name, f"is marked as an artifact, and {inner!r} is no class of artifacts")
    return Role(name, name, "output_artifact" if written else "artifact", found)


def _element(annotation: Any) -> type[Artifact] | None:
    """The class of artifacts that a list of them has."""
    if typing.get_origin(annotation) is not list:
        return None
    (inner,) = typing.get_args(annotation)
    return artifact_class(inner)


def _path_type(given: Any) -> Any:
    if given is None:
        return Artifact
    found = artifact_class(given)
    if found is not None:
        return found
    return given if parameter_type(given) is not None else Artifact


def _type(annotation: Any) -> ParameterType | ArtifactType:
    found = artifact_class(annotation)
    if found is not None:
        return ArtifactType(found.schema_title, getattr(found, "schema_version", "0.0.1"))
    return parameter_type(annotation) or "STRING"


def _returned(function: Any, annotation: Any, legacy: bool) -> dict[str, tuple[Any, bool]]:
    """Output -> its type, and whether it is a list of artifacts."""
    if annotation is None or annotation is inspect.Signature.empty:
        return {}
    annotation = stripped(annotation)
    fields = getattr(annotation, "_fields", None)
    if fields is None and isinstance(annotation, dict):
        named = cast("dict[str, Any]", annotation)
        return {name: _output_type(function, name, kind, legacy) for name, kind in named.items()}
    if fields is not None:
        # those of the first version may be texts that name no class
        kinds: dict[str, Any] = annotation.__annotations__
        return {name: _output_type(function, name, kinds.get(name, str), legacy) for name in fields}
    return {SINGLE: _output_type(function, "what it returns", annotation, legacy)}


def _output_type(function: Any, name: str, annotation: Any, legacy: bool) -> tuple[Any, bool]:
    if isinstance(annotation, typing.ForwardRef):
        annotation = _named_in(function, annotation.__forward_arg__)
    annotation = stripped(annotation)
    if getattr(annotation, "__metadata__", ()):
        annotation = typing.get_args(annotation)[0]
    element = _element(annotation)
    if element is not None:
        return element, True
    found = artifact_class(annotation)
    if found is not None:
        return found, False
    if parameter_type(annotation) is not None:
        return annotation, False
    if legacy:
        return Artifact, False
    raise _unfit(function, name, f"has an annotation that no component returns: {annotation!r}")


def _named_in(function: Any, text: str) -> Any:
    """What a text means as an annotation; itself, where that is nothing."""
    try:
        return eval(text, function.__globals__)
    except Exception:
        return text


def _unfit(function: Any, name: str, why: str) -> DefinitionError:
    return DefinitionError(
        f"{function.__name__}() cannot be a component: {name} {why}",
        where=str(location_of(function)),
        remedy="Annotate it with str, int, float, bool, list, dict, Input[...], Output[...], InputPath(...) or OutputPath(...).",
    )


__all__ = [
    "SINGLE",
    "Interface",
    "Role",
    "annotations_of",
    "artifact_class",
    "interface_of",
    "parameter_type",
    "stripped",
]
