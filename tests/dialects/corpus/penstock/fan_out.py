"""A task for each element of what another one returned, and their sum."""

from __future__ import annotations

from penstock import pipeline, task


@task
def parts(count: int) -> list[int]:
    return list(range(1, count + 1))


@task
def weigh(part: int, scale: int) -> int:
    return part * scale


@task
def total(weights: list[int]) -> int:
    return sum(weights)


@pipeline
def fan_out(count: int = 3, scale: int = 10) -> int:
    return total(weigh.partial(scale=scale).map(part=parts(count)))
