"""`ti` and `dag_run`: what a task is told of its attempt, of its run, and of what the tasks before it have pushed."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from penstock.dialects.airflow import recorded
from penstock.dialects.airflow.exceptions import AirflowException
from penstock.dialects.airflow.moments import convert_to_utc, instance
from penstock.dialects.airflow.states import STATES, DagRunState, DagRunType, TaskInstanceState

if TYPE_CHECKING:
    from penstock.dialects.airflow.baseoperator import BaseOperator
    from penstock.dialects.airflow.dag import DAG
    from penstock.dialects.airflow.execution import Given

#: the key of what a task returns
RETURN_VALUE: Final = "return_value"
_NONE: Final[Any] = object()
_LOG: Final = logging.getLogger("airflow.task")


class Previous(NamedTuple):
    """A run before this one."""

    run_id: str
    state: str
    logical_date: Any
    data_interval_start: Any
    data_interval_end: Any
    start_date: Any
    end_date: Any


class Standing(NamedTuple):
    """A task of a run as it is when it is asked for."""

    dag_id: str
    task_id: str
    run_id: str
    map_index: int
    state: Any

    def current_state(self, session: Any = None) -> Any:
        return self.state


class DagRun:
    """The run that a task belongs to. `run_id` is that of penstock."""

    def __init__(
        self,
        dag: DAG,
        run_id: str,
        conf: Mapping[str, Any],
        logical_date: Any = None,
        data_interval_start: Any = None,
        data_interval_end: Any = None,
        *,
        scheduled: bool = False,
        events: Mapping[str, Any] | None = None,
    ) -> None:
        from penstock.dialects.airflow.assets import triggering_events

        self.dag = dag
        self.dag_id = dag.dag_id
        self.run_id = run_id
        self.conf = dict(conf)
        self.logical_date = logical_date
        self.execution_date = logical_date
        self.data_interval_start = data_interval_start
        self.data_interval_end = data_interval_end
        self.run_after = data_interval_end or logical_date
        self.events = triggering_events(events or {})
        kind = DagRunType.ASSET_TRIGGERED if events else DagRunType.SCHEDULED if scheduled else DagRunType.MANUAL
        self.run_type = kind
        self.external_trigger = kind == DagRunType.MANUAL
        self.state = DagRunState.RUNNING
        self.start_date = instance(datetime.now(UTC))
        self.queued_at = self.start_date
        self.end_date = None
        self.is_backfill = False
        self.partition_key: str | None = None
        self.partition_date: Any = None
        #: what was found of runs before, by the state that was asked for
        self._known: dict[str | None, Previous | None] = {}

    @property
    def consumed_asset_events(self) -> list[Any]:
        """What happened to the assets that started the run."""
        return [event for each in self.events.values() for event in each]

    def previous(self, state: str | None = None) -> Previous | None:
        """The run before this one by its logical date, or the last before it that ended so; None for none."""
        if state not in self._known:
            self._known[state] = self._find(state)
        return self._known[state]

    def _find(self, state: str | None) -> Previous | None:
        wanted = "succeeded" if state in ("success", DagRunState.SUCCESS) else state
        before = None if self.logical_date is None else self.logical_date.timestamp()
        found: recorded.Recorded | None = None
        for run in recorded.runs_of(self.dag_id, None if wanted is None else str(wanted)):
            if run.run_id == self.run_id or (before is not None and run.logical >= before):
                continue
            if found is None or run.logical > found.logical:
                found = run
        return None if found is None else self._told(found)

    def _told(self, run: recorded.Recorded) -> Previous:
        from penstock.dialects.airflow.clockwork import about
        from penstock.dialects.airflow.schedules import seen_times

        start, end = run.interval or about(self.dag, run.logical)
        times = seen_times(self.dag, *(recorded.moment(each) for each in (run.logical, start, end)))
        logical, first, last = (convert_to_utc(each) for each in times)
        began, ended = (instance(recorded.moment(each)) for each in (run.started_at, run.finished_at))
        return Previous(run.run_id, run.state, logical, first, last, began, ended)

    def get_previous_dagrun(self, state: str | None = None, session: Any = None) -> Previous | None:
        """The run before this one; None for none."""
        return self.previous(state)

    def get_previous_scheduled_dagrun(self, session: Any = None) -> Previous | None:
        """The same."""
        return self.previous()

    def get_dag(self) -> DAG:
        """The DAG."""
        return self.dag

    def get_task_instances(self, state: Any = None, session: Any = None) -> list[Standing]:
        """The tasks of the run as they are right now, or those in a state, or in one of several."""
        named = [state] if isinstance(state, str) else state
        wanted = None if named is None else {str(each) for each in named}
        found = [
            Standing(self.dag_id, task, self.run_id, index, STATES.get(each, each))
            for task, index, each in recorded.stood(self.run_id, self.dag.task_dict)
        ]
        return [each for each in found if wanted is None or str(each.state) in wanted]

    def get_task_instance(self, task_id: str, session: Any = None, *, map_index: int = -1) -> Standing | None:
        """One of them; None where there is none of that id."""
        found = (each for each in self.get_task_instances() if (each.task_id, each.map_index) == (task_id, map_index))
        return next(found, None)

    def __repr__(self) -> str:
        return f"<DagRun {self.dag_id} @ {self.logical_date}: {self.run_id}>"


class TaskInstance:
    """An attempt at a task."""

    def __init__(self, operator: BaseOperator, given: Given, run: DagRun, attempt: Any) -> None:
        self.task = operator
        self.task_id = operator.task_id
        self.dag_id = run.dag_id
        self.given = given
        self.dag_run = run
        self.run_id = run.run_id
        self.map_index = given.map_index
        self.try_number = attempt.attempt or 1
        self.max_tries = operator.retries or 0
        self.start_date = instance(datetime.now(UTC))
        self.end_date = None
        self.state = TaskInstanceState.RUNNING
        self.hostname = socket.gethostname()
        self.operator = type(operator).__name__
        self.pool = operator.pool
        self.priority_weight = operator.priority_weight
        self.queue = "default"
        self.log_url = ""
        self.mark_success_url = ""
        self.rendered_map_index: str | None = None
        self.context: Any = None

    @property
    def execution_date(self) -> Any:
        return self.dag_run.logical_date

    @property
    def logical_date(self) -> Any:
        return self.dag_run.logical_date

    @property
    def log(self) -> logging.Logger:
        return _LOG

    @property
    def is_mapped(self) -> bool:
        return self.map_index >= 0

    @property
    def duration(self) -> float:
        """Seconds since it began."""
        return (datetime.now(UTC) - self.start_date).total_seconds()

    @property
    def key(self) -> tuple[str, str, str, int, int]:
        """What tells it from all others."""
        return (self.dag_id, self.task_id, self.run_id, self.try_number, self.map_index)

    @property
    def prev_attempted_tries(self) -> int:
        return self.try_number - 1

    def get_dagrun(self, session: Any = None) -> DagRun:
        """The run."""
        return self.dag_run

    def get_template_context(self, session: Any = None, ignore_param_exceptions: bool = True) -> Any:
        """The context."""
        return self.context

    def get_previous_dagrun(self, state: str | None = None, session: Any = None) -> Previous | None:
        """The run before this one; None for none."""
        return self.dag_run.previous(state)

    def get_previous_execution_date(self, state: str | None = None, session: Any = None) -> Any:
        """The logical date of the run before this one; None for none."""
        found = self.dag_run.previous(state)
        return None if found is None else found.logical_date

    def get_previous_start_date(self, state: str | None = None, session: Any = None) -> Any:
        """When the run before this one began; None for none."""
        found = self.dag_run.previous(state)
        return None if found is None else found.start_date

    def get_task_states(
        self,
        *,
        dag_id: str,
        map_index: int | None = None,
        task_ids: Iterable[str] | None = None,
        task_group_id: str | None = None,
        logical_dates: Iterable[Any] | None = None,
        run_ids: Iterable[str] | None = None,
    ) -> dict[str, dict[str, Any]]:
        """How the tasks of this run are right now: run -> task (`task_INDEX` of a mapped one) -> state. Raises
        AirflowException for other DAGs and other runs."""
        if dag_id != self.dag_id or logical_dates is not None or set(run_ids or [self.run_id]) != {self.run_id}:
            raise AirflowException("get_task_states() tells of the run that it is called in, and of no other")
        wanted = None if task_ids is None else set(task_ids)
        found: dict[str, Any] = {}
        for task, index, state in recorded.stood(self.run_id, self.dag_run.dag.task_dict):
            grouped = task_group_id is None or task.startswith(f"{task_group_id}.")
            if grouped and (wanted is None or task in wanted) and map_index in (None, index):
                found[task if index < 0 else f"{task}_{index}"] = STATES.get(state, state)
        return {self.run_id: found}

    def __repr__(self) -> str:
        return f"<TaskInstance: {self.dag_id}.{self.task_id} {self.run_id}>"

    # XComs.

    def xcom_push(self, key: str, value: Any, execution_date: Any = None, session: Any = None) -> None:
        """Hand something on under a key."""
        self.given.pushed[key] = value

    def xcom_pull(
        self,
        task_ids: str | Iterable[str] | None = None,
        dag_id: str | None = None,
        key: str | None = RETURN_VALUE,
        include_prior_dates: bool = False,
        session: Any = None,
        *,
        map_indexes: int | Iterable[int] | None = _NONE,
        default: Any = None,
        run_id: str | None = None,
    ) -> Any:
        """What tasks have handed on under a key: of one task a value, of a mapped task or of several a list; `default` for
        what is not there.

        Raises AirflowException for other DAGs, other runs and dates before.
        """
        if (dag_id not in (None, self.dag_id)) or (run_id not in (None, self.run_id)) or include_prior_dates:
            raise AirflowException(
                "xcom_pull() of another DAG, another run or a date before is not covered by penstock: hand it on as an "
                "artifact or a file, or wait for it with an ExternalTaskSensor"
            )
        if task_ids is None:
            return self._own(key, default)
        single = isinstance(task_ids, str)
        names = [task_ids] if isinstance(task_ids, str) else list(task_ids)
        if map_indexes is _NONE:
            if single:
                return self._of_one(names[0], key, default)
            return [value for name in names for value in self._of_several(name, key)]
        indexes = [map_indexes] if map_indexes is None or isinstance(map_indexes, int) else list(map_indexes)
        found = [self._at(name, key, index, default) for name in names for index in indexes]
        one = single and (map_indexes is None or isinstance(map_indexes, int))
        return found[0] if one else found

    def _own(self, key: str | None, default: Any) -> Any:
        if key in self.given.pushed:
            return self.given.pushed[key]
        # before Airflow 3, naming no task meant: any one before this; of several, the last
        tables = [cast("Mapping[Any, Any]", each) for each in self.given.xcoms.values() if isinstance(each, Mapping)]
        holding = [each for each in tables if key in each]
        return holding[-1][key] if holding else default

    def _entry(self, task_id: str) -> Any:
        if task_id == self.task_id:
            return self.given.pushed
        if task_id not in self.given.xcoms:
            self._warn(task_id)
        return self.given.xcoms.get(task_id, {})

    def _warn(self, task_id: str) -> None:
        dag = self.task.dag
        if dag is None or task_id not in dag.task_dict:
            _LOG.warning("xcom_pull: the DAG %s has no task %r", self.dag_id, task_id)
        elif task_id not in self.task.get_flat_relative_ids(upstream=True):
            _LOG.warning("xcom_pull: %s does not wait for %r, so that there is nothing of it", self.task_id, task_id)

    def _of_one(self, task_id: str, key: str | None, default: Any) -> Any:
        entry = self._entry(task_id)
        if isinstance(entry, Mapping):
            found = cast("Mapping[Any, Any]", entry)
            return found.get(key, default)
        return [each[key] for each in entry if each is not None and key in each]

    def _of_several(self, task_id: str, key: str | None) -> Iterable[Any]:
        entry = self._entry(task_id)
        items = [cast("Mapping[Any, Any]", entry)] if isinstance(entry, Mapping) else entry
        return [each[key] for each in items if each is not None and key in each]

    def _at(self, task_id: str, key: str | None, index: int | None, default: Any) -> Any:
        entry = self._entry(task_id)
        if isinstance(entry, Mapping):
            found = cast("Mapping[Any, Any]", entry)
            return found.get(key, default) if index is None or index < 0 else default
        if index is None or not 0 <= index < len(entry) or entry[index] is None:
            return default
        return entry[index].get(key, default)


__all__ = ["RETURN_VALUE", "DagRun", "Previous", "Standing", "TaskInstance"]
