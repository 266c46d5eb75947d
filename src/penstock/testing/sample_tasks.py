"""Tasks to test executors with: each does one thing that an executor has to get right."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from penstock.authoring.task import task
from penstock.errors import Fail, Retry, Skip
from penstock.executors.context import current


class Point(NamedTuple):
    """Several outputs as a named tuple."""

    x: int
    y: str


@dataclass
class Fit:
    """Several outputs as a dataclass."""

    slope: float
    labels: list[str]


class Scores(TypedDict):
    """Several outputs as a dict."""

    train: float
    test: float


class Unpicklable(Exception):
    """An exception that holds what no pickle can."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.lock = threading.Lock()


class TwoArguments(Exception):
    """An exception that pickles and cannot be made again."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


class Unprintable(Exception):
    """An exception that fails when it is asked for its message."""

    def __str__(self) -> str:
        raise RuntimeError("no message to be had")


# Inputs.


@task
def add(left: int, right: int = 100) -> int:
    return left + right


@task
def by_position(first: Any, second: Any = "second", /, third: Any = "third") -> list[Any]:
    return [first, second, third]


@task
def by_keyword(*, only: Any, other: Any = "other") -> list[Any]:
    return [only, other]


@task
def any_number(first: Any, *rest: Any) -> list[Any]:
    return [first, list(rest)]


@task
def any_names(first: Any, **named: Any) -> list[Any]:
    return [first, named]


@task
def all_kinds(first: Any, /, second: Any, *rest: Any, only: Any = "only", **named: Any) -> list[Any]:
    return [first, second, list(rest), only, named]


@task
def take_last(values: list[int]) -> int:
    return values.pop()


# Outputs.


@task
def a_tuple(number: int) -> tuple[int, str]:
    return number, str(number)


@task
def a_named_tuple(number: int) -> Point:
    return Point(number, str(number))


@task
def a_dataclass(number: int) -> Fit:
    return Fit(number / 2, [str(number)])


@task
def a_dict(number: int) -> Scores:
    return {"train": number / 2, "test": number / 4}


@task
def nothing() -> None:
    pass


@task
def undeclared(value: Any) -> Any:
    return value


@task
def number_declared(value: Any) -> int:
    return value


@task
def pair_declared(value: Any) -> tuple[int, str]:
    return value


@task
def scores_declared(value: Any) -> Scores:
    return value


@task
def point_declared(value: Any) -> Point:
    return value


@task
def a_lock() -> object:
    return threading.Lock()


@task
def strings(count: int, length: int) -> list[str]:
    return [f"{number:0{length}d}" for number in range(count)]


@task
def total_length(texts: list[str]) -> int:
    return sum(map(len, texts))


# Failures.


@task
def fail(message: str) -> None:
    raise ValueError(message)


@task
def fail_with_cause() -> None:
    try:
        raise KeyError("the cause")
    except KeyError as error:
        raise ValueError("the effect") from error


@task
def leave(code: int | str | None) -> None:
    sys.exit(code)


@task
def interrupted() -> None:
    raise KeyboardInterrupt


@task
def fail_unpicklably() -> None:
    raise Unpicklable("it holds a lock")


@task
def fail_with_two_arguments() -> None:
    raise TwoArguments("this", "that")


@task
def fail_without_message() -> None:
    raise Unprintable


@task
def fail_with_odd_text() -> None:
    raise FileNotFoundError("name \udcff")


@task
def print_and_fail(text: str) -> None:
    print(text, end="")
    raise ValueError(text)


@task
def skip(why: str) -> None:
    raise Skip(why)


@task
def give_up(why: str) -> None:
    raise Fail(why)


@task
def try_again(why: str, after: float | None) -> None:
    raise Retry(why, after=after)


@task
def run_out_of_memory(message: str) -> None:
    raise MemoryError(message) if message else MemoryError


@task
def is_worth_repeating(error: Exception) -> bool:
    """Asks for another attempt after messages that say so, and cannot tell for those that are empty."""
    if not str(error):
        raise LookupError("nothing to go by")
    return "again" in str(error)


# Streams.


@task
def count_up(count: int, fail_at: int = -1) -> Any:
    """A stream of numbers."""
    return _numbers(count, fail_at)


def _numbers(count: int, fail_at: int) -> Iterator[int]:
    for number in range(count):
        if number == fail_at:
            raise ValueError(f"no {number}")
        yield number


@task
def count_up_asynchronously(count: int) -> Any:
    """A stream of numbers from an asynchronous generator."""
    return _numbers_in_time(count)


async def _numbers_in_time(count: int) -> AsyncIterator[int]:
    import asyncio

    for number in range(count):
        await asyncio.sleep(0)
        yield number


@task
def pass_on(folder: str, count: int) -> Any:
    """A stream that goes on only as files `0`, `1` and so on appear."""
    return _as_they_come(Path(folder), count)


def _as_they_come(folder: Path, count: int) -> Iterator[int]:
    for number in range(count):
        yield number
        while not (folder / str(number)).exists():
            time.sleep(0.005)


# What is said on the way.


@task
def tell_all() -> str:
    at_hand = current()
    print("on stdout")
    at_hand.log_metric("loss", 0.5, step=1)
    at_hand.log_metric("loss", 0.25, step=2)
    print("on stderr", file=sys.stderr)
    logging.getLogger("sample").info("at level info")
    logging.getLogger("sample").error("at level error\nin two lines")
    at_hand.log_artifact("table", {"rows": [1, 2, 3]})
    at_hand.progress(1, 3)
    at_hand.progress(3, 3)
    print("without a line end", end="")
    return "told"


@task
def print_pieces(pieces: list[str]) -> None:
    for piece in pieces:
        sys.stdout.write(piece)


@task
def print_bytes(data: bytes) -> None:
    sys.stdout.buffer.write(data)


@task
def print_lines(count: int) -> None:
    for number in range(count):
        print(number)


@task
def print_from_threads(threads: int, count: int) -> None:
    def tell(name: int) -> None:
        for number in range(count):
            print(name, number)

    ready = [threading.Thread(target=tell, args=(name,)) for name in range(threads)]
    for thread in ready:
        thread.start()
    for thread in ready:
        thread.join()


@task
def log_odd_text() -> str:
    logging.getLogger("sample").warning("odd \udcff text")
    print("odd \udcff text")
    return "logged"


@task
def who_am_i() -> list[Any]:
    at_hand = current()
    return [at_hand.run_id, at_hand.node, at_hand.item, at_hand.attempt, at_hand.id, dict(at_hand.parameters)]


@task
def use_folder() -> str:
    folder = current().folder
    (folder / "deep").mkdir()
    (folder / "deep" / "scratch.txt").write_text("scratch")
    return str(folder)


@task
def which_devices() -> list[str | None]:
    names = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")
    return [os.environ.get(name) for name in names]


# What is taken.


@task
def sleep(seconds: float, result: int = 0) -> int:
    time.sleep(seconds)
    return result


@task
def sleep_through_exceptions(seconds: float) -> str:
    """Sleep in steps, whatever comes up."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            time.sleep(0.01)
        except Exception:
            print("what was that?")
    return "slept"


@task
def sleep_until(path: str) -> None:
    """End when a file is there."""
    while not Path(path).exists():
        time.sleep(0.005)


@task
def spin(seconds: float) -> None:
    """Use the processor for so long."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


@task
def fill_memory(size: int) -> int:
    """Hold `size` bytes for a moment."""
    return len(b"x" * size)
