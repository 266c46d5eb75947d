"""Values in the JSON of timetables, as those that people write encode them in `serialize`."""

from __future__ import annotations

from datetime import timedelta, tzinfo
from typing import Any

from penstock.dialects.airflow.moments import parse_timezone, zone_name

_PARTS = ("years", "months", "days", "hours", "minutes", "seconds", "microseconds")


def encode_timezone(var: str | tzinfo) -> str:
    """A zone by its name."""
    return var if isinstance(var, str) else zone_name(var)


def decode_timezone(var: str | int) -> tzinfo:
    """The zone of a name, or of an offset in seconds."""
    return parse_timezone(var)


def encode_relativedelta(var: Any) -> dict[str, Any]:
    """A relativedelta by its parts."""
    found: dict[str, Any] = {name: getattr(var, name) for name in _PARTS if getattr(var, name)}
    return found | ({"weekday": [var.weekday.weekday]} if getattr(var, "weekday", None) is not None else {})


def decode_relativedelta(var: dict[str, Any]) -> Any:
    """The relativedelta of some parts."""
    from dateutil.relativedelta import relativedelta, weekday

    given = dict(var)
    days = given.pop("weekday", None)
    return relativedelta(**given) if days is None else relativedelta(**given, weekday=weekday(*days))


def encode_interval(interval: Any) -> float | dict[str, Any]:
    """A timedelta by its seconds, a relativedelta by its parts."""
    return interval.total_seconds() if isinstance(interval, timedelta) else encode_relativedelta(interval)


def decode_interval(value: float | dict[str, Any]) -> Any:
    """The length of time of seconds, or of parts."""
    return decode_relativedelta(value) if isinstance(value, dict) else timedelta(seconds=value)


__all__ = [
    "decode_interval",
    "decode_relativedelta",
    "decode_timezone",
    "encode_interval",
    "encode_relativedelta",
    "encode_timezone",
]
