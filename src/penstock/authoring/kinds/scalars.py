"""The kinds of values without parts: numbers, texts, dates, paths, and one of some choices."""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from numbers import Rational, Real
from pathlib import PurePath
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from penstock.authoring.kinds.conversion import Form, Kind, Mismatch
from penstock.secrets import Secret
from penstock.secrets.secret import is_reference


class Scalar(Kind):
    """A value without parts."""

    #: text -> value; raises ValueError
    parse: Callable[[str], Any]
    #: data that is not text -> value; raises ValueError, TypeError or AttributeError
    adopt: Callable[[Any], Any]
    #: whether text is how the value is written in data, too
    spelled: bool
    #: the rank among scalars
    order: int

    def flat(self) -> bool:
        return True

    def strictness(self) -> int:
        return self.order

    def read(self, value: Any, form: Form) -> Any:
        try:
            if isinstance(value, str) and (self.spelled or form is Form.TEXT):
                return self.parse(value)
            return self.adopt(value)
        except (ValueError, TypeError, AttributeError, ArithmeticError):
            raise self.refuse(value, form, _quotes(value, form) if self.python in (str, Decimal) else "") from None


def _quotes(value: Any, form: Form) -> str:
    """Advice for what a configuration file makes of a bare word: `on` is a boolean in YAML, `2026-11-21` a date."""
    return " (write it in quotes)" if form is Form.DATA and isinstance(value, (bool, int, float, date)) else ""


def _whole(value: Any) -> int:
    if isinstance(value, bool):
        raise ValueError(value)
    if isinstance(value, int):
        return value
    # integers of numpy and the like; no float has an __index__
    return value.__index__()


def _real(text: str) -> float:
    number = float(text)
    # 1e999 is no infinity that anybody asked for
    return _no(text) if math.isinf(number) and "inf" not in text.lower() else number


def _number(value: Any) -> float:
    if isinstance(value, float):
        return value
    if isinstance(value, str) and value in _NOT_FINITE:
        return float(value)
    if isinstance(value, Real) and not isinstance(value, Rational):
        return float(value)
    whole = _whole(value)
    return float(whole) if float(whole) == whole else _no(value)


#: floats that JSON cannot hold, as `to_json` writes them
_NOT_FINITE = frozenset({"inf", "-inf", "nan"})


def _truth(text: str) -> bool:
    word = text.strip().lower()
    if word in {"true", "yes", "on", "1"}:
        return True
    return False if word in {"false", "no", "off", "0"} else _no(text)


