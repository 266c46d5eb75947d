"""Folders and files that nobody but their owner can read, whatever the umask says."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

FOLDER: Final = 0o700
FILE: Final = 0o600


def make_folder(path: Path) -> None:
    """Make a folder, and those above it that are not there, for their owner alone. One that is there stays as it is.

    Raises OSError, FileExistsError if there is a file in its place.
    """
    try:
        path.mkdir(mode=FOLDER)
    except FileNotFoundError:
        make_folder(path.parent)
        path.mkdir(mode=FOLDER, exist_ok=True)
    except FileExistsError:
        if not path.is_dir():
            raise


def make_file(path: Path) -> None:
    """Make an empty file for its owner alone. One that is there keeps what is in it, and is taken from others if it is this
    user's. Raises OSError."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE))
    except FileExistsError:
        take_from_others(path)


def write(path: Path, data: bytes) -> None:
    """Write a new file for its owner alone. Raises OSError, FileExistsError if it is there."""
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE), "wb") as file:
        file.write(data)


def take_from_others(path: Path) -> None:
    """Let nobody but the owner have a file or a folder, where this user may say so."""
    with suppress(OSError):
        mode = path.stat().st_mode
        if mode & 0o077:
            path.chmod(mode & 0o700)


__all__ = ["FILE", "FOLDER", "make_file", "make_folder", "take_from_others", "write"]
