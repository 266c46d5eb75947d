"""Small tasks that the shapes are made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from penstock import Pipeline, current, task
from penstock.runtime.run import Run


def run(subject: Pipeline[..., Any], **parameters: Any) -> Run:
    return subject.options(executor="inline", progress=False).run(**parameters)


def states(run: Run) -> dict[str, str]:
    return {each.id: each.state for each in run.tasks}


@task(cache=False)
def same(x: Any) -> Any:
    return x


@task(cache=False)
def increment(x: int) -> int:
    return x + 1


@task(cache=False)
def up_to(n: int) -> list[int]:
    return list(range(n))


@task(cache=False)
def total(xs: list[int]) -> int:
    return sum(xs)


@task(cache=False)
def refuse(x: Any = None) -> int:
    raise ValueError(f"{x} will not do")


@task(cache=False)
def picky(x: int) -> int:
    if x % 2:
        raise ValueError(f"{x} is odd")
    return x


@task(cache=False, retries=2, retry_delay=0)
def stumbling(n: int, good: int) -> Iterator[int]:
    """Yields n numbers; before attempt `good`, fails half-way."""
    for number in range(n):
        if number == n // 2 and current().attempt < good:
            raise OSError(f"stumbled at {number}")
        yield number
