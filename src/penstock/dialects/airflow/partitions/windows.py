"""Windows: of which items a period consists. `MonthWindow()` of 1 March is its days."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, cast


class Window:
    """Of which items a period consists. Subclasses write `to_upstream(period)`."""

    class Direction(StrEnum):
        """Whether the items of a period begin with its moment, or end with it."""

        BACKWARD = "backward"
        FORWARD = "forward"

    #: the type of the periods, which the mapper beside it has to give
    expected_decoded_type: ClassVar[type] = str

    def __init__(self, *, direction: Any = Direction.FORWARD) -> None:
        self.direction = self.Direction(direction)

    def to_upstream(self, decoded_downstream: Any) -> Iterable[Any]:
        """The items of a period."""
        raise NotImplementedError

    def serialize(self) -> dict[str, Any]:
        """What it says, as data."""
        return {"direction": self.direction.value}


class _Steps(Window):
    """So many steps of the same kind."""

    expected_decoded_type: ClassVar[type] = datetime
    count: ClassVar[int]

    def step(self, start: datetime, number: int) -> datetime:
        """So many steps on."""
        raise NotImplementedError

    def to_upstream(self, decoded_downstream: datetime) -> Iterable[datetime]:
        back = 1 - self.count if self.direction is Window.Direction.BACKWARD else 0
        start = self.step(decoded_downstream, back)
        return [self.step(start, number) for number in range(self.count)]


class HourWindow(_Steps):
    """The minutes of an hour."""

    count = 60

    def step(self, start: datetime, number: int) -> datetime:
        return start + timedelta(minutes=number)


class DayWindow(_Steps):
    """Twenty-four hours by the clock of the wall."""

    count = 24

    def step(self, start: datetime, number: int) -> datetime:
        return start + timedelta(hours=number)


class WeekWindow(_Steps):
    """Seven days."""

    count = 7

    def step(self, start: datetime, number: int) -> datetime:
        return start + timedelta(days=number)


class QuarterWindow(_Steps):
    """Three months. Raises ValueError for what begins on another day than the first."""

    count = 3

    def step(self, start: datetime, number: int) -> datetime:
        return _months_on(_first_day(self, start), number)


class YearWindow(QuarterWindow):
    """Twelve months. Raises ValueError for what begins on another day than the first."""

    count = 12


class MonthWindow(Window):
    """The days of a month; backwards, those after the first of the month before, up to the first of this one. Raises
    ValueError for what begins on another day than the first."""

    expected_decoded_type: ClassVar[type] = datetime

    def to_upstream(self, decoded_downstream: datetime) -> Iterable[datetime]:
        start = _first_day(self, decoded_downstream)
        if self.direction is Window.Direction.BACKWARD:
            before = _months_on(start, -1)
            return [before + timedelta(days=number + 1) for number in range((start - before).days)]
        return [start + timedelta(days=number) for number in range((_months_on(start, 1) - start).days)]


class SegmentWindow(Window):
    """A fixed set of keys, whatever the period. Raises ValueError for none, and for what is no key."""

    def __init__(self, segments: Iterable[str]) -> None:
        super().__init__()
        found: list[str] = []
        for number, each in enumerate(cast("Iterable[Any]", segments)):
            if not isinstance(each, str):
                raise ValueError(
                    f"SegmentWindow segment keys must be str; got {type(each).__name__!r} at index {number}: {each!r}"
                )
            if not each:
                raise ValueError(
                    f"SegmentWindow segment keys must be non-empty; got an empty string at index {number}."
                )
            found.append(each)
        if not found:
            raise ValueError("SegmentWindow requires at least one segment key; got an empty iterable.")
        self._segments = frozenset(found)

    def to_upstream(self, decoded_downstream: Any) -> frozenset[str]:
        return self._segments

    def serialize(self) -> dict[str, Any]:
        return {"segments": sorted(self._segments)}


def _first_day(window: Window, moment: datetime) -> datetime:
    if moment.day != 1:
        raise ValueError(
            f"{type(window).__name__} expects a period start on day 1 of the month, got {moment.isoformat()}. The paired "
            "upstream mapper's decode_downstream must normalise to day 1."
        )
    return moment


def _months_on(moment: datetime, months: int) -> datetime:
    total = moment.month - 1 + months
    return moment.replace(year=moment.year + total // 12, month=total % 12 + 1)


__all__ = [
    "DayWindow",
    "HourWindow",
    "MonthWindow",
    "QuarterWindow",
    "SegmentWindow",
    "WeekWindow",
    "Window",
    "YearWindow",
]
