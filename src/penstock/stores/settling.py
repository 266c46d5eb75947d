"""What is in the write-ahead log of a file is moved to the file itself, while its user goes on.

SQLite does that at the latest when the last one lets go of the file, who then waits until the disk has all of it. At the end
of a run there are workers to be stopped first: begun by another thread meanwhile, most of it is done by then. Not before:
what writes at the same time is slowed down.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path

#: rows written from which it is worth the while
_ENOUGH = 500


class Settling:
    """Moves what a connection has written to the log of the file at `path`. Belongs to the thread of the connection."""

    __slots__ = ("_connection", "_path", "_seen", "_thread")

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        #: how many rows the connection had written the last time
        self._seen = connection.total_changes
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Begin, if there is enough to move."""
        written = self._connection.total_changes
        if written - self._seen < _ENOUGH:
            return
        self.end()
        self._seen = written
        self._thread = threading.Thread(target=_settle, args=(self._path,), name="penstock-settling")
        self._thread.start()

    def end(self) -> None:
        """Wait until nobody is at it."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None


def _settle(path: Path) -> None:
    # What goes wrong is left to whoever writes next, or closes the file: it is tried again there, and reported. Nobody who
    # writes waits for this, and it waits for nobody.
    with contextlib.suppress(sqlite3.Error):
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", timeout=0, uri=True)
        with contextlib.closing(connection):
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


__all__ = ["Settling"]
