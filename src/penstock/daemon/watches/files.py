"""Files that arrive or change."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any, cast

from penstock.daemon.watches.seen import check_count, digest, read, remembered, told
from penstock.errors import StoreError
from penstock.model.occurrence import OWN_SOURCE, Occurrence
from penstock.model.trigger import WatchSource

#: path as the pattern has it -> what is known of the file
_Found = Mapping[str, os.stat_result]


def look_at_files(folder: Path, source: WatchSource, cursor: Any, now: float) -> tuple[list[Occurrence], Any]:
    """Files that have come, or changed, since a cursor, and have stayed as they are for `settle` seconds and two looks.

    A version of a file is its path, size and time of change; each counts once. Raises StoreError for a folder that is not
    there, or that may not be read, except in the first look: what comes with the folder is new then.
    """
    known: dict[str, Any] | None = cursor
    if known is None and source.existing:
        known = {"seen": "", "held": {}}
    try:
        found = _found(folder, source.place)
    except StoreError:
        if known is None:
            return [], {"seen": "", "held": {}}
        raise
    versions = {digest(path, each.st_size, each.st_mtime_ns): path for path, each in found.items()}
    if known is None:
        return [], {"seen": remembered((), versions, {}), "held": {}}
    before = read(known["seen"])
    fresh = dict(versions)
    for each in before:
        fresh.pop(each, None)
    # a file that is replaced while it waits begins to wait anew, though it may look the same
    held = {
        path: _held(cast("dict[str, list[float]]", known["held"]).get(path), found[path], now)
        for path in fresh.values()
    }
    waiting = {version: path for version, path in fresh.items() if not _has_settled(held[path], source.settle, now)}
    arrived = [path for version, path in fresh.items() if version not in waiting]
    arrived.sort(key=lambda path: (found[path].st_mtime_ns, path))
    events = [_event(folder, path, found[path], now) for path in arrived]
    return told("file", source.place, events, now, many="files", names="paths", together=source.together), {
        "seen": remembered(before, versions, waiting),
        "held": {path: held[path] for path in waiting.values()},
    }


def _found(folder: Path, pattern: str) -> _Found:
    _check_folder(folder, pattern)
    found: dict[str, os.stat_result] = {}
    # relative paths stay relative to the project, wherever the daemon was started
    names = glob.iglob(str(Path(pattern).expanduser()), root_dir=folder, recursive=True)  # noqa: PTH207
    for path in names:
        try:
            status = (folder / path).stat()
        except OSError:
            # it is gone already, or leads nowhere
            continue
        if stat.S_ISREG(status.st_mode):
            found[path] = status
            check_count(len(found), f"the pattern {pattern}")
    return found


def _check_folder(folder: Path, pattern: str) -> None:
    """Raise StoreError where the part of a pattern before the first wild card cannot be looked into."""
    base = folder / Path(*_plain_parts(Path(pattern).expanduser()))
    try:
        with os.scandir(base):
            pass
    except OSError as error:
        raise StoreError(
            f"the folder {base} cannot be looked into: {error.strerror or error}",
            remedy="Make the folder, or give the user that runs penstock up the right to read it.",
        ) from None


def _plain_parts(pattern: PurePath) -> Iterator[str]:
    for part in pattern.parts[:-1]:
        if glob.has_magic(part):
            return
        yield part


def _held(before: list[float] | None, status: os.stat_result, now: float) -> list[float]:
    """Since when a file has stayed as it is, with what it is told by; the first look is marked as such."""
    mark = [status.st_size, status.st_mtime_ns, status.st_ino]
    if before is None or before[:3] != mark or before[3] > now:
        return [*mark, now, 1]
    return [*mark, before[3], 2]


def _has_settled(held: list[float], settle: float, now: float) -> bool:
    return settle == 0 or (held[4] > 1 and now - held[3] >= settle)


def _event(folder: Path, path: str, status: os.stat_result, now: float) -> Occurrence:
    version = digest(path, status.st_size, status.st_mtime_ns).hex()
    shown = _as_text(path)
    return Occurrence(
        id=f"{shown}#{version}",
        source=f"{OWN_SOURCE}/files",
        type="file.arrived",
        at=now,
        subject=shown,
        data={
            "path": shown,
            "name": _as_text(PurePath(path).name),
            "folder": _as_text(str((folder / path).parent)),
            "size": status.st_size,
            "modified": status.st_mtime,
        },
    )


def _as_text(path: str) -> str:
    """A path as text that can be written; names on disk may be any bytes."""
    return path.encode("utf-8", "backslashreplace").decode()


__all__ = ["look_at_files"]
