"""The pipeline that chaos is let loose on: a bit of everything, each task short and with one right answer.

Every task notes down that it begins and that it ends.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

import pyarrow

from penstock import approval, command, current, pipeline, repeat, stdout, task
from penstock.testing.chaos.noting import note

pa: Any = pyarrow

#: nodes whose results say when they were made
TIMED = ("sign_off",)
#: nodes of which attempts fail
FAILING = ("flaky", "dear")


class State(TypedDict):
    """What the loop carries from turn to turn."""

    step: int
    total: int


@task
def numbers(count: int) -> list[int]:
    note("began")
    note("ended")
    return list(range(count))


@task
def square(x: int) -> int:
    note("began")
    time.sleep(0.004)
    note("ended")
    return x * x


@task(cache=False)
def weigh(x: int) -> float:
    note("began")
    time.sleep(0.003)
    note("ended")
    return x / 4


@task
def page(x: int) -> bytes:
    """Large enough for a blob."""
    note("began")
    data = bytes([x % 251]) * (20_000 + x)
    note("ended")
    return data


@task
def file(data: bytes) -> Path:
    note("began")
    path = current().folder / f"part-{len(data) - 20_000}.bin"
    path.write_bytes(data[:9_000])
    note("ended")
    return path


@task
def measured(parts: list[Path]) -> int:
    note("began")
    size = sum(part.stat().st_size for part in parts)
    note("ended")
    return size


@task
def frame(x: int) -> Any:
    """A frame of Arrow's, made of buffers: anything else would import pandas, which takes longer than the run."""
    note("began")
    column = pa.Array.from_buffers(pa.int64(), 1_000, [None, pa.py_buffer(array("q", range(x, x + 1_000)))])
    table = pa.Table.from_arrays([column], names=["x"])
    note("ended")
    return table


@task
def joined(tables: list[Any]) -> Any:
    note("began")
    table = pa.concat_tables(tables)
    note("ended")
    return table


@task
def stream(count: int) -> Iterator[int]:
    note("began")
    for number in range(count):
        time.sleep(0.002)
        yield number * 3
    note("ended")


@task
def taken(x: int) -> int:
    note("began")
    time.sleep(0.003)
    note("ended")
    return x + 1


@task
def step(step: int, total: int) -> State:
    note("began")
    time.sleep(0.003)
    note("ended")
    return {"step": step + 1, "total": total + step}


@task(retries=4, retry_delay=0.02)
def flaky() -> str:
    note("began")
    if current().attempt < 3:
        raise ConnectionError("not yet")
    note("ended")
    return "at last"


@task
def cheap() -> str:
    note("began")
    note("ended")
    return "a mean"


@task(fallback=cheap)
def dear() -> str:
    note("began")
    raise ValueError("did not converge")


@task
async def fetch(x: int) -> int:
    note("began")
    await asyncio.sleep(0.01)
    note("ended")
    return -x


@task(threads=True)
def called(x: int) -> int:
    note("began")
    time.sleep(0.01)
    note("ended")
    return 10 * x


@task
def chosen(x: int) -> int:
    note("began")
    time.sleep(0.003)
    note("ended")
    return 2 * x


@task
def total(
    squares: list[int],
    weights: list[float],
    streamed: list[int],
    fetched: list[int],
    calls: list[int],
    picked: int,
    last: State,
    shouted: str,
    approved: object,
) -> dict[str, float]:
    note("began")
    sums = {"squares": sum(squares), "weights": sum(weights), "stream": sum(streamed), "fetched": sum(fetched)}
    sums |= {"calls": sum(calls), "picked": picked, "loop": last["total"], "shouted": len(shouted)}
    note("ended")
    return sums


shout = command(
    "echo began shout -1 1 $$ >> {notes}; sleep 0.02; echo {word}; echo ended shout -1 1 $$ >> {notes}",
    name="shout",
    outputs=stdout("text"),
)


@pipeline
def everything(notes: str, count: int = 6) -> dict[str, Any]:
    found = numbers(count)
    pages = page.map(found)
    sign_off = approval("Go on?", name="sign_off", deadline=0.3, default="approve")(found=found)
    picked = 0
    for number in numbers.options(name="pick")(4):
        if number % 2:
            picked += chosen(number)
    last = repeat(step, until=lambda state: state["step"] >= 4, maximum=8)(step=0, total=0)
    summed = total(
        square.map(found),
        weigh.map(found),
        taken.map(stream(count)),
        fetch.map(found),
        called.map(found),
        picked,
        last,
        shout(word="hello", notes=notes),
        sign_off,
    )
    return {
        "total": summed,
        "files": measured(file.map(pages)),
        "frame": joined(frame.map([1, 2, 3])),
        "flaky": flaky(),
        "model": dear(),
    }
