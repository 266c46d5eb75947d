"""Components and pipelines of Kubeflow's as Python text."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator, Mapping
from typing import Any

from penstock.dialects.code.formatting import Imports, block, broken, call, docstring, literal, module_text, quoted
from penstock.dialects.code.naming import identifier
from penstock.dialects.kfp import structures as kfp
from penstock.errors import DefinitionError

#: the image of a component that names none
IMAGE = "python:3.11"

_TYPES: Mapping[str, str] = {
    "STRING": "str",
    "NUMBER_INTEGER": "int",
    "NUMBER_DOUBLE": "float",
    "BOOLEAN": "bool",
    "LIST": "list",
    "STRUCT": "dict",
    "TASK_FINAL_STATUS": "dsl.PipelineTaskFinalStatus",
}
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
_MARKERS = frozenset({"Input", "Output", "InputPath", "OutputPath", "PipelineTaskFinalStatus"})
_TYPING = frozenset({"Any", "Dict", "List", "NamedTuple", "Optional", "Union"})
_PLACE = re.compile(r"\{\{\$\.(inputs|outputs)\.(parameters|artifacts)\['([^']+)'\](?:\.(\w+))?\}\}")
_INVERSE = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}


def module_of(component: kfp.Component, about: str = "") -> str:
    """A file with a pipeline, its components, and how to compile it."""
    writer = _Module()
    whole = component
    if not isinstance(component.implementation, kfp.Graph):
        task = kfp.Task(component.name, component, {each.name: kfp.Given(each.name) for each in component.inputs})
        outputs = {each.name: kfp.Produced(component.name, each.name) for each in component.outputs}
        whole = kfp.Component(
            f"{component.name}-pipeline", kfp.Graph((task,), outputs), component.inputs, component.outputs
        )
    name = writer.pipeline(whole)
    imports = writer.imports
    imports.name("kfp", "compiler")
    imports.name("kfp", "dsl")
    run = f'if __name__ == "__main__":\n    compiler.Compiler().compile({name}, "{whole.name}.yaml")'
    return module_text(imports, [*writer.parts, run], about)


_BUILTINS = frozenset(dir(builtins))


class _Module:
    """The definitions of one file."""

    def __init__(self) -> None:
        self.imports = Imports()
        self.parts: list[str] = []
        self._known: dict[int, tuple[kfp.Component, str]] = {}
        self._names = {"dsl", "compiler", "kfp", "kubernetes"}

    def name(self, wanted: str) -> str:
        base = identifier(wanted)
        # the file uses `list` and others itself; a component is called the same without the last underscore
        base = f"{base}_" if base in _BUILTINS else base
        name, count = base, 1
        while name in self._names:
            count += 1
            name = f"{base}_{count}"
        self._names.add(name)
        return name

    def component(self, component: kfp.Component) -> str:
        """The name of a component in the file, in which it is put if it is not there."""
        known = self._known.get(id(component))
        if known is not None:
            return known[1]
        what = component.implementation
        match what:
            case kfp.Python():
                name = self._python(what)
            case kfp.Container():
                name = self._container(component, what)
            case kfp.Graph():
                name = self.pipeline(component)
            case kfp.Importer():
                name = "dsl.importer"
        self._known[id(component)] = (component, name)
        return name

    def _python(self, what: kfp.Python) -> str:
        tree = ast.parse(what.source)
        functions = [each for each in tree.body if isinstance(each, ast.FunctionDef)]
        own = functions[-1].name if functions else what.function.__name__
        name = self.name(own)
        source = what.source.strip("\n")
        if name != own:
            source = re.sub(rf"\bdef {own}\b", f"def {name}", source, count=1)
        for each in ast.walk(tree):
            if isinstance(each, ast.Name):
                self._mentioned(each.id)
        options: dict[str, Any] = {"base_image": what.base_image or IMAGE}
        if what.target_image:
            options["target_image"] = what.target_image
        if what.packages:
            options["packages_to_install"] = list(what.packages)
        if what.index_urls:
            options["pip_index_urls"] = list(what.index_urls)
        if what.trusted_hosts:
            options["pip_trusted_hosts"] = list(what.trusted_hosts)
        if not what.install_kfp and not what.reference:
            options["install_kfp_package"] = False
        decorator = call("@dsl.component", [f"{key}={literal(each, self.imports)}" for key, each in options.items()])
        head = "\n".join(broken([decorator]))
        if len(functions) > 1:
            # helpers that a compiled component carries along stand before it
            cut = functions[-1].lineno - 1
            lines = source.splitlines()
            source = "\n".join([*lines[:cut], head, *lines[cut:]])
            self.parts.append(source)
        else:
            self.parts.append(f"{head}\n{source}")
        return name

    def _mentioned(self, name: str) -> None:
        if name in _CLASSES or name in _MARKERS:
            self.imports.name("kfp.dsl", name)
        elif name in _TYPING:
            self.imports.name("typing", name)

    def _container(self, component: kfp.Component, what: kfp.Container) -> str:
        name = self.name(component.name)
        parameters: list[str] = []
        for each in component.inputs:
            default = "" if not each.optional else f" = {literal(each.default, self.imports)}"
            parameters.append(f"{each.name}: {self.annotation(each.type, each.listed)}{default}")
        parameters.sort(key=lambda text: " = " in text)
        for each in component.outputs:
            if isinstance(each.type, kfp.ArtifactType):
                parameters.append(f"{each.name}: dsl.Output[dsl.{_class(each.type)}]")
            else:
                parameters.append(f"{each.name}: dsl.OutputPath({_TYPES[each.type]})")
        fields = [f"image={quoted(what.image)}"]
        if what.command:
            fields.append(f"command=[{', '.join(self._word(each) for each in what.command)}]")
        if what.arguments:
            fields.append(f"args=[{', '.join(self._word(each) for each in what.arguments)}]")
        lines = broken([f"def {name}({', '.join(parameters)}):"])
        body = broken(block([f"return dsl.ContainerSpec({', '.join(fields)})"]))
        self.parts.append("\n".join(["@dsl.container_component", *lines, *body]))
        return name

    def _word(self, word: kfp.Word) -> str:
        match word:
            case kfp.Concat(items):
                return f"dsl.ConcatPlaceholder([{', '.join(self._word(each) for each in items)}])"
            case kfp.IfPresent(name, then, otherwise):
                more = f", else_=[{', '.join(map(self._word, otherwise))}]" if otherwise else ""
                return f"dsl.IfPresentPlaceholder({quoted(name)}, then=[{', '.join(map(self._word, then))}]{more})"
            case _:
                parts = list(_parts(word))
                return parts[0] if len(parts) == 1 else f"dsl.ConcatPlaceholder([{', '.join(parts)}])"

    def annotation(self, kind: kfp.ParameterType | kfp.ArtifactType, listed: bool = False) -> str:
        if not isinstance(kind, kfp.ArtifactType):
            return _TYPES[kind]
        if listed:
            return f"dsl.Input[{self.imports.name('typing', 'List')}[dsl.{_class(kind)}]]"
        return f"dsl.Input[dsl.{_class(kind)}]"

    # Pipelines.

    def pipeline(self, component: kfp.Component) -> str:
        graph = component.implementation
        assert isinstance(graph, kfp.Graph)
        name = self.name(component.name)
        body = _Body(self, component, graph)
        lines = [*docstring(component.description), *body.lines()]
        options = [f"name={quoted(component.name)}"]
        if component.display_name:
            options.append(f"display_name={quoted(component.display_name)}")
        if component.pipeline_root:
            options.append(f"pipeline_root={quoted(component.pipeline_root)}")
        parameters = [self._parameter(each) for each in component.inputs]
        parameters.sort(key=lambda text: " = " in text)
        head = broken([f"def {name}({', '.join(parameters)}){body.returns()}:"])
        decorator = broken([f"@dsl.pipeline({', '.join(options)})"])
        self.parts.append("\n".join([*decorator, *head, *(broken(block(lines)) or ["    pass"])]))
        return name

    def _parameter(self, given: kfp.Input) -> str:
        default = f" = {literal(given.default, self.imports)}" if given.optional else ""
        return f"{given.name}: {self.annotation(given.type, given.listed)}{default}"


class _Body:
    """The lines of one pipeline."""

    def __init__(self, module: _Module, component: kfp.Component, graph: kfp.Graph) -> None:
        self.module, self.component, self.graph = module, component, graph
        self.tasks = {task.name: task for task in graph.tasks()}
        taken = {each.name for each in component.inputs} | {"dsl", "compiler"}
        self.variables: dict[str, str] = {}
        for task in self.tasks.values():
            # components are defined before, and their names are not taken by variables
            module.component(task.component)
        known = {module.component(task.component) for task in self.tasks.values()} | taken
        for name in [*self.tasks, *_groups(graph.steps)]:
            base = identifier(name)
            base = f"{base}_task" if base in known else base
            wish, count = base, 1
            while wish in taken or wish in self.variables.values():
                count += 1
                wish = f"{base}_{count}"
            self.variables[name] = wish

    def lines(self) -> list[str]:
        used = set(_used(self.graph))
        self.used = used
        lines = self.steps(self.graph.steps)
        outputs = self.graph.outputs
        if len(outputs) == 1 and "Output" in outputs:
            lines.append(f"return {self.source(outputs['Output'])}")
        elif outputs:
            named = self.module.imports.name("typing", "NamedTuple")
            values = ", ".join(f"{name}={self.source(source)}" for name, source in outputs.items())
            lines += [f"outputs = {named}({self._fields()})", f"return outputs({values})"]
        return lines

    def _fields(self) -> str:
        fields = ", ".join(
            f"({quoted(each.name)}, {self.module.annotation(each.type).replace('dsl.Input[', '').rstrip(']')})"
            for each in self.component.outputs
        )
        return f'"Outputs", [{fields}]'

    def returns(self) -> str:
        outputs = self.component.outputs
        if not outputs:
            return ""
        if len(outputs) == 1 and outputs[0].name == "Output":
            kind = self.module.annotation(outputs[0].type)
            return f" -> {kind.replace('dsl.Input[', '').rstrip(']')}"
        return f" -> {self.module.imports.name('typing', 'NamedTuple')}({self._fields()})"

    def steps(self, steps: tuple[kfp.Step, ...]) -> list[str]:
        return [line for step in steps for line in self.step(step)]

    def step(self, step: kfp.Step) -> list[str]:
        match step:
            case kfp.Task():
                return self.task(step)
            case kfp.Branches():
                return [line for number, branch in enumerate(step.branches) for line in self.branch(branch, number)]
            case kfp.Loop():
                limit = f", parallelism={step.parallelism}" if step.parallelism else ""
                head = f"with dsl.ParallelFor({self.source(step.items)}{limit}) as {self.variables[step.name]}:"
                return [head, *block(self.steps(step.steps))]
            case kfp.Exit():
                handler = self.task(step.handler, kept=True)
                name = self.variables[step.handler.name]
                return [*handler, f"with dsl.ExitHandler({name}):", *block(self.steps(step.steps))]

    def branch(self, branch: kfp.Branch, number: int) -> list[str]:
        inside = self.steps(branch.steps) or ["pass"]
        if branch.condition is None:
            return ["with dsl.Else():", *block(inside)]
        word = "dsl.Elif" if number else "dsl.If"
        if isinstance(branch.condition, kfp.Logic) and branch.condition.operator == "and" and not number:
            for each in reversed(branch.condition.operands):
                inside = [f"with dsl.If({self.condition(each)}):", *block(inside)]
            return inside
        return [f"with {word}({self.condition(branch.condition)}):", *block(inside)]

    def condition(self, condition: kfp.Condition) -> str:
        match condition:
            case kfp.Comparison(operator, left, right):
                return f"{self.source(left)} {operator} {self.source(right)}"
            case kfp.Logic("not", (kfp.Comparison(operator, left, right),)):
                return f"{self.source(left)} {_INVERSE[operator]} {self.source(right)}"
            case kfp.Logic("not", (kfp.Logic("not", (inner,)),)):
                return self.condition(inner)
            case _:
                raise DefinitionError(
                    f"{self.component.name!r} cannot be written for Kubeflow Pipelines: a condition of it combines others",
                    remedy="Let a component compute it.",
                )

    def task(self, task: kfp.Task, *, kept: bool = False) -> list[str]:
        called = self.module.component(task.component)
        what = task.component.implementation
        if isinstance(what, kfp.Importer):
            line = self._importer(task, what)
        else:
            given = [
                f"{name}={self.argument(source)}"
                for name, source in task.arguments.items()
                if not isinstance(source, kfp.FinalStatus)
            ]
            line = call(called, given)
        settings = list(self._settings(task))
        variable = self.variables[task.name]
        platform = self._platform(task, variable)
        if kept or settings or platform or task.name in self.used:
            line = f"{variable} = {line}"
        return [line, *(f"{variable}.{each}" for each in settings), *platform]

    def _importer(self, task: kfp.Task, what: kfp.Importer) -> str:
        uri = task.arguments.get("uri", what.uri)
        fields = [f"artifact_uri={self.argument(uri)}", f"artifact_class=dsl.{_class(what.type)}"]
        if what.reimport:
            fields.append("reimport=True")
        if what.metadata:
            fields.append(f"metadata={literal(dict(what.metadata), self.module.imports)}")
        return call("dsl.importer", fields)

    def _settings(self, task: kfp.Task) -> Iterator[str]:
        settings = task.settings
        if task.after:
            yield f"after({', '.join(self.variables[name] for name in task.after)})"
        if settings.display_name:
            yield f"set_display_name({quoted(settings.display_name)})"
        if settings.caching is False:
            yield "set_caching_options(False)"
        elif settings.cache_key:
            yield f"set_caching_options(True, cache_key={quoted(settings.cache_key)})"
        if settings.retry is not None:
            yield _retry(settings.retry)
        yield from _resources(settings.resources)
        for name, value in settings.environment.items():
            yield f"set_env_variable({quoted(name)}, {quoted(value)})"
        if settings.image:
            yield f"set_container_image({quoted(settings.image)})"
        if settings.ignore_upstream_failure:
            yield "ignore_upstream_failure()"

    def _platform(self, task: kfp.Task, variable: str) -> list[str]:
        """What is said to a platform alone."""
        said = {(name, key): value for name, each in task.settings.platforms.items() for key, value in each.items()}
        limit = said.pop(("kubernetes", "activeDeadlineSeconds"), None)
        if said:
            raise DefinitionError(
                f"{task.name!r} cannot be written for Kubeflow Pipelines: it has settings of "
                f"{', '.join(dict.fromkeys(name for name, _ in said))} alone",
                remedy="Write it as a compiled pipeline, or take them out.",
            )
        if limit is None:
            return []
        self.module.imports.name("kfp", "kubernetes")
        return [f"kubernetes.set_timeout({variable}, {limit})"]

    # Values.

    def argument(self, source: kfp.Source | tuple[kfp.Source, ...]) -> str:
        if isinstance(source, tuple):
            return f"[{', '.join(self.source(each) for each in source)}]"
        return self.source(source)

    def source(self, source: kfp.Source) -> str:
        match source:
            case kfp.Constant(value):
                return literal(value, self.module.imports)
            case kfp.Given(name):
                return name
            case kfp.Produced(task, output, path):
                whole = f"{self.variables[task]}.outputs[{quoted(output)}]"
                if len(self.tasks[task].component.outputs) == 1:
                    whole = f"{self.variables[task]}.output"
                return whole + "".join(f"[{quoted(each)}]" for each in path)
            case kfp.Item(loop, path):
                return self.variables[loop] + "".join(f".{each}" for each in path)
            case kfp.Collected(inner):
                return f"dsl.Collected({self.source(inner)})"
            case kfp.OneOf(options):
                return f"dsl.OneOf({', '.join(self.source(each) for each in options)})"
            case kfp.Text(parts):
                inside = "".join(
                    _escaped(each) if isinstance(each, str) else f"{{{self.source(each)}}}" for each in parts
                )
                quote = "'" if '"' in inside else '"'
                return f"f{quote}{inside}{quote}"
            case kfp.Nested(value):
                return self._nested(value)
            case kfp.FinalStatus():
                return "None"

    def _nested(self, value: Any) -> str:
        if isinstance(value, list):
            return f"[{', '.join(self._nested(each) for each in value)}]"  # pyright: ignore[reportUnknownVariableType]
        if isinstance(value, dict):
            pairs = ", ".join(f"{quoted(key)}: {self._nested(each)}" for key, each in value.items())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            return f"{{{pairs}}}"
        known = (kfp.Given, kfp.Produced, kfp.Item, kfp.Collected, kfp.OneOf, kfp.Text, kfp.Constant)
        return self.source(value) if isinstance(value, known) else literal(value, self.module.imports)


def _retry(retry: kfp.Retry) -> str:
    more = f', backoff_duration="{retry.delay:g}s"' if retry.delay else ""
    more += f", backoff_factor={retry.factor!r}" if retry.factor != 2.0 else ""
    more += f', backoff_max_duration="{retry.longest:g}s"' if retry.longest != 3600.0 else ""
    return f"set_retry({retry.count}{more})"


def _resources(resources: kfp.Resources) -> Iterator[str]:
    for name in ("cpu_request", "cpu_limit", "memory_request", "memory_limit"):
        if value := getattr(resources, name):
            yield f"set_{name}({quoted(value)})"
    if resources.accelerator:
        yield f"set_accelerator_type({quoted(resources.accelerator)})"
    if resources.accelerators:
        yield f"set_accelerator_limit({resources.accelerators})"


def _groups(steps: tuple[kfp.Step, ...]) -> Iterator[str]:
    """The names of loops, which variables stand for."""
    for step in steps:
        match step:
            case kfp.Loop():
                yield step.name
                yield from _groups(step.steps)
            case kfp.Branches():
                for branch in step.branches:
                    yield from _groups(branch.steps)
            case kfp.Exit():
                yield from _groups(step.steps)
            case kfp.Task():
                pass


def _used(graph: kfp.Graph) -> Iterator[str]:
    """The tasks that something else in the pipeline names."""
    found = [repr(graph.outputs), *(repr((task.arguments, task.after)) for task in graph.tasks())]
    found += [repr(condition) for condition in _conditions(graph.steps)]
    for text in found:
        yield from re.findall(r"task='([^']+)'", text)
    for task in graph.tasks():
        yield from task.after


def _conditions(steps: tuple[kfp.Step, ...]) -> Iterator[Any]:
    for step in steps:
        match step:
            case kfp.Branches():
                for branch in step.branches:
                    yield branch.condition
                    yield from _conditions(branch.steps)
            case kfp.Loop():
                yield step.items
                yield from _conditions(step.steps)
            case kfp.Exit():
                yield from _conditions(step.steps)
            case kfp.Task():
                pass


def _class(kind: kfp.ArtifactType) -> str:
    name = kind.title.rpartition(".")[2]
    return name if name in _CLASSES else "Artifact"


def _parts(text: str) -> Iterator[str]:
    """The parts of a word: plain text, and places of inputs and outputs."""
    at = 0
    for match in _PLACE.finditer(text):
        if match.start() > at:
            yield quoted(text[at : match.start()])
        _, kind, name, field = match.groups()
        plain = kind == "parameters"
        yield name if plain else f"{name}.{field or 'path'}"
        at = match.end()
    if at < len(text) or not text:
        yield quoted(text[at:])


def _escaped(text: str) -> str:
    return repr(text)[1:-1].replace("{", "{{").replace("}", "}}").replace('"', '\\"')


__all__ = ["module_of"]
