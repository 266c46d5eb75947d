"""Stages that are programs: `run:` a command, in a `container:` or not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any, NamedTuple, cast

from penstock.authoring.tasks.commandline import check_places, named_scripts, used_inputs
from penstock.dialects.yaml.expressions import ExpressionError
from penstock.dialects.yaml.inputs import Piece, escaped, pieces
from penstock.dialects.yaml.source import Fields, Part
from penstock.errors import DefinitionError
from penstock.model.action import Catch, CommandAction, ContainerAction
from penstock.model.graph import Port, Task
from penstock.model.template import pieces as template_pieces

READS = ("text", "lines", "json", "int", "float", "bytes", "path")
_TYPES = {"text": "str", "lines": "list[str]", "json": "Any", "path": "pathlib.Path"}
_PLACE = re.compile(r"\s*([A-Za-z_]\w*)\s*(!s)?(?::([^{}]*))?\s*")
#: keys of a stage that belong to programs
KEYS = ("run", "container", "folder", "files", "exit_codes", "reads")
_CONTAINER = ("image", "command", "mount", "network", "arguments")


class Program(NamedTuple):
    """A program as a task, and what its texts take from elsewhere."""

    task: Task
    #: input -> the expression that stands in the texts for it, and the part that it stands in
    inputs: Mapping[str, tuple[str, int, Part]]


class Programs:
    """Reads the programs of a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str, stage: Part, fields: Fields, declared: list[str]) -> Program | None:
        """The program of a stage; `declared` are its inputs. What is wrong is noted."""
        texts = _Texts(declared)
        container: Fields = self._container(fields["container"]) if "container" in fields else {}
        command = fields.get("run") or container.get("command")
        action = self._command(stage, command, fields, texts)
        if action is None:
            return None
        whole: CommandAction | ContainerAction = action
        if "container" in fields:
            made = _container_of(fields["container"], container, action)
            if made is None:
                return None
            whole = made
        try:
            check_places(action)
            ports = list(used_inputs(action, dict.fromkeys((*declared, *texts.found), Any)))
        except DefinitionError as error:
            (command or stage).refuse(error.what.replace("{", "${"), (error.remedy or "").replace("{{", "$${"))
            return None
        outputs, record = _outputs(action.catches)
        return Program(Task(name, whole, tuple(Port(each) for each in ports), outputs, record), texts.found)

    def _container(self, part: Part) -> Fields:
        return {"image": part} if part.is_text else part.fields(_CONTAINER, "container")

    def _command(self, stage: Part, command: Part | None, fields: Fields, texts: _Texts) -> CommandAction | None:
        argv: tuple[str, ...] = ()
        shell = ""
        if command is not None and command.is_list:
            argv = tuple(texts.template(each) for each in command.items())
        elif command is not None:
            shell = "" if command.text() is None else texts.template(command)
        if command is not None and not argv and not shell:
            return None
        codes = fields["exit_codes"].fields(("success", "skip")) if "exit_codes" in fields else {}
        catches = _catches(fields["outputs"], texts) if "outputs" in fields else {"result": Catch("stdout")}
        coded = any(catch.source == "exit_code" for catch in catches.values())
        folder = self._place(fields["folder"], within="container" in fields) if "folder" in fields else ""
        files = fields["files"].fields() if "files" in fields else {}
        scripts = named_scripts(list(argv) or shell, folder or str(self._folder))
        reads = self._reads(fields["reads"]) if "reads" in fields else {}
        return CommandAction(
            location=stage.location,
            argv=argv,
            shell=shell,
            environment=_environment(fields, texts),
            files={name: path for name, part in files.items() if (path := part.text()) is not None},
            catches=catches,
            success=_codes(codes["success"]) if "success" in codes else () if coded else (0,),
            skip=_codes(codes["skip"]) if "skip" in codes else (),
            folder=folder,
            reads=scripts | reads,
        )

    def _place(self, part: Part, *, within: bool) -> str:
        name = part.text()
        if name is None or within:
            return name or ""
        found = next((path for path in (self._folder / name, Path(name)) if path.is_dir()), None)
        if found is None:
            part.refuse(f"there is no folder {name!r} to run in")
            return ""
        return str(found.absolute())

    def _reads(self, part: Part) -> dict[str, str]:
        found: dict[str, str] = {}
        named = [(each.written, each) for each in part.items()] if part.is_list else [(part.written, part)]
        if part.is_mapping:
            named = [(value.written, value) for value in part.fields().values()]
            names = list(part.fields())
        else:
            names = [PurePath(name).name if PurePath(name).is_absolute() or ".." in name else name for name, _ in named]
        for name, (given, each) in zip(names, named, strict=True):
            file = next((path for path in (self._folder / given, Path(given)) if path.exists()), None)
            if file is None:
                each.refuse(f"there is no file or folder {given!r} to read")
            else:
                found[name] = str(file.absolute())
        return found


