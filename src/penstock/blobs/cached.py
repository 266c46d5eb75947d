"""Blobs in an object store, with copies on this machine.

What is written goes into a file first, since only its end tells its address, and objects cannot be renamed: to copy one
to its address on the server is refused above 5 GB, and is paid for. The file is sent, and stays as the copy that the next
worker of this machine reads. What is read is fetched into a file once, verified, and memory-mapped from there on.

The copies say nothing of what is in the store. Whether a blob is there is always asked of the store.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from blake3 import blake3

from penstock.blobs.cache import Cache
from penstock.blobs.local import LocalWriter
from penstock.blobs.objects import Objects
from penstock.errors import ArtifactDamagedError, ArtifactMissingError, StoreError
from penstock.model import hashing

#: how many blobs are asked for at once
_AT_ONCE = 32


class CachedBlobs:
    """The blobs of an object store, through a cache. All methods raise StoreError."""

    def __init__(self, objects: Objects, cache: Cache) -> None:
        self._objects = objects
        self._cache = cache

    def check(self) -> None:
        """See within seconds whether the object store can be used. Raises StoreError, saying why not."""
        self._objects.check()

    @contextmanager
    def writer(self) -> Generator[CachedWriter]:
        """A new blob; what is not committed by the end of the block is gone."""
        with self._cache.writer() as copy:
            yield CachedWriter(copy, self._objects, self._cache)

    def put(self, data: Any) -> bytes:
        """Write a blob from one buffer, unless it is there; then it counts as found now. Returns its address."""
        view = memoryview(data).cast("B")
        address = blake3(view, max_threads=hashing.threads()).digest()
        if self._cache.has(address):
            self._objects.add(address, view, len(view))
            return address
        with self.writer() as writer:
            writer.write(view)
            return writer.commit()

    def read(self, address: bytes) -> memoryview:
        """The bytes, verified and memory-mapped; from the object store only where there is no copy. What is written to
        the view stays in this process.

        Raises ArtifactMissingError, and ArtifactDamagedError for other bytes than were written; these are removed first.
        """
        view = self._cache.read(address)
        return self._fetched(address) if view is None else view

    def has(self, address: bytes) -> bool:
        """Whether the blob is in the object store."""
        return self._objects.has(address)

    def sound(self, address: bytes) -> bool:
        """Whether the blob is in the object store with the bytes that were written; then it counts as found now. One that
        something else has written is fetched for that, and removed if it is damaged."""
        found = self._objects.found(address)
        if found is None:
            try:
                self._fetched(address, confirm=True)
            except (ArtifactMissingError, ArtifactDamagedError):
                return False
            return True
        return found

    def sound_among(self, addresses: Iterable[bytes]) -> set[bytes]:
        """Those of the blobs that are `sound`. Many are asked for at once."""
        asked = list(set(addresses))
        if not asked:
            return set()
        with ThreadPoolExecutor(min(len(asked), _AT_ONCE), "penstock-blobs") as threads:
            found = list(threads.map(self._objects.found, asked))
        return {each for each, sound in zip(asked, found, strict=True) if sound or (sound is None and self.sound(each))}

    def size(self, address: bytes) -> int:
        """How many bytes the blob has. Raises ArtifactMissingError."""
        size = self._cache.size(address)
        return self._objects.size(address) if size is None else size

    def copy_to(self, address: bytes, path: Path) -> None:
        """Write the bytes, verified, to a file of the user's; one that is there is replaced."""
        view = self.read(address)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(view)
        except OSError as error:
            raise StoreError(f"cannot write {path}: {error.strerror or error}") from error

    def delete(self, address: bytes) -> None:
        """Remove the blob, if it is there, and the copy of it."""
        self._objects.delete(address)
        self._cache.remove(address)

    def collect(self, address: bytes, before: float, *, dry: bool = False) -> int:
        """Remove a blob from the object store, and the copy of it, unless somebody has written it or found it to be there
        since a time (seconds since the epoch). Returns how many bytes that frees there; with `dry`, would free."""
        freed = self._objects.collect(address, before, dry=dry)
        if freed and not dry:
            self._cache.remove(address)
        return freed

    def unfinished(self, before: float) -> dict[int, int]:
        """The processes of this machine, by their ids, that have begun to write or to remove a copy and have not gone on
        with it since the time `before`, and how many bytes that is."""
        return self._cache.unfinished(before)

    def discard(self, process: int) -> None:
        """Remove what a process of this machine, by its id, was writing when it died."""
        self._cache.discard(process)

    def addresses(self) -> Iterator[bytes]:
        """The addresses of all blobs in the object store, in order."""
        return self._objects.addresses()

    def _fetched(self, address: bytes, *, confirm: bool = False) -> memoryview:
        """The bytes, verified, from the object store; there is a copy then. With `confirm`, they need not be read again to
        be taken for sound."""
        meta, pieces = self._objects.pieces(address)
        with self._cache.writer() as copy:
            for piece in pieces:
                copy.write(piece)
            if copy.draft()[0] != address:
                raise self._objects.damaged(address, meta)
            copy.commit()
        if confirm:
            self._objects.confirm(address, meta.version)
        view = self._cache.read(address)
        self._cache.trim(meta.size)
        # another process may have had to make room just now
        return self._fetched(address) if view is None else view


class CachedWriter:
    """A blob being written."""

    def __init__(self, copy: LocalWriter, objects: Objects, cache: Cache) -> None:
        self._copy = copy
        self._objects = objects
        self._cache = cache

    def write(self, data: Any, /) -> int:
        """Add bytes (anything with the buffer protocol). Returns how many."""
        return self._copy.write(data)

    def commit(self) -> bytes:
        """Send the blob, and make it visible, all at once. Returns its address."""
        address, file, size = self._copy.draft()
        self._objects.add(address, file, size)
        self._copy.commit()
        self._cache.trim(size)
        return address


__all__ = ["CachedBlobs", "CachedWriter"]
