"""Timetables as people write them; read by penstock, and by the real Airflow."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable
from airflow.timetables.events import EventsTimetable
from airflow.timetables.interval import CronDataIntervalTimetable, DeltaDataIntervalTimetable
from airflow.timetables.trigger import CronTriggerTimetable

BERLIN = pendulum.timezone("Europe/Berlin")


class Workdays(Timetable):
    """At half past eight on workdays, about the time since the run before."""

    description = "Workdays at 8:30"

    def _tick(self, at, step):
        there = at.in_timezone(BERLIN)
        day = there.set(hour=8, minute=30, second=0, microsecond=0)
        while day.day_of_week in (pendulum.SATURDAY, pendulum.SUNDAY) or (day <= at if step > 0 else day > at):
            day = day.add(days=step)
        return day.in_timezone("UTC")

    def infer_manual_data_interval(self, *, run_after):
        end = self._tick(run_after, -1)
        return DataInterval(start=self._tick(end.subtract(seconds=1), -1), end=end)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        if last_automated_data_interval is not None:
            start = last_automated_data_interval.end
        elif restriction.earliest is None:
            return None
        else:
            start = self._tick(restriction.earliest.subtract(seconds=1), 1)
        if not restriction.catchup:
            start = max(start, self._tick(pendulum.now("UTC"), -1))
        if restriction.latest is not None and start > restriction.latest:
            return None
        return DagRunInfo.interval(start=start, end=self._tick(start, 1))


class ButNotInAugust(CronDataIntervalTimetable):
    """Every night at a time that the clocks skip once a year, but not in August."""

    def __init__(self):
        super().__init__("30 2 * * *", timezone="Europe/Berlin")

    def next_dagrun_info(self, *, last_automated_data_interval, restriction):
        while True:
            info = super().next_dagrun_info(
                last_automated_data_interval=last_automated_data_interval, restriction=restriction
            )
            if info is None or info.run_after.in_timezone(BERLIN).month != 8:
                return info
            last_automated_data_interval = info.data_interval


class EveryOther(CronTriggerTimetable):
    """Every second tick of a cron expression, which comes every hour."""

    def __init__(self):
        super().__init__("15 * * * *", timezone="America/New_York", interval=timedelta(hours=2))

    def _get_next(self, current):
        return super()._get_next(super()._get_next(current))


class Matches(EventsTimetable):
    """At given moments; by hand, about the last of them."""

    def __init__(self):
        days = [
            pendulum.datetime(2024, month, day, 20, tz="Europe/London") for month in (3, 6, 10) for day in (2, 9, 30)
        ]
        super().__init__(event_dates=days, restrict_to_events=True, description="matches")

    def next_dagrun_info(self, *, last_automated_data_interval, restriction):
        info = super().next_dagrun_info(
            last_automated_data_interval=last_automated_data_interval, restriction=restriction
        )
        return None if info is None else DagRunInfo(info.run_after.add(hours=2), info.data_interval)


class Sprints(DeltaDataIntervalTimetable):
    """Every two weeks; by hand, about the day before."""

    def __init__(self, weeks=2):
        super().__init__(timedelta(weeks=weeks))
        self.weeks = weeks

    def serialize(self):
        return {"weeks": self.weeks}

    @classmethod
    def deserialize(cls, data):
        return cls(data["weeks"])

    def infer_manual_data_interval(self, *, run_after):
        return DataInterval(run_after.subtract(days=1), run_after)


ALL = (Workdays, ButNotInAugust, EveryOther, Matches, Sprints)
