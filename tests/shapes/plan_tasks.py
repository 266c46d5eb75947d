"""What the tasks of a drawn pipeline do: pure arithmetic, and failures that follow from the input."""

from __future__ import annotations

from typing import Any

from penstock import Skip, current, task


def outcome_of(x: int | None, y: int | None, kind: str, salt: int, attempt: int) -> int:
    """Raises ValueError or Skip where a task of that kind does."""
    number = (1 if x is None else x) + salt
    if kind == "fails" and number % 3 == 0:
        raise ValueError(f"{number} will not do")
    if kind == "skips" and number % 4 == 0:
        raise Skip(f"{number} is left out")
    if kind == "flaky" and attempt <= number % 3:
        raise OSError(f"not yet, at attempt {attempt}")
    return (7 * number + 3 * (2 if y is None else y)) % 101


def spare_of(x: int | None, kind: str) -> int:
    if kind == "failing":
        raise LookupError("there is no spare either")
    return 1000 + (1 if x is None else x) % 10


def total_of(value: Any) -> int:
    """The sum of what is in a value; nothing counts as 1."""
    if isinstance(value, (list, tuple)):
        return sum(map(total_of, value)) % 101
    return 1 if value is None else value


@task(cache=False)
def work(x: int | None, y: int | None, kind: str, salt: int) -> int:
    return outcome_of(x, y, kind, salt, current().attempt)


@task(cache=False)
def spare(x: int | None, y: int | None, kind: str, salt: int) -> int:
    return spare_of(x, "")


@task(cache=False)
def no_spare(x: int | None, y: int | None, kind: str, salt: int) -> int:
    return spare_of(x, "failing")


@task(cache=False)
def numbers(x: int | None) -> list[int]:
    return [(1 if x is None else x) + number for number in range((1 if x is None else x) % 4)]


@task(cache=False)
def gather(values: list[Any]) -> int:
    return total_of(values)
