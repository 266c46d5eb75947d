"""What a timetable is: asked for one run after another, and what a run is about that a person starts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple


class DataInterval(NamedTuple):
    """The stretch of time that a run is about."""

    start: Any
    end: Any

    @classmethod
    def exact(cls, at: Any) -> DataInterval:
        """A moment."""
        return cls(at, at)


class TimeRestriction(NamedTuple):
    """From when on and until when there may be runs, both included, and whether missed ones are made up for."""

    earliest: Any
    latest: Any
    catchup: bool


class DagRunInfo(NamedTuple):
    """A run: when it begins, and what it is about."""

    run_after: Any
    data_interval: DataInterval | None
    partition_date: Any = None
    partition_key: str | None = None

    @classmethod
    def exact(cls, at: Any) -> DagRunInfo:
        """A run at a moment, and about it."""
        return cls(at, DataInterval.exact(at))

    @classmethod
    def interval(cls, start: Any, end: Any) -> DagRunInfo:
        """A run about a stretch of time, when that is over."""
        return cls(end, DataInterval(start, end))

    @property
    def logical_date(self) -> Any:
        return None if self.data_interval is None else self.data_interval.start


class Timetable:
    """When a DAG runs. People's own ones say it in `next_dagrun_info`."""

    description: str = ""
    periodic: bool = True
    can_be_scheduled: bool = True
    run_ordering: Sequence[str] = ("data_interval_end", "logical_date")
    #: how many runs there may be at once
    active_runs_limit: int | None = None
    partitioned: bool = False
    partitioned_at_runtime: bool = False

    @property
    def of_intervals(self) -> bool:
        """Whether a run is about the stretch that ends with its tick, rather than about the tick."""
        return False

    @property
    def reach(self) -> Any:
        """How much before its tick the stretch of a run begins, where it has a length of its own: a timedelta or a
        relativedelta."""
        return timedelta()

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Timetable:
        return cls()

    def serialize(self) -> dict[str, Any]:
        return {}

    def validate(self) -> None:
        """Raise AirflowTimetableInvalid for one that cannot be."""

    @property
    def summary(self) -> str:
        return type(self).__name__

    @property
    def type_name(self) -> str:
        kind = type(self)
        return kind.__name__ if kind.__module__.startswith("penstock.") else f"{kind.__module__}.{kind.__qualname__}"

    def infer_manual_data_interval(self, *, run_after: Any) -> DataInterval:
        """What a run is about that a person starts at a moment."""
        raise NotImplementedError

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """The run after the one that was about an interval, the first one where there was none; None for no run."""
        raise NotImplementedError

    def next_dagrun_info_v2(
        self, *, last_dagrun_info: DagRunInfo | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """The same, from the whole run before."""
        last = None if last_dagrun_info is None else last_dagrun_info.data_interval
        return self.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)

    def generate_run_id(self, *, run_type: Any, run_after: Any, data_interval: Any, **_: Any) -> str:
        return f"{getattr(run_type, 'value', run_type)}__{run_after.isoformat()}"


__all__ = ["DagRunInfo", "DataInterval", "TimeRestriction", "Timetable"]
