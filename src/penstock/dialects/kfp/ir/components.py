"""Components in files of their own, as the first version of Kubeflow's kit has them: a container, with its inputs and
outputs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from penstock.dialects.kfp.structures import (
    PARAMETER_TYPES,
    ArtifactType,
    Component,
    Concat,
    Container,
    IfPresent,
    Input,
    Output,
    ParameterType,
    Word,
)
from penstock.errors import DefinitionError, NotCoveredError
from penstock.model.place import Location

#: classes of artifacts that Kubeflow has itself
_CLASSES = frozenset(
    {
        "Artifact",
        "Dataset",
        "Model",
        "Metrics",
        "ClassificationMetrics",
        "SlicedClassificationMetrics",
        "HTML",
        "Markdown",
    }
)


def component_of_file(document: Mapping[str, Any], where: str) -> Component:
    """The component in a document. Raises NotCoveredError for one that is a graph, and DefinitionError for what is not
    whole."""
    try:
        return _Reader(document, where).whole()
    except (KeyError, TypeError, AttributeError) as error:
        raise DefinitionError(f"the component is not whole: {type(error).__name__}: {error}", where=where) from error


def port_name(name: str) -> str:
    """What an input or output is called in Python: `Input 1` becomes `input_1`."""
    return re.sub(r"_+", "_", re.sub(r"[^a-z0-9]+", "_", name.lower())).strip("_")


class _Reader:
    def __init__(self, document: Mapping[str, Any], where: str) -> None:
        self.document, self.where = document, where
        implementation = document["implementation"]
        if "container" not in implementation:
            raise NotCoveredError(
                f"a component that is a {', '.join(implementation)} is not covered by penstock's reader of components",
                where=where,
                remedy="Write it as a pipeline in Python: @dsl.pipeline.",
            )
        self.container: Mapping[str, Any] = implementation["container"]
        self.by_path = {name for kind, name in _places(self.container) if kind == "inputPath"}

    def whole(self) -> Component:
        inputs = tuple(self.input(each) for each in self.document.get("inputs", None) or ())
        outputs = tuple(
            Output(port_name(each["name"]), self.type(each, output=True), description=each.get("description", "") or "")
            for each in self.document.get("outputs", None) or ()
        )
        self.kinds = {each.name: each.type for each in (*inputs, *outputs)}
        container = Container(
            self.container["image"],
            tuple(self.words(self.container.get("command", None) or ())),
            tuple(self.words(self.container.get("args", None) or ())),
            {key: str(value) for key, value in cast("dict[str, Any]", self.container.get("env") or {}).items()},
        )
        title = str(self.document.get("name", "component"))
        name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "component"
        about = self.document.get("description", "") or ""
        return Component(name, container, inputs, outputs, about, title, location=Location(self.where, 1))

    def input(self, given: Mapping[str, Any]) -> Input:
        kind = self.type(given)
        default = given.get("default")
        if isinstance(default, str) and kind != "STRING" and isinstance(kind, str):
            default = _typed(default, kind)
        optional = bool(given.get("optional")) or "default" in given
        return Input(port_name(given["name"]), kind, default, optional, description=given.get("description", "") or "")

    def type(self, given: Mapping[str, Any], *, output: bool = False) -> ParameterType | ArtifactType:
        named = given.get("type")
        title = next(iter(cast("dict[str, Any]", named))) if isinstance(named, dict) else named
        if given["name"] in self.by_path and not output:
            return _artifact(title)
        if title is None:
            return ArtifactType() if output else "STRING"
        return PARAMETER_TYPES.get(str(title).lower()) or _artifact(title)

    def words(self, given: Any) -> Iterator[Word]:
        for each in given:
            yield from self.word(each)

    def word(self, given: Any) -> Iterator[Word]:
        if not isinstance(given, Mapping):
            yield str(given)
            return
        ((kind, what),) = cast("Mapping[str, Any]", given).items()
        match kind:
            case "inputValue":
                yield f"{{{{$.inputs.parameters['{port_name(what)}']}}}}"
            case "inputPath":
                yield f"{{{{$.inputs.artifacts['{port_name(what)}'].path}}}}"
            case "inputUri":
                yield f"{{{{$.inputs.artifacts['{port_name(what)}'].uri}}}}"
            case "outputPath" | "outputUri":
                yield self.output(port_name(what), "path" if kind == "outputPath" else "uri")
            case "concat":
                yield Concat(tuple(self.words(what)))
            case "if":
                yield from self.conditional(what)
            case "executorInput":
                yield "{{$}}"
            case _:
                raise NotCoveredError(
                    f"the placeholder {kind!r} is not covered by penstock's reader of components",
                    where=self.where,
                    remedy="Use inputValue, inputPath, inputUri, outputPath, outputUri, concat and if.",
                )

    def output(self, name: str, what: str) -> str:
        if isinstance(self.kinds[name], ArtifactType):
            return f"{{{{$.outputs.artifacts['{name}'].{what}}}}}"
        return f"{{{{$.outputs.parameters['{name}'].output_file}}}}"

    def conditional(self, what: Mapping[str, Any]) -> Iterator[Word]:
        condition = what["cond"]
        then = tuple(self.words(_listed(what.get("then"))))
        otherwise = tuple(self.words(_listed(what.get("else"))))
        if isinstance(condition, Mapping):
            present = cast("Mapping[str, Any]", condition)["isPresent"]
            yield IfPresent(port_name(present), then, otherwise)
        elif str(condition).lower() in ("true", "false"):
            yield from then if str(condition).lower() == "true" else otherwise
        else:
            raise NotCoveredError(
                f"the condition {condition!r} is not covered by penstock's reader of components",
                where=self.where,
                remedy="Use cond: {isPresent: INPUT}, or a fixed true or false.",
            )


def _listed(given: Any) -> list[Any]:
    return [] if given is None else cast("list[Any]", given) if isinstance(given, list) else [given]


def _places(given: Any) -> Iterator[tuple[str, str]]:
    """Every placeholder in a command, with what it names."""
    if isinstance(given, Mapping):
        for kind, what in cast("Mapping[str, Any]", given).items():
            if isinstance(what, str):
                yield kind, what
            else:
                yield from _places(what)
    elif isinstance(given, list):
        for each in cast("list[Any]", given):
            yield from _places(each)


def _artifact(title: Any) -> ArtifactType:
    return ArtifactType(f"system.{title}") if title in _CLASSES else ArtifactType()


def _typed(text: str, kind: str) -> Any:
    """A default, which files hold as text, as its type."""
    match kind:
        case "NUMBER_INTEGER":
            return int(text)
        case "NUMBER_DOUBLE":
            return float(text)
        case "BOOLEAN":
            return text.lower() in ("true", "1", "yes")
        case _:
            return json.loads(text)


__all__ = ["component_of_file", "port_name"]
