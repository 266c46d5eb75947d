"""The folder of a project's state: whose it is, where it lies, and what was left in it."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from penstock.model.amounts import size
from penstock.runtime.collecting import folders
from penstock.runtime.collecting.collection import Collector
from penstock.runtime.examining.finding import Finding
from penstock.runtime.surroundings.mounts import OFF_NETWORK, network_mount, on_network

#: bytes of free space below which there may soon be too little
_SCARCE = 1 << 30
#: bytes of a write-ahead log from which something keeps it from being begun anew
_HUGE = 1 << 28
#: seconds after which what a process was writing counts as left
_LEFT = 3600.0


def of_folder(home: Path) -> Iterator[Finding]:
    """What is to be said of the folder of a project's state, which need not be there."""
    there = next(path for path in (home, *home.parents) if path.is_dir())
    yield from _owned(home)
    if not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        yield Finding(what=f"{home} cannot be written", remedy=_own(home))
    free = shutil.disk_usage(there).free
    if free < _SCARCE:
        remedy = "Free some space there (penstock gc), or name another folder with PENSTOCK_HOME."
        yield Finding(what=f"only {size(free)} are free on the disk of {home}", remedy=remedy)


def _owned(home: Path) -> Iterator[Finding]:
    if not home.is_dir() or not hasattr(os, "geteuid"):
        return
    for path in (home, *sorted(home.iterdir())):
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue
        if status.st_uid != os.geteuid():
            yield Finding(
                what=f"{path} belongs to {_user(status.st_uid)}, not to {_user(os.geteuid())}", remedy=_own(path)
            )
        elif path.is_file() and not os.access(path, os.R_OK | os.W_OK):
            yield Finding(what=f"{path} cannot be read and written", remedy=f"chmod u+rw {path}")
    mode = stat.S_IMODE(home.stat().st_mode)
    if mode & 0o077 and home.stat().st_uid == os.geteuid():
        yield Finding(
            what=f"others may look into {home} (its mode is {mode:o})",
            remedy=f"chmod 700 {home}",
            is_problem=False,
            mend=lambda: home.chmod(mode & 0o700),
        )


def _own(path: Path) -> str:
    return f"Run penstock as the user it belongs to, or make it yours: chown -R $(id -un) {path}"


def _user(number: int) -> str:
    import pwd

    try:
        return f"the user {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"the user {number}"


def of_network(path: Path) -> Iterator[Finding]:
    """Whether the file of the store is on a network file system."""
    mount = network_mount(path)
    if mount is not None:
        yield Finding(what=on_network(mount), remedy=OFF_NETWORK, is_problem=False)


def of_shared(folder: Path) -> Iterator[Finding]:
    """What is to be said of a folder that stored values are kept in and that others may share, which need not be there."""
    there = next(path for path in (folder, *folder.parents) if path.is_dir())
    if not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        yield Finding(
            what=f"{folder}, where stored values are kept, cannot be written",
            remedy=f"Give yourself the right to read and write in {there}, or name another place with the setting `blobs`.",
        )
    elif there != folder:
        yield Finding(
            what=f"{folder}, where stored values are kept, is not there",
            remedy="If it is on a disk that others share, mount that; else it is made when something is stored.",
            is_problem=False,
        )


def of_log(log: Path, settle: object) -> Iterator[Finding]:
    """Whether the write-ahead log of the store has grown too large; `settle` moves it to the file."""
    grown = log.stat().st_size if log.exists() else 0
    if grown > _HUGE and callable(settle):
        yield Finding(
            what=f"the write-ahead log {log} has {size(grown)}: somebody reads the store without end, or was killed",
            remedy="Close what has it open, such as an sqlite3 shell; then penstock doctor --fix.",
            is_problem=False,
            mend=settle,
        )


def of_leftovers(home: Path, collector: Collector) -> Iterator[Finding]:
    """What dead processes have left, and what a restored backup has replaced."""
    left = collector.leftovers(time.time() - _LEFT, dry=True)
    count = left.kinds["unfinished"].count
    if count:
        yield Finding(
            what=f"dead processes have left {count} unfinished {'thing' if count == 1 else 'things'} of {size(left.size)}",
            remedy="Remove what they have left: penstock gc, or penstock doctor --fix.",
            is_problem=False,
            mend=lambda: collector.leftovers(time.time() - _LEFT),
        )
    for path in sorted(home.glob("replaced-*")):
        yield Finding(
            what=f"{path} is what a backup took the place of, {size(folders.size_of(path))}",
            remedy="Remove it when it is not needed any more.",
            is_problem=False,
        )


__all__ = ["of_folder", "of_leftovers", "of_log", "of_network", "of_shared"]
