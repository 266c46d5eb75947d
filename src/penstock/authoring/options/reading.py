"""How the values of options are read, whatever they are of."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, TypeVar, cast

from penstock.authoring.kinds.conversion import shortened
from penstock.authoring.source import caller
from penstock.errors import DefinitionError

T = TypeVar("T")

_UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LENGTH = r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w)\s*"


class Refused(Exception):
    """An option has a value that it cannot have; the message says what it must be."""


def option(name: str, read: Callable[[Any], T], value: Any) -> T:
    """The value of an option as `read` gives it. Raises DefinitionError, with the user's line, for what `read` refuses."""
    try:
        return read(value)
    except Refused as refusal:
        raise DefinitionError(f"{name} must be {refusal}, not {shortened(repr(value))}", where=str(caller())) from None


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


def duration(value: Any) -> float:
    """A length of time above 0 in seconds: from a number of them, a timedelta, or text such as "12h" or "1d 12h". Raises
    Refused."""
    try:
        found = _spelled(value) if isinstance(value, str) else seconds(value)
    except Refused:
        found = 0.0
    if found == 0:
        raise Refused('a length of time above 0: seconds, a timedelta, or text such as "12h" or "7d"')
    return found


def _spelled(text: str) -> float:
    if re.fullmatch(f"(?:{_LENGTH})+", text.strip()) is None:
        return 0.0
    return sum(float(amount) * _UNITS[unit] for amount, unit in re.findall(_LENGTH, text))


def moment(value: Any, zone: tzinfo = UTC) -> datetime:
    """An aware datetime, from one, from a naive one or a date in the time of `zone`, or from ISO 8601 text. Raises
    Refused."""
    found: Any = value
    if isinstance(found, str):
        try:
            found = datetime.fromisoformat(found.strip())
        except ValueError:
            found = None
    if isinstance(found, date) and not isinstance(found, datetime):
        found = datetime(found.year, found.month, found.day)
    if not isinstance(found, datetime):
        raise Refused('a moment: a datetime, a date, or ISO 8601 text such as "2026-03-01T09:00"')
    return found if found.tzinfo is not None else found.replace(tzinfo=zone)


def texts(value: Any) -> tuple[str, ...]:
    """Several texts. Raises Refused."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise Refused("a list of texts")
    found = tuple(cast(Iterable[Any], value))
    if any(type(each) is not str for each in found):
        raise Refused("a list of texts")
    return found
