"""Tasks whose runs are explained and compared."""

from __future__ import annotations

import inspect
from typing import Any

import penstock
from penstock import Skip, pipeline, task
from penstock.runtime.run import Run


@task
def add(a: int, b: int = 1) -> int:
    return a + b


@task
def numbers(n: int) -> list[int]:
    return list(range(n))


@task
def total(values: list[int]) -> int:
    return sum(values)


@task
def picky(a: int) -> int:
    if a == 1:
        raise Skip("not that one")
    if a == 2:
        raise ValueError("nor that one")
    return a


@task
def keep(x: Any) -> Any:
    return x


def run(subject: penstock.Pipeline[..., Any], parameters: dict[str, Any] | None = None, **options: Any) -> Run:
    return subject.options(executor="inline", progress=False, **options).run(**(parameters or {}))


def line_of(function: Any, text: str) -> int:
    """The line of this file in which a text stands in a function."""
    lines, first = inspect.getsourcelines(function)
    return first + next(number for number, line in enumerate(lines) if text in line)


@pipeline
def one(a: int = 1, b: int = 1) -> int:
    return add(a, b)


@pipeline
def sums(n: int = 3, more: int = 1) -> int:
    return total(add.partial(b=more).map(a=numbers(n)))
