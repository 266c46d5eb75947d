"""Pipelines that are written for other systems, with most of what a graph can hold."""

from __future__ import annotations

import json
import math
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

from penstock import (
    choose,
    container,
    failed,
    on_exit,
    otherwise,
    pipeline,
    repeat,
    task,
    wait,
    wait_for_duration,
    when,
)

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


# How things are run.


@task(retries=3, retry_delay=[1, 2, 4], retry_on=(OSError, json.JSONDecodeError))
def fetch(path: str) -> str:
    if path == "/nowhere":
        return Path(path).read_text()
    raise ValueError(f"what about {path}?")


@task(retries=2, retry_delay=0.5, never_retry_on=ValueError)
def parse(text: str) -> Any:
    return json.loads(text)


@task(cache_for="1h", version="2")
def keep_it(x: int) -> int:
    return x + 1


@task(pools={"gpu": 1}, secrets={"TOKEN": "env:TOKEN"}, concurrency=1, gpu=1, timeout=1.5, total_timeout=60)
def limited() -> str:
    return "limited"


@task
def braces(name: str) -> dict[str, str]:
    """Has {{ in it."""
    # {{ here too
    return {"f": f"{{{name}}}", "plain": "{{inputs.parameters.name}}", "raw": r"{{=x}}", "both": f"{{{{{name!r}"}


@task
def label(kind: str, n: int) -> str:
    return f"{kind} {n}"


@pipeline
def picky(path: str = "/nowhere") -> str:
    return fetch(path)


@pipeline
def unread(text: str = "{") -> object:
    return parse(text)


@pipeline(concurrency=2)
def policies(kind: Literal["small", "large"] = "small", x: int = 2) -> str:
    keep_it(x)
    limited()
    return label(kind, x)


@pipeline
def bounded(n: int = 4) -> dict[str, object]:
    """Items, and bodies, of which so many are under way at once."""
    squares = square.options(max_parallel=2).map(load(n))
    found = inner.options(max_parallel=1).map([1, 2], y=[3, 4])
    with when(squares[0] > 100):
        none = square.options(max_parallel=2, name="none").map([5, 6])
    return {"squares": squares, "found": found, "none": none}


@pipeline
def tolerant(n: int = 3) -> dict[str, object]:
    """Failures that decide nothing, of tasks and of items, and what follows them."""
    lost = boom.options(decides=False)()
    after_it = step(lost)
    far = step.options(name="far")(after_it)
    told = rescue.options(join="all_done", after=[lost])()
    odd = check.options(decides=False).map(load(n))
    summed = total(odd)
    return {"far": far, "told": told, "summed": summed, "chosen": choose(after_it, n)}


@task
def check(x: int) -> int:
    if x == 1:
        raise ValueError("odd")
    return x


@wait(poll=10, backoff=2, longest=15, timeout=3600)
def arrived(path: str) -> bool:
    file = Path(path)
    count = int(file.read_text()) if file.exists() else 0
    file.write_text(str(count + 1))
    return count >= 2


@pipeline
def patient(path: str = "/tmp/arrived") -> bool:
    return arrived(path)


@pipeline
def pausing(length: float = 0.01) -> dict[str, object]:
    """Waits for lengths of time that are known, given and computed, and one that is not reached."""
    rest = wait_for_duration(timedelta(milliseconds=20), name="rest")
    given = wait_for_duration(length, name="given", after=rest)
    computed = wait_for_duration(length * 2, name="computed", after=given)
    with when(length > 1):
        late = wait_for_duration(60, name="late", timeout=5)
    return {"rest": rest, "late": late, "label": label.options(after=computed)("rested", 2)}


# Several outputs, files among them.


class Fitted(NamedTuple):
    model: Path
    score: float
    place: Point


@task
def fit(n: int) -> Fitted:
    model = Path(tempfile.mkdtemp(), "model")
    model.write_text("x" * n)
    return Fitted(model, n / 2, Point(n, 1))


@task
def sized(n: int) -> tuple[int, Path]:
    folder = Path(tempfile.mkdtemp())
    (folder / "size").write_text(f"{n}")
    return n, folder


@task
def text_of(path: Path, name: str = "") -> str:
    return (path / name if name else path).read_text()


@pipeline
def parted(n: int = 3) -> dict[str, object]:
    fitted = fit(n)
    size, folder = sized(n)
    return {
        "text": text_of(fitted.model),
        "score": fitted.score,
        "norm": norm(fitted.place),
        "size": size,
        "inside": text_of(folder, name="size"),
    }


@pipeline
def kept(n: int = 3) -> Path:
    """A file as the result of the whole."""
    return fit(n).model


@pipeline
def masked() -> dict[str, object]:
    """What is skipped in the result comes after a failure."""
    lost = boom()
    with when(lost > 1):
        more = step(lost)
    return {"more": more}


@pipeline
def braced(name: str = "x") -> dict[str, str]:
    return braces(name)
