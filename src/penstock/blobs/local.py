"""Blobs in a folder of the local file system.

A blob is one read-only file, `ab/cd/abcd...`, named by the BLAKE3 digest of its bytes. It is written under `tmp` and
renamed into its place, so that it is there whole or not at all, whoever else writes it at the same time.

Its times say two things. The time of modification is a *stamp*, the same for all blobs: whoever changes the bytes takes
it off, so that one with the stamp need not be read to be taken for sound. One without it was changed, or is of an
earlier version; it is read, and stamped if its bytes are right. The time of access is when somebody last wrote the
blob, or found it to be there: see `collect`.
"""

from __future__ import annotations

import errno
import glob
import mmap
import os
import platform
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from blake3 import blake3

from penstock.errors import ArtifactDamagedError, ArtifactMissingError, StoreError
from penstock.model import hashing
from penstock.secrets import private

#: buffers below this many bytes are hashed faster by one thread
_PARALLEL = 1 << 20
_BUFFER = 1 << 17
_NAME_LENGTH = 64
#: how often what is not in its place is looked for there and where it is put aside
_LOOKS = 5
#: the time of modification, in nanoseconds since the epoch, that every blob is given when its bytes are right
_STAMP = 1_000_000_000_000_000_000
#: the address of the only blob without bytes: of any other one, an empty file is what a power cut has left
_EMPTY = blake3(b"").digest()

_REMEDIES = {
    errno.ENOSPC: "Free some space on that disk, or keep blobs elsewhere.",
    errno.EDQUOT: "Free some of your quota on that disk, or keep blobs elsewhere.",
    errno.EACCES: "Give yourself the right to read and write there, or keep blobs elsewhere.",
    errno.EPERM: "Give yourself the right to read and write there, or keep blobs elsewhere.",
    errno.EROFS: "That file system is read-only; keep blobs elsewhere.",
}


