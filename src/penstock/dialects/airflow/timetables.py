"""Airflow's timetables, as files make them: what each says, as data."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final, NamedTuple

from penstock.dialects.airflow.assets import AssetAll, BaseAsset, expanded
from penstock.dialects.airflow.moments import zone_name

#: Airflow's names for cron expressions
PRESETS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}


class DataInterval(NamedTuple):
    """The stretch of time that a run is about."""

    start: Any
    end: Any

    @classmethod
    def exact(cls, at: Any) -> DataInterval:
        return cls(at, at)


class Timetable:
    """When a DAG runs. Those that people write themselves are not covered: see `schedules`."""

    #: whether a run is about the stretch that ends with its tick, rather than about the tick
    of_intervals = False
    #: how much before its tick the stretch of a run begins, where runs are about the tick
    interval: Any = timedelta()


class NullTimetable(Timetable):
    """Never."""


class OnceTimetable(Timetable):
    """Once, as soon as possible."""


class ContinuousTimetable(Timetable):
    """Again as soon as the run before has ended."""


class _Cron(Timetable):
    def __init__(self, cron: str, timezone: str | tzinfo) -> None:
        self.expressions: tuple[str, ...] = (PRESETS.get(cron, cron),)
        self.zone = timezone if isinstance(timezone, str) else zone_name(timezone)


class CronTriggerTimetable(_Cron):
    """By a cron expression; a run is about its tick."""

    def __init__(
        self,
        cron: str,
        *,
        timezone: str | tzinfo,
        interval: Any = timedelta(),
        run_immediately: bool | timedelta = False,
    ) -> None:
        super().__init__(cron, timezone)
        self.interval = interval
        self.run_immediately = run_immediately


class CronDataIntervalTimetable(_Cron):
    """By a cron expression; a run is about the stretch before its tick."""

    of_intervals = True

    def __init__(self, cron: str, timezone: str | tzinfo) -> None:
        super().__init__(cron, timezone)


class MultipleCronTriggerTimetable(CronTriggerTimetable):
    """By several cron expressions."""

    def __init__(
        self,
        *crons: str,
        timezone: str | tzinfo,
        interval: Any = timedelta(),
        run_immediately: bool | timedelta = False,
    ) -> None:
        if not crons:
            raise ValueError("cron expression required")
        super().__init__(crons[0], timezone=timezone, interval=interval, run_immediately=run_immediately)
        self.expressions = tuple(PRESETS.get(each, each) for each in crons)


class DeltaTriggerTimetable(Timetable):
    """Every so often; a run is about its tick."""

    def __init__(self, delta: Any, *, interval: Any = timedelta()) -> None:
        self.delta = delta
        self.interval = interval


class DeltaDataIntervalTimetable(Timetable):
    """Every so often; a run is about the stretch before its tick."""

    of_intervals = True

    def __init__(self, delta: Any) -> None:
        self.delta = delta


class EventsTimetable(Timetable):
    """At given moments."""

    def __init__(
        self,
        event_dates: Iterable[datetime],
        restrict_to_events: bool = False,
        presorted: bool = False,
        description: str | None = None,
    ) -> None:
        self.event_dates = sorted(event_dates)
        self.restrict_to_events = restrict_to_events


class AssetTriggeredTimetable(Timetable):
    """Whenever assets are updated."""

    def __init__(self, assets: Any) -> None:
        self.assets: BaseAsset = assets if isinstance(assets, BaseAsset) else AssetAll(*expanded(assets))


class AssetOrTimeSchedule(AssetTriggeredTimetable):
    """Whenever assets are updated, and by the clock."""

    def __init__(self, *, timetable: Timetable, assets: Any = None, datasets: Any = None) -> None:
        super().__init__(datasets if assets is None else assets)
        self.timetable = timetable


__all__ = [
    "PRESETS",
    "AssetOrTimeSchedule",
    "AssetTriggeredTimetable",
    "ContinuousTimetable",
    "CronDataIntervalTimetable",
    "CronTriggerTimetable",
    "DataInterval",
    "DeltaDataIntervalTimetable",
    "DeltaTriggerTimetable",
    "EventsTimetable",
    "MultipleCronTriggerTimetable",
    "NullTimetable",
    "OnceTimetable",
    "Timetable",
]
