"""What is kept in folders beside the blobs: captured files laid out for those who read them, and the Python environments
of tasks. All of it can be made again, so that the only question is whether somebody needs it now."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

from penstock.errors import StoreError

_FILES = re.compile(r"[0-9a-f]{32}")
#: what a process is making there, or removing
_DRAFT = re.compile(r"\.[0-9a-f]+-(\d+)-[0-9a-f]+(-old)?")
_ENVIRONMENT = re.compile(r"[0-9a-f]{24}")


def laid_out(workspace: Path) -> dict[str, Path]:
    """The captured files and folders that are laid out, by the start of their digest in hexadecimal."""
    return {path.name: path for path in _folders(workspace) if _FILES.fullmatch(path.name)}


def environments(folder: Path) -> dict[str, Path]:
    """The Python environments, by the name that each has for its content."""
    return {path.name: path for path in _folders(folder) if _ENVIRONMENT.fullmatch(path.name)}


def drafts(folder: Path, before: float) -> Iterator[tuple[int, Path]]:
    """What processes of this machine were making or removing in a folder and have not gone on with since a time, with
    the ids of the processes."""
    for path in _folders(folder):
        # whoever is at work may have finished since
        with contextlib.suppress(FileNotFoundError):
            if (found := _DRAFT.fullmatch(path.name)) and _changed(path) < before:
                yield int(found[1]), path


def remove_if_unused(path: Path, before: float, *, dry: bool = False) -> int | None:
    """Remove a folder unless somebody has made or used it since a time: then its own time of modification is later.
    Returns how many bytes that frees; None if it stays. Raises StoreError.

    As with blobs, it is moved aside before it is looked at for good, so that whoever uses it from then on makes it anew.
    """
    with _reported(path):
        try:
            if _changed(path) >= before:
                return None
            size = size_of(path)
            if dry:
                return size
            aside = path.with_name(f".{path.name}-{os.getpid()}-{os.urandom(4).hex()}")
            path.rename(aside)
            if _changed(aside) >= before:
                # one that was made anew meanwhile is as good
                with contextlib.suppress(OSError):
                    aside.rename(path)
                    return None
        except FileNotFoundError:
            return None
        remove(aside)
        return size


def remove_environment(path: Path, before: float, *, dry: bool = False) -> int | None:
    """Remove an environment as `remove_if_unused` does, unless somebody is just making it."""
    with _reported(path), locked(path.with_suffix(".lock")) as free:
        return remove_if_unused(path, before, dry=dry) if free else None


def remove_file(path: Path) -> None:
    """Remove a file that may be gone by now. Raises StoreError."""
    with _reported(path):
        path.unlink(missing_ok=True)


def files(folder: Path, before: float) -> Iterator[Path]:
    """The files in a folder, which may not be there, that were not changed since a time."""
    for path in folder.iterdir() if folder.is_dir() else ():
        # somebody else may have removed it since
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and path.stat().st_mtime < before:
                yield path


def remove(path: Path) -> None:
    """Remove a folder with all that is in it, read-only folders included."""
    for folder, _, _ in os.walk(path):
        with contextlib.suppress(OSError):
            Path(folder).chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)


def size_of(path: Path) -> int:
    """The bytes of all files in a folder."""
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            with contextlib.suppress(FileNotFoundError):
                total += Path(folder, name).lstat().st_size
    return total


def _folders(folder: Path) -> list[Path]:
    with _reported(folder):
        return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _changed(path: Path) -> float:
    return path.stat().st_mtime


@contextlib.contextmanager
def alone(home: Path) -> Generator[None]:
    """Let there be no other collection, backup or restore in the folder of a project's state, for the block. Raises StoreError
    where there is one."""
    with locked(home / "gc.lock") as free:
        if not free:
            raise StoreError("a collection, a backup or a restore is under way here", remedy="Wait for its end.")
        yield


@contextlib.contextmanager
def locked(path: Path) -> Generator[bool]:
    """Hold a lock, by its file, for the block; whether nobody else had it. The file stays, for others wait for that very
    one. Raises StoreError for one that cannot be made."""
    with _reported(path):
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        yield _taken(descriptor)
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _reported(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot clear up {path}: {error.strerror or error}") from error


__all__ = [
    "drafts",
    "files",
    "environments",
    "laid_out",
    "locked",
    "remove",
    "remove_environment",
    "remove_file",
    "remove_if_unused",
    "size_of",
]
