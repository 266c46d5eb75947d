"""`ExternalTaskSensor`: waits for a run of another DAG, or for tasks in one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, cast

from penstock.dialects.airflow import recorded
from penstock.dialects.airflow.basesensor import BaseSensorOperator
from penstock.dialects.airflow.context import determine_kwargs
from penstock.dialects.airflow.exceptions import (
    AirflowException,
    AirflowSkipException,
    ExternalDagFailedError,
    ExternalTaskFailedError,
)
from penstock.dialects.airflow.moments import coerce_datetime
from penstock.dialects.airflow.states import STATES, TaskInstanceState
from penstock.errors import DefinitionError


class ExternalTaskSensor(BaseSensorOperator):
    """Waits until the run of another pipeline in this project's store that is about the same logical date (or `execution_delta`
    before it, or what `execution_date_fn` says) has ended in one of the allowed states; with task ids, until these tasks in it
    have. Of several such runs, the newest counts."""

    template_fields: ClassVar[Sequence[str]] = (
        "external_dag_id",
        "external_task_id",
        "external_task_ids",
        "external_task_group_id",
    )

    def __init__(
        self,
        *,
        external_dag_id: str,
        external_task_id: str | None = None,
        external_task_ids: Iterable[str] | None = None,
        external_task_group_id: str | None = None,
        allowed_states: Iterable[str] | None = None,
        skipped_states: Iterable[str] | None = None,
        failed_states: Iterable[str] | None = None,
        execution_delta: timedelta | None = None,
        execution_date_fn: Callable[..., Any] | None = None,
        check_existence: bool = False,
        deferrable: bool = False,
        poll_interval: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if execution_delta is not None and execution_date_fn is not None:
            raise ValueError("Only one of `execution_delta` or `execution_date_fn` may be provided")
        if external_task_id is not None and external_task_ids is not None:
            raise ValueError("Only one of `external_task_id` or `external_task_ids` may be provided")
        if check_existence:
            raise DefinitionError(
                "check_existence=True of an ExternalTaskSensor is not covered by penstock: a DAG that was never run here "
                "cannot be told from one that does not exist",
                where=str(self.location),
                remedy="Leave it out, and give the sensor a timeout.",
            )
        self.external_dag_id = external_dag_id
        self.external_task_id = external_task_id
        self.external_task_ids = list(external_task_ids or ([external_task_id] if external_task_id else []))
        self.external_task_group_id = external_task_group_id
        self.allowed_states = _states(allowed_states, [TaskInstanceState.SUCCESS])
        self.skipped_states = _states(skipped_states, [])
        self.failed_states = _states(failed_states, [])
        self.execution_delta = execution_delta
        self.execution_date_fn = execution_date_fn
        self.deferrable = deferrable

    def poke(self, context: Any) -> bool:
        dates = self._dates(context)
        found = [self._state_at(date) for date in dates]
        if any(state in self.failed_states for states in found for state in states):
            what = self.external_task_ids or self.external_task_group_id or "its run"
            if self.soft_fail:
                raise AirflowSkipException(f"{self.external_dag_id} ({what}) has failed, and soft_fail is set")
            if self.external_task_ids or self.external_task_group_id:
                raise ExternalTaskFailedError(f"Some of the external tasks {what} in {self.external_dag_id} failed.")
            raise ExternalDagFailedError(f"The external DAG {self.external_dag_id} failed.")
        if any(state in self.skipped_states for states in found for state in states):
            raise AirflowSkipException(f"{self.external_dag_id} was skipped")
        return all(states and all(state in self.allowed_states for state in states) for states in found)

    def _dates(self, context: Any) -> list[datetime]:
        logical = context.get("logical_date")
        if logical is None:
            raise AirflowException("the run has no logical date, so that there is none to wait for of another DAG")
        if self.execution_delta is not None:
            return [logical - self.execution_delta]
        if self.execution_date_fn is None:
            return [logical]
        given = determine_kwargs(self.execution_date_fn, [logical], dict(context))
        found = self.execution_date_fn(logical, **given)
        return list(cast("Iterable[Any]", found)) if isinstance(found, (list, tuple)) else [found]

    def _state_at(self, date: datetime) -> list[str]:
        """The states of what is waited for; none where there is no run yet."""
        wanted = coerce_datetime(date).timestamp()
        runs = recorded.runs_of(self.external_dag_id)
        run = next((each for each in runs if abs(each.logical - wanted) < 0.001), None)
        if run is None:
            return []
        if not self.external_task_ids and not self.external_task_group_id:
            return [STATES.get(run.state, run.state)]
        tasks = recorded.tasks_of(run.run_id)
        found: list[str] = []
        # a task of a group is a node of a group
        for name in (each.replace(".", "/") for each in self.external_task_ids):
            # a task that was mapped is done when all its items are
            each = [state for task, state in tasks.items() if task == name or task.startswith(f"{name}[")]
            found.extend(STATES.get(state, state) for state in each or ["pending"])
        if self.external_task_group_id:
            group = self.external_task_group_id.replace(".", "/")
            inside = [state for task, state in tasks.items() if task.startswith(f"{group}/")]
            found.extend(STATES.get(state, state) for state in inside or ["pending"])
        return found


def _states(given: Iterable[str] | None, default: list[str]) -> list[str]:
    return [str(each) for each in (default if given is None else given)]


__all__ = ["ExternalTaskSensor"]
