"""What a type checker knows of tasks and pipelines. `test_typing.py` has it checked; nothing here is run."""

from __future__ import annotations

from typing import Any, NamedTuple, assert_type, reveal_type

from penstock import Run, Task, choose, otherwise, pipeline, task, unmapped, when


class Parts(NamedTuple):
    train: list[float]
    test: list[float]


@task
def load(path: str, *, limit: int = 10) -> list[float]:
    return [1.0] * limit


@task(retries=2, cache=False)
def split(data: list[float], share: float = 0.5) -> Parts:
    return Parts(data, data)


@task
def fit(data: list[float], depth: int) -> dict[str, float]:
    return {"score": len(data) * depth}


@task
def best(fits: list[dict[str, float]]) -> float:
    return max(each["score"] for each in fits)


@pipeline
def training(path: str, depth: int = 3) -> float:
    data = load(path, limit=5)
    assert_type(data, list[float])
    train, test = split(data)
    assert_type(train, list[float])
    assert_type(split(data).test, list[float])
    assert_type(split.options(name="again", after=data)(data, 0.1), Parts)
    fits = fit.map([train, test], unmapped(depth))
    assert_type(fits, list[dict[str, float]])
    assert_type(fit(train, depth)["score"], float)
    with when(best(fits) > 0.5):
        good = best(fits)
    with otherwise():
        bad = best.options(retries=1)(fits)
    assert_type(choose(good, bad), float)
    return choose(good, bad)


@pipeline(name="wide")
def wider(path: str) -> list[float]:
    return [training(path), training(path, depth=4)]


assert_type(training("a.csv", 4), float)
assert_type(training.run(path="a.csv"), Run)
assert_type(training.run(path="a.csv").result, Any)
assert_type(training.options(executor="inline", cache=False)("a.csv"), float)
assert_type(load("a.csv"), list[float])

reveal_type(load)  # reveals: Task[(path: str, *, limit: int = 10), list[float]]
reveal_type(load.options(retries=1))  # reveals: Task[(path: str, *, limit: int = 10), list[float]]
reveal_type(split)  # reveals: Task[(data: list[float], share: float = 0.5), Parts]
reveal_type(training)  # reveals: Pipeline[(path: str, depth: int = 3), float]
reveal_type(training.options(executor="inline"))  # reveals: Pipeline[(path: str, depth: int = 3), float]
reveal_type(wider.options(workers=2))  # reveals: Pipeline[(path: str), list[float]]
reveal_type(fit(load("a"), 3))  # reveals: dict[str, float]
reveal_type(training.run(path="a"))  # reveals: Run

kept: Task[[list[float], int], dict[str, float]] = fit.options(cache=False)