class _Texts:
    """The texts of a program, and what they take."""

    def __init__(self, declared: list[str]) -> None:
        self._declared = declared
        self.found: dict[str, tuple[str, int, Part]] = {}

    def template(self, part: Part) -> str:
        """A text as a template of the model."""
        try:
            return "".join(self._piece(each, part) for each in pieces(part.written))
        except ExpressionError as error:
            part.refuse(error.what, error.remedy)
            return part.written

    def _piece(self, piece: Piece, part: Part) -> str:
        plain = piece.text.replace("{", "{{").replace("}", "}}")
        if piece.inside is None:
            return plain
        form = _PLACE.fullmatch(piece.inside)
        inside = piece.inside if form is None else form[1]
        suffix = "" if form is None else f"{form[2] or ''}{':' + form[3] if form[3] else ''}"
        return f"{plain}{{{self._input(inside, piece.offset, part)}{suffix}}}"

    def _input(self, inside: str, offset: int, part: Part) -> str:
        text = inside.strip()
        if text in self._declared:
            return text
        known = next((name for name, (each, _, _) in self.found.items() if each == text), None)
        if known is not None:
            return known
        name = re.sub(r"\W+", "_", text).strip("_") or "value"
        name = f"_{name}" if name[0].isdigit() else name
        while name in self.found or name in self._declared:
            name += "_"
        self.found[name] = (text, offset + len(inside) - len(inside.lstrip()), part)
        return name


def _environment(fields: Fields, texts: _Texts) -> dict[str, str]:
    if "environment" not in fields:
        return {}
    found: dict[str, str] = {}
    for name, value in fields["environment"].fields().items():
        if value.tag in ("str", "int", "float", "bool"):
            found[name] = texts.template(value)
        else:
            value.wrong("a text")
    return found


def _codes(part: Part) -> tuple[int, ...]:
    listed = part.items() if part.is_list else [part]
    return tuple(code for each in listed if (code := each.whole()) is not None)


def _catches(part: Part, texts: _Texts) -> dict[str, Catch]:
    """Where the outputs come from: `json` (of stdout), a file, a list of files, or a mapping of these by name."""
    if part.is_null:
        return {}
    if part.is_list:
        found: dict[str, Catch] = {}
        for each in part.items():
            if each.text() is not None:
                found[re.sub(r"\W+", "_", PurePath(each.written).stem)] = Catch("file", "path", texts.template(each))
        return found
    if part.is_mapping and not {"file", "stdout", "exit_code"}.issuperset(part.fields()):
        return {name: each for name, value in part.fields().items() if (each := _catch(value, texts)) is not None}
    catch = _catch(part, texts)
    return {} if catch is None else {"result": catch}


