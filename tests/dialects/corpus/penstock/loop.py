"""A pipeline that is repeated until its result is large enough."""

from __future__ import annotations

from penstock import pipeline, repeat, task


@task
def double(number: int) -> int:
    return 2 * number


@pipeline
def grow(number: int) -> int:
    return double(number)


@pipeline
def loop(number: int = 1) -> int:
    return repeat(grow, until=lambda number: number >= 20, maximum=10)(number=number)
