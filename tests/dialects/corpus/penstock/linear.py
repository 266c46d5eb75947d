"""One after the other, with a parameter."""

from __future__ import annotations

from penstock import pipeline, task


@task
def extract(rows: int) -> list[int]:
    return list(range(rows))


@task
def transform(numbers: list[int]) -> list[int]:
    return [number * number for number in numbers]


@task
def load(numbers: list[int]) -> int:
    return sum(numbers)


@pipeline
def linear(rows: int = 4) -> int:
    return load(transform(extract(rows)))
