"""Airflow's own timetables: what each says as data, for a schedule of penstock, and as it answers those that people make of
it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, tzinfo
from typing import Any

from penstock.dialects.airflow.assets import AssetAll, BaseAsset, expanded
from penstock.dialects.airflow.clocks import PRESETS, CronMixin, DeltaMixin
from penstock.dialects.airflow.moments import coerce_datetime, utcnow
from penstock.dialects.airflow.timetable import DagRunInfo, DataInterval, TimeRestriction, Timetable


class Trivial(Timetable):
    """One whose runs are about the moment at which they begin."""

    periodic = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self))

    def __hash__(self) -> int:
        return hash(type(self).__name__)

    def infer_manual_data_interval(self, *, run_after: Any) -> DataInterval:
        return DataInterval.exact(run_after)


class NullTimetable(Trivial):
    """Never."""

    can_be_scheduled = False
    description = "Never, external triggers only"

    @property
    def summary(self) -> str:
        return "None"

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        return None


class OnceTimetable(Trivial):
    """Once, as soon as possible."""

    description = "Once, as soon as possible"

    @property
    def summary(self) -> str:
        return "@once"

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        if last_automated_data_interval is not None:
            return None
        at = restriction.earliest or utcnow()
        return None if restriction.latest is not None and at > restriction.latest else DagRunInfo.exact(at)


class ContinuousTimetable(Trivial):
    """Again as soon as the run before has ended."""

    description = "As frequently as possible, but only one run at a time."
    active_runs_limit = 1

    @property
    def summary(self) -> str:
        return "@continuous"

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        now = utcnow()
        begin = restriction.earliest or now
        last = last_automated_data_interval
        if last is None:
            start, end = begin, max(begin, now)
        elif last.end > now:
            start, end = begin, begin + (last.end - last.start)
        else:
            start, end = last.end, now
        return None if restriction.latest is not None and end > restriction.latest else DagRunInfo.interval(start, end)


class TriggerTimetable(Timetable):
    """One whose runs are about their tick, or a stretch before it that has a length of its own."""

    _interval: Any = timedelta()

    @property
    def reach(self) -> Any:
        """How much before its tick the stretch of a run begins: a timedelta or a relativedelta."""
        return self._interval

    def infer_manual_data_interval(self, *, run_after: Any) -> DataInterval:
        return DataInterval(coerce_datetime(run_after - self._interval), run_after)

    _get_next: Callable[[Any], Any]
    _align_to_next: Callable[[Any], Any]
    _align_to_prev: Callable[[Any], Any]

    def _calc_first_run(self) -> Any:
        """The first tick where nothing says from when on there are any."""
        return self._align_to_prev(utcnow())

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        last, earliest = last_automated_data_interval, restriction.earliest
        if restriction.catchup:
            if last is not None:
                at = self._get_next(last.end)
            else:
                at = self._calc_first_run() if earliest is None else self._align_to_next(earliest)
        else:
            ticks = [self._align_to_prev(utcnow())]
            if last is not None:
                ticks.append(self._get_next(last.end))
            elif earliest is None:
                ticks.append(self._calc_first_run())
            if earliest is not None:
                ticks.append(self._align_to_next(earliest))
            at = max(ticks)
        if restriction.latest is not None and restriction.latest < at:
            return None
        return DagRunInfo.interval(coerce_datetime(at - self._interval), at)


class CronTriggerTimetable(CronMixin, TriggerTimetable):
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
        self._interval = interval
        self._run_immediately = run_immediately

    def _calc_first_run(self) -> Any:
        now = utcnow()
        before, after = self._align_to_prev(now), self._align_to_next(now)
        given = self._run_immediately
        late = given if isinstance(given, timedelta) else max((after - before) / 10, timedelta(minutes=5))
        return before if given is True or now - before <= late else after


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
        self._timetables = [
            CronTriggerTimetable(each, timezone=timezone, interval=interval, run_immediately=run_immediately)
            for each in crons
        ]

    @property
    def expressions(self) -> tuple[str, ...]:
        return tuple(expression for each in self._timetables for expression in each.expressions)

    @property
    def summary(self) -> str:
        return ", ".join(self.expressions)

    def validate(self) -> None:
        for each in self._timetables:
            each.validate()

    def infer_manual_data_interval(self, *, run_after: Any) -> DataInterval:
        found = (each.infer_manual_data_interval(run_after=run_after) for each in self._timetables)
        return min(found, key=lambda interval: interval.start)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        now = time.time()

        def order(info: DagRunInfo | None) -> float:
            if info is None or info.logical_date is None:
                return math.inf
            at: float = info.logical_date.timestamp()
            # where nothing is made up for, the latest of those that are due
            return -at if not restriction.catchup and at <= now else at

        last = last_automated_data_interval
        infos = (
            each.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
            for each in self._timetables
        )
        return min(infos, key=order)


class DeltaTriggerTimetable(DeltaMixin, TriggerTimetable):
    """Every so often; a run is about its tick."""

    def __init__(self, delta: Any, *, interval: Any = timedelta()) -> None:
        super().__init__(delta)
        self._interval = interval


class DataIntervalTimetable(Timetable):
    """One whose runs are about the stretch before their tick, from the tick before on."""

    @property
    def of_intervals(self) -> bool:
        return True

    _get_next: Callable[[Any], Any]
    _get_prev: Callable[[Any], Any]
    _align_to_next: Callable[[Any], Any]
    _align_to_prev: Callable[[Any], Any]

    def _skip_to_latest(self, earliest: Any) -> Any:
        """From when on a run may begin where missed ones are not made up for."""
        raise NotImplementedError

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        last, earliest = last_automated_data_interval, restriction.earliest
        if not restriction.catchup:
            earliest = self._skip_to_latest(earliest)
        elif earliest is not None:
            earliest = self._align_to_next(earliest)
        if last is None:
            if earliest is None:
                return None
            start = earliest
        else:
            aligned = self._align_to_prev(last.end)
            start = aligned if earliest is None else max(aligned, earliest)
            if start <= last.start:
                # the timetable has changed, and its ticks are farther apart
                start = self._get_next(start)
        if restriction.latest is not None and start > restriction.latest:
            return None
        return DagRunInfo.interval(start, self._get_next(start))


class CronDataIntervalTimetable(CronMixin, DataIntervalTimetable):
    """By a cron expression; a run is about the stretch before its tick."""

    def _skip_to_latest(self, earliest: Any) -> Any:
        now = utcnow()
        last = self._get_prev(now)
        start = last if self._get_next(last) == now else self._get_prev(last)
        return start if earliest is None else max(start, self._align_to_next(earliest))

    def infer_manual_data_interval(self, *, run_after: Any) -> DataInterval:
        end = self._align_to_prev(run_after)
        return DataInterval(self._get_prev(end), end)


class DeltaDataIntervalTimetable(DeltaMixin, DataIntervalTimetable):
    """Every so often; a run is about the stretch before its tick."""

    def _skip_to_latest(self, earliest: Any) -> Any:
        now = utcnow()
        start = self._get_prev(self._round(now, earliest or now))
        return start if earliest is None else max(start, earliest)

    def infer_manual_data_interval(self, *, run_after: Any) -> DataInterval:
        return DataInterval(self._get_prev(run_after), run_after)


class EventsTimetable(Timetable):
    """At given moments."""

    def __init__(
        self,
        event_dates: Iterable[datetime],
        restrict_to_events: bool = False,
        presorted: bool = False,
        description: str | None = None,
    ) -> None:
        self.event_dates = list(event_dates) if presorted else sorted(event_dates)
        self.restrict_to_events = restrict_to_events
        self._summary = description or f"{len(self.event_dates)} events"
        self.description = self._summary

    @property
    def summary(self) -> str:
        return self._summary

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        earliest, last = restriction.earliest, last_automated_data_interval
        if not restriction.catchup:
            earliest = utcnow() if earliest is None else max(earliest, utcnow())
        for each in self.event_dates:
            if (earliest and each < earliest) or (last and each <= last.end):
                continue
            late = restriction.latest is not None and each > restriction.latest
            return None if late else DagRunInfo.exact(each)
        return None

    def infer_manual_data_interval(self, *, run_after: Any) -> DataInterval:
        if not self.restrict_to_events or not self.event_dates:
            return DataInterval.exact(run_after)
        past = [each for each in self.event_dates if each <= run_after]
        return DataInterval.exact(past[-1] if past else self.event_dates[0])


class AssetTriggeredTimetable(Trivial):
    """Whenever assets are updated."""

    description = "Triggered by assets"

    def __init__(self, assets: Any) -> None:
        self.assets: BaseAsset = assets if isinstance(assets, BaseAsset) else AssetAll(*expanded(assets))

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        return None


class AssetOrTimeSchedule(AssetTriggeredTimetable):
    """Whenever assets are updated, and by the clock."""

    def __init__(self, *, timetable: Timetable, assets: Any = None, datasets: Any = None) -> None:
        super().__init__(datasets if assets is None else assets)
        self.timetable = timetable

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        last = last_automated_data_interval
        return self.timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)

    def infer_manual_data_interval(self, *, run_after: Any) -> DataInterval:
        return self.timetable.infer_manual_data_interval(run_after=run_after)


__all__ = [
    "PRESETS",
    "AssetOrTimeSchedule",
    "AssetTriggeredTimetable",
    "ContinuousTimetable",
    "CronDataIntervalTimetable",
    "CronMixin",
    "CronTriggerTimetable",
    "DagRunInfo",
    "DataInterval",
    "DataIntervalTimetable",
    "DeltaDataIntervalTimetable",
    "DeltaMixin",
    "DeltaTriggerTimetable",
    "EventsTimetable",
    "MultipleCronTriggerTimetable",
    "NullTimetable",
    "OnceTimetable",
    "TimeRestriction",
    "Timetable",
    "TriggerTimetable",
    "Trivial",
]
