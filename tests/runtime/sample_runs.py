"""Tasks of every kind, and how the tests run pipelines of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import penstock
from penstock import choose, otherwise, pipeline, task, when
from penstock.runtime.run import Run


def run(
    subject: penstock.Pipeline[..., Any], executor: str = "inline", *, cache: bool = True, **parameters: Any
) -> Run:
    return subject.options(executor=executor, workers=2, progress=False, cache=cache).run(**parameters)


def states(run: Run) -> dict[str, str]:
    return {each.id: each.state for each in run.tasks}


def count_calls(name: str) -> int:
    """How often this was called under a name, this call included."""
    with Path(name).open("a") as file:
        file.write("x")
    return Path(name).stat().st_size


def calls(name: str) -> int:
    return Path(name).stat().st_size if Path(name).exists() else 0


# Tasks.


@task
def one() -> int:
    return 1


@task
def double(number: int) -> int:
    return 2 * number


@task
def add(left: int, right: int) -> int:
    return left + right


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@task
def numbers_up_to(count: int) -> list[int]:
    return list(range(count))


@task
def counted(value: int) -> int:
    count_calls("counted")
    return value


@task
def fail(message: str) -> int:
    raise ValueError(message)


@task
def fail_on(number: int, bad: int) -> int:
    if number == bad:
        raise ValueError(f"{number} is bad")
    return number


@task(retries=2)
def fail_twice() -> int:
    times = count_calls("failures")
    penstock.current().log_metric("attempt", penstock.current().attempt)
    if times < 3:
        raise ValueError(f"time {times}")
    return times


@task
def describe(structure: Any) -> str:
    return repr(structure)


class Split(NamedTuple):
    train: list[int]
    test: list[int]


@task
def split(numbers: list[int]) -> Split:
    return Split(numbers[::2], numbers[1::2])


@dataclass
class Quality:
    accuracy: float
    name: str


@task
def evaluate(accuracy: float) -> Quality:
    return Quality(accuracy, "model")


@task
def die() -> int:
    os._exit(7)


@task(retries=1)
def die_once() -> int:
    if count_calls("deaths") == 1:
        os._exit(7)
    return calls("deaths")


@pipeline
def with_retries():
    return fail_twice()


@pipeline
def squares_of_known():
    return total(double.map([1, 2, 3]))


@pipeline
def squares_of_unknown(count: int = 4):
    return double.map(numbers_up_to(count))


@pipeline
def branching(threshold: float = 0.5):
    quality = evaluate(0.7)
    with when(quality.accuracy >= threshold):
        good = counted(1)
    with otherwise():
        bad = double(counted.options(name="apology")(2))
    return {"chosen": choose(good, bad), "good": good}
