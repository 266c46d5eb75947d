"""Functions that the random graphs of the YAML tests call."""

from __future__ import annotations

from typing import NamedTuple

from penstock import task


class Split(NamedTuple):
    left: int
    right: int


def plain(a, b=2, *rest, c=3):
    return a


def parts(a: int, b: int = 0) -> tuple[int, str]:
    return a, str(b)


def split(a: int) -> Split:
    return Split(a, a)


@task(retries=2, timeout=60, tags=["own"])
def optioned(a: int, b: int = 1) -> dict[str, int]:
    """A task with options of its own."""
    return {"a": a, "b": b}


async def waiting(a: int) -> int:
    return a


def yielding(a: int):
    yield a
