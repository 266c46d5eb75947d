"""The names of states, rules and kinds of runs, as files compare with them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, StrEnum


class TaskInstanceState(StrEnum):
    """How a task stands."""

    REMOVED = "removed"
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    RESTARTING = "restarting"
    SUCCESS = "success"
    FAILED = "failed"
    UP_FOR_RETRY = "up_for_retry"
    UP_FOR_RESCHEDULE = "up_for_reschedule"
    UPSTREAM_FAILED = "upstream_failed"
    SKIPPED = "skipped"
    DEFERRED = "deferred"


class TerminalTIState(StrEnum):
    """How a task may end."""

    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"
    UPSTREAM_FAILED = "upstream_failed"
    REMOVED = "removed"


class DagRunState(StrEnum):
    """How a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"


class DagRunType(StrEnum):
    """What started a run."""

    BACKFILL_JOB = "backfill"
    SCHEDULED = "scheduled"
    MANUAL = "manual"
    DATASET_TRIGGERED = "dataset_triggered"
    ASSET_TRIGGERED = "asset_triggered"


class State:
    """The states of tasks and of runs, by their names."""

    SUCCESS = TaskInstanceState.SUCCESS
    RUNNING = TaskInstanceState.RUNNING
    FAILED = TaskInstanceState.FAILED
    NONE = None
    REMOVED = TaskInstanceState.REMOVED
    SCHEDULED = TaskInstanceState.SCHEDULED
    QUEUED = TaskInstanceState.QUEUED
    RESTARTING = TaskInstanceState.RESTARTING
    UP_FOR_RETRY = TaskInstanceState.UP_FOR_RETRY
    UP_FOR_RESCHEDULE = TaskInstanceState.UP_FOR_RESCHEDULE
    UPSTREAM_FAILED = TaskInstanceState.UPSTREAM_FAILED
    SKIPPED = TaskInstanceState.SKIPPED
    DEFERRED = TaskInstanceState.DEFERRED

    task_states = (None, *TaskInstanceState)
    dag_states = (DagRunState.QUEUED, DagRunState.SUCCESS, DagRunState.RUNNING, DagRunState.FAILED)
    finished = frozenset(
        {
            TaskInstanceState.SUCCESS,
            TaskInstanceState.FAILED,
            TaskInstanceState.SKIPPED,
            TaskInstanceState.UPSTREAM_FAILED,
            TaskInstanceState.REMOVED,
        }
    )
    failed_states = frozenset({TaskInstanceState.FAILED, TaskInstanceState.UPSTREAM_FAILED})
    success_states = frozenset({TaskInstanceState.SUCCESS, TaskInstanceState.SKIPPED})


#: how penstock calls the state of a node -> how Airflow does
STATES = {
    "succeeded": TaskInstanceState.SUCCESS,
    "cached": TaskInstanceState.SUCCESS,
    "failed": TaskInstanceState.FAILED,
    "skipped": TaskInstanceState.SKIPPED,
    "upstream_failed": TaskInstanceState.UPSTREAM_FAILED,
    "cancelled": TaskInstanceState.FAILED,
    "waiting": TaskInstanceState.UP_FOR_RESCHEDULE,
    "running": TaskInstanceState.RUNNING,
    "pending": TaskInstanceState.SCHEDULED,
}


class WeekDay(Enum):
    """The days of the week, from Monday, which is 1, to Sunday."""

    MONDAY = 1
    TUESDAY = 2
    WEDNESDAY = 3
    THURSDAY = 4
    FRIDAY = 5
    SATURDAY = 6
    SUNDAY = 7

    @classmethod
    def get_weekday_number(cls, week_day_str: str) -> WeekDay:
        """The day of a name. Raises AttributeError for what is none."""
        name = week_day_str.upper()
        if name not in cls.__members__:
            raise AttributeError(f'Invalid Week Day passed: "{week_day_str}"')
        return cls[name]

    @classmethod
    def convert(cls, day: str | WeekDay) -> int:
        """The number of a day."""
        return (day if isinstance(day, WeekDay) else cls.get_weekday_number(day)).value

    @classmethod
    def validate_week_day(cls, week_day: str | WeekDay | Iterable[str | WeekDay]) -> set[int]:
        """The numbers of one day or several. Raises TypeError for what is no day."""
        if isinstance(week_day, (str, WeekDay)):
            return {cls.convert(week_day)}
        if not isinstance(week_day, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"Unsupported Type for week_day parameter: {type(week_day)}")
        return {cls.convert(each) for each in week_day}


__all__ = ["STATES", "DagRunState", "DagRunType", "State", "TaskInstanceState", "TerminalTIState", "WeekDay"]
