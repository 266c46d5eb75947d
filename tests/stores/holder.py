"""A process that uses a pool: `holder.py FILE RUN POOL TIMES LOG` notes in LOG when it gets its part, and gives it back."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from penstock.ports import Holder
from penstock.stores.sqlite import SqliteStore


def main(path: Path, run_id: str, pool: str, times: int, log: Path) -> None:
    store = SqliteStore(path)
    notes = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for item in range(times):
        holder = Holder(run_id, "fit", item)
        while not store.hold(holder, {pool: 1}, time.time() + 600):
            time.sleep(0.002)
        os.write(notes, b"+")
        os.write(notes, b"-")
        store.release(holder)
    os.close(notes)
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), Path(sys.argv[5]))
