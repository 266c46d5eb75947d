"""The hashes of large files, remembered by all processes of a project."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
from blake3 import blake3

from penstock.secrets import private

#: bytes from which on it costs less to ask here than to hash again
LARGE = 8 << 20
#: seconds for which a file must have been left alone before its hash is remembered
_SETTLED = 2.0


class FileState(NamedTuple):
    """What changes with the content of a file."""

    size: int
    #: nanoseconds
    modified: int
    changed: int
    inode: int
    device: int

    @classmethod
    def of(cls, file: Path) -> FileState:
        """As it is now. Raises OSError."""
        status = file.stat()
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)

    @property
    def settled(self) -> bool:
        """Whether the file was left alone for a while: one written to a moment ago may be written to again without any
        of this changing."""
        return time.time() - max(self.modified, self.changed) / 1e9 > _SETTLED


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered of a file."""

    path: bytes
    state: FileState
    hash: bytes


class Hashes:
    """Remembers hashes of files for as long as their state is the same; those of large ones also in a folder, one small
    file for each, so that processes need not agree on anything. A folder that cannot be used is done without. With `looking`, it
    is only read.
    """

    def __init__(self, folder: Path | None = None, *, looking: bool = False) -> None:
        self._folder = folder
        self._looking = looking
        self._known: dict[bytes, _Entry] = {}

    def find(self, path: bytes, state: FileState) -> bytes | None:
        """The hash of a file in a state, if it is known."""
        entry = self._known.get(path)
        if (entry is None or entry.state != state) and state.size >= LARGE:
            entry = self._read(path)
            if entry is not None and not self._looking:
                self._note_use(path)
        if entry is None or entry.path != path or entry.state != state:
            return None
        self._known[path] = entry
        return entry.hash

    def add(self, path: bytes, state: FileState, found: bytes) -> None:
        if not state.settled:
            return
        self._known[path] = entry = _Entry(path, state, found)
        if state.size >= LARGE and not self._looking:
            self._write(entry)

    def _read(self, path: bytes) -> _Entry | None:
        return None if self._folder is None else _entry(self._place(self._folder, path))

    def _note_use(self, path: bytes) -> None:
        """Its time of modification says when it was last of use."""
        if self._folder is not None:
            with suppress(OSError):
                os.utime(self._place(self._folder, path))

    def _write(self, entry: _Entry) -> None:
        if self._folder is None:
            return
        place = self._place(self._folder, entry.path)
        draft = place.with_name(f".{place.name}-{os.getpid()}-{os.urandom(4).hex()}")
        with suppress(OSError):
            private.make_folder(self._folder)
            private.write(draft, msgspec.msgpack.encode(entry))
            draft.replace(place)

    def _place(self, folder: Path, path: bytes) -> Path:
        return folder / blake3(path).hexdigest(16)


def unused_hashes(folder: Path, before: float, since: float) -> Iterator[tuple[Path, str]]:
    """What is in a folder of hashes and of no use any more, with the names of the files: it was not asked for since a time,
    or its file is gone and it was not written since the time `before` (seconds since the epoch)."""
    places: list[Path] = []
    with suppress(OSError):
        places = sorted(folder.iterdir())
    for place in places:
        with suppress(OSError):
            used = place.stat().st_mtime
            entry = _entry(place) if used < before else None
            name = "" if entry is None else os.fsdecode(entry.path)
            if used < since or (used < before and not (name and os.path.lexists(name))):
                yield place, name


def _entry(place: Path) -> _Entry | None:
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.msgpack.decode(place.read_bytes(), type=_Entry)
    return None


__all__ = ["LARGE", "FileState", "Hashes", "unused_hashes"]
