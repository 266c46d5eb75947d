"""Sensors that wait for a time: of the day, after the data interval, of a date, on a day of the week."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any, ClassVar

from penstock.dialects.airflow.basesensor import BaseSensorOperator
from penstock.dialects.airflow.exceptions import AirflowException
from penstock.dialects.airflow.moments import convert_to_utc, instance, parse, utcnow
from penstock.dialects.airflow.states import WeekDay


class TimeSensor(BaseSensorOperator):
    """Waits until a time of this day, in the zone of the DAG."""

    template_fields: ClassVar[Sequence[str]] = ("target_time",)

    def __init__(self, *, target_time: time | str, deferrable: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_time = target_time
        self.deferrable = deferrable

    def target(self) -> datetime:
        """The moment today."""
        wanted = time.fromisoformat(self.target_time) if isinstance(self.target_time, str) else self.target_time
        start = None if self.dag is None else self.dag.start_date
        zone = wanted.tzinfo or (None if start is None else start.tzinfo) or UTC
        return datetime.combine(datetime.now(zone).date(), wanted.replace(tzinfo=None), zone)

    def poke(self, context: Any) -> bool:
        return datetime.now(UTC) >= self.target()


class TimeDeltaSensor(BaseSensorOperator):
    """Waits until so long after the end of the data interval."""

    def __init__(self, *, delta: timedelta, deferrable: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.delta = delta
        self.deferrable = deferrable

    def poke(self, context: Any) -> bool:
        return utcnow() > instance(context["data_interval_end"]) + self.delta


class DateTimeSensor(BaseSensorOperator):
    """Waits for a moment: a datetime, or its ISO 8601 text, which may be a template."""

    template_fields: ClassVar[Sequence[str]] = ("target_time",)

    def __init__(self, *, target_time: str | datetime, deferrable: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(target_time, (str, datetime)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"Expected str or datetime.datetime type for target_time. Got {type(target_time)}")
        self.target_time = target_time.isoformat() if isinstance(target_time, datetime) else target_time
        self.deferrable = deferrable

    def poke(self, context: Any) -> bool:
        return utcnow() > convert_to_utc(parse(self.target_time))


class DayOfWeekSensor(BaseSensorOperator):
    """Waits for a day of the week: today, or that of the logical date. The days of UTC."""

    def __init__(
        self,
        *,
        week_day: str | WeekDay | Iterable[str | WeekDay],
        use_task_logical_date: bool = False,
        use_task_execution_day: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.week_day = week_day
        self.use_task_logical_date = use_task_logical_date or use_task_execution_day
        self._numbers = WeekDay.validate_week_day(week_day)

    def poke(self, context: Any) -> bool:
        if not self.use_task_logical_date:
            return datetime.now(UTC).isoweekday() in self._numbers
        if context.get("logical_date") is None:
            raise AirflowException("the run has no logical date")
        return context["logical_date"].isoweekday() in self._numbers


__all__ = ["DateTimeSensor", "DayOfWeekSensor", "TimeDeltaSensor", "TimeSensor"]
