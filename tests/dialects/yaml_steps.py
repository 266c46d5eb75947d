"""Functions that the random graphs of the YAML tests call."""

from __future__ import annotations

from typing import NamedTuple

from penstock import task


class Split(NamedTuple):
    left: int
    right: int


def plain(a, b=2, *rest, c=3):
    return a


def parts(a: int | str, b: int = 0) -> tuple[int, str]:
    return int(a), str(b)


def split(a: int | str) -> Split:
    return Split(int(a), int(a))


@task(retries=2, timeout=60, tags=["own"])
def optioned(a: int | str, b: int = 1) -> dict[str, int]:
    """A task with options of its own."""
    return {"a": int(a), "b": b}


async def waiting(a: int | str) -> int | str:
    return a


def yielding(a: int | str):
    yield a
