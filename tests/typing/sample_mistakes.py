"""Wrong wiring, which a type checker has to find. Each mistake is marked with the rule that it breaks.

`test_typing.py` takes the marks away and expects the errors; nothing here is run.
"""

from __future__ import annotations

from typing import NamedTuple

from penstock import chain, pipeline, repeat, task, wait_for_file


class Parts(NamedTuple):
    train: list[float]
    test: list[float]


@task
def load(path: str, *, limit: int = 10) -> list[float]:
    return [1.0] * limit


@task
def split(data: list[float]) -> Parts:
    return Parts(data, data)


@task
def count(data: list[float]) -> int:
    return len(data)


@pipeline
def training(path: str, depth: int = 3) -> int:
    data = load(path)
    count(path)  # pyright: ignore[reportArgumentType]
    count(split(data))  # pyright: ignore[reportArgumentType]
    count(split(data).train)
    count(split(data).trian)  # pyright: ignore[reportAttributeAccessIssue]
    count(count(data))  # pyright: ignore[reportArgumentType]
    count()  # pyright: ignore[reportCallIssue]
    load(path, 3)  # pyright: ignore[reportCallIssue]
    load(path, limits=3)  # pyright: ignore[reportCallIssue]
    load.options(retries=1)(depth)  # pyright: ignore[reportArgumentType]
    load.options(retry=1)(path)  # pyright: ignore[reportCallIssue]
    _one, _two, _three = split(data)  # pyright: ignore[reportAssignmentType]
    return data  # pyright: ignore[reportReturnType]


training(3)  # pyright: ignore[reportArgumentType]
training("a", depht=3)  # pyright: ignore[reportCallIssue]
training.options(executer="inline")  # pyright: ignore[reportCallIssue]
task(retries="2")  # pyright: ignore[reportArgumentType]
task(retry_if=3)  # pyright: ignore[reportArgumentType]
task(retry_on="OSError")  # pyright: ignore[reportArgumentType]
load.options(max_paralel=2)  # pyright: ignore[reportCallIssue]
repeat(load)("a")  # pyright: ignore[reportCallIssue]
repeat(load, maximum=3)(3)  # pyright: ignore[reportArgumentType]
wait_for_file("a", on_timeout="stop")  # pyright: ignore[reportArgumentType]
chain(load, to=split)  # pyright: ignore[reportCallIssue]
