"""A connection that waits for its turn among many processes.

SQLite's own way of waiting asks again after ever longer pauses, up to a tenth of a second, so that one that has waited
long finds the lock free ever less often than those that have just come: among twenty writers that never rest, it waits
for seconds, and now and then for longer than anybody's patience. Here all ask equally often, however long they have
waited, and at random moments, so that none keeps missing the lock in step with another.
"""

from __future__ import annotations

import random
import sqlite3
import time
from typing import Any

from penstock.stores import transactions

#: Seconds between two times of asking: at most the first, which doubles until it is the last. Asking much more often
#: takes so much of the processor that all are slower, and keeps the write-ahead log from ever being begun anew, since
#: everybody who asks reads it.
_PAUSES = (0.004, 0.02)
#: what passes by itself. The last is how SQLite gives up when too many begin to read at one moment.
_PASSING = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_PROTOCOL)


class PatientConnection(sqlite3.Connection):
    """Waits up to `transactions.PATIENCE` seconds wherever the file is locked by another process. To be opened with the
    timeout 0, so that it is not SQLite that waits."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """As in `sqlite3.Connection`; raises its OperationalError when patience is at its end."""
        try:
            return super().execute(sql, parameters)
        except sqlite3.OperationalError as error:
            # within a transaction, what waits for others could wait for ever
            if self.in_transaction or transactions.code_of(error) not in _PASSING:
                raise
        return self._asked_again(sql, parameters)

    def _asked_again(self, sql: str, parameters: Any) -> sqlite3.Cursor:
        deadline = time.monotonic() + transactions.PATIENCE
        longest, limit = _PAUSES
        while True:
            time.sleep(random.uniform(longest / 10, longest))
            longest = min(2 * longest, limit)
            try:
                return super().execute(sql, parameters)
            except sqlite3.OperationalError as error:
                if transactions.code_of(error) not in _PASSING or time.monotonic() > deadline:
                    raise


__all__ = ["PatientConnection"]
