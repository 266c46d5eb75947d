"""Two ways that come together again."""

from __future__ import annotations

from penstock import pipeline, task


@task
def read() -> list[float]:
    return [1.0, 2.0, 3.0]


@task
def lowest(numbers: list[float]) -> float:
    return min(numbers)


@task
def highest(numbers: list[float]) -> float:
    return max(numbers)


@task
def span(low: float, high: float) -> float:
    return high - low


@pipeline
def diamond() -> float:
    numbers = read()
    return span(lowest(numbers), highest(numbers))
