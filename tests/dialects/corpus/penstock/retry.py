"""A task that succeeds the third time."""

from __future__ import annotations

import tempfile
from pathlib import Path

from penstock import pipeline, task


@task(cache=False)
def scratch() -> str:
    return tempfile.mkdtemp()


@task(retries=3, retry_delay=0.01)
def flaky(folder: str) -> str:
    tries = Path(folder) / "tries.txt"
    before = tries.read_text() if tries.exists() else ""
    tries.write_text(f"{before}x")
    if len(before) < 2:
        raise OSError("busy")
    return f"here after {before}"


@task
def use(text: str) -> str:
    return f"it is {text}"


@pipeline
def retried() -> str:
    return use(flaky(scratch()))
