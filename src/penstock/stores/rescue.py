"""What becomes of a store whose file is deleted, or replaced by another, while it is in use: whoever has it open still reads
and writes it, but what is written is gone with the last of them."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

from penstock.errors import StoreError
from penstock.stores import files

#: seconds between two looks at the file: what is written meanwhile is rescued with the rest
_INTERVAL = 0.25


class Rescue:
    """Watches over the file of a connection, and puts what was in it into another one when it is no longer there."""

    __slots__ = ("_connection", "_next", "_path", "_place", "_saved")

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._place = _place_of(path)
        self._saved: Path | None = None
        self._next = 0.0

    def is_due(self) -> bool:
        """Whether it is time to look at the file again; that takes longer than all else that Python does for a turn."""
        return time.monotonic() >= self._next

    def require_in_place(self) -> None:
        """Raises StoreError if the file is no longer the one that was opened."""
        self._next = time.monotonic() + _INTERVAL
        if _place_of(self._path) != self._place:
            raise StoreError(
                f"{self._path} was deleted or replaced while it was in use",
                remedy=f"What was recorded in it is in {self._rescued()}: put that in its place.",
            )

    def _rescued(self) -> Path:
        if self._saved is None:
            saved = self._path.with_name(f"{self._path.name}.rescued-{os.getpid()}")
            files.copy(self._connection, saved)
            if not self._path.exists():
                # what is left beside it would be taken for a part of whatever is put in its place
                for rest in ("-wal", "-shm"):
                    self._path.with_name(f"{self._path.name}{rest}").unlink(missing_ok=True)
            self._saved = saved
        return self._saved


def _place_of(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


__all__ = ["Rescue"]
