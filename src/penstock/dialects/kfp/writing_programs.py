"""Nodes as components of Kubeflow's: the source of a function that carries along all that it needs."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Mapping
from typing import NamedTuple

from penstock.dialects.code.formatting import block, broken
from penstock.dialects.code.naming import identifier
from penstock.dialects.kfp.interfaces import SINGLE
from penstock.dialects.kfp.structures import ArtifactType, Component, Input, Output, ParameterType, Python, Source
from penstock.dialects.portable.forms import FILES, Form, element_of, holds_whole_numbers
from penstock.dialects.portable.programs import Program
from penstock.model.graph import Task
from penstock.model.place import Location

#: of values of a form
TYPES: Mapping[Form, ParameterType] = {
    "int": "NUMBER_INTEGER",
    "float": "NUMBER_DOUBLE",
    "bool": "BOOLEAN",
    "str": "STRING",
    "json": "STRING",
    "list": "LIST",
    "dict": "STRUCT",
}
#: what logs metrics inside of a component
METRICS = "metrics.log_metric"
_NAMES: Mapping[str, str] = {"json": "str", "pickle": "Input[Artifact]", "path": "Input[Artifact]"}
_BUILTIN = re.compile(r"(int|float|bool|str|list|dict)(\[[\w\[\], .]*\])?$")

_WHOLE = """def whole(value):
    # Kubeflow hands over the numbers in lists and dicts as floats
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [whole(each) for each in value]
    return {key: whole(each) for key, each in value.items()} if isinstance(value, dict) else value"""


class Given(NamedTuple):
    """A value that a component is given."""

    source: Source
    form: Form
    #: as Python has it
    type: str
    #: it is the list of what a loop made: values of the form
    collected: bool = False

    @property
    def kind(self) -> ParameterType | ArtifactType:
        if self.collected and self.form not in FILES:
            return "LIST"
        return ArtifactType() if self.form in FILES else TYPES[self.form]

    @property
    def annotation(self) -> str:
        if self.collected:
            return "Input[List[Artifact]]" if self.form in FILES else "list"
        return _NAMES.get(self.form, self.form)


def port_type(form: Form) -> ParameterType | ArtifactType:
    """The type of an output that is of a form."""
    return ArtifactType() if form in FILES else TYPES[form]


def outputs_of(form: Form, ports: Mapping[str, Form]) -> tuple[Output, ...]:
    """The outputs of a component: a single value, or those that are named."""
    if ports:
        return tuple(Output(name, port_type(each)) for name, each in ports.items())
    if form == "none":
        return ()
    return (Output("result" if form in FILES else "Output", port_type(form)),)


def component(
    name: str, program: Program, given: Mapping[str, Given], form: Form, ports: Mapping[str, Form], task: Task | None
) -> Component:
    """A program as a component; `ports` are its outputs where it has several."""
    logs = any(f"{METRICS}(" in each for each in program.definitions)
    source = (None if logs else _own(name, program, given, form, ports)) or _wrapped(
        name, program, given, form, ports, task
    )
    environment = None if task is None else task.environment
    image = f"python:{environment.python}" if environment is not None and environment.python else None
    return Component(
        name.replace("_", "-"),
        Python(
            _unwritten,
            source,
            image,
            () if environment is None else environment.requirements,
        ),
        tuple(Input(key, each.kind, listed=each.collected and each.form in FILES) for key, each in given.items()),
        (*outputs_of(form, ports), *([Output("metrics", ArtifactType("system.Metrics"))] if logs else [])),
        location=Location("", 0),
    )


def _unwritten() -> None:
    """Stands for the function of a component whose source is all that matters."""


def _own(name: str, program: Program, given: Mapping[str, Given], form: Form, ports: Mapping[str, Form]) -> str | None:
    """The user's function as it stands, where Kubeflow can take it so."""
    if not program.plain or ports or len(program.definitions) != 1 or form in ("json", *FILES):
        return None
    if any(each.collected or each.form in ("json", *FILES) or _restored(each) for each in given.values()):
        return None
    text = program.definitions[0]
    function = ast.parse(text).body[0]
    if not isinstance(function, ast.FunctionDef) or function.decorator_list:
        return None
    arguments = function.args
    if arguments.posonlyargs or arguments.vararg or arguments.kwarg:
        return None
    annotations = [each.annotation for each in (*arguments.args, *arguments.kwonlyargs)]
    if form != "none":
        annotations.append(function.returns)
    if not all(each is not None and _BUILTIN.match(ast.unparse(each)) for each in annotations):
        return None
    defaults = [each for each in (*arguments.defaults, *arguments.kw_defaults) if each is not None]
    if not all(isinstance(each, ast.Constant) and each.value is not None for each in defaults):
        return None
    lines = text.splitlines()
    imports = program.imports.text()
    if imports:
        first = function.body[0]
        documented = ast.get_docstring(function) is not None
        if documented and len(function.body) == 1:
            return None
        if not documented and first.lineno == function.lineno:
            return None
        place = first.end_lineno if documented else first.lineno - 1
        assert place is not None
        lines[place:place] = [*([""] if documented else []), *_indented(imports), ""]
    return re.sub(rf"\bdef {program.plain}\b", f"def {name}", "\n".join(lines), count=1)


def _restored(given: Given) -> str | None:
    """What makes whole numbers of floats in a list or dict; None where there is nothing to make."""
    if given.form not in ("list", "dict") or not holds_whole_numbers(given.type):
        return None
    return "whole({})" if element_of(given.type) != "int" else "[int(each) for each in {}]"


