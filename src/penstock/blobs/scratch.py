"""Blobs for somebody who only looks: what is written stays in memory, and the place itself is left as it is."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from blake3 import blake3

from penstock.model import hashing
from penstock.ports import Blobs


class ScratchBlobs:
    """The blobs of another place, which must itself change nothing when it is read, and those that were written here, which
    are gone with this object."""

    def __init__(self, place: Blobs) -> None:
        self._place = place
        self._written: dict[bytes, bytes] = {}

    @contextmanager
    def writer(self) -> Generator[ScratchWriter]:
        """A new blob; what is not committed by the end of the block is gone."""
        yield ScratchWriter(self)

    def put(self, data: Any) -> bytes:
        """Keep a blob, unless it is there. Returns its address."""
        view = memoryview(data).cast("B")
        address = blake3(view, max_threads=hashing.threads()).digest()
        if not self.has(address):
            self._written[address] = bytes(view)
        return address

    def read(self, address: bytes) -> memoryview:
        """The bytes, verified. Raises ArtifactMissingError or ArtifactDamagedError."""
        written = self._written.get(address)
        return self._place.read(address) if written is None else memoryview(bytearray(written))

    def has(self, address: bytes) -> bool:
        return address in self._written or self._place.has(address)

    def sound(self, address: bytes) -> bool:
        """Whether the blob is there with the bytes that were written."""
        return address in self._written or self._place.sound(address)

    def sound_among(self, addresses: Iterable[bytes]) -> set[bytes]:
        """Those of the blobs that are `sound`."""
        asked = set(addresses)
        written = asked & self._written.keys()
        return written | self._place.sound_among(asked - written)

    def size(self, address: bytes) -> int:
        written = self._written.get(address)
        return self._place.size(address) if written is None else len(written)

    def copy_to(self, address: bytes, path: Path) -> None:
        """Write the bytes, verified, to a file of the user's."""
        if address not in self._written:
            self._place.copy_to(address, path)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self._written[address])

    def delete(self, address: bytes) -> None:
        """Forget a blob that was written here."""
        self._written.pop(address, None)

    def collect(self, address: bytes, before: float, *, dry: bool = False) -> int:
        """Nothing is removed from the place."""
        return 0

    def unfinished(self, before: float) -> dict[int, int]:
        """Nobody else writes here."""
        return {}

    def discard(self, process: int) -> None:
        """Nothing is removed from the place."""

    def addresses(self) -> Iterator[bytes]:
        yield from self._place.addresses()
        yield from (address for address in self._written if not self._place.has(address))


class ScratchWriter:
    """A blob being written."""

    def __init__(self, blobs: ScratchBlobs) -> None:
        self._blobs = blobs
        self._data = bytearray()

    def write(self, data: Any, /) -> int:
        """Add bytes (anything with the buffer protocol). Returns how many."""
        view = memoryview(data).cast("B")
        self._data += view
        return len(view)

    def commit(self) -> bytes:
        """Make the blob visible. Returns its address."""
        return self._blobs.put(self._data)


__all__ = ["ScratchBlobs", "ScratchWriter"]
