"""Mappers of keys that are moments: to the hour, day, week, month, quarter or year that one lies in, and fanned out over a
window."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Any, ClassVar, Final, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from penstock.dialects.airflow.moments import zone_name
from penstock.dialects.airflow.partitions.mappers import PartitionMapper, described
from penstock.dialects.airflow.partitions.windows import Window

_SECONDS: Final = "%Y-%m-%dT%H:%M:%S"
#: what directives write, of those that can be read back
_DIGITS: Final = {"%Y": r"\d{4}", **dict.fromkeys(("%m", "%d", "%H", "%M", "%S", "%V", "%U", "%W"), r"\d{2}")}


class TemporalMapper(PartitionMapper):
    """From a moment to the period that it lies in, in a time zone."""

    expected_decoded_type: ClassVar[type] = datetime
    default_output_format: ClassVar[str]

    def __init__(
        self,
        *,
        timezone: str | tzinfo = "UTC",
        input_format: str = _SECONDS,
        output_format: str | None = None,
        max_downstream_keys: int | None = None,
    ) -> None:
        super().__init__(max_downstream_keys=max_downstream_keys)
        self.input_format = input_format
        self.output_format = output_format or self.default_output_format
        self._timezone = _zone(timezone) if isinstance(timezone, str) else timezone

    def to_downstream(self, key: str) -> str:
        moment = datetime.strptime(key, self.input_format)
        moment = localized(moment, self._timezone) if moment.tzinfo is None else moment.astimezone(self._timezone)
        return self.format(self.normalize(moment))

    def normalize(self, dt: datetime) -> datetime:
        """The start of the period that a moment lies in."""
        raise NotImplementedError

    def format(self, dt: datetime) -> str:
        """The key of a period."""
        return dt.strftime(self.output_format)

    def decode_downstream(self, downstream_key: str) -> datetime:
        return datetime.strptime(downstream_key, self.output_format)

    def encode_upstream(self, decoded: datetime) -> str:
        naive = decoded if decoded.tzinfo is None else decoded.astimezone(self._timezone).replace(tzinfo=None)
        return localized(naive, self._timezone).strftime(self.input_format)

    def to_partition_date(self, downstream_key: str) -> datetime:
        start = self.normalize(self.decode_downstream(downstream_key))
        return localized(start, self._timezone) if start.tzinfo is None else start

    def serialize(self) -> dict[str, Any]:
        return {
            "timezone": zone_name(self._timezone),
            "input_format": self.input_format,
            "output_format": self.output_format,
            **super().serialize(),
        }


class StartOfHourMapper(TemporalMapper):
    """To the hour: `2024-03-13T10`."""

    default_output_format = "%Y-%m-%dT%H"

    def normalize(self, dt: datetime) -> datetime:
        return dt.replace(minute=0, second=0, microsecond=0)


class StartOfDayMapper(TemporalMapper):
    """To the day: `2024-03-13`."""

    default_output_format = "%Y-%m-%d"

    def normalize(self, dt: datetime) -> datetime:
        return dt.replace(hour=0, minute=0, second=0, microsecond=0)


class StartOfWeekMapper(TemporalMapper):
    """To the Monday of the week: `2024-03-11 (W11)`."""

    default_output_format = "%Y-%m-%d (W%V)"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._pattern = pattern_of(self.output_format)

    def normalize(self, dt: datetime) -> datetime:
        return (dt - timedelta(days=dt.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)

    def decode_downstream(self, downstream_key: str) -> datetime:
        match = self._pattern.search(downstream_key)
        if match is None or not {"Y", "m", "d"} <= match.groupdict().keys():
            raise ValueError(
                f"StartOfWeekMapper.decode_downstream could not parse {downstream_key!r} with output_format "
                f"{self.output_format!r}; output_format must include the %Y, %m and %d directives."
            )
        return datetime(int(match["Y"]), int(match["m"]), int(match["d"]))


class StartOfMonthMapper(TemporalMapper):
    """To the month: `2024-03`."""

    default_output_format = "%Y-%m"

    def normalize(self, dt: datetime) -> datetime:
        return dt.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


class StartOfQuarterMapper(TemporalMapper):
    """To the quarter: `2024-Q1`."""

    default_output_format = "%Y-Q{quarter}"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._pattern = pattern_of(self.output_format, {"quarter": "[1-4]"})

    def normalize(self, dt: datetime) -> datetime:
        month = (dt.month - 1) // 3 * 3 + 1
        return dt.replace(month=month, day=1, hour=0, minute=0, second=0, microsecond=0)

    def format(self, dt: datetime) -> str:
        return dt.strftime(self.output_format).format(quarter=(dt.month - 1) // 3 + 1)

    def decode_downstream(self, downstream_key: str) -> datetime:
        match = self._pattern.search(downstream_key)
        if match is None or not {"Y", "quarter"} <= match.groupdict().keys():
            raise ValueError(
                f"StartOfQuarterMapper.decode_downstream could not parse {downstream_key!r} with output_format "
                f"{self.output_format!r}; output_format must include the %Y directive and the {{quarter}} placeholder."
            )
        return datetime(int(match["Y"]), (int(match["quarter"]) - 1) * 3 + 1, 1)


class StartOfYearMapper(TemporalMapper):
    """To the year: `2024`."""

    default_output_format = "%Y"

    def normalize(self, dt: datetime) -> datetime:
        return dt.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)


class FanOutMapper(PartitionMapper):
    """One key for all items of the period that it stands for. Raises ValueError for a window whose items have no usual form,
    without a mapper that gives them one."""

    default_downstream_mapper_by_window_name: ClassVar[dict[str, type[TemporalMapper]]] = {
        "DayWindow": StartOfHourMapper,
        "WeekWindow": StartOfDayMapper,
        "MonthWindow": StartOfDayMapper,
        "QuarterWindow": StartOfMonthMapper,
        "YearWindow": StartOfMonthMapper,
    }

    def __init__(
        self,
        *,
        upstream_mapper: PartitionMapper,
        window: Window,
        downstream_mapper: PartitionMapper | None = None,
        max_downstream_keys: int | None = None,
    ) -> None:
        super().__init__(max_downstream_keys=max_downstream_keys)
        self.upstream_mapper = upstream_mapper
        self.window = window
        self.downstream_mapper = downstream_mapper or self._usual(window)

    @classmethod
    def _usual(cls, window: Window) -> PartitionMapper:
        found = cls.default_downstream_mapper_by_window_name.get(type(window).__name__)
        if found is None:
            raise ValueError(
                f"{cls.__name__} has no default downstream_mapper for window type {type(window).__name__}; pass "
                "downstream_mapper explicitly."
            )
        return found()

    def to_downstream(self, key: str) -> Iterable[str]:
        normalized = self.upstream_mapper.to_downstream(key)
        if not isinstance(normalized, str):
            raise TypeError(
                "FanOutMapper.upstream_mapper must produce a single key from to_downstream; chained fan-out (mapper that "
                "itself returns multiple keys) is not supported."
            )
        period = self.upstream_mapper.decode_downstream(normalized)
        return [_written(self.downstream_mapper, each) for each in self.window.to_upstream(period)]

    def to_partition_date(self, downstream_key: str) -> datetime | None:
        return self.downstream_mapper.to_partition_date(downstream_key)

    def serialize(self) -> dict[str, Any]:
        return {
            "upstream_mapper": described(self.upstream_mapper),
            "window": described(self.window),
            "downstream_mapper": described(self.downstream_mapper),
            **super().serialize(),
        }


def _written(mapper: PartitionMapper, item: Any) -> str:
    """The key of an item."""
    form = getattr(mapper, "format", None)
    if callable(form):
        return cast(str, form(item))
    return item.isoformat() if isinstance(item, datetime) else str(item)


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError):
        raise ValueError(f"there is no time zone {name!r}") from None


def localized(naive: datetime, zone: tzinfo) -> datetime:
    """The moment at which the clocks of a zone say so: the second one where they say it twice, and an hour later, as they are
    set then, where they never do. Raises ValueError for a moment that names a zone itself."""
    if naive.tzinfo is not None:
        raise ValueError(f"{naive} names its zone already")
    first, second = (naive.replace(fold=fold, tzinfo=zone) for fold in (0, 1))
    before, after = first.utcoffset(), second.utcoffset()
    left_out = before is not None and after is not None and after > before
    return second + (cast(timedelta, after) - cast(timedelta, before)) if left_out else second


def pattern_of(form: str, placeholders: Mapping[str, str] = {}) -> re.Pattern[str]:
    """The pattern of the keys that a format writes, with a group for each directive (`%Y` is `Y`) and placeholder. Raises
    ValueError for a format that has one twice, and for placeholders that cannot be told from each other."""
    parts: list[str] = []
    seen: set[str] = set()
    at, loose = 0, False
    while at < len(form):
        end = form.find("}", at) if form[at] == "{" else -1
        if form[at : at + 2] in _DIGITS:
            name, rule, at, was_loose = form[at + 1], _DIGITS[form[at : at + 2]], at + 2, False
        elif end != -1:
            name, at = form[at + 1 : end], end + 1
            if not name.isidentifier():
                raise ValueError(f"output_format {form!r} has invalid placeholder {{{name}}}")
            rule, was_loose = placeholders.get(name, r"\w+"), name not in placeholders
        else:
            parts.append(re.escape(form[at]))
            at, loose = at + 1, False
            continue
        if name in seen:
            raise ValueError(f"output_format {form!r} has {name!r} twice; each may appear at most once.")
        if loose and was_loose:
            raise ValueError(f"output_format {form!r} has adjacent placeholders ending at {{{name}}}")
        seen.add(name)
        loose = was_loose
        parts.append(f"(?P<{name}>{rule})")
    return re.compile(f"^{''.join(parts)}$")


__all__ = [
    "FanOutMapper",
    "StartOfDayMapper",
    "StartOfHourMapper",
    "StartOfMonthMapper",
    "StartOfQuarterMapper",
    "StartOfWeekMapper",
    "StartOfYearMapper",
    "TemporalMapper",
    "localized",
    "pattern_of",
]
