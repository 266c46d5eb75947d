"""Blobs in a folder of the local file system.

A blob is one read-only file, `ab/cd/abcd...`, named by the BLAKE3 digest of its bytes. It is written under `tmp` and
renamed into its place, so that it is there whole or not at all, whoever else writes it at the same time.
"""

from __future__ import annotations

import errno
import glob
import mmap
import os
import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from blake3 import blake3

from penstock.errors import ArtifactDamagedError, ArtifactMissingError, StoreError

#: buffers below this many bytes are hashed faster by one thread
_PARALLEL = 1 << 20
_BUFFER = 1 << 17
_NAME_LENGTH = 64

_REMEDIES = {
    errno.ENOSPC: "Free some space on that disk, or keep blobs elsewhere.",
    errno.EDQUOT: "Free some of your quota on that disk, or keep blobs elsewhere.",
    errno.EACCES: "Give yourself the right to read and write there, or keep blobs elsewhere.",
    errno.EPERM: "Give yourself the right to read and write there, or keep blobs elsewhere.",
    errno.EROFS: "That file system is read-only; keep blobs elsewhere.",
}


class LocalBlobs:
    """Blobs in the folder `root`, which is made, private to the user, when the first blob is written.

    With `durable`, a blob is on the disk itself, not only with the operating system, before it is visible.
    """

    def __init__(self, root: Path, *, durable: bool = False) -> None:
        self._root = Path(root)
        self._durable = durable
        #: the state of each file at the time its bytes were found to be right
        self._verified: dict[bytes, tuple[int, int, int]] = {}

    @contextmanager
    def writer(self) -> Generator[LocalWriter]:
        """A new blob; what is not committed by the end of the block is gone. Raises StoreError."""
        temporary = self._root / "tmp" / f"{_writer(os.getpid())}-{os.urandom(8).hex()}"
        with _reported("write", temporary):
            file = self._create(temporary)
        writer = LocalWriter(self, file, temporary)
        try:
            yield writer
        finally:
            with suppress(OSError):
                file.close()
            temporary.unlink(missing_ok=True)

    def put(self, data: Any) -> bytes:
        """Write a blob from one buffer, unless it is there. Returns its address. Raises StoreError."""
        view = memoryview(data).cast("B")
        address = _hash(view)
        if not self._holds(address, len(view)):
            with self.writer() as writer:
                writer.write(view)
                writer.commit()
        return address

    def read(self, address: bytes) -> memoryview:
        """The bytes, verified and memory-mapped. What is written to the view stays in this process.

        Raises ArtifactMissingError, ArtifactDamagedError or StoreError.
        """
        path = self._path(address)
        with self._found(address, path), path.open("rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            if status.st_size == 0:
                view = memoryview(bytearray())
            else:
                view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
        state = _state(status)
        if self._verified.get(address) != state:
            if _hash(view) != address:
                raise _damaged(address, path)
            self._verified[address] = state
        return view

    def has(self, address: bytes) -> bool:
        """Whether the blob is there."""
        path = self._path(address)
        with _reported("read", path):
            return path.exists()

    def size(self, address: bytes) -> int:
        """How many bytes the blob has. Raises ArtifactMissingError."""
        path = self._path(address)
        with self._found(address, path):
            return path.stat().st_size

    def copy_to(self, address: bytes, path: Path) -> None:
        """Write the bytes, verified, to a file of the user's; one that is there is replaced."""
        view = self.read(address)
        with _reported("write", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(view)

    def delete(self, address: bytes) -> None:
        """Remove the blob, if it is there."""
        path = self._path(address)
        self._verified.pop(address, None)
        with _reported("delete", path):
            path.unlink(missing_ok=True)

    def discard(self, process: int) -> None:
        """Remove what a process of this machine, by its id, was writing when it died."""
        for path in (self._root / "tmp").glob(f"{glob.escape(_writer(process))}-*"):
            with suppress(OSError):
                path.unlink()

    def addresses(self) -> Iterator[bytes]:
        """The addresses of all blobs, in order."""
        for path in sorted(self._root.glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]/*")):
            if len(path.name) == _NAME_LENGTH and path.name.startswith(path.parent.parent.name + path.parent.name):
                yield bytes.fromhex(path.name)

    def _path(self, address: bytes) -> Path:
        name = address.hex()
        return self._root / name[:2] / name[2:4] / name

    def _create(self, path: Path) -> Any:
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o444)
        except FileNotFoundError:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            return self._create(path)
        return os.fdopen(descriptor, "wb", buffering=_BUFFER)

    def _holds(self, address: bytes, size: int) -> bool:
        # A file of another size is a damaged one: the blob is written again, which mends it.
        path = self._path(address)
        with _reported("read", path):
            return path.exists() and path.stat().st_size == size

    def install(self, temporary: Path, file: Any, address: bytes, size: int) -> None:
        """Move a finished temporary file to the place of its address."""
        path = self._path(address)
        with _reported("write", temporary):
            file.flush()
            if self._durable:
                os.fsync(file.fileno())
            file.close()
        if self._holds(address, size):
            return
        with _reported("write", path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.replace(path)
            self._verified[address] = _state(path.stat())
            if self._durable:
                _sync_folder(path.parent)

    @contextmanager
    def _found(self, address: bytes, path: Path) -> Generator[None]:
        try:
            with _reported("read", path):
                yield
        except StoreError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise ArtifactMissingError(
                    f"the bytes of artifact {address.hex()} are not in {self._root}",
                    remedy="They were deleted or are kept elsewhere. Run the pipeline again to make them anew.",
                ) from None
            raise


class LocalWriter:
    """A blob being written; hashes as it goes."""

    def __init__(self, blobs: LocalBlobs, file: Any, temporary: Path) -> None:
        self._blobs = blobs
        self._file = file
        self._temporary = temporary
        self._hasher = blake3(max_threads=blake3.AUTO)
        self._size = 0

    def write(self, data: Any, /) -> int:
        """Add bytes (anything with the buffer protocol). Returns how many. Raises StoreError."""
        view = memoryview(data).cast("B")
        with _reported("write", self._temporary):
            self._file.write(view)
        self._hasher.update(view)
        self._size += len(view)
        return len(view)

    def commit(self) -> bytes:
        """Make the blob visible, all at once. Returns its address. Raises StoreError."""
        address = self._hasher.digest()
        self._blobs.install(self._temporary, self._file, address, self._size)
        return address


def _writer(process: int) -> str:
    """Who writes, for the name of a temporary file; the folder may be shared with other machines."""
    return f"{socket.gethostname()}-{process}"


def _hash(view: memoryview) -> bytes:
    threads = blake3.AUTO if len(view) >= _PARALLEL else 1
    return blake3(view, max_threads=threads).digest()


def _state(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _damaged(address: bytes, path: Path) -> ArtifactDamagedError:
    return ArtifactDamagedError(
        f"the bytes of artifact {address.hex()} in {path} are not those that were written",
        remedy="Check the disk, delete that file and run the pipeline again to make it anew.",
    )


@contextmanager
def _reported(verb: str, path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(f"cannot {verb} {path}: {reason}", remedy=_REMEDIES.get(error.errno or 0)) from error


__all__ = ["LocalBlobs", "LocalWriter"]
