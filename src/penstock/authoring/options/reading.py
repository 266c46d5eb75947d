"""How the values of options are read, whatever they are of."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, cast


class Refused(Exception):
    """An option has a value that it cannot have; the message says what it must be."""


def one_of_two(value: Any) -> bool:
    if type(value) is not bool:
        raise Refused("true or false")
    return value


def seconds(value: Any) -> float:
    """A length of time in seconds. Raises Refused for what is none."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        raise Refused("a number of seconds from 0 up, or a timedelta")
    return float(value)


def texts(value: Any) -> tuple[str, ...]:
    """Several texts. Raises Refused."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise Refused("a list of texts")
    found = tuple(cast(Iterable[Any], value))
    if any(type(each) is not str for each in found):
        raise Refused("a list of texts")
    return found
