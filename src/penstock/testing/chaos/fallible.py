"""The pipelines of a story: one that fails for as long as there is an outage, and asks for leave; one that goes on for long.

As those of `reference`, their tasks note down what they do.
"""

from __future__ import annotations

import time
from pathlib import Path

from penstock import approval, pipeline, task
from penstock.testing.chaos.noting import note

#: the file that there is in an outage
OUTAGE = "outage"
#: nodes of the run in the background, which is cancelled, and those of which attempts do not end
BACKGROUND, STOPPED = ("many", "tick"), ("tick", "weak")
#: how much there is to do in the background: far more than anybody waits for
_LONG = 400


@task
def numbers(count: int) -> list[int]:
    note("began")
    note("ended")
    return list(range(count))


@task
def page(x: int) -> bytes:
    """Large enough for a blob."""
    note("began")
    time.sleep(0.003)
    note("ended")
    return bytes([x % 251]) * (20_000 + x)


@task
def weak(data: bytes) -> int:
    """Fails for every second one, until the outage is over."""
    note("began")
    if len(data) % 2 and Path(OUTAGE).exists():
        raise ConnectionError("the service is away")
    time.sleep(0.003)
    note("ended")
    return len(data)


@task(cache=False)
def measured(x: int) -> float:
    note("began")
    time.sleep(0.003)
    note("ended")
    return x / 4


@task
def found(sizes: list[int]) -> dict[str, int]:
    note("began")
    note("ended")
    return {"size": sum(sizes)}


@task(cache=False)
def published(found: dict[str, int], measures: list[float], leave: object) -> dict[str, float]:
    note("began")
    note("ended")
    return {"size": found["size"], "measures": sum(measures)}


@pipeline
def fallible(count: int = 5) -> dict[str, float]:
    """Fails in an outage; pauses after it, until somebody has answered."""
    there = numbers(count)
    sizes = found(weak.map(page.map(there)))
    leave = approval("Publish?", name="sign_off")(found=sizes)
    return published(sizes, measured.map(there), leave)


@task(cache=False)
def tick(x: int) -> bytes:
    note("began")
    time.sleep(0.02)
    note("ended")
    return bytes([x % 251]) * 9_000


@pipeline
def lasting(count: int = _LONG) -> int:
    """For the background."""
    return len(tick.map(numbers.options(name="many")(count)))  # type: ignore[arg-type]
