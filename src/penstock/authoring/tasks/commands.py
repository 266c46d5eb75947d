"""Commands and containers as tasks: programs whose inputs and outputs are declared."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from penstock.authoring.decorated import check_name
from penstock.authoring.files import named_file
from penstock.authoring.kinds.outputs import RESULT, Outputs, type_text
from penstock.authoring.options.policy import policy_of, read_options
from penstock.authoring.source import caller
from penstock.authoring.task import Task
from penstock.authoring.tasks.commandline import check_places, default_name, named_scripts, reads_of, used_inputs
from penstock.errors import DefinitionError
from penstock.model.action import Catch, CommandAction, ContainerAction
from penstock.model.graph import Port
from penstock.model.graph import Task as TaskNoun
from penstock.model.place import Location

#: what runs a program here and now (`module:function`), by name: it belongs to the executors, which authoring cannot know
_RUNNER = "penstock.executors.programs.commands:callable_of"

Read = Literal["text", "lines", "json", "int", "float", "bytes"]
_TYPES: dict[str, Any] = {
    "text": str,
    "lines": list[str],
    "json": Any,
    "int": int,
    "float": float,
    "bytes": bytes,
    "path": Path,
}
#: a type in the place of an output -> how it is read from stdout
_SHORTHANDS: dict[Any, str] = {
    str: "text",
    list[str]: "lines",
    int: "int",
    float: "float",
    bytes: "bytes",
    dict: "json",
    list: "json",
    bool: "json",
    Any: "json",
}


def stdout(read: Read = "text") -> Catch:
    """An output that a command writes to stdout: as text without its last newline, lines, JSON, a number or bytes."""
    _check_read(read, "path")
    return Catch("stdout", read)


def file(path: str | Path, read: Read | Literal["path"] = "path") -> Catch:
    """An output that a command leaves in a file, named from the folder it runs in: as the file itself (or a folder), or
    its content. `{name}` in the path stands for an input."""
    _check_read(read)
    return Catch("file", read, str(path))


def exit_code() -> Catch:
    """The exit code of a command as an output. All exit codes then count as success, unless `success` is given."""
    return Catch("exit_code", "int")


def _check_read(read: str, *excluded: str) -> None:
    if read not in _TYPES or read in excluded:
        known = ", ".join(repr(name) for name in _TYPES if name not in excluded)
        raise DefinitionError(
            f"an output cannot be read as {read!r}", where=str(caller()), remedy=f"Use one of: {known}."
        )


class _Program:
    """A program as a function: called, it runs right here."""

    def __init__(
        self, name: str, action: CommandAction | ContainerAction, inputs: Mapping[str, Any], about: str
    ) -> None:
        self.action = action
        self.__name__ = self.__qualname__ = name
        self.__doc__ = about
        self.__annotations__ = dict(inputs)
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        self.__signature__ = inspect.Signature(
            [inspect.Parameter(name, kind, annotation=annotation) for name, annotation in inputs.items()]
        )

    @property
    def location(self) -> Location:
        """Where the user has made it."""
        return _command_of(self.action).location

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        module, _, name = _RUNNER.partition(":")
        run = getattr(importlib.import_module(module), name)(self.action)
        return run(**self.__signature__.bind(*args, **kwargs).arguments)


class CommandTask(Task[..., Any]):
    """A program that can be a node of a pipeline.

    Called inside a pipeline, it adds a node and returns a ref to the output, or to a dict of the outputs; called
    anywhere else, it runs.
    """

    @property
    def action(self) -> CommandAction | ContainerAction:
        """What it does, as data."""
        return cast(_Program, self.function).action

    @functools.cached_property
    def outputs(self) -> Outputs:
        catches = _command_of(self.action).catches
        if not catches:
            return Outputs((Port(RESULT, "None", required=False),), None, type(None))
        ports = tuple(Port(name, type_text(_TYPES[catch.read])) for name, catch in catches.items())
        if set(catches) == {RESULT}:
            return Outputs(ports, None, _TYPES[catches[RESULT].read])
        return Outputs(ports, "dict", dict)

    @functools.cached_property
    def noun(self) -> TaskNoun:
        ports = tuple(self._port(parameter) for parameter in self.shape.parameters.values())
        about = inspect.getdoc(self.function) or ""
        return TaskNoun(self.name, self.action, ports, self.outputs.ports, self.outputs.record, about)

    def __repr__(self) -> str:
        return f"<command {self.name} at {_command_of(self.action).location}>"


def command(
    command: str | Sequence[str],
    *,
    name: str | None = None,
    inputs: Mapping[str, Any] | Iterable[str] | None = None,
    files: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    outputs: Any = str,
    success: Iterable[int] | None = None,
    skip: Iterable[int] = (),
    folder: str | Path | None = None,
    reads: Iterable[str | Path] = (),
    description: str = "",
    **options: Any,
) -> Task[..., Any]:
    """Make a program a task: lines for the shell, or a program and its arguments as a list.

    `{name}` stands for an input in the command, in `environment` (variables) and in the paths of outputs; `{{` is a
    brace. Values are quoted for the shell. `inputs` declares inputs with their types; without it they are those that
    are named. An input in `files` is written to that file first, in the format that its suffix says, and `{name}` is
    its path.

    `outputs` is a type (`str`, `float`, `dict` for JSON, ...: read from stdout), the path of a file, one of `stdout`,
    `file` and `exit_code`, or a dict of these by name; what the command writes is its log as well. Exit codes in
    `success` (0) are good, those in `skip` skip the task, all others fail it.

    It runs in a scratch folder of the attempt, in which the scripts that it names and what `reads` lists (files and
    folders, from the folder of this file or the working folder) can be found; their content counts as code for the
    cache. With `folder` it runs there instead. The options are those of `task`, but for its Python environment.

    Raises DefinitionError for what does not fit together, and for files that are not there.
    """
    if not command:
        raise DefinitionError("the command is empty", where=str(caller()))
    home = _folder(folder)
    scripts = named_scripts(command, home)
    declared = _Declared(files or {}, environment or {}, outputs, success, skip)
    action = _action(command, declared, home, scripts | reads_of(reads, home))
    return _task(name, action, action, inputs, description, options)


def container(
    image: str,
    command: str | Sequence[str] = (),
    *,
    name: str | None = None,
    inputs: Mapping[str, Any] | Iterable[str] | None = None,
    files: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    outputs: Any = str,
    success: Iterable[int] | None = None,
    skip: Iterable[int] = (),
    folder: str = "",
    reads: Iterable[str | Path] = (),
    mount: str = "/work",
    network: Literal["none", "host", "default"] = "default",
    arguments: Iterable[str] = (),
    description: str = "",
    **options: Any,
) -> Task[..., Any]:
    """Make a program in a container a task; by podman, or else by docker.

    The scratch folder of the attempt is mounted at `mount`, with input files in it and output files to come; files that
    are inputs otherwise are mounted to be read. `arguments` are more arguments for the engine's `run`; the setting
    `container_arguments` gives some for all containers. A command as a list is given to the image's entry point, lines
    for the shell take its place; no command runs what the image says. All else is as for `command`, with `folder` a
    folder of the container. Limits of memory and cores are those of the task (`memory`, `cpu`).
    """
    _check_container(image, network, mount)
    scripts = named_scripts(command, None)
    declared = _Declared(files or {}, environment or {}, outputs, success, skip)
    action = _action(command, declared, folder, scripts | reads_of(reads, None))
    whole = ContainerAction(image, action, mount, network, tuple(arguments))
    return _task(name or (None if command else default_name([image])), whole, action, inputs, description, options)


def _check_container(image: Any, network: Any, mount: Any) -> None:
    problem = None
    if type(image) is not str or not image or image.startswith("-"):
        problem = f"the image must be its name, not {image!r}"
    elif network not in ("none", "host", "default"):
        problem = f"network must be 'none', 'host' or 'default', not {network!r}"
    elif type(mount) is not str or not mount.startswith("/"):
        problem = f"mount must be an absolute path in the container, not {mount!r}"
    if problem is not None:
        raise DefinitionError(problem, where=str(caller()))


def _task(
    name: str | None,
    action: CommandAction | ContainerAction,
    command: CommandAction,
    inputs: Mapping[str, Any] | Iterable[str] | None,
    description: str,
    options: Mapping[str, Any],
) -> Task[..., Any]:
    check_name(name)
    given = read_options(options)
    policy_of(given)
    chosen = name or default_name(command.argv or [command.shell])
    return CommandTask(_Program(chosen, action, used_inputs(command, inputs), description), chosen, given)


class _Declared(NamedTuple):
    """What is declared of a command besides its text."""

    files: Mapping[str, str]
    environment: Mapping[str, str]
    outputs: Any
    success: Iterable[int] | None
    skip: Iterable[int]


def _action(command: str | Sequence[str], declared: _Declared, folder: str, reads: dict[str, str]) -> CommandAction:
    catches = _catches(declared.outputs)
    success = declared.success
    if success is None:
        success = () if any(catch.source == "exit_code" for catch in catches.values()) else (0,)
    action = CommandAction(
        location=caller(),
        argv=() if isinstance(command, str) else tuple(map(str, command)),
        shell=command if isinstance(command, str) else "",
        environment=dict(declared.environment),
        files={name: str(path) for name, path in declared.files.items()},
        catches=catches,
        success=tuple(success),
        skip=tuple(declared.skip),
        folder=folder,
        reads={name: source for name, source in reads.items() if name not in declared.files.values()},
    )
    check_places(action)
    return action


def _catches(outputs: Any) -> dict[str, Catch]:
    if not isinstance(outputs, Mapping):
        return {RESULT: _catch(outputs)}
    return {name: _catch(spec) for name, spec in cast(Mapping[str, Any], outputs).items()}


def _catch(spec: Any) -> Catch:
    if isinstance(spec, Catch):
        return spec
    if isinstance(spec, (str, Path)):
        return file(spec)
    try:
        return Catch("stdout", _SHORTHANDS[spec])  # pyright: ignore[reportArgumentType]
    except (KeyError, TypeError):
        raise DefinitionError(
            f"{spec!r} does not say where an output comes from",
            where=str(caller()),
            remedy='Use a type to read it from stdout (str, float, dict, ...), a path ("model.pkl") for a file, or '
            'stdout("json"), file("metrics.json", "json"), exit_code().',
        ) from None


def _folder(folder: str | Path | None) -> str:
    if folder is None:
        return ""
    found = named_file(str(folder))
    if found is None or not found.is_dir():
        raise DefinitionError(f"there is no folder {str(folder)!r} to run in", where=str(caller()))
    return str(found)


def _command_of(action: CommandAction | ContainerAction) -> CommandAction:
    return action.command if isinstance(action, ContainerAction) else action


__all__ = ["CommandTask", "command", "container", "exit_code", "file", "stdout"]
