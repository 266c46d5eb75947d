"""Tasks that take long, for those who end them."""

from __future__ import annotations

import time
from pathlib import Path

from penstock import pipeline, task


@task
def nap(number: int) -> int:
    Path(f"asleep-{number}").touch()
    time.sleep(120)
    return number


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@pipeline
def naps() -> int:
    return total(nap.map([1, 2, 3]))
