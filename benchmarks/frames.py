"""A large frame handed from task to task, each of which reads all of it."""

from __future__ import annotations

import importlib
import time
from typing import Any

from penstock import current, pipeline, task

np: Any = importlib.import_module("numpy")
pd: Any = importlib.import_module("pandas")

COLUMNS = 10


def columns(megabytes: int) -> dict[str, Any]:
    """Random float columns that take so much memory together."""
    length = megabytes * 1024 * 1024 // (8 * COLUMNS)
    return {f"c{number}": np.random.default_rng(number).random(length) for number in range(COLUMNS)}


@task
def make(megabytes: int) -> Any:
    start = time.perf_counter()
    frame = pd.DataFrame(columns(megabytes))
    current().log_metric("made_in", time.perf_counter() - start)
    return frame


def read(frame: Any) -> list[float]:
    """Sum every column, by numpy: pandas would look for missing values first."""
    return [frame[name].to_numpy().sum() for name in frame]


@task
def touch(frame: Any) -> Any:
    read(frame)
    return frame


@pipeline
def frame(megabytes: int) -> Any:
    """Made once, read and passed on four times."""
    made = make(megabytes)
    for _ in range(4):
        made = touch(made)
    return made
