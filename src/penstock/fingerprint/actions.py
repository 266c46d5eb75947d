"""The identity of what is no Python function: a command, by itself or in a container."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec
from blake3 import blake3

from penstock.fingerprint.framing import digest
from penstock.fingerprint.shown import HIDDEN, is_secret
from penstock.model.action import Catch, CommandAction, ContainerAction
from penstock.model.identity import CodePart, TaskIdentity
from penstock.model.place import Location

_CHUNK = 1 << 20
#: the outputs of a command that declares none
_USUAL = {"result": Catch("stdout")}


def identity(action: CommandAction | ContainerAction) -> bytes:
    """The digest, 32 bytes, of a command: all of its text and settings, and the content of the files that it reads.

    Where it is written, where those files are, and what programs and images of the same name contain, does not count.
    """
    return task_identity(action, "").digest


def task_identity(
    action: CommandAction | ContainerAction, name: str, short: Callable[[str], str] = lambda file: file
) -> TaskIdentity:
    """The same with what it is made of; `name` is that of the task, `short` how the places of files are told."""
    kind, command, bare = _bare(action)
    document = msgspec.msgpack.encode(bare, order="deterministic")
    files = list(_reads(command))
    line = command.location.line
    parts = [CodePart(f"{kind}:{name}", digest(kind, document), command.location.file, line, line, b"", _text(action))]
    for called, path, content in sorted(files):
        file = short(str(path)).encode("utf-8", "replace").decode()
        parts.append(CodePart(f"file:{called.removesuffix('/').encode('utf-8', 'replace').decode()}", content, file))
    framed = (element for called, _, content in files for element in (_encoded(called), content))
    return TaskIdentity(digest=digest(kind, document, *framed), kind=kind, parts=tuple(parts))


def _bare(
    action: CommandAction | ContainerAction,
) -> tuple[Literal["command", "container"], CommandAction, CommandAction | ContainerAction]:
    """The kind of a program, its command, and what of it counts besides the content of files."""
    command = action.command if isinstance(action, ContainerAction) else action
    bare = msgspec.structs.replace(command, location=Location("", 0), reads={})
    if isinstance(action, ContainerAction):
        return "container", command, msgspec.structs.replace(action, command=bare)
    return "command", command, bare


def _text(action: CommandAction | ContainerAction) -> str:
    """What runs, with whatever is set about it, in lines; variables that look like secrets are hidden."""
    command = action.command if isinstance(action, ContainerAction) else action
    lines = [command.shell or shlex.join(command.argv)]
    if isinstance(action, ContainerAction):
        lines += [f"image: {action.image}", *_settings(action, ("mount", "network", "arguments"))]
    lines += _settings(command, ("folder", "files", "success", "skip"))
    if command.catches != _USUAL:
        lines += _settings(command, ("catches",))
    lines += (f"{name}={HIDDEN if is_secret(name) else text}" for name, text in sorted(command.environment.items()))
    return "\n".join(lines)


def _settings(struct: msgspec.Struct, names: tuple[str, ...]) -> Iterator[str]:
    """The fields that are not left at their defaults."""
    fields = {field.name: field for field in msgspec.structs.fields(struct)}
    for name in names:
        value, factory = getattr(struct, name), fields[name].default_factory
        if value != (fields[name].default if factory is msgspec.NODEFAULT else factory()):
            yield f"{name}: {msgspec.json.encode(value, order='deterministic').decode()}"


def _reads(command: CommandAction) -> Iterator[tuple[str, Path, bytes]]:
    """The files that a command reads: what they are called there, where they are, and the digest of their content."""
    for name, source in sorted(command.reads.items()):
        for relative, path in _files(Path(source)):
            yield f"{name}/{relative}", path, _content(path)


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _files(source: Path) -> Iterator[tuple[str, Path]]:
    """A file, or all those in a folder, by their paths from there, in order; what is hidden or compiled is left out."""
    if not source.is_dir():
        yield "", source
        return
    for folder, folders, names in os.walk(source):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        for name in sorted(names):
            if not name.startswith("."):
                path = Path(folder, name)
                yield str(path.relative_to(source)), path


def _content(path: Path) -> bytes:
    """The digest of a file, or a mark for one that cannot be read: running the command will tell."""
    hasher = blake3()
    try:
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                hasher.update(chunk)
    except OSError:
        return b"unreadable"
    return hasher.digest()
