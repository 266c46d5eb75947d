"""Moments as Airflow has them: aware, and of `pendulum`'s `DateTime`, so that what people call on them is there."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone, tzinfo
from types import SimpleNamespace
from typing import Any

from penstock.dialects.airflow.extras import needed

#: the zone of what names none
utc = timezone.utc  # noqa: UP017 - by Airflow's own name


def _pendulum() -> Any:
    return needed("pendulum", "moments as Airflow gives them")


def instance(moment: datetime | None) -> Any:
    """A moment as a `pendulum.DateTime`, in UTC where it names no zone; None for None."""
    if moment is None:
        return None
    library = _pendulum()
    return library.instance(moment if moment.tzinfo else moment.replace(tzinfo=library.UTC))


def coerce_datetime(v: datetime | None, tz: tzinfo | None = None) -> Any:
    """A moment as a `pendulum.DateTime`; one that names no zone is in `tz`, or in UTC. None for None."""
    if v is None:
        return None
    return instance(v if v.tzinfo else make_aware(v, tz))


def utcnow() -> Any:
    """Now, in UTC."""
    return _pendulum().now("UTC")


def utc_epoch() -> Any:
    """Midnight of 1 January 1970 in UTC."""
    return _pendulum().datetime(1970, 1, 1)


def convert_to_utc(value: datetime | None) -> Any:
    """The same moment in UTC; one that names no zone is in UTC. None for None."""
    return None if value is None else instance(value).in_timezone("UTC")


def is_localized(value: datetime) -> bool:
    """Whether a moment names its zone."""
    return value.utcoffset() is not None


def is_naive(value: datetime) -> bool:
    """Whether a moment names no zone."""
    return value.utcoffset() is None


def make_aware(value: datetime | None, timezone: tzinfo | None = None) -> Any:
    """A moment that names no zone, in one (UTC): of a time that comes twice, the second; one that is skipped is moved on by as
    much as clocks skip. Raises ValueError for one that names one; None for None."""
    if value is None:
        return None
    if is_localized(value):
        raise ValueError(f"make_aware expects a naive datetime, got {value}")
    zone: Any = timezone or _pendulum().UTC
    late = value.replace(fold=1)
    return instance(zone.convert(late) if hasattr(zone, "convert") else late.replace(tzinfo=zone))


def make_naive(value: datetime, timezone: tzinfo | None = None) -> datetime:
    """The time of the day that a moment has in a zone (UTC). Raises ValueError for one that names no zone."""
    if is_naive(value):
        raise ValueError("make_naive() cannot be applied to a naive datetime")
    return value.astimezone(timezone or utc).replace(tzinfo=None)


def datetime_in_utc(*args: Any, **kwargs: Any) -> datetime:
    """A moment by its parts, in UTC unless `tzinfo` says otherwise."""
    kwargs.setdefault("tzinfo", _pendulum().UTC)
    return datetime(*args, **kwargs)


def parse(string: str, timezone: tzinfo | str | None = None, *, strict: bool = False) -> Any:
    """The moment that a text says, in UTC where neither names a zone."""
    return _pendulum().parse(string, tz=timezone or _pendulum().UTC, strict=strict)


def parse_timezone(name: str | int) -> tzinfo:
    """The zone of a name (`Europe/Berlin`), or of an offset in seconds."""
    library = _pendulum()
    return library.timezone(name) if isinstance(name, str) else library.FixedTimezone(name)


def local_timezone() -> tzinfo:
    """The zone of the machine."""
    return _pendulum().local_timezone()


def td_format(td_object: timedelta | float | None) -> str | None:
    """A length of time for people: `3d:2h:1M:5s`. None for none."""
    if td_object is None or not td_object:
        return None
    left = int(td_object.total_seconds() if isinstance(td_object, timedelta) else td_object)
    parts: list[str] = []
    for letter, length in (("d", 86400), ("h", 3600), ("M", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count}{letter}")
    return ":".join(parts) or "<1s"


def days_ago(n: int, hour: int = 0, minute: int = 0, second: int = 0, microsecond: int = 0) -> Any:
    """So many days before today, at a time of the day, in UTC."""
    today = utcnow().replace(hour=hour, minute=minute, second=second, microsecond=microsecond)
    return today - timedelta(days=n)


def date_range(
    start_date: datetime, end_date: datetime | None = None, num: int | None = None, delta: timedelta | str | None = None
) -> list[datetime]:
    """Moments from a start on, `delta` apart, up to an end or `num` of them. Raises ValueError for what says neither."""
    if not isinstance(delta, timedelta) or (end_date is None) == (num is None):
        raise ValueError("date_range() takes a timedelta as delta, and either end_date or num")
    found: list[datetime] = []
    at = start_date
    step = -delta if num is not None and num < 0 else delta
    while (end_date is not None and at <= end_date) or (num is not None and len(found) < abs(num)):
        found.append(at)
        at += step
    return sorted(found)


def zone_name(zone: tzinfo | None) -> str:
    """The IANA name of a zone; `UTC` for none, and for one that has no name."""
    if zone is None:
        return "UTC"
    for attribute in ("key", "zone", "name"):
        name = getattr(zone, attribute, None)
        if isinstance(name, str) and name:
            return "UTC" if name in ("UTC", "+00:00") else name
    return "UTC" if zone.utcoffset(None) in (None, timedelta()) else str(zone)


def as_date(value: Any) -> date:
    """A date of a text, a date or a moment."""
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else date.fromisoformat(value)


#: `airflow.utils.timezone`, as a module
timezone_module = SimpleNamespace(
    TIMEZONE=utc,
    coerce_datetime=coerce_datetime,
    convert_to_utc=convert_to_utc,
    datetime=datetime_in_utc,
    is_localized=is_localized,
    is_naive=is_naive,
    local_timezone=local_timezone,
    make_aware=make_aware,
    make_naive=make_naive,
    parse=parse,
    parse_timezone=parse_timezone,
    td_format=td_format,
    utc=utc,
    utc_epoch=utc_epoch,
    utcnow=utcnow,
)


__all__ = [
    "as_date",
    "coerce_datetime",
    "convert_to_utc",
    "date_range",
    "datetime_in_utc",
    "days_ago",
    "instance",
    "is_localized",
    "is_naive",
    "local_timezone",
    "make_aware",
    "make_naive",
    "parse",
    "parse_timezone",
    "td_format",
    "timezone_module",
    "utc",
    "utc_epoch",
    "utcnow",
    "zone_name",
]
