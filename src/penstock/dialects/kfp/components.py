"""Components and pipelines, as the file sees them: what `@dsl.component` and its like return."""

from __future__ import annotations

import functools
import inspect
import textwrap
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from penstock.authoring.source import caller, location_of
from penstock.dialects import foreign
from penstock.dialects.kfp import placeholders
from penstock.dialects.kfp.artifacts import Artifact
from penstock.dialects.kfp.calls import typed
from penstock.dialects.kfp.channels import Channel, source_of
from penstock.dialects.kfp.interfaces import Interface, interface_of, parameter_type
from penstock.dialects.kfp.refusing import uncovered
from penstock.dialects.kfp.structures import (
    ArtifactType,
    Component,
    Container,
    Given,
    Graph,
    Importer,
    Input,
    Output,
    Python,
)
from penstock.dialects.kfp.tasks import PipelineTask
from penstock.dialects.kfp.tracing import call, current_trace, kubernetes_name, tracing
from penstock.errors import DefinitionError
from penstock.model.graph import Ignored


class BaseComponent:
    """What makes a task when it is called in a pipeline."""

    def __init__(
        self,
        component: Component,
        details: Mapping[str, Any] | None = None,
        *,
        legacy: bool = False,
        ignored: Sequence[Ignored] = (),
    ) -> None:
        self.component = component
        self.name = component.name
        self.description = component.description or None
        #: input or output -> the annotation that it has in the file
        self.details: Mapping[str, Any] = {} if details is None else details
        self.legacy = legacy
        self.ignored = tuple(ignored)
        self.__doc__ = component.description
        foreign.made(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = self._arguments(args, kwargs)
        trace = tracing()
        if trace is None:
            from penstock.dialects.kfp.local import LocalTask

            return LocalTask(self, given)
        return PipelineTask(trace, self.component, given, self.details, checked=not self.legacy)

    def _arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        known = [each for each in self.component.inputs if each.type != "TASK_FINAL_STATUS"]
        names = [each.name for each in known]
        if args and not self.legacy:
            raise self._wrong(f"takes arguments by their names, and was given {len(args)} without")
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        unknown = next((name for name in given if name not in names), None)
        if unknown is not None:
            raise self._wrong(f"has no input {unknown!r}; it has: {', '.join(names) or 'none'}")
        missing = [each.name for each in known if not each.optional and each.name not in given]
        if missing:
            raise self._wrong(f"needs {', '.join(missing)}")
        return given

    def _wrong(self, what: str) -> DefinitionError:
        return DefinitionError(
            f"the component {self.name} {what}",
            where=str(caller()),
            remedy=f"It is defined at {self.component.location}.",
        )

    def __repr__(self) -> str:
        return f"<component {self.name} at {self.component.location}>"


class PythonComponent(BaseComponent):
    """A component that is a Python function."""

    def __init__(self, function: Callable[..., Any], component: Component, **rest: Any) -> None:
        super().__init__(component, **rest)
        self.python_func = function
        self.__name__ = function.__name__
        self.__wrapped__ = function

    def execute(self, **arguments: Any) -> Any:
        """Call the function right here."""
        return self.python_func(**arguments)


class ContainerComponent(BaseComponent):
    """A component that is a program in a container."""


class YamlComponent(BaseComponent):
    """A component, or a pipeline, that was read from a file of YAML."""


class GraphComponent(BaseComponent):
    """A pipeline."""

    def __init__(self, function: Callable[..., Any], component: Component, **rest: Any) -> None:
        super().__init__(component, **rest)
        self.pipeline_func = function
        self.__name__ = function.__name__
        self.__wrapped__ = function


def component(
    func: Callable[..., Any] | None = None,
    *,
    base_image: str | None = None,
    target_image: str | None = None,
    packages_to_install: list[str] | None = None,
    pip_index_urls: list[str] | None = None,
    output_component_file: str | None = None,
    install_kfp_package: bool = True,
    kfp_package_path: str | None = None,
    pip_trusted_hosts: list[str] | None = None,
    use_venv: bool = False,
    additional_funcs: list[Callable[..., Any]] | None = None,
    embedded_artifact_path: str | None = None,
    task_config_passthroughs: list[Any] | None = None,
) -> Any:
    """See `kfp.dsl.component`."""
    if func is None:
        given = {name: value for name, value in locals().items() if name != "func"}
        return functools.partial(component, **given)
    if embedded_artifact_path is not None or task_config_passthroughs:
        name = "embedded_artifact_path" if embedded_artifact_path is not None else "task_config_passthroughs"
        raise uncovered(f"dsl.component({name}=...)")
    _check_kind(func)
    at = location_of(func)
    ignored = [
        Ignored(f"the component {func.__name__!r}: {name}", at, why)
        for name, value, why in (
            ("kfp_package_path", kfp_package_path, "kfp is not installed"),
            ("use_venv", use_venv, "environments are made where packages are missing"),
            ("target_image", target_image, "no image is built; the function runs from this file"),
        )
        if value
    ]
    python = Python(
        func,
        function_source(func),
        base_image,
        tuple(packages_to_install or ()),
        tuple(pip_index_urls or ()),
        tuple(pip_trusted_hosts or ()),
        install_kfp_package,
        target_image=target_image,
    )
    made = python_component(func, interface_of(func), python, ignored=ignored)
    _write(made, output_component_file)
    return made


def _check_kind(func: Callable[..., Any]) -> None:
    """Raise NotCoveredError for what the first version once called a component: a function that makes a container."""
    if "ContainerOp" in getattr(getattr(func, "__code__", None), "co_names", ()):
        raise uncovered(
            f"dsl.component of {func.__name__}(), which returns a dsl.ContainerOp,",
            "Take the decorator away, and call the function in the pipeline.",
        )


def former_component(func: Callable[..., Any] | None = None, **options: Any) -> Any:
    """See `kfp.v2.dsl.component`, of the first version: its components take arguments by position as well."""
    if func is None:
        return functools.partial(former_component, **options)
    made = component(func, **options)
    made.legacy = True
    return made


def python_component(
    function: Callable[..., Any], interface: Interface, python: Python, *, name: str = "", **rest: Any
) -> PythonComponent:
    """The component of a function."""
    noun = Component(
        kubernetes_name(name or function.__name__),
        python,
        interface.inputs,
        interface.outputs,
        (inspect.getdoc(function) or "").strip(),
        location=location_of(function),
    )
    return PythonComponent(function, noun, details=interface.details, **rest)


def create_component_from_func(
    func: Callable[..., Any],
    output_component_file: str | None = None,
    base_image: str | None = None,
    packages_to_install: list[str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> PythonComponent:
    """See the first version's `kfp.components.create_component_from_func`."""
    python = Python(func, function_source(func), base_image, tuple(packages_to_install or ()))
    made = python_component(func, interface_of(func, legacy=True), python, legacy=True)
    _write(made, output_component_file)
    return made


def func_to_container_op(
    func: Callable[..., Any],
    output_component_file: str | None = None,
    base_image: str | None = None,
    extra_code: str = "",
    packages_to_install: list[str] | None = None,
    modules_to_capture: list[str] | None = None,
    use_code_pickling: bool = False,
    annotations: Mapping[str, str] | None = None,
) -> PythonComponent:
    """See the first version's `kfp.components.func_to_container_op`."""
    if extra_code:
        raise uncovered("func_to_container_op(extra_code=...)", "Put the code into the function.")
    return create_component_from_func(func, output_component_file, base_image, packages_to_install, annotations)


def container_component(func: Callable[..., Any]) -> ContainerComponent:
    """See `kfp.dsl.container_component`."""
    interface = interface_of(func)
    arguments: dict[str, Any] = {}
    for role in interface.roles:
        match role.kind:
            case "artifact" | "artifacts":
                arguments[role.name] = placeholders.ArtifactPlaceholder("inputs", role.called)
            case "input_path":
                arguments[role.name] = placeholders.ArtifactPlaceholder("inputs", role.called).path
            case "output_artifact":
                arguments[role.name] = placeholders.ArtifactPlaceholder("outputs", role.called)
            case "output_path" if parameter_type(role.type) is None:
                arguments[role.name] = placeholders.ArtifactPlaceholder("outputs", role.called).path
            case "output_path":
                arguments[role.name] = placeholders.output_file(role.called)
            case _:
                arguments[role.name] = placeholders.input_value(role.called)
    spec = func(**arguments)
    if not isinstance(spec, placeholders.ContainerSpec):
        raise DefinitionError(
            f"{func.__name__}() has to return a dsl.ContainerSpec, and returned {spec!r}", where=str(location_of(func))
        )
    container = Container(
        str(spec.image),
        tuple(placeholders.word_of(each) for each in spec.command),
        tuple(placeholders.word_of(each) for each in spec.args),
    )
    noun = Component(
        kubernetes_name(func.__name__),
        container,
        interface.inputs,
        interface.outputs,
        (inspect.getdoc(func) or "").strip(),
        location=location_of(func),
    )
    return ContainerComponent(noun, interface.details)


def pipeline(
    func: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    pipeline_root: str | None = None,
    display_name: str | None = None,
    pipeline_config: Any = None,
) -> Any:
    """See `kfp.dsl.pipeline`. The first version gave `name` and `description` by position."""
    if func is None or isinstance(func, str):
        return functools.partial(
            pipeline,
            name=func or name,
            description=description,
            pipeline_root=pipeline_root,
            display_name=display_name,
            pipeline_config=pipeline_config,
        )
    interface = interface_of(func, legacy=True)
    untyped = [each.name for each in inspect.signature(func).parameters.values() if each.annotation is each.empty]
    called = kubernetes_name(name or func.__name__)
    at = location_of(func)
    ignored: list[Ignored] = []
    if pipeline_config is not None:
        ignored.append(Ignored("dsl.pipeline(pipeline_config=...)", at, "it is for a cluster"))
    if pipeline_root:
        ignored.append(
            Ignored(f"dsl.pipeline(pipeline_root={pipeline_root!r})", at, "artifacts go to penstock's blobs")
        )
    noun = Component(
        called,
        Graph(()),
        tuple(_defaulted(each) if each.name in untyped else each for each in interface.inputs),
        interface.outputs,
        description or (inspect.getdoc(func) or "").strip(),
        display_name or "",
        pipeline_root or "",
        at,
    )
    graph, more = call(noun, func, interface.details, untyped)
    inputs = tuple(_consumed(each, graph) if each.name in untyped else each for each in noun.inputs)
    noun = msgspec.structs.replace(noun, implementation=graph, inputs=inputs)
    return GraphComponent(func, noun, details=interface.details, ignored=[*ignored, *more])


def _defaulted(given: Input) -> Input:
    """An input without an annotation, with the type of its default."""
    found = None if given.default is None else parameter_type(type(given.default))
    return given if found is None else msgspec.structs.replace(given, type=found)


def _consumed(given: Input, graph: Graph) -> Input:
    """An input without an annotation, with the type that all that take it as it is agree on."""
    wanted = {
        known.type
        for task in graph.tasks()
        for name, source in task.arguments.items()
        if source == Given(given.name) and (known := task.component.input(name)) is not None
    }
    kind = next(iter(wanted)) if len(wanted) == 1 else None
    if not isinstance(kind, str) or kind == given.type or kind == "TASK_FINAL_STATUS":
        return given
    return msgspec.structs.replace(given, type=kind, default=typed(given.default, kind))


def importer(
    artifact_uri: Any,
    artifact_class: type[Artifact],
    reimport: bool = False,
    metadata: Mapping[str, Any] | None = None,
    download_to_workspace: bool = False,
) -> PipelineTask:
    """See `kfp.dsl.importer`."""
    if any(isinstance(each, Channel) for each in (metadata or {}).values()):
        raise uncovered("dsl.importer(metadata=...) with values to come", "Give it values that are known.")
    kind = ArtifactType(artifact_class.schema_title, artifact_class.schema_version)
    coming = isinstance(artifact_uri, Channel) or not isinstance(source_of(artifact_uri), type(source_of("")))
    noun = Component(
        "importer",
        Importer(Given("uri") if coming else source_of(artifact_uri), kind, reimport, dict(metadata or {})),
        (Input("uri", "STRING"),) if coming else (),
        (Output("artifact", kind),),
        location=caller(),
    )
    return PipelineTask(current_trace(), noun, {"uri": artifact_uri} if coming else {}, {})


def function_source(function: Callable[..., Any]) -> str:
    """The source of a function without its decorators; empty where there is none."""
    try:
        lines = textwrap.dedent(inspect.getsource(function)).splitlines(keepends=True)
    except (OSError, TypeError):
        return ""
    start = next((n for n, line in enumerate(lines) if line.startswith(("def ", "async def "))), 0)
    return "".join(lines[start:])


def _write(made: BaseComponent, file: str | None) -> None:
    if file is not None:
        from penstock.dialects.kfp.compiling import Compiler

        warnings.warn("output_component_file is deprecated; compile the component", DeprecationWarning, stacklevel=3)
        Compiler().compile(made, str(Path(file)))


__all__ = [
    "BaseComponent",
    "ContainerComponent",
    "GraphComponent",
    "PythonComponent",
    "YamlComponent",
    "component",
    "container_component",
    "create_component_from_func",
    "former_component",
    "func_to_container_op",
    "function_source",
    "importer",
    "pipeline",
    "python_component",
]
