"""Branches and short circuits: tasks by whose results others are skipped."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, cast

from penstock.dialects.airflow.baseoperator import BaseOperator, SkipMixin
from penstock.dialects.airflow.exceptions import AirflowException
from penstock.dialects.airflow.inputs import Reads, reads_of_method
from penstock.dialects.airflow.nodes import Choice
from penstock.dialects.airflow.operators.python import (
    ExternalPythonOperator,
    PythonOperator,
    PythonVirtualenvOperator,
)
from penstock.dialects.airflow.returning import returned_names
from penstock.dialects.airflow.states import WeekDay

if TYPE_CHECKING:
    from penstock.dialects.airflow.nodes import Call


def checked_branches(operator: BaseOperator, chosen: Any) -> Any:
    """What a branch returned. Raises AirflowException where it names what the DAG does not have."""
    if chosen is None:
        return None
    names = [chosen] if isinstance(chosen, str) else chosen
    if not isinstance(names, Iterable) or not all(isinstance(name, str) for name in cast("Iterable[Any]", names)):
        raise AirflowException("'branch_task_ids' must be either None, a task ID, or an Iterable of IDs")
    dag = operator.dag
    known: set[str] = set() if dag is None else {*dag.task_dict, *dag.task_group_dict}
    unknown = sorted({name for name in cast("Iterable[str]", names) if name not in known})
    if unknown:
        raise AirflowException(
            f"'branch_task_ids' must contain only valid task_ids. Invalid tasks found: {set(unknown)}."
        )
    return chosen if isinstance(chosen, str) else list(cast("Iterable[str]", names))


class BaseBranchOperator(BaseOperator, SkipMixin):
    """Chooses which of the tasks directly after it run. Subclasses write `choose_branch`."""

    def choose_branch(self, context: Any) -> Any:
        """The id of a task or a group to follow, a list of them, or None."""
        raise NotImplementedError

    def reads(self) -> Reads:
        return reads_of_method(type(self).choose_branch)

    def choice(self) -> Choice:
        return Choice(by_name=True)

    def execute(self, context: Any) -> Any:
        return checked_branches(self, self.choose_branch(context))


class BranchPythonOperator(PythonOperator, SkipMixin):
    """Chooses which of the tasks directly after it run, by what a function returns."""

    def choice(self) -> Choice:
        return Choice(by_name=True)

    def native(self) -> Call | None:
        # what a function returns that is not written out has to be looked at when it has run
        names, dag = returned_names(self.python_callable), self.dag
        known: set[str] = set() if dag is None else {*dag.task_dict, *dag.task_group_dict}
        return super().native() if names is not None and names <= known else None

    def execute(self, context: Any) -> Any:
        return checked_branches(self, super().execute(context))


class BranchPythonVirtualenvOperator(PythonVirtualenvOperator, SkipMixin):
    """The same, in a Python environment made for it."""

    def choice(self) -> Choice:
        return Choice(by_name=True)

    def execute(self, context: Any) -> Any:
        return checked_branches(self, super().execute(context))


class BranchExternalPythonOperator(ExternalPythonOperator, SkipMixin):
    """The same, in another Python."""

    def choice(self) -> Choice:
        return Choice(by_name=True)

    def execute(self, context: Any) -> Any:
        return checked_branches(self, super().execute(context))


class ShortCircuitOperator(PythonOperator, SkipMixin):
    """Skips what comes after it unless a function returns something true."""

    def __init__(self, *, ignore_downstream_trigger_rules: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ignore_downstream_trigger_rules = ignore_downstream_trigger_rules

    def choice(self) -> Choice:
        return Choice(by_name=False, all_after=self.ignore_downstream_trigger_rules)


class BranchDayOfWeekOperator(BaseBranchOperator):
    """Follows one branch on some days of the week, and another one on all others."""

    def __init__(
        self,
        *,
        follow_task_ids_if_true: Any,
        follow_task_ids_if_false: Any,
        week_day: Any,
        use_task_logical_date: bool = False,
        use_task_execution_day: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.follow_task_ids_if_true = follow_task_ids_if_true
        self.follow_task_ids_if_false = follow_task_ids_if_false
        self.week_day = week_day
        self.use_task_logical_date = use_task_logical_date or use_task_execution_day
        self.days = WeekDay.validate_week_day(week_day)

    def reads(self) -> Reads:
        return Reads(frozenset({"logical_date"}) if self.use_task_logical_date else frozenset({"run_id"}))

    def choose_branch(self, context: Any) -> Any:
        now = context["logical_date"] if self.use_task_logical_date else datetime.now().astimezone()
        return self.follow_task_ids_if_true if now.isoweekday() in self.days else self.follow_task_ids_if_false


class BranchDateTimeOperator(BaseBranchOperator):
    """Follows one branch between two times, and another one outside them."""

    def __init__(
        self,
        *,
        follow_task_ids_if_true: Any,
        follow_task_ids_if_false: Any,
        target_lower: datetime | time | None,
        target_upper: datetime | time | None,
        use_task_logical_date: bool = False,
        use_task_execution_date: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if target_upper is None and target_lower is None:
            raise AirflowException(
                "Both target_upper and target_lower are None. At least one must be defined to be compared to the current datetime"
            )
        self.target_lower = target_lower
        self.target_upper = target_upper
        self.follow_task_ids_if_true = follow_task_ids_if_true
        self.follow_task_ids_if_false = follow_task_ids_if_false
        self.use_task_logical_date = use_task_logical_date or use_task_execution_date

    def reads(self) -> Reads:
        return Reads(frozenset({"logical_date"}) if self.use_task_logical_date else frozenset({"run_id"}))

    def choose_branch(self, context: Any) -> Any:
        now = context["logical_date"] if self.use_task_logical_date else datetime.now().astimezone()
        lower, upper = _bounds(now, self.target_lower, self.target_upper)
        inside = not (upper is not None and upper < now) and not (lower is not None and lower > now)
        return self.follow_task_ids_if_true if inside else self.follow_task_ids_if_false


def _bounds(now: datetime, lower: Any, upper: Any) -> tuple[datetime | None, datetime | None]:
    day: date = now.date()
    one, other = (_at(each, day, now) for each in (lower, upper))
    if isinstance(lower, time) and isinstance(upper, time) and one is not None and other is not None and other < one:
        other += timedelta(days=1)
    return one, other


def _at(value: Any, day: date, now: datetime) -> datetime | None:
    if value is None:
        return None
    found = datetime.combine(day, value) if isinstance(value, time) else cast("datetime", value)
    return found if found.tzinfo is not None else found.replace(tzinfo=now.tzinfo)


__all__ = [
    "BaseBranchOperator",
    "BranchDateTimeOperator",
    "BranchDayOfWeekOperator",
    "BranchExternalPythonOperator",
    "BranchPythonOperator",
    "BranchPythonVirtualenvOperator",
    "ShortCircuitOperator",
    "checked_branches",
]
