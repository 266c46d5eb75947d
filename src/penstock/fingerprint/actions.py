"""The identity of what is no Python function: a command, by itself or in a container."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from blake3 import blake3

from penstock.fingerprint.framing import digest
from penstock.model.action import CommandAction, ContainerAction
from penstock.model.place import Location

_CHUNK = 1 << 20


def identity(action: CommandAction | ContainerAction) -> bytes:
    """The digest, 32 bytes, of a command: all of its text and settings, and the content of the files that it reads.

    Where it is written, where those files are, and what programs and images of the same name contain, does not count.
    """
    if isinstance(action, ContainerAction):
        outer = msgspec.structs.replace(action, command=_bare(action.command))
        return digest("container", msgspec.msgpack.encode(outer, order="deterministic"), *_reads(action.command))
    return digest("command", msgspec.msgpack.encode(_bare(action), order="deterministic"), *_reads(action))


def _bare(command: CommandAction) -> CommandAction:
    return msgspec.structs.replace(command, location=Location("", 0), reads={})


def _reads(command: CommandAction) -> Iterator[bytes]:
    for name, source in sorted(command.reads.items()):
        for relative, path in _files(Path(source)):
            yield f"{name}/{relative}".encode("utf-8", "surrogateescape")
            yield _content(path)


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
