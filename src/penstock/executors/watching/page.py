"""A few bytes of memory that a worker shares with those who watch over it."""

from __future__ import annotations

import mmap
import struct
import time

#: when the latest attempt began, on the monotonic clock of the machine; how many attempts have begun
_FORMAT = struct.Struct("@dQ")


class Page:
    """Tells which of its jobs a worker is at, even after it has died. Made from a file of `SIZE` bytes."""

    SIZE = _FORMAT.size

    __slots__ = ("_bytes",)

    def __init__(self, descriptor: int) -> None:
        self._bytes = mmap.mmap(descriptor, self.SIZE)

    def begin(self, count: int) -> None:
        """Tell that so many attempts have begun, the last of them now."""
        _FORMAT.pack_into(self._bytes, 0, time.monotonic(), count)

    def read(self) -> tuple[float, int]:
        """When the latest attempt began, and how many have."""
        while True:
            begun = self.begun()
            at, now = _FORMAT.unpack_from(self._bytes)
            # the time is written first: if the count has not moved, it does not come from an earlier attempt
            if now == begun:
                return at, begun

    def begun(self) -> int:
        """How many attempts have begun."""
        return _FORMAT.unpack_from(self._bytes)[1]

    def close(self) -> None:
        self._bytes.close()
