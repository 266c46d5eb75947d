"""Pipelines that are written for other systems, with most of what a graph can hold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from penstock import choose, container, failed, on_exit, otherwise, pipeline, repeat, task, when

SCALE = 2


def scaled(number: float) -> float:
    return number * SCALE


@dataclass
class Point:
    x: int
    y: int


@task
def load(n: int) -> list[int]:
    return list(range(n))


@task
def square(x: int) -> int:
    return x * x


@task(retries=2, cpu=2, memory="1GiB", timeout=60)
def total(xs: list[int]) -> int:
    return sum(xs)


@task
def evaluate(t: int) -> dict[str, Any]:
    return {"accuracy": scaled(math.sqrt(t)) / 10, "n": t}


@task
def good(m: dict[str, Any]) -> str:
    return f"good {m['n']}"


@task
def bad(reason: str) -> str:
    return f"bad: {reason}"


@task
def point(a: int, b: int) -> Point:
    return Point(a, b)


@task
def norm(p) -> int:
    return p.x + p.y


@task
def join(word: str, n: int) -> str:
    return word * n


@task
def boom() -> int:
    raise ValueError("no")


@task
def rescue() -> str:
    return "rescued"


@task
def step(x: int) -> int:
    return x + 3


@pipeline
def wide(n: int = 4, name: str = 'a "quoted" one') -> dict[str, object]:
    """Fans out, branches and meets again."""
    xs = load(n)
    squares = square.map(xs)
    measured = evaluate(total(squares))
    with when(measured["accuracy"] >= 0.5):
        yes = good(measured)
    with otherwise():
        no = bad(reason=name)
    words = join.map(["a", "b"], [1, 2])
    pairs = join.product(word=["u", "v"], n=xs)
    return {
        "verdict": choose(yes, no),
        "norm": norm(point(n, n * 2 + 1)),
        "words": words,
        "squares": squares,
        "pairs": pairs,
    }


@pipeline
def inner(x: int, y: int) -> dict[str, int]:
    a = square(x)
    return {"a": a, "b": step(a) + y}


@pipeline
def nested(k: int = 3) -> dict[str, object]:
    found = inner.map(load(k), y=[1, 2, 3])
    last = repeat(step, until=lambda x: x > 10, maximum=9)(load(k)[0])
    return {"found": found, "last": last}


@pipeline
def empty(n: int = 0) -> int:
    return total(square.map(load(n)))


@pipeline
def rescuing() -> str:
    return rescue.options(join=failed(boom()))()


@pipeline(timeout=600)
def leaving(n: int = 3) -> int:
    with on_exit(rescue):
        return total(load(n))


@pipeline
def keyed(n: int = 3) -> dict[str, int]:
    return square.map({"one": 1, "more": n})


@pipeline
def contained(n: int = 3) -> str:
    return container("alpine:3", "echo {n} is a number", name="say")(n=n)
