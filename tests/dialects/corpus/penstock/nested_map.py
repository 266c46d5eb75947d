"""A pipeline for each element, with a fan-out inside."""

from __future__ import annotations

from penstock import pipeline, task


@task
def load(part: int) -> list[int]:
    return list(range(part))


@task
def fit(rows: list[int], depth: int) -> int:
    return sum(rows) * depth


@task
def best(scores: list[int]) -> int:
    return max(scores, default=0)


@pipeline
def tune(part: int) -> int:
    rows = load(part)
    return best(fit.partial(rows=rows).map(depth=[1, 2, 3]))


@pipeline
def nested_map() -> list[int]:
    return tune.map([2, 3, 4])