class LocalBlobs:
    """Blobs in the folder `root`, which is made, private to the user, when the first blob is written.

    With `durable`, a blob is on the disk itself, not only with the operating system, before it is visible. With `looking`,
    none counts as found, and what is damaged stays where it is: for somebody who must not leave a trace.
    """

    def __init__(self, root: Path, *, durable: bool = False, looking: bool = False) -> None:
        self._root = Path(root)
        self._durable = durable
        self._looking = looking
        self._prefix = f"{self._root}{os.sep}"
        #: the state of each file at the time its bytes were found to be right
        self._verified: dict[bytes, _State] = {}

    @contextmanager
    def writer(self) -> Generator[LocalWriter]:
        """A new blob; what is not committed by the end of the block is gone. Raises StoreError."""
        temporary = self._root / "tmp" / _draft()
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
        """Write a blob from one buffer, unless it is there; then it counts as found now. Returns its address. Raises
        StoreError."""
        view = memoryview(data).cast("B")
        address = _hash(view)
        if not self._holds(address, len(view)):
            with self.writer() as writer:
                writer.write(view)
                writer.commit()
        return address

    def read(self, address: bytes) -> memoryview:
        """The bytes, verified and memory-mapped. What is written to the view stays in this process.

        Raises ArtifactMissingError, StoreError, and ArtifactDamagedError for other bytes than were written; these are
        removed first, so that they are in nobody's way who makes the blob anew.
        """
        path = self._path(address)
        with self._found(address, path):
            view, state = self._mapped(path)
        if self._verified.get(address) != state:
            if _hash(view) != address:
                if not self._looking:
                    with suppress(StoreError):
                        self._take(path, lambda status: _state(status) == state)
                raise _damaged(address, path)
            self._verified[address] = state
        return view

    def has(self, address: bytes) -> bool:
        """Whether the blob is there."""
        path = self._path(address)
        with _reported("read", path):
            return path.exists()

    def sound_among(self, addresses: Iterable[bytes]) -> set[bytes]:
        """Those of the blobs that are `sound`."""
        return {address for address in addresses if self.sound(address)}

    def sound(self, address: bytes) -> bool:
        """Whether the blob is there with the bytes that were written; then it counts as found now.

        One with the stamp is not read for that. One without is, and is stamped, or removed if it is damaged. Raises
        StoreError.
        """
        name = address.hex()
        place = f"{self._prefix}{name[:2]}{os.sep}{name[2:4]}{os.sep}{name}"
        try:
            status = os.stat(place)  # noqa: PTH116 - this is asked for every artifact that is taken from the cache
            if status.st_mtime_ns == _STAMP and (status.st_size > 0 or address == _EMPTY):
                if not self._looking:
                    _count_as_found(place)
                return True
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _refused("read", place, error) from error
        return self._mended(address)

    def _mended(self, address: bytes) -> bool:
        """Whether the bytes of a blob without the stamp are right; it is stamped then, and otherwise removed."""
        path = self._path(address)
        try:
            with _reported("read", path):
                view, state = self._mapped(path)
                if _hash(view) == address:
                    if not self._looking:
                        _count_as_found(str(path))
                    return True
        except StoreError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return False
            raise
        if not self._looking:
            # somebody may have written it anew by now, which is no longer damaged
            self._take(path, lambda status: _state(status) == state)
        return False

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

    def collect(self, address: bytes, before: float, *, dry: bool = False) -> int:
        """Remove a blob unless somebody has written it, or found it to be there, since the time `before` (seconds since
        the epoch). Returns how many bytes that frees; with `dry`, would free. Raises StoreError.

        Safe beside others that use the blob: whoever writes it or is told that it is there, at `before` or later, finds
        it there afterwards.
        """
        path = self._path(address)

        def unused(status: os.stat_result) -> bool:
            return status.st_atime < before

        with _reported("read", path):
            try:
                status = path.stat()
            except FileNotFoundError:
                return 0
        if not unused(status) or not (dry or self._take(path, unused)):
            return 0
        if not dry:
            self._verified.pop(address, None)
        return status.st_size

    def _take(self, path: Path, still: Callable[[os.stat_result], bool]) -> bool:
        """Remove a file if `still` holds of it when nobody can come across it any more. Returns whether it did.

        The file is moved aside first, and only then looked at for good. Whoever has touched it before that, is seen to
        have, and it goes back to its place. Whoever comes later does not find it, because touching goes by the path,
        and so writes it anew, or is told that it is not there. In no order is somebody told that it is there, and it
        goes. For the moment that it takes to put a file back it is missing from its place; readers look for it here
        (`_mapped`), and those who touch write it once more than was necessary.

        Each taker moves it to a name of its own: under a common one, the first of two could remove what the second has
        moved aside in the meantime, and not looked at yet.
        """
        aside = self._trash / f"{path.name}-{_draft()}"
        with _reported("delete", path):
            private.make_folder(self._trash)
            try:
                path.rename(aside)
            except FileNotFoundError:
                return False
            if still(aside.stat()):
                aside.unlink()
                return True
            _put_back(aside, path)
            return False

    @property
    def _trash(self) -> Path:
        return self._root / "trash"

    def unfinished(self, before: float) -> dict[int, int]:
        """The processes of this machine, by their ids, that have begun to write or to remove something and have not
        gone on with it since the time `before`, and how many bytes that is."""
        host = platform.node()
        found: dict[int, int] = {}
        busy: set[int] = set()
        for path in [*(self._root / "tmp").glob("*"), *self._trash.glob("*")]:
            # what is aside has the name of its blob before the rest
            machine, _, number = path.name.rpartition("-")[0].rpartition("-")
            if not number.isdigit() or machine not in (host, f"{path.name[:_NAME_LENGTH]}-{host}"):
                continue
            with suppress(FileNotFoundError):
                status = path.stat()
                found[int(number)] = found.get(int(number), 0) + status.st_size
                if status.st_ctime >= before:
                    busy.add(int(number))
        return {process: size for process, size in found.items() if process not in busy}

    def discard(self, process: int) -> None:
        """Remove what a process of this machine, by its id, was writing when it died, and put back what it was about to
        remove."""
        drafts = f"{glob.escape(_writer(process))}-*"
        for path in (self._root / "tmp").glob(drafts):
            with suppress(OSError):
                path.unlink()
        for path in self._trash.glob(f"*-{drafts}"):
            with suppress(OSError):
                _put_back(path, self._path(bytes.fromhex(path.name[:_NAME_LENGTH])))

    def addresses(self) -> Iterator[bytes]:
        """The addresses of all blobs, in order."""
        for path in sorted(self._root.glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]/*")):
            if len(path.name) == _NAME_LENGTH and path.name.startswith(path.parent.parent.name + path.parent.name):
                yield bytes.fromhex(path.name)

    def uses(self) -> Iterator[tuple[bytes, int, float]]:
        """All blobs, with how many bytes each has and when somebody last wrote it or found it to be there."""
        for address in self.addresses():
            with suppress(FileNotFoundError):
                status = self._path(address).stat()
                yield address, status.st_size, status.st_atime

    def _path(self, address: bytes) -> Path:
        name = address.hex()
        return self._root / name[:2] / name[2:4] / name

    def _create(self, path: Path) -> Any:
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o400)
        except FileNotFoundError:
            private.make_folder(path.parent)
            return self._create(path)
        return os.fdopen(descriptor, "wb", buffering=_BUFFER)

    def _holds(self, address: bytes, size: int) -> bool:
        """Whether a blob is there and sound; then it counts as found now."""
        # A file of another size is a damaged one: the blob is written again, which mends it.
        path = self._path(address)
        try:
            with _reported("read", path):
                return path.stat().st_size == size and self.sound(address)
        except StoreError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return False
            raise

    def _mapped(self, path: Path) -> tuple[memoryview, _State]:
        """The bytes of a file, and the state that it is in."""
        with self._opened(path) as file:
            status = os.fstat(file.fileno())
            if status.st_size == 0:
                return memoryview(bytearray()), _state(status)
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)), _state(status)

    def _opened(self, path: Path) -> Any:
        for _ in range(_LOOKS):
            with suppress(FileNotFoundError):
                return path.open("rb", buffering=0)
            # it may be aside, about to be put back, and then aside again for the next who takes it
            for aside in self._trash.glob(f"{path.name}-*"):
                with suppress(FileNotFoundError):
                    return aside.open("rb", buffering=0)
        return path.open("rb", buffering=0)

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
        with _reported("write", temporary):
            _touch(str(temporary))
            # at its place, it may be missing for a moment
            state = _state(temporary.stat())
        with _reported("write", path):
            private.make_folder(path.parent)
            temporary.replace(path)
            self._verified[address] = state
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
        self._hasher = blake3(max_threads=hashing.threads())
        self._size = 0

    def write(self, data: Any, /) -> int:
        """Add bytes (anything with the buffer protocol). Returns how many. Raises StoreError."""
        view = memoryview(data).cast("B")
        with _reported("write", self._temporary):
            self._file.write(view)
        self._hasher.update(view)
        self._size += len(view)
        return len(view)

    def draft(self) -> tuple[bytes, Path, int]:
        """What is written so far: its digest, the file that it is in until it is committed, and how many bytes it is.
        Raises StoreError."""
        with _reported("write", self._temporary):
            self._file.flush()
        return self._hasher.digest(), self._temporary, self._size

    def commit(self) -> bytes:
        """Make the blob visible, all at once. Returns its address. Raises StoreError."""
        address = self._hasher.digest()
        self._blobs.install(self._temporary, self._file, address, self._size)
        return address


def _writer(process: int) -> str:
    """Who writes, for the name of a temporary file; the folder may be shared with other machines."""
    return f"{platform.node()}-{process}"


def _draft() -> str:
    """A name for a file that only this process uses."""
    return f"{_writer(os.getpid())}-{os.urandom(8).hex()}"


def _touch(place: str) -> None:
    """Let a blob whose bytes are right count as found now. Raises FileNotFoundError if it is gone."""
    try:
        os.utime(place, ns=(time.time_ns(), _STAMP))
    except OSError as error:
        # who may not write there cannot remove anything there either; whoever may has to leave it time (`collect`)
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise


def _count_as_found(place: str) -> None:
    """The same for a blob that others may be removing.

    A path is looked up first, and the time of the file set then: between the two, the file may be moved aside and be looked
    at for good (`LocalBlobs._take`), and is removed for all that. Then it is no longer at its place afterwards; and what is
    there afterwards has been touched before anybody could look at it.
    """
    _touch(place)
    os.stat(place)  # noqa: PTH116 - as above


def _put_back(aside: Path, path: Path) -> None:
    """Move a file back to its place, unless it was written anew meanwhile: that one was touched later."""
    try:
        path.hardlink_to(aside)
    except FileExistsError:
        pass
    except OSError:
        # the file system has no links
        aside.rename(path)
        return
    aside.unlink()


def _hash(view: memoryview) -> bytes:
    threads = hashing.threads() if len(view) >= _PARALLEL else 1
    return blake3(view, max_threads=threads).digest()


#: a file, as it was when it was looked at: its inode, size and time of modification
_State = tuple[int, int, int]


def _state(status: os.stat_result) -> _State:
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
        remedy="Check the disk, and run the pipeline again: what is damaged is removed, and made anew.",
    )


@contextmanager
def _reported(verb: str, path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise _refused(verb, path, error) from error


def _refused(verb: str, path: Path | str, error: OSError) -> StoreError:
    reason = error.strerror or str(error)
    return StoreError(f"cannot {verb} {path}: {reason}", remedy=_REMEDIES.get(error.errno or 0))


__all__ = ["LocalBlobs", "LocalWriter"]