def _catch(part: Part, texts: _Texts) -> Catch | None:
    if part.is_mapping:
        fields = part.fields(("file", "read", "stdout"), "an output")
        read = fields["read"].text() if "read" in fields else None
        if "file" in fields:
            return _checked(part, Catch("file", cast(Any, read or "path"), texts.template(fields["file"])))
        if "stdout" in fields:
            return _checked(part, Catch("stdout", cast(Any, fields["stdout"].text() or "text")))
        part.wrong("a mapping with file or stdout", "Write {file: metrics.json, read: json}, or {stdout: json}.")
        return None
    name = part.text()
    if name is None:
        return None
    aliases = {"str": "text", "string": "text", "dict": "json"}
    name = aliases.get(name, name)
    if name == "exit_code":
        return Catch("exit_code", "int")
    if name in READS and name != "path":
        return Catch("stdout", cast(Any, name))
    return Catch("file", "path", texts.template(part))


def _checked(part: Part, catch: Catch) -> Catch | None:
    if catch.read not in READS:
        part.refuse(f"an output cannot be read as {catch.read!r}", f"It can be read as {', '.join(READS)}.")
        return None
    return catch


def _container_of(part: Part, fields: Fields, action: CommandAction) -> ContainerAction | None:
    image = fields["image"].text() if "image" in fields else None
    if image is None:
        part.refuse("a container needs an image", "Write container: python:3.12, or container: {image: python:3.12}.")
        return None
    network = fields["network"].written if "network" in fields else "default"
    if network not in ("none", "host", "default"):
        fields["network"].wrong("none, host or default")
        return None
    mount = fields["mount"].text() if "mount" in fields else "/work"
    arguments = tuple(fields["arguments"].texts()) if "arguments" in fields else ()
    return ContainerAction(image, action, mount or "/work", cast(Any, network), arguments)


def _outputs(catches: Mapping[str, Catch]) -> tuple[tuple[Port, ...], str | None]:
    if not catches:
        return (Port("result", "None", required=False),), None
    ports = tuple(Port(name, _TYPES.get(catch.read, catch.read)) for name, catch in catches.items())
    return ports, None if set(catches) == {"result"} else "dict"


# Writing.


def write_program(action: CommandAction | ContainerAction) -> dict[str, Any]:
    """The keys of a stage for a program."""
    command = action.command if isinstance(action, ContainerAction) else action
    found: dict[str, Any] = {}
    if isinstance(action, ContainerAction):
        more: dict[str, Any] = {"mount": action.mount, "network": action.network, "arguments": list(action.arguments)}
        more = {name: value for name, value in more.items() if value not in ("/work", "default", [])}
        found["container"] = {"image": action.image, **more} if more else action.image
    if command.argv or command.shell:
        found["run"] = [_written(each) for each in command.argv] or _written(command.shell)
    if command.environment:
        found["environment"] = {name: _written(text) for name, text in command.environment.items()}
    if command.files:
        found["files"] = dict(command.files)
    if dict(command.catches) != {"result": Catch("stdout")}:
        found["outputs"] = {name: _written_catch(catch) for name, catch in command.catches.items()} or None
    coded = any(catch.source == "exit_code" for catch in command.catches.values())
    codes: dict[str, Any] = {}
    if command.success != (() if coded else (0,)):
        codes["success"] = list(command.success)
    if command.skip:
        codes["skip"] = list(command.skip)
    if codes:
        found["exit_codes"] = codes
    if command.folder:
        found["folder"] = command.folder
    if command.reads:
        found["reads"] = dict(command.reads)
    return found


def _written(template: str) -> str:
    found = ""
    for piece in template_pieces(template):
        found += escaped(piece.text)
        if piece.name is not None:
            found += f"${{{piece.name}{'!s' if piece.raw else ''}{':' + piece.spec if piece.spec else ''}}}"
    return found


def _written_catch(catch: Catch) -> Any:
    if catch.source == "exit_code":
        return "exit_code"
    if catch.source == "stdout":
        return catch.read
    path = _written(catch.path)
    return (
        path
        if catch.read == "path" and path not in (*READS, "exit_code", "str", "string", "dict")
        else {"file": path, "read": catch.read}
    )


__all__ = ["KEYS", "Program", "Programs", "write_program"]
