"""A task that ends when a file appears, for those who look at a run while it runs."""

from __future__ import annotations

import time
from pathlib import Path

from penstock import pipeline, task


@task
def first() -> str:
    return "first"


@task
def wait(gate: str, before: str) -> str:
    print("waiting")
    while not Path(gate).exists():
        time.sleep(0.01)
    print("went on")
    return gate


@task
def last(gate: str) -> str:
    return f"after {gate}"


@pipeline
def gated(gate: str) -> str:
    return last(wait(gate, first()))