def _wrapped(
    name: str, program: Program, given: Mapping[str, Given], form: Form, ports: Mapping[str, Form], task: Task | None
) -> str:
    lines: list[str] = []
    imports, definitions = program.imports, list(program.definitions)
    for key, each in given.items():
        lines += _decoded(key, each)
    if form == "json" or "json" in ports.values() or any("json.loads" in line for line in lines):
        imports.module("json")
    if "pickle" in (form, *ports.values()) or any("pickle." in line for line in lines):
        imports.module("pickle")
    if any("Path(" in line for line in lines):
        imports.name("pathlib", "Path")
    if "path" in (form, *ports.values()):
        imports.module("shutil")
    if any("whole(" in line for line in lines):
        definitions.insert(0, _WHOLE)
    lines += program.lines
    lines += _returned(program.value, form, ports, task)
    parameters = [f"{key}: {each.annotation}" for key, each in given.items()]
    files = [key for key, each in ports.items() if each in FILES] if ports else ["result"] if form in FILES else []
    parameters += [f"{each}: Output[Artifact]" for each in files]
    if any(f"{METRICS}(" in each for each in definitions):
        parameters.append("metrics: Output[Metrics]")
    head = broken([f"def {name}({', '.join(parameters)}){_annotated(form, ports)}:"])
    inside: list[str] = []
    classes = [name for each in definitions for name in re.findall(r"^class[ \t]+(\w+)", each, re.MULTILINE)]
    if classes and any("pickle." in line for line in lines):
        # pickle finds classes by their names in modules
        inside += [f"global {', '.join(classes)}", ""]
    if text := imports.text():
        inside += [*text.splitlines(), ""]
    for each in definitions:
        inside += [*each.splitlines(), ""]
    return "\n".join([*head, *block(inside), *broken(block(lines))])


def _annotated(form: Form, ports: Mapping[str, Form]) -> str:
    if ports:
        values = {name: each for name, each in ports.items() if each not in FILES}
        if [*values] == [SINGLE]:
            return f" -> {_NAMES.get(values[SINGLE], values[SINGLE])}"
        listed = ", ".join(f'("{name}", {_NAMES.get(each, each)})' for name, each in values.items())
        return f' -> NamedTuple("Outputs", [{listed}])' if values else ""
    return "" if form == "none" or form in FILES else f" -> {_NAMES.get(form, form)}"


def _decoded(key: str, given: Given) -> list[str]:
    if given.form == "path":
        return [f"{key} = [Path(each.path) for each in {key}]" if given.collected else f"{key} = Path({key}.path)"]
    if given.form == "pickle":
        if given.collected:
            return [f'{key} = [pickle.load(open(each.path, "rb")) for each in {key}]']
        return [f'with open({key}.path, "rb") as file:', f"    {key} = pickle.load(file)"]
    if given.collected:
        if given.form == "json":
            return [f"{key} = [json.loads(each) for each in {key}]"]
        if given.form in ("int", "float", "bool", "str"):
            return [f"{key} = [int(each) for each in {key}]"] if given.form == "int" else []
        return [f"{key} = whole({key})"]
    if given.form == "json":
        return [f"{key} = json.loads({key})"]
    restored = _restored(given)
    return [] if restored is None else [f"{key} = {restored.format(key)}"]


def _returned(value: str, form: Form, ports: Mapping[str, Form], task: Task | None) -> list[str]:
    if ports:
        lines = [] if value == "value" else [f"value = {value}"]
        parts: list[str] = []
        for number, (name, each) in enumerate(ports.items()):
            part = _part(task, name, number)
            if each in FILES:
                lines += _left(part, each, name)
            else:
                parts.append(_encoded(part, each))
        if parts and [each for each in ports if ports[each] not in FILES] == [SINGLE]:
            return [*lines, f"return {parts[0]}"]
        return [*lines, f"return ({', '.join(parts)}{',' if len(parts) == 1 else ''})"] if parts else lines
    match form:
        case "none":
            return [] if value in ("value", "None") else [value]
        case "pickle":
            return _left(value, form, "result")
        case "path":
            lines = [] if value == "value" else [f"value = {value}"]
            return [*lines, *_left("value", form, "result")]
        case _:
            return [f"return {_encoded(value, form)}"]


def _left(value: str, form: Form, output: str) -> list[str]:
    """The lines that leave a value in the file of an output."""
    if form == "pickle":
        return [f'with open({output}.path, "wb") as file:', f"    pickle.dump({value}, file)"]
    return [f"(shutil.copytree if {value}.is_dir() else shutil.copyfile)({value}, {output}.path)"]


def _encoded(text: str, form: Form) -> str:
    return f"json.dumps({text})" if form == "json" else text


def _part(task: Task | None, name: str, number: int) -> str:
    match None if task is None else task.record:
        case "tuple":
            return f"value[{number}]"
        case "dict" | None:
            return f'value["{name}"]'
        case _:
            return f"value.{name}"


def _indented(text: str) -> list[str]:
    return textwrap.indent(text, "    ").splitlines()


def function_name(text: str) -> str:
    """A text as the name of a component's function."""
    return identifier(text.rpartition("/")[2]).lower()


__all__ = ["METRICS", "TYPES", "Given", "component", "function_name", "outputs_of"]
