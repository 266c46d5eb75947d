"""The pipelines that are measured: tasks that do nothing, so that all the time is the engine's."""

from __future__ import annotations

from penstock import pipeline, task, value


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


@pipeline
def stages(n: int) -> int:
    """Two mapped nodes with n items each, the second taking over the items of the first one by one, and a join."""
    return total(noop.map(noop.map(range(n))))


@pipeline
def parallel(n: int) -> int:
    """As `fan_out`, with a limit on how many items may be under way."""
    return total(noop.options(max_parallel=1000).map(range(n)))


@pipeline
def pooled(n: int) -> int:
    """As `fan_out`, with every attempt taking its part of a pool that all runs share."""
    return total(noop.options(concurrency=1000).map(range(n)))


@pipeline
def step(i: int) -> int:
    return noop(i)


@pipeline
def bodies(n: int) -> int:
    """A pipeline with one node, mapped over n items, and a join."""
    return total(step.map(range(n)))


@pipeline
def dynamic(n: int) -> int:
    """The chain again, by a body that asks for the value of each task before it calls the next."""
    number = 0
    for _ in range(n):
        number = value(noop(number))
    return number


PIPELINES = {
    "fan_out": fan_out,
    "loop": loop,
    "chain": chain,
    "stages": stages,
    "parallel": parallel,
    "pooled": pooled,
    "bodies": bodies,
    "dynamic": dynamic,
}


def expected(name: str, n: int) -> int:
    """What a pipeline returns."""
    if name in ("chain", "dynamic"):
        return n
    return n * (n + 1) // 2 + (n if name == "stages" else 0)
