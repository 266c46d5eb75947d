"""Small tasks without heavy imports: a chain, a fan-out, and a branch that fails when it is told to."""

from __future__ import annotations

from penstock import current, pipeline, task, unmapped


@task
def number(value: int) -> int:
    print(f"the number is {value}")
    return value


@task
def scaled(factor: int, value: int) -> int:
    current().log_metric("scaled", factor * value)
    return factor * value


@task
def total(values: list[int]) -> int:
    current().log_metric("total", sum(values))
    return sum(values)


@task
def fragile(value: int, fail: bool) -> int:
    return checked(value, fail)


@task
def after_fragile(value: int) -> int:
    return value


def checked(value: int, fail: bool) -> int:
    if fail:
        raise ValueError(f"no {value} today")
    return value


@pipeline
def steps(value: int = 1, items: int = 3, fail: bool = False) -> int:
    """Scale a number, and add up."""
    start = number(value)
    after_fragile(fragile(start, fail))
    return total(scaled.map(range(1, items + 1), unmapped(start)))