def _moment(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    return datetime.combine(value, time()) if isinstance(value, date) else _no(value)


_DURATION = re.compile(r"([+-]?)((?:\d+(?:\.\d+)?(?:w|d|h|min|ms|us|m|s))+)")


_UNITS = {
    "w": "weeks",
    "d": "days",
    "h": "hours",
    "m": "minutes",
    "min": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
}


def _duration(text: str) -> timedelta:
    """Reads `1h30m` and ISO 8601 (`PT1H30M`)."""
    match = _DURATION.fullmatch(text.replace(" ", ""))
    if match is None:
        return msgspec.convert(text.strip(), timedelta)
    parts = re.findall(r"([\d.]+)([a-z]+)", match[2])
    total = sum((timedelta(**{_UNITS[unit]: float(count)}) for count, unit in parts), timedelta())
    return -total if match[1] == "-" else total


def _decimal(value: Any) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(_whole(value))


def _only(python: type, but: type | tuple[()] = ()) -> Callable[[Any], Any]:
    """Takes values of one class as they are."""

    def adopt(value: Any) -> Any:
        return value if isinstance(value, python) and not isinstance(value, but) else _no(value)

    return adopt


def _no(value: Any) -> typing.NoReturn:
    raise ValueError(value)


def _scalar(
    python: type, words: str, order: int, parse: Callable[[str], Any], adopt: Callable[[Any], Any], spelled: bool = True
) -> Scalar:
    return Scalar(python.__name__, words, python, parse, adopt, spelled, order)


def path_kind(python: type[PurePath]) -> Scalar:
    """The kind of a class of paths."""

    def parse(text: str) -> PurePath:
        # an empty path would silently be the working folder
        return python(text) if text else _no(text)

    def adopt(value: Any) -> PurePath:
        return value if isinstance(value, python) else python(value.__fspath__())

    return _scalar(python, "a path", 60, parse, adopt)


SCALARS: Mapping[Any, Scalar] = {
    kind.python: kind
    for kind in (
        _scalar(int, "a whole number", 10, int, _whole, spelled=False),
        _scalar(float, "a number", 11, _real, _number, spelled=False),
        _scalar(bool, "true or false", 12, _truth, _only(bool), spelled=False),
        _scalar(date, "a date such as 2026-11-21", 20, date.fromisoformat, _only(date, datetime)),
        _scalar(datetime, "a date and time such as 2026-11-21T09:30", 21, datetime.fromisoformat, _moment),
        _scalar(time, "a time such as 09:30", 22, time.fromisoformat, _only(time)),
        _scalar(timedelta, "a duration such as 90s, 1h30m or PT1H30M", 23, _duration, _only(timedelta)),
        _scalar(UUID, "a UUID", 24, UUID, _only(UUID)),
        _scalar(Decimal, "a decimal number such as 0.10", 25, Decimal, _decimal),
        _scalar(str, "text", 70, str, _only(str)),
    )
}


class Hidden(Kind):
    """A secret: by a reference to it, and never by itself."""

    rank: ClassVar[int] = 6

    def flat(self) -> bool:
        return True

    def hides(self, within: frozenset[int] = frozenset()) -> bool:
        return True

    def read(self, value: Any, form: Form) -> Secret:
        if isinstance(value, Secret):
            return value
        if isinstance(value, str) and is_reference(value):
            return Secret(value)
        remark = ": a value given here would stay in the history of the shell and in the records of the run"
        raise self.refuse(value, form, remark)


SECRET = Hidden("Secret", "a reference to a secret, such as env:NAME or file:/run/secrets/name", Secret)


class Nothing(Kind):
    """None."""

    rank: ClassVar[int] = 5

    def flat(self) -> bool:
        return True

    def read(self, value: Any, form: Form) -> None:
        word = form is Form.TEXT and isinstance(value, str) and value.strip().lower() in {"none", "null"}
        if value is not None and not word:
            raise self.refuse(value, form)


NOTHING = Nothing("None", "none", types.NoneType)


class Instance(Kind):
    """An object of a class that has no written form; only Python can give one."""

    def read(self, value: Any, form: Form) -> Any:
        if isinstance(value, self.python):
            return value
        raise self.refuse(value, form, "" if form is Form.OBJECT else " (only Python code can give one)")


class Choice(Kind):
    """One of some values: a `Literal`."""

    options: tuple[Any, ...]
    rank: ClassVar[int] = 0

    def flat(self) -> bool:
        return True

    def read(self, value: Any, form: Form) -> Any:
        for option in self.options:
            if _stands_for(value, option, form):
                return option
        raise self.refuse(value, form, _quotes(value, form))


class Enumeration(Kind):
    """A member of an `Enum`, by its name or by its value."""

    rank: ClassVar[int] = 1

    def flat(self) -> bool:
        return True

    def read(self, value: Any, form: Form) -> Any:
        if isinstance(value, self.python):
            return value
        if isinstance(value, str) and value in self.python.__members__:
            return self.python[value]
        for member in self.python:
            if _stands_for(value, member.value, form):
                return member
        return self._made(value, form)

    def _made(self, value: Any, form: Form) -> Any:
        # combinations of flags, and what the user's `_missing_` knows
        try:
            member = self.python(value)
        except Exception:
            member = None
        if member is None or type(member.value) is not type(value):
            raise self.refuse(value, form, _quotes(value, form))
        return member


def _stands_for(value: Any, option: Any, form: Form) -> bool:
    if type(value) is type(option) and value == option:
        return True
    if isinstance(option, Enum):
        return value == option.name or _stands_for(value, option.value, form)
    kind = NOTHING if option is None else SCALARS.get(type(option))
    if kind is None or not isinstance(value, str) or isinstance(option, str):
        return False
    try:
        return kind.read(value, form) == option
    except Mismatch:
        return False
