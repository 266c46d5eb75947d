"""A chain of tasks that write down that they run, the second of which waits for a file; for those who kill drivers."""

from __future__ import annotations

import time
from pathlib import Path

from penstock import pipeline, task


def wrote(line: str, nap: float = 0.0) -> None:
    time.sleep(nap)
    with Path("ledger").open("a") as ledger:
        ledger.write(f"{line}\n")


@task
def first(shift: int, nap: float) -> int:
    wrote(f"first {shift}", nap)
    return shift


@task
def second(shift: int) -> int:
    wrote(f"second {shift}")
    until = time.monotonic() + 60
    while not Path("go").exists() and time.monotonic() < until:
        time.sleep(0.02)
    wrote(f"second {shift} done")
    return shift


@task
def third(shift: int, nap: float) -> int:
    wrote(f"third {shift}", nap)
    return shift


@pipeline
def shifts(shift: int = 1, nap: float = 0.0) -> int:
    return third(second(first(shift, nap)), nap)
