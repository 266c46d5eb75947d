"""A backup written, beside runs that are under way.

The store is copied first, as it is at one moment, and everything else follows from the copy: the blobs that it refers
to. Only a collection could take one of those away meanwhile, so none goes on at the same time.
"""

from __future__ import annotations

import shlex
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, NamedTuple, Protocol, cast

import msgspec

from penstock.errors import ArtifactDamagedError, ArtifactMissingError, StoreError
from penstock.ports import Blobs, Store
from penstock.runtime.backups import contents
from penstock.runtime.backups.contents import Manifest
from penstock.runtime.collecting import folders
from penstock.runtime.collecting.reach import Reach


class FileStore(Store, Protocol):
    """A store in one file."""

    def copy_to(self, path: Path) -> None:
        """Write the store to a new file, as it is at one moment."""
        ...

    def check(self, *, full: bool = False) -> list[str]: ...

    def summary(self) -> dict[str, int]: ...


#: opens the store in a file
Opening = Callable[[Path], AbstractContextManager[FileStore]]


class BackedUp(NamedTuple):
    """What a backup has."""

    path: Path
    manifest: Manifest
    #: bytes of the backup as it lies on the disk
    size: int
    #: addresses of blobs that it would have, but that are gone or damaged
    lost: list[bytes]


def back_up(
    home: Path,
    database: Path,
    opening: Opening,
    blobs: Blobs | None,
    path: Path,
    *,
    version: str,
    replace: bool = False,
) -> BackedUp:
    """Write a backup of a project to `path`: an archive if its name ends like one, else a folder. It is there whole and
    checked, or not at all. Without `blobs`, only of the store. `replace` says whether what is there may be replaced.

    Raises StoreError; also where a collection is under way.
    """
    _check_place(path)
    if path.exists() and not replace:
        raise StoreError(f"{path} is there already", remedy="Name another place, or replace it: --force.")
    with folders.alone(home):
        # beside the goal, so that it can be renamed to it
        try:
            with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
                made = Path(folder) / path.name
                manifest, lost = _write(made, Path(folder), database, opening, blobs, version)
                verify(made)
                size = folders.size_of(made) if made.is_dir() else made.stat().st_size
                _put(made, path, Path(folder) / "replaced")
        except OSError as error:
            raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
    return BackedUp(path, manifest, size, lost)


def _check_place(path: Path) -> None:
    """Raise StoreError for a place that is hardly meant."""
    if not path.absolute().parent.is_dir():
        raise StoreError(
            f"the backup cannot be written to {path}: there is no folder {path.parent}",
            remedy=f"Make it first (mkdir -p {shlex.quote(str(path.parent))}), or name another place.",
        )
    if not path.is_dir() and not contents.is_archive(path) and path.suffix in contents.FOREIGN:
        raise StoreError(
            f"the backup cannot be written to {path}: penstock writes no {path.suffix}",
            remedy=f"End the name in {', '.join(contents.ARCHIVES[:-1])} or {contents.ARCHIVES[-1]}; or name a folder.",
        )


def _put(made: Path, path: Path, aside: Path) -> None:
    if path.is_dir():
        path.rename(aside)
    made.replace(path)


def _write(
    made: Path, folder: Path, database: Path, opening: Opening, blobs: Blobs | None, version: str
) -> tuple[Manifest, list[bytes]]:
    copy, now = folder / contents.DATABASE, time.time()
    with opening(database) as store:
        store.copy_to(copy)
    with contents.written(made, archive=contents.is_archive(made)) as target:
        count, lost = None, list[bytes]()
        with opening(copy) as store:
            wrong = store.check()
            if wrong:
                raise StoreError(
                    f"{database} is damaged, and was not backed up: {wrong[0]}", remedy="See penstock doctor --full."
                )
            runs = store.summary()["runs"]
            if blobs is not None:
                count, lost = _write_blobs(target, store, blobs)
        with copy.open("rb") as file:
            digest = contents.digest_of(file).hex()
            file.seek(0)
            target.add(contents.DATABASE, file, copy.stat().st_size)
        manifest = Manifest(penstock=version, made_at=now, runs=runs, blobs=count, digest=digest)
        document = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
        target.add(contents.MANIFEST, cast("IO[bytes]", contents.Viewed(memoryview(document))), len(document))
    copy.unlink()
    return manifest, lost


def _write_blobs(target: contents.Writer, store: Store, blobs: Blobs) -> tuple[int, list[bytes]]:
    reach = Reach(blobs)
    for argument in store.arguments():
        reach.add(argument)
    count, lost = 0, list[bytes]()
    for address in sorted(reach.addresses):
        try:
            view = blobs.read(address)
        except (ArtifactMissingError, ArtifactDamagedError):
            # nobody could load it any more; a task that needs it runs again
            lost.append(address)
            continue
        target.add(contents.blob_name(address), cast("IO[bytes]", contents.Viewed(view)), len(view))
        count += 1
    return count, lost


def verify(path: Path) -> Manifest:
    """Read a whole backup, and compare it with what it says of itself. Raises StoreError."""
    manifest: Manifest | None = None
    blobs, digest = 0, ""
    with contents.members(path) as members:
        for name, file in members:
            address = contents.address_in(name)
            if name == contents.MANIFEST:
                manifest = contents.manifest_in(path, file.read())
            elif name == contents.DATABASE:
                digest = contents.digest_of(file).hex()
            elif address is not None:
                if contents.digest_of(file) != address:
                    raise contents.not_a_backup(path, f"{name} is damaged")
                blobs += 1
    if manifest is None:
        raise contents.not_a_backup(path, f"it has no {contents.MANIFEST}")
    if digest != manifest.digest:
        raise contents.not_a_backup(path, f"{contents.DATABASE} is damaged" if digest else "it has no store")
    if blobs != (manifest.blobs or 0):
        raise contents.not_a_backup(path, f"it has {blobs:,} stored values of {manifest.blobs or 0:,}")
    return manifest


def unpack(path: Path, database: Path, blobs: Blobs) -> Manifest:
    """Lay a backup out. Raises StoreError where it is not whole."""
    manifest = verify(path)
    with contents.members(path) as members:
        for name, file in members:
            address = contents.address_in(name)
            if name == contents.DATABASE:
                database.touch(mode=0o600)
                with database.open("wb") as target:
                    shutil.copyfileobj(file, target)
            elif address is not None:
                with blobs.writer() as writer:
                    for piece in contents.pieces(file):
                        writer.write(piece)
                    writer.commit()
    return manifest


__all__ = ["BackedUp", "FileStore", "Opening", "back_up", "unpack", "verify"]
