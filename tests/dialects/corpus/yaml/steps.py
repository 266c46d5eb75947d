"""Functions of several pipelines beside this file."""

from typing import NamedTuple


class Split(NamedTuple):
    train: list[int]
    test: list[int]


def rows(count: int = 4) -> list[int]:
    return list(range(count))


def split(rows: list[int]) -> Split:
    return Split(rows[::2], rows[1::2])


def total(values: list[int]) -> int:
    return sum(values)


def add(left: int, right: int) -> int:
    return left + right


def broken(value: int) -> int:
    raise ValueError(f"{value} is broken")


def spare(value: int) -> int:
    return -value


def half(guess: float) -> float:
    return guess / 2


def clean(ended: object) -> str:
    return "clean"


def ready() -> bool:
    return True
