"""What a backup consists of, and how it lies in a folder or in an archive.

    penstock.db             the store, as it was at one moment
    blobs/ab/abcd...        each stored value that the store refers to, named by the digest of its bytes
    backup.json             what made it and when, and the digest of the store

The last is written last, so that what lacks it is no backup.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import re
import tarfile
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO, Any, Protocol, cast

import msgspec
from blake3 import blake3

from penstock.errors import StoreError

DATABASE, BLOBS, MANIFEST = "penstock.db", "blobs", "backup.json"
_BLOB = re.compile(rf"{BLOBS}/([0-9a-f]{{2}})/(\1[0-9a-f]{{62}})")
#: endings of the names of archives
ARCHIVES = (".tar.gz", ".tgz", ".tar")
#: endings of names that are taken for those of archives, and are none of ours
FOREIGN = frozenset({".zip", ".7z", ".rar", ".gz", ".bz2", ".xz", ".zst", ".lz4", ".tbz2", ".txz", ".tzst"})
#: bytes that are read at once
_PIECE = 1 << 20
#: the least compression, which is the quickest: most of what is large is dense already
_QUICK = 1


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself."""

    format: int = 1
    #: the version of penstock that made it
    penstock: str
    #: seconds since the epoch
    made_at: float
    runs: int
    #: how many blobs it has; None where it was made without them
    blobs: int | None
    #: of the store, in hexadecimal
    digest: str


class Writer(Protocol):
    """Where a backup is written to."""

    def add(self, name: str, file: IO[bytes], size: int) -> None: ...


def blob_name(address: bytes) -> str:
    name = address.hex()
    return f"{BLOBS}/{name[:2]}/{name}"


def address_in(name: str) -> bytes | None:
    """The address of the blob that goes by a name; None for any other name."""
    found = _BLOB.fullmatch(name)
    return None if found is None else bytes.fromhex(found[2])


def is_archive(path: Path) -> bool:
    return path.name.endswith(ARCHIVES)


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, name: str, file: IO[bytes], size: int) -> None:
        path = self._path / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        with path.open("wb") as target:
            for piece in pieces(file):
                target.write(piece)


class _Archive:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive

    def add(self, name: str, file: IO[bytes], size: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        self._archive.addfile(member, file)


@contextlib.contextmanager
def written(path: Path, *, archive: bool) -> Generator[Writer]:
    """A new backup in a folder, or in an archive, of the user's own; `path` must not be there yet."""
    if not archive:
        path.mkdir(mode=0o700, parents=True)
        yield _Folder(path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    with contextlib.ExitStack() as stack:
        file: Any = stack.enter_context(path.open("wb"))
        if not path.name.endswith(".tar"):
            file = stack.enter_context(gzip.GzipFile(fileobj=file, mode="wb", compresslevel=_QUICK, filename=""))
        yield _Archive(stack.enter_context(tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT)))


@contextlib.contextmanager
def members(path: Path) -> Generator[Iterator[tuple[str, IO[bytes]]]]:
    """The names and the bytes of all that is in a backup, the bytes to be read before the next one is asked for.

    Within, what is no backup, or is cut off, is raised as a StoreError.
    """
    try:
        yield _in_folder(path) if path.is_dir() else _in_archive(path)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise not_a_backup(path, str(error)) from error


def _in_folder(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    for each in sorted(path.rglob("*")):
        if each.is_file():
            with each.open("rb") as file:
                yield each.relative_to(path).as_posix(), file


def _in_archive(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    # as a stream, which no link or folder in it can lead astray: only the bytes of its files are looked at
    with tarfile.open(path, "r|*") as archive:
        for member in archive:
            if member.isfile():
                yield member.name, cast("IO[bytes]", archive.extractfile(member))


def pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def digest_of(file: IO[bytes]) -> bytes:
    hasher = blake3()
    for piece in pieces(file):
        hasher.update(piece)
    return hasher.digest()


class Viewed(io.RawIOBase):
    """A buffer as a file, without a copy of it as a whole."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        piece = self._view[self._at : self._at + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def not_a_backup(path: Path, why: str) -> StoreError:
    return StoreError(
        f"{path} is not a whole backup: {why}", remedy="Name one that `penstock backup` has made, or make a new one."
    )


def manifest_in(path: Path, document: bytes) -> Manifest:
    """Raises StoreError for one of a newer penstock, or a broken one."""
    try:
        manifest = msgspec.json.decode(document, type=Manifest)
    except msgspec.MsgspecError as error:
        raise not_a_backup(path, f"{MANIFEST} cannot be read: {error}") from None
    if manifest.format != 1:
        raise StoreError(f"{path} was made by a newer penstock ({manifest.penstock})", remedy="Upgrade penstock.")
    return manifest


__all__ = [
    "ARCHIVES",
    "DATABASE",
    "MANIFEST",
    "Manifest",
    "Viewed",
    "Writer",
    "address_in",
    "blob_name",
    "digest_of",
    "is_archive",
    "manifest_in",
    "members",
    "not_a_backup",
    "pieces",
    "written",
]
