"""What the work would cost at the least: the same calls, rows and bytes without an engine around them.

Each function returns seconds.
"""

from __future__ import annotations

import importlib
import sqlite3
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

#: rows to one transaction
_BATCH = 100


def _noop(i: int) -> int:
    return i + 1


def _total(numbers: list[int]) -> int:
    return sum(numbers)


def _warm(pool: ProcessPoolExecutor, workers: int) -> None:
    """Have all workers started; each was there for at least one call."""
    for _ in range(2):
        list(pool.map(time.sleep, [0.05] * workers))


def pool_fan_out(n: int, workers: int) -> float:
    """Submit every call to a warm pool, collect the results in order, and submit the join."""
    with ProcessPoolExecutor(workers) as pool:
        _warm(pool, workers)
        start = time.perf_counter()
        futures = [pool.submit(_noop, i) for i in range(n)]
        pool.submit(_total, [future.result() for future in futures]).result()
        return time.perf_counter() - start


def pool_chain(n: int, workers: int) -> float:
    """Submit a call to a warm pool, wait for its result, and submit the next."""
    with ProcessPoolExecutor(workers) as pool:
        _warm(pool, workers)
        start = time.perf_counter()
        number = 0
        for _ in range(n):
            number = pool.submit(_noop, number).result()
        return time.perf_counter() - start


def rows(n: int, workers: int) -> float:
    """Call the function, and look up and insert one SQLite row by a key of 32 bytes, 100 to a transaction."""
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        connection = sqlite3.connect(Path(folder) / "rows.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("CREATE TABLE results (key BLOB NOT NULL UNIQUE, value INTEGER)")
        start = time.perf_counter()
        for first in range(0, n, _BATCH):
            _add_rows(connection, range(first, min(first + _BATCH, n)))
        taken = time.perf_counter() - start
        connection.close()
    return taken


def _add_rows(connection: sqlite3.Connection, numbers: range) -> None:
    keys = [number.to_bytes(32, "little") for number in numbers]
    marks = ", ".join("?" * len(keys))
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"SELECT key, value FROM results WHERE key IN ({marks})", keys).fetchall()
    made = [(key, _noop(number)) for key, number in zip(keys, numbers, strict=True)]
    connection.executemany("INSERT INTO results VALUES (?, ?)", made)
    connection.execute("COMMIT")


def file_of_columns(megabytes: int, workers: int) -> float:
    """Write the bytes of all columns to one file, then map it into memory and sum them, five times."""
    np: Any = importlib.import_module("numpy")
    from benchmarks.frames import columns

    made = list(columns(megabytes).values())
    shape = len(made), len(made[0])
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        path = Path(folder) / "columns"
        # A virtual machine has to be given the memory first. On the other side, making the frame sees to that.
        _write(path, made)
        start = time.perf_counter()
        _write(path, made)
        for _ in range(5):
            np.memmap(path, dtype=made[0].dtype, mode="r", shape=shape).sum(axis=1)
        return time.perf_counter() - start


def _write(path: Path, columns: list[Any]) -> None:
    with path.open("wb", buffering=0) as file:
        for column in columns:
            file.write(memoryview(column).cast("B"))


FLOORS: dict[str, Callable[[int, int], float]] = {
    "pool_fan_out": pool_fan_out,
    "pool_chain": pool_chain,
    "rows": rows,
    "file_of_columns": file_of_columns,
}
