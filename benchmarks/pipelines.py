"""The pipelines that are measured: tasks that do nothing, so that all the time is the engine's."""

from __future__ import annotations

from penstock import pipeline, task


@task
def noop(i: int) -> int:
    return i + 1


@task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@pipeline
def fan_out(n: int) -> int:
    """One mapped node with n items, and a join."""
    return total(noop.map(range(n)))


@pipeline
def loop(n: int) -> int:
    """The same as a plain loop of calls: n nodes, and a join."""
    return total([noop(i) for i in range(n)])


@pipeline
def chain(n: int) -> int:
    """Each task waits for the one before."""
    number = 0
    for _ in range(n):
        number = noop(number)
    return number


PIPELINES = {"fan_out": fan_out, "loop": loop, "chain": chain}


def expected(name: str, n: int) -> int:
    """What a pipeline returns."""
    return n if name == "chain" else n * (n + 1) // 2
