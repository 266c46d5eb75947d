"""Copies of blobs on this machine, of which those that were not used for the longest time go when there are too many."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from penstock.blobs.local import LocalBlobs, LocalWriter
from penstock.errors import ArtifactDamagedError, ArtifactMissingError, StoreError

#: what is left of the limit when something had to go, so that it need not be looked through again at once
_TARGET = 0.9
#: how much of the limit a process may add before it looks again what all of them have added
_STEP = 0.02


class Cache:
    """Blobs in the folder `root`, of about `limit` bytes at most, for any number of processes.

    It is over the limit by what is being written, and by what processes have added that have not looked yet: at most a
    fiftieth of the limit each, or one blob. A blob that is removed can be read on by whoever has begun to.
    """

    def __init__(self, root: Path, limit: int) -> None:
        self._blobs = LocalBlobs(root)
        self._limit = limit
        #: bytes that may be added before this process looks again
        self._room = 0

    def writer(self) -> AbstractContextManager[LocalWriter]:
        """A new copy; what is not committed by the end of the block is gone. Raises StoreError."""
        return self._blobs.writer()

    def has(self, address: bytes) -> bool:
        """Whether there is a copy; then it counts as used now."""
        return self._blobs.sound(address)

    def read(self, address: bytes) -> memoryview | None:
        """The bytes, verified; None where there is no copy, or a damaged one, which is removed."""
        try:
            # so that it counts as used now
            return self._blobs.read(address) if self._blobs.sound(address) else None
        except (ArtifactMissingError, ArtifactDamagedError):
            return None

    def size(self, address: bytes) -> int | None:
        """How many bytes the copy has; None where there is none."""
        try:
            return self._blobs.size(address)
        except ArtifactMissingError:
            return None

    def remove(self, address: bytes) -> None:
        """Remove the copy, if there is one."""
        self._blobs.delete(address)

    def trim(self, added: int) -> None:
        """Remove copies, those first that were not used for the longest time, if there are too many now that some bytes
        were added."""
        self._room -= added
        if self._room > 0:
            return
        copies = sorted(self._blobs.uses(), key=lambda copy: copy[2])
        total = sum(size for _, size, _ in copies)
        if total > self._limit:
            for address, size, used_at in copies:
                # whoever has used it since keeps it; if another process was faster, it is gone just as well
                with suppress(StoreError):
                    self._blobs.collect(address, math.nextafter(used_at, math.inf))
                    total -= size
                if total <= self._limit * _TARGET:
                    break
        self._room = int(min(self._limit - total, self._limit * _STEP))

    def unfinished(self, before: float) -> dict[int, int]:
        """See `Blobs.unfinished`."""
        return self._blobs.unfinished(before)

    def discard(self, process: int) -> None:
        """See `Blobs.discard`."""
        self._blobs.discard(process)


__all__ = ["Cache"]
