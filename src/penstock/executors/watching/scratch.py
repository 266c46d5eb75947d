"""Scratch folders of attempts: by their names, whoever clears up knows whose they are, and whether that process is gone."""

from __future__ import annotations

import glob
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


def prefix(process: int | None = None) -> str:
    """How the scratch folders of a process begin, of this one by default. The host is in it because a folder for
    temporary files may be shared by containers, which do not see each other's processes."""
    return f"penstock-{platform.node()}-{process or os.getpid()}-"


def new(folder: Path | None = None) -> Path:
    """The path of a scratch folder of this process that is not made yet, in the folder for temporary files or in another."""
    return (folder or Path(tempfile.gettempdir())) / f"{prefix()}{os.urandom(6).hex()}"


def discard(process: int) -> None:
    """Remove the scratch folders of a process that is gone."""
    for path in Path(tempfile.gettempdir()).glob(f"{glob.escape(prefix(process))}*"):
        shutil.rmtree(path, ignore_errors=True)


def left(before: float) -> Iterator[tuple[int, Path]]:
    """The scratch folders of this user and this machine that have not been changed since a time, with the ids of the
    processes that they are of."""
    pattern = re.compile(rf"penstock-{re.escape(platform.node())}-(\d+)-.+")
    for path in Path(tempfile.gettempdir()).glob(f"penstock-{glob.escape(platform.node())}-*"):
        try:
            status = path.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        found = pattern.fullmatch(path.name)
        if found and status.st_uid == os.getuid() and status.st_ctime < before:
            yield int(found[1]), path


__all__ = ["discard", "left", "new", "prefix"]
