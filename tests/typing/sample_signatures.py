"""What a type checker knows of tasks and pipelines. `test_typing.py` has it checked; nothing here is run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypedDict, assert_type, reveal_type

from penstock import (
    Approval,
    Outcome,
    Ref,
    Run,
    RunRequest,
    Task,
    Trigger,
    approval,
    choose,
    event,
    every,
    failed,
    logical_time,
    otherwise,
    outcome,
    pipeline,
    repeat,
    scope,
    sensor,
    succeeded,
    task,
    trigger,
    unmapped,
    wait,
    wait_for_file,
    when,
)


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


# Shapes.


class State(TypedDict):
    loss: float


@task
def improve(loss: float, by: float = 0.5) -> State:
    return {"loss": loss * by}


@task(timeout=5)
async def fetch(url: str) -> bytes:
    return url.encode()


@wait(poll=1)
def there(path: Path) -> int:
    return path.stat().st_size


@scope
def cluster(size: int) -> Iterator[str]:
    yield f"cluster of {size}"


@pipeline
def shapes(paths: list[str]) -> float:
    assert_type(fit.map({"a": [1.0], "b": [2.0]}), dict[str, dict[str, float]])
    assert_type(fit.product(data=[[1.0]], depth=[1, 2]), list[dict[str, float]])
    assert_type(fit.partial(depth=1).map([[1.0]]), list[dict[str, float]])
    assert_type(fit.map_kwargs([{"data": [1.0], "depth": 1}]), list[dict[str, float]])
    assert_type(training.map(paths), list[float])
    assert_type(training.partial(depth=2).map({"a": "a.csv"}), dict[str, float])
    assert_type(training.options(name="all", max_parallel=2).map(paths), list[float])
    state = repeat(improve, until=lambda result: result["loss"] < 0.1, maximum=5)(1.0, by=0.1)
    assert_type(state, State)
    with cluster(3) as handle:
        assert_type(handle, str)
    assert_type(fetch(handle), bytes)
    assert_type(there(Path(paths[0])), int)
    assert_type(wait_for_file("a"), str)
    answer = approval("Ship?", form={"share": float})(loss=state["loss"])
    assert_type(answer, Approval)
    assert_type(outcome(state), Outcome)
    assert_type(succeeded(state) & ~failed(answer), Ref)
    tried = improve.options(retries=2, retry_on=(OSError,), memory="2GB", fallback=improve, join=succeeded(state))
    return tried(state["loss"])["loss"]


DAY = logical_time()


@pipeline
def nightly(day: datetime = DAY) -> bytes:
    return fetch(day.isoformat())


@sensor(nightly, every="30s")
def new_days(cursor: int | None) -> RunRequest | None:
    return None if cursor else RunRequest("first")


assert_type(new_days(3), RunRequest | None)
assert_type(nightly.at("2026-03-01")(), bytes)
assert_type(trigger(nightly, every("1h") | every("7m"), at_most=1), Trigger)
assert_type(trigger(nightly, event("a"), parameters={"day": "{event.time}"}), Trigger)

reveal_type(fetch)  # reveals: Task[(url: str), bytes]
reveal_type(there)  # reveals: Task[(path: Path), int]
reveal_type(fit.options(key=lambda data: data))  # reveals: Task[(data: list[float], depth: int), dict[str, float]]
reveal_type(repeat(improve, maximum=3))  # reveals: Repeated[(loss: float, by: float = 0.5), State]
