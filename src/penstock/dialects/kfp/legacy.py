"""What only the first version of Kubeflow's library has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple, cast

from penstock.authoring.source import caller
from penstock.dialects.kfp.channels import Channel, source_of
from penstock.dialects.kfp.placeholders import input_value
from penstock.dialects.kfp.refusing import uncovered
from penstock.dialects.kfp.structures import Component, Constant, Container, Input, Output, Source, Text
from penstock.dialects.kfp.tasks import PipelineTask
from penstock.dialects.kfp.tracing import current_trace, kubernetes_name, tracing
from penstock.errors import DefinitionError
from penstock.model.graph import Ignored

#: copies a file of the container to where outputs are taken from, once the program has ended
_COPY = 'cp -r {path} "{place}"'


class InputArgumentPath(NamedTuple):
    """A value that is given to a container as a file."""

    argument: Any
    input: str | None = None
    path: str | None = None


class PipelineConf:
    """What is said of a whole pipeline of the first version; none of it has an effect here."""

    def __init__(self, said: str = "") -> None:
        self._said = said

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return PipelineConf(name)

    def __call__(self, *args: Any, **options: Any) -> PipelineConf:
        trace = tracing()
        if trace is not None:
            given = ", ".join([*map(repr, args), *(f"{name}={each!r}" for name, each in options.items())])
            trace.ignored.append(Ignored(f"PipelineConf.{self._said}({given})", caller(), "there is no cluster"))
        return self


def get_pipeline_conf() -> PipelineConf:
    return PipelineConf()


class _Words:
    """The parts of a command, whose values to come become inputs."""

    def __init__(self) -> None:
        self.inputs: list[Input] = []
        self.arguments: dict[str, Channel] = {}
        self._known: dict[Source, str] = {}

    def word(self, value: Any) -> str:
        if isinstance(value, InputArgumentPath):
            raise uncovered("dsl.InputArgumentPath", "Pass the value itself, or make the container a component.")
        source = value.source if isinstance(value, Channel) else source_of(str(value))
        if isinstance(source, Text):
            return "".join(part if isinstance(part, str) else self._place(part) for part in source.parts)
        return str(source.value) if isinstance(source, Constant) else self._place(source)

    def _place(self, source: Source) -> str:
        name = self._known.get(source)
        if name is None:
            name = self._known[source] = f"input_{len(self.inputs) + 1}"
            self.inputs.append(Input(name, "STRING"))
            self.arguments[name] = Channel(source, None, name)
        return input_value(name)


def ContainerOp(
    name: str,
    image: str,
    command: str | Sequence[Any] | None = None,
    arguments: str | Sequence[Any] | None = None,
    init_containers: Any = None,
    sidecars: Any = None,
    container_kwargs: Mapping[str, Any] | None = None,
    artifact_argument_paths: Any = None,
    file_outputs: Mapping[str, str] | None = None,
    output_artifact_paths: Any = None,
    is_exit_handler: bool = False,
    pvolumes: Any = None,
) -> PipelineTask:
    """See the first version's `kfp.dsl.ContainerOp`: a program in a container as a task, without a component."""
    for said, value in (
        ("init_containers", init_containers),
        ("sidecars", sidecars),
        ("container_kwargs", container_kwargs),
        ("artifact_argument_paths", artifact_argument_paths),
        ("output_artifact_paths", output_artifact_paths),
        ("pvolumes", pvolumes),
    ):
        if value:
            raise uncovered(f"ContainerOp({said}=...)")
    words = _Words()
    line = [words.word(each) for each in _listed(command)]
    rest = [words.word(each) for each in _listed(arguments)]
    outputs = {called: str(path) for called, path in (file_outputs or {}).items()}
    if outputs and not line:
        raise DefinitionError(
            f"the container {name!r} has outputs, and no command of its own",
            where=str(caller()),
            remedy="Say what its image runs: command=[...].",
        )
    if outputs:
        line, rest = _copying(outputs), ["sh", *line, *rest]
    component = Component(
        kubernetes_name(name),
        Container(str(image), tuple(line), tuple(rest)),
        tuple(words.inputs),
        tuple(Output(called, "STRING") for called in outputs),
        location=caller(),
    )
    return PipelineTask(current_trace(), component, words.arguments, {}, checked=False)


def _copying(outputs: Mapping[str, str]) -> list[str]:
    import shlex

    from penstock.dialects.kfp.placeholders import output_file

    copies = [_COPY.format(path=shlex.quote(path), place=output_file(called)) for called, path in outputs.items()]
    return ["sh", "-c", " && ".join(['"$@"', *copies])]


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(cast("Sequence[Any]", value)) if isinstance(value, (list, tuple)) else [value]


class PipelineExecutionMode(Enum):
    """Which engine a file of the first version is compiled for; it is the same here."""

    V1_LEGACY = "V1_LEGACY"
    V2_COMPATIBLE = "V2_COMPATIBLE"
    V2_ENGINE = "V2_ENGINE"


def _named_type(name: str, kind: type) -> Any:
    """A type of the first version, `Integer()`, as the Python type that annotations say the same with."""

    def kind_of(_: type, *__: Any, **___: Any) -> type:
        return kind

    return type(name, (), {"__new__": kind_of})


Integer = _named_type("Integer", int)
Float = _named_type("Float", float)
Bool = _named_type("Bool", bool)
List = _named_type("List", list)
Dict = _named_type("Dict", dict)
String = GCSPath = GCRPath = GCPRegion = GCPProjectID = LocalPath = URI = _named_type("String", str)
VOLUME_MODE_RWO = ["ReadWriteOnce"]
VOLUME_MODE_RWM = ["ReadWriteMany"]
VOLUME_MODE_ROM = ["ReadOnlyMany"]


def ResourceOp(*_: Any, **__: Any) -> Any:
    raise uncovered("dsl.ResourceOp", "It makes objects of Kubernetes, which is not there.")


def VolumeOp(*_: Any, **__: Any) -> Any:
    raise uncovered("dsl.VolumeOp", "Files go between tasks as artifacts; take volumes out of the file.")


def graph_component(func: Callable[..., Any]) -> Callable[..., Any]:
    raise uncovered("dsl.graph_component", "Make it a @dsl.pipeline, and call that.")


def python_component(*_: Any, **__: Any) -> Any:
    raise uncovered("dsl.python_component", "Use kfp.components.create_component_from_func.")


__all__ = [
    "Bool",
    "ContainerOp",
    "Dict",
    "Float",
    "GCPProjectID",
    "GCPRegion",
    "GCRPath",
    "GCSPath",
    "InputArgumentPath",
    "Integer",
    "List",
    "LocalPath",
    "PipelineConf",
    "PipelineExecutionMode",
    "ResourceOp",
    "String",
    "URI",
    "VOLUME_MODE_ROM",
    "VOLUME_MODE_RWM",
    "VOLUME_MODE_RWO",
    "VolumeOp",
    "get_pipeline_conf",
    "graph_component",
    "python_component",
]
