"""Programs in containers as tasks of penstock's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import msgspec

from penstock.authoring.ref import is_open
from penstock.authoring.task import Task as PenstockTask
from penstock.authoring.tasks.commands import container, file
from penstock.dialects.kfp.calls import as_text
from penstock.dialects.kfp.stored import StoredArtifact
from penstock.dialects.kfp.structures import ArtifactType, Concat, Container, IfPresent, Input, Task, Word
from penstock.dialects.kfp.values import worded
from penstock.errors import NotCoveredError

_PLACE = re.compile(r"\{\{\$(.*?)\}\}")
_INPUT = re.compile(r"\.inputs\.parameters\['{1,2}(.+?)'{1,2}\]")
_ARTIFACT = re.compile(r"\.inputs\.artifacts\['{1,2}(.+?)'{1,2}\]\.(path|uri)")
_PARAMETER_FILE = re.compile(r"\.outputs\.parameters\['{1,2}(.+?)'{1,2}\]\.output_file")
_OUTPUT = re.compile(r"\.outputs\.artifacts\['{1,2}(.+?)'{1,2}\]\.(?:path|uri)")
_READ: Mapping[Any, Any] = {"STRING": "text", "NUMBER_INTEGER": "int", "NUMBER_DOUBLE": "float"}
#: where files are in the container
_MOUNT = "/work"


class Made(NamedTuple):
    """A program as a task (see `actions.Action`)."""

    task: PenstockTask[..., Any]
    ports: Mapping[str, str]
    arranged: Callable[[dict[str, Any]], dict[str, Any]]
    plain: bool


def container_task(task: Task, what: Container, options: Mapping[str, Any]) -> Made:
    """The task of a program. Raises NotCoveredError for what a command asks for and cannot have here."""
    line = _Line(task, what)
    command = [part for word in what.command for part in line.texts(word)]
    arguments = [part for word in what.arguments for part in line.texts(word)]
    entry: list[str] = []
    if command:
        entry, command = ["--entrypoint", command[0].replace("{{", "{").replace("}}", "}")], command[1:]
    outputs = {
        variable(each.name): file(_file(each.name), cast(Any, "path" if _is_artifact(each.type) else _reads(each.type)))
        for each in task.component.outputs
    }
    single = next(iter(outputs.values())) if len(outputs) == 1 else None
    variables = {**what.environment, **task.settings.environment}
    made = container(
        task.settings.image or what.image,
        [*command, *arguments],
        name=task.component.name,
        inputs=dict.fromkeys(line.used, Any),
        environment={name: value.replace("{", "{{").replace("}", "}}") for name, value in variables.items()},
        outputs=outputs if single is None else single,
        mount=_MOUNT,
        arguments=entry,
        **options,
    )
    program = cast(Any, made.function)
    at = msgspec.structs.replace(program.action.command, location=task.component.location)
    program.action = msgspec.structs.replace(program.action, command=at)
    ports = {each.name: variable(each.name) for each in task.component.outputs}
    plain = all(each.type in _READ for name, each in line.inputs.items() if name in line.used)
    return Made(made, ports, line.arranged, plain)


def variable(name: str) -> str:
    """A name that can stand in a template."""
    found = re.sub(r"\W", "_", name)
    return found if found.isidentifier() else f"_{found}"


def _file(name: str) -> str:
    return f"output-{variable(name)}"


def _is_artifact(kind: Any) -> bool:
    return isinstance(kind, ArtifactType)


def _reads(kind: Any) -> str:
    return _READ.get(kind, "json")


class _Line:
    """The command of one task."""

    def __init__(self, task: Task, what: Container) -> None:
        self.task = task
        self.inputs: dict[str, Input] = {variable(each.name): each for each in task.component.inputs}
        #: the inputs that stand in the command
        self.used: dict[str, None] = {}

    def texts(self, word: Word) -> list[str]:
        """The arguments that a part of the command becomes."""
        match word:
            case str():
                return [_filled(word, self._place)]
            case Concat(items):
                return ["".join(part for item in items for part in self.texts(item))]
            case IfPresent(name, then, otherwise):
                return [part for item in (then if self._is_there(name) else otherwise) for part in self.texts(item)]

    def _is_there(self, name: str) -> bool:
        if name in self.task.arguments:
            return True
        known = self.task.component.input(name)
        return known is not None and known.default is not None

    def _place(self, place: str) -> str:
        for form in (_INPUT, _ARTIFACT):
            found = form.fullmatch(place)
            if found is not None:
                name = variable(found[1])
                self.used[name] = None
                return f"{{{name}}}"
        for form in (_PARAMETER_FILE, _OUTPUT):
            found = form.fullmatch(place)
            if found is not None:
                return f"{_MOUNT}/{_file(found[1])}"
        raise NotCoveredError(
            f"{{{{${place}}}}} in the command of {self.task.component.name} is not covered by penstock's reader of "
            "Kubeflow Pipelines",
            where=str(self.task.component.location),
            remedy="Pass what it stands for as an input.",
        )

    def arranged(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments as the command takes them: text for values that are neither text nor numbers, paths for artifacts."""
        found: dict[str, Any] = {}
        for name in self.used:
            known = self.inputs[name]
            value = arguments.get(known.name, known.default)
            called = f"{self.task.name}-{known.name}"
            if isinstance(known.type, ArtifactType):
                found[name] = _helped(located, called, value)
            elif known.type in _READ:
                found[name] = value
            else:
                found[name] = _helped(worded, called, value) if is_open(value) else as_text(value)
        return found


def _helped(function: Callable[..., Any], name: str, value: Any) -> Any:
    return cast(Any, PenstockTask(function, name).options(name=name))(value)


def located(artifact: Any) -> Any:
    """The file or folder of an artifact, for a command."""
    from pathlib import Path

    return Path(artifact.path) if isinstance(artifact, StoredArtifact) else artifact


def _filled(text: str, place: Callable[[str], str]) -> str:
    """Text with its places filled in, in which all other braces stand for themselves."""
    parts = _PLACE.split(text)
    return "".join(
        place(part) if number % 2 else part.replace("{", "{{").replace("}", "}}") for number, part in enumerate(parts)
    )


__all__ = ["Made", "container_task", "located", "variable"]
