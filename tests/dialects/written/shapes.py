"""Pipelines of all shapes, to be written for other systems."""

import math
from collections.abc import Iterator
from typing import TypedDict

from penstock import (
    choose,
    elif_,
    group,
    on_exit,
    otherwise,
    pipeline,
    repeat,
    scope,
    switch,
    task,
    when,
)

FACTOR = 2
OFFSETS = {"a": 1}
OFFSETS["b"] = 10


def scaled(value: float) -> float:
    """A helper."""
    return value * FACTOR  # read from the module


class Quality(TypedDict):
    accuracy: float
    loss: float


@task
def load(size: int = 4) -> list[int]:
    # numbers from one on
    return list(range(1, size + 1))


@task(retries=2, retry_delay=1, timeout=60, tags=["slow"])
def fit(data: list[int], depth: int = 1) -> float:
    return scaled(sum(data)) / depth


@task
def evaluate(model: float, data: list[int]) -> Quality:
    return {"accuracy": min(1.0, model / 100), "loss": round(math.sqrt(model), 3)}


@task
def square(value: float) -> float:
    return value * value


@task
def add(left: float, right: float) -> float:
    return left + right


@task
def total(values: list[float]) -> float:
    return sum(values)


@task
def say(text: str) -> str:
    return f"{text}!"


@task
def boom() -> int:
    raise ValueError("boom")


@task
def offset(name: str) -> int:
    return OFFSETS[name]


@pipeline
def linear(size: int = 4, depth: int = 2):
    """Load, fit and evaluate.

    In three steps.
    """
    data = load(size)
    model = fit(data, depth=depth)
    return {"model": model, "quality": evaluate(model, data)}


@pipeline
def fan_out(size: int = 3):
    squares = square.map(load(size))
    return total(squares)


@pipeline
def products():
    return add.product(left=[1, 2], right=[10, 20])


@pipeline
def zipped(size: int = 3):
    left = load(size)
    return add.map(left=left, right=square.map(left))


@pipeline
def partials(names: list[str] = ["a", "b"]):  # noqa: B006
    return {"offsets": offset.map(names), "sums": add.partial(left=1).map(right=[1.5, 2.5])}


@pipeline
def dicts():
    return total.map_kwargs([{"values": [1, 2]}, {"values": [3]}])


@pipeline
def named_items():
    return square.map({"small": 1.0, "large": 10.0})


@pipeline
def branches(limit: float = 5.0):
    model = fit(load())
    with when(model < limit):
        word = say("small")
    with elif_(model < 100):
        word_2 = say("middle")
    with otherwise():
        word_3 = say.options(name="shout")("large")
    return say(choose(word, word_2, word_3))


@pipeline
def skipping(size: int = 2):
    data = load(size)
    model = fit(data)
    with when(model > 100):
        quality = evaluate(model, data)
        with when(quality["accuracy"] > 0.5):
            say("very good")
    told = say("done")
    return {"told": told}


@pipeline
def switched(mode: str = "b"):
    s = switch(say(mode))
    with s.case("a!"):
        one = offset("a")
    with s.case("b!", "c!"):
        other = offset("b")
    with s.default():
        third = load(1)
    return choose(one, other, third)


@pipeline
def joined():
    first = say("one")
    with when(load(1) == [2]):
        second = say("two")
    third = say.options(after=[first], join="none_failed")("three")
    fourth = say.options(after=[first, second], join="none_failed", name="last")("four")
    return [first, third, fourth]


@pipeline
def ordered():
    first = say("one")
    second = say("two")
    return first >> second


@pipeline
def parts(size: int = 3):
    quality = evaluate(fit(load(size)), load(2))
    return add(quality["accuracy"] + 1, -quality["loss"] * 2)


@pipeline
def scoring(value: float, base: float):
    return add(square(value), base)


@pipeline
def sub_pipelines():
    first = scoring(2.0, 1.0)
    with group("more"):
        second = scoring(first, 3.0)
    return {"first": first, "second": second}


@pipeline
def nested_maps(size: int = 2):
    base = fit(load(size))

    @pipeline
    def cell(value: float):
        return add(square(value), base)

    return cell.map(load(size))


@pipeline
def bodies():
    return scoring.partial(base=5.0).map(value=[1.0, 2.0])


class Turn(TypedDict):
    value: float
    count: int


@task
def halve(value: float, count: int = 0) -> Turn:
    return {"value": value / 2, "count": count + 1}


@pipeline
def loops(start: float = 100.0):
    last = repeat(halve, until=lambda result: result["value"] < 10, maximum=8)(start)
    return {"value": last["value"], "count": last["count"]}


@pipeline
def turn(value: float, step: float):
    smaller = add(value, -step)
    return {"value": smaller, "step": step}


@pipeline
def loop_of_pipelines():
    return repeat(turn, until=lambda result: result["value"] <= 0, maximum=10)(value=10.0, step=3.0)


@scope
def cluster(size: int) -> Iterator[str]:
    handle = say.options(name="start")(f"cluster of {size}")
    yield handle
    say.options(name="stop")(handle)


@pipeline
def scoped():
    with cluster(3) as handle:
        used = say(handle)
        again = square(2)
    return {"used": used, "again": again}


@task
def cleanup() -> None:
    print("cleaned")


@pipeline
def exits():
    with on_exit(cleanup):
        told = say("one")
    return {"told": told}


@pipeline(on_exit=cleanup, failure="stop", timeout=600)
def exits_whole():
    return say("one")


@pipeline
def retried():
    return {"fitted": fit.options(retries=5, name="fit-again")([1]), "other": fit([1, 2])}


@task
def backup() -> int:
    return -1


@pipeline
def fallbacks():
    return {"task": boom.options(fallback=backup)(), "value": boom.options(fallback=7)()}


COUNT = 0


def counted(number: int) -> int:
    global COUNT
    COUNT += 1
    return number * FACTOR + COUNT


def shown(number: int) -> str:
    """A text
    with a line at the margin."""
    import colorama

    return f"""{colorama.__version__}:
{counted(number)}"""


@task(environment=["colorama==0.4.0"])
def seen(number: int, scale: int = 1) -> dict[str, str]:
    return {"text": shown(number * scale)}


@pipeline
def environments(n: int = 2):
    return {"text": seen(n, scale=3)["text"]}


@pipeline
def both(number: float):
    return {"square": square(number), "double": add(number, number)}


@task
def squares(found: list[dict[str, float]]) -> list[float]:
    return [each["square"] for each in found]


@pipeline
def mapped_records():
    return squares.options(name="both.add.all")(both.map([1, 2]))
