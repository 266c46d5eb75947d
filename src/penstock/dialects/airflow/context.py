"""The context of a task: what templates, callables and callbacks find under Airflow's names."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, cast

from penstock.dialects.airflow import recorded
from penstock.dialects.airflow.exceptions import AirflowException
from penstock.dialects.airflow.moments import convert_to_utc, instance
from penstock.dialects.airflow.params import ASSET_EVENTS, params_in
from penstock.dialects.airflow.taskinstance import DagRun, TaskInstance

if TYPE_CHECKING:
    from penstock.dialects.airflow.baseoperator import BaseOperator
    from penstock.dialects.airflow.dag import DAG
    from penstock.dialects.airflow.execution import Given

_LOGICAL: Final = "logical_date"
_INTERVAL: Final = ("data_interval_start", "data_interval_end")
_TIMES: Final = (_LOGICAL, *_INTERVAL)

#: name of the context -> what an attempt has to be given for it
_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("ds", "ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz"), _TIMES),
    **dict.fromkeys((_LOGICAL, "execution_date", "task_instance_key_str"), _TIMES),
    **dict.fromkeys(("yesterday_ds", "yesterday_ds_nodash", "tomorrow_ds", "tomorrow_ds_nodash"), _TIMES),
    **dict.fromkeys(("prev_ds", "prev_ds_nodash", "next_ds", "next_ds_nodash"), _TIMES),
    **dict.fromkeys(("prev_execution_date", "next_execution_date", "prev_execution_date_success"), _TIMES),
    **dict.fromkeys(("prev_data_interval_start_success", "prev_data_interval_end_success"), _TIMES),
    **dict.fromkeys(("prev_start_date_success", "prev_end_date_success"), _TIMES),
    **dict.fromkeys(_INTERVAL, _TIMES),
    "params": ("params",),
    "dag_run": ("params", *_TIMES),
    "ti": ("xcoms", *_TIMES),
    "task_instance": ("xcoms", *_TIMES),
    **dict.fromkeys(("triggering_dataset_events", "triggering_asset_events"), ("params",)),
    **dict.fromkeys(("partition_key", "partition_date"), ("params",)),
    **dict.fromkeys(
        (
            "asset_state_store",
            "conf",
            "conn",
            "dag",
            "exception",
            "expanded_ti_count",
            "inlet_events",
            "inlets",
            "latest_date",
            "macros",
            "map_index_template",
            "outlet_events",
            "outlets",
            "reason",
            "run_id",
            "task",
            "task_reschedule_count",
            "task_state_store",
            "templates_dict",
            "test_mode",
            "try_number",
            "var",
        ),
        (),
    ),
}
#: every name that a template may read
KEYS: Final = frozenset(_NEEDS)
#: names whose values are not told by the inputs of a task: it is not to be taken from the cache
VOLATILE: Final = frozenset(
    {"run_id", "dag_run", "ti", "task_instance", "task_instance_key_str", "var", "conn", "conf", "try_number", "macros"}
    | {"task_state_store", "asset_state_store"}
    | {name for name in _NEEDS if name.endswith("_success")}
)


def needs_of(names: Iterable[str]) -> frozenset[str]:
    """The fields of `Given` that names of the context are made of."""
    return frozenset(field for name in names for field in _NEEDS.get(name, ()))


class Context(MutableMapping[str, Any]):
    """The context of a task. What costs something to find out is found out when it is first asked for."""

    def __init__(self, values: Mapping[str, Any] = {}, lazy: Mapping[str, Callable[[], Any]] = {}) -> None:
        self._values = dict(values)
        self._lazy = dict(lazy)

    def __getitem__(self, key: str) -> Any:
        if key not in self._values and key in self._lazy:
            self._values[key] = self._lazy[key]()
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._values[key] = value

    def __delitem__(self, key: str) -> None:
        self._lazy.pop(key, None)
        self._values.pop(key, None)

    def __iter__(self) -> Iterator[str]:
        return iter({**self._values, **self._lazy})

    def __len__(self) -> int:
        return len({**self._values, **self._lazy})

    def __contains__(self, key: object) -> bool:
        return key in self._values or key in self._lazy

    @property
    def made(self) -> frozenset[str]:
        """The names that are there, or have been asked for."""
        return frozenset(self._values)

    def copy(self) -> Context:
        return Context(self._values, self._lazy)

    __copy__ = copy

    def __repr__(self) -> str:
        return f"<the context of {self._values.get('task', 'no task')}>"


def context_of(operator: BaseOperator, given: Given, test_mode: bool = False) -> Any:
    """The context of an attempt at an operator. What it was not given of its run is not in it, and asking for it is a
    KeyError. Raises ParamValidationError for params that their schemas do not take."""
    from penstock.dialects.airflow.partitions.runs import taken_partition

    dag = cast("DAG", operator.dag)
    own = cast(Any, operator)
    attempt = recorded.attempt()
    values = {**(given.params or {})}
    events = values.pop(ASSET_EVENTS, None)
    partition = taken_partition(dag, values, given, by_assets=bool(events))
    params, conf = params_in(dag, operator.own_params(), given._replace(params=values))
    run_id = attempt.run_id or "manual"
    run = _run(dag, given, run_id, conf, events or {})
    run.partition_key, run.partition_date = partition.key, convert_to_utc(partition.date)
    logical, start, end = run.logical_date, run.data_interval_start, run.data_interval_end
    task_instance = TaskInstance(operator, given, run, attempt)
    found: dict[str, Any] = {
        "dag": dag,
        "task": operator,
        "run_id": run_id,
        "ti": task_instance,
        "task_instance": task_instance,
        "test_mode": test_mode,
        "inlets": list(own.inlets or ()),
        "outlets": list(own.outlets or ()),
        "map_index_template": own.map_index_template,
        "templates_dict": getattr(operator, "templates_dict", None),
        "try_number": task_instance.try_number,
        "task_reschedule_count": 0,
        "expanded_ti_count": None,
        "exception": None,
        "reason": None,
        "task_instance_key_str": f"{dag.dag_id}__{operator.task_id}__{run_id}",
        "dag_run": run,
    }
    if given.params is not None:
        found |= {"params": params, **_events(run)}
    if logical is not None:
        found |= _of_moment(logical)
        found["task_instance_key_str"] = f"{dag.dag_id}__{operator.task_id}__{found['ds_nodash']}"
    if start is not None and end is not None:
        found |= {"data_interval_start": start, "data_interval_end": end}
    context = Context(found, {**_outside(operator, task_instance), **_before(dag, run)})
    task_instance.context = context
    return context


def _run(dag: DAG, given: Given, run_id: str, conf: Mapping[str, Any], events: Mapping[str, Any]) -> DagRun:
    from penstock.dialects.airflow.partitions.runs import is_of_tick
    from penstock.dialects.airflow.schedules import seen_times

    logical, start, end = (
        convert_to_utc(each)
        for each in seen_times(dag, given.logical_date, given.data_interval_start, given.data_interval_end)
    )
    # what is about the partition of a tick is in Airflow about no time besides
    times = (None, None, None) if is_of_tick(dag, given) else (logical, start, end)
    run = DagRun(dag, run_id, conf, *times, scheduled=_is_scheduled(dag, given), events=events)
    run.run_after = end or logical
    return run


def _is_scheduled(dag: DAG, given: Given) -> bool:
    """Whether the clock has started a run, as far as its times tell."""
    from penstock.dialects.airflow.clockwork import own_timetable

    start, end = given.data_interval_start, given.data_interval_end
    if own_timetable(dag) is not None:
        return start is not None and start == given.logical_date
    return start is not None and end is not None and start != end


def _of_moment(logical: Any) -> dict[str, Any]:
    ds, ts = logical.strftime("%Y-%m-%d"), logical.isoformat()
    yesterday, tomorrow = (logical.add(days=days).strftime("%Y-%m-%d") for days in (-1, 1))
    return {
        "logical_date": logical,
        "execution_date": logical,
        "ds": ds,
        "ds_nodash": ds.replace("-", ""),
        "ts": ts,
        "ts_nodash": logical.strftime("%Y%m%dT%H%M%S"),
        "ts_nodash_with_tz": ts.replace("-", "").replace(":", ""),
        "yesterday_ds": yesterday,
        "yesterday_ds_nodash": yesterday.replace("-", ""),
        "tomorrow_ds": tomorrow,
        "tomorrow_ds_nodash": tomorrow.replace("-", ""),
        "latest_date": ds,
    }


def _events(run: DagRun) -> dict[str, Any]:
    return {
        "triggering_dataset_events": run.events,
        "triggering_asset_events": run.events,
        "partition_key": run.partition_key,
        "partition_date": run.partition_date,
    }


def _outside(operator: Any, task_instance: TaskInstance) -> dict[str, Callable[[], Any]]:
    """What comes from outside the run."""

    def macros() -> Any:
        from penstock.dialects.airflow.macros import macros

        return macros()

    def variables() -> Any:
        from penstock.dialects.airflow.variables import accessors

        return accessors()

    def connections() -> Any:
        from penstock.dialects.airflow.connections import ConnectionAccessor

        return ConnectionAccessor()

    def configuration() -> Any:
        from penstock.dialects.airflow.configuration import conf

        return conf

    def outlet_events() -> Any:
        from penstock.dialects.airflow.assets import OutletEvents

        return OutletEvents(operator.outlets or (), task_instance.given.pushed)

    def inlet_events() -> Any:
        from penstock.dialects.airflow.history import InletEvents

        return InletEvents(operator.inlets or ())

    return {
        **_remembered(operator, task_instance),
        "macros": macros,
        "var": variables,
        "conn": connections,
        "conf": configuration,
        "outlet_events": outlet_events,
        "inlet_events": inlet_events,
    }


def _remembered(operator: Any, task_instance: TaskInstance) -> dict[str, Callable[[], Any]]:
    """What was kept by attempts before this one, and by runs."""

    def task_states() -> Any:
        from penstock.dialects.airflow.remembered import TaskStates

        # within a mapped group, the task alone does not tell which it is
        index = "" if task_instance.map_index < 0 else f"[{task_instance.map_index}]"
        return TaskStates(task_instance.run_id, recorded.attempt().id or f"{operator.task_id}{index}")

    def asset_states() -> Any:
        from penstock.dialects.airflow.remembered import StatesOfAssets

        return StatesOfAssets(operator.inlets or (), operator.outlets or ())

    return {"task_state_store": task_states, "asset_state_store": asset_states}


def _before(dag: DAG, run: DagRun) -> dict[str, Callable[[], Any]]:
    """What is said of the run before, and the one after."""
    if run.logical_date is None:
        return {}
    logical = run.logical_date

    def neighbour(forward: bool) -> Callable[[], Any]:
        @functools.cache
        def find() -> Any:
            from penstock.dialects.airflow.schedules import neighbour

            return instance(neighbour(dag, logical, forward=forward))

        return find

    def said(find: Callable[[], Any], form: str) -> Callable[[], Any]:
        def text() -> Any:
            at = find()
            return None if at is None else at.strftime(form)

        return text

    def success(part: str) -> Callable[[], Any]:
        return lambda: instance(getattr(run.previous("success"), part, None))

    before, after = neighbour(False), neighbour(True)
    return {
        "prev_execution_date": before,
        "next_execution_date": after,
        "prev_ds": said(before, "%Y-%m-%d"),
        "prev_ds_nodash": said(before, "%Y%m%d"),
        "next_ds": said(after, "%Y-%m-%d"),
        "next_ds_nodash": said(after, "%Y%m%d"),
        "prev_execution_date_success": success("logical_date"),
        "prev_data_interval_start_success": success("data_interval_start"),
        "prev_data_interval_end_success": success("data_interval_end"),
        "prev_start_date_success": success("start_date"),
        "prev_end_date_success": success("end_date"),
    }


# The context of the task that runs here and now.

_current: ContextVar[Any] = ContextVar("_current", default=None)


@contextmanager
def entered(context: Any) -> Generator[None]:
    """Let `get_current_context()` give a context in the block."""
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)


def get_current_context() -> Any:
    """The context of the task that runs here and now. Raises AirflowException where there is none."""
    found = _current.get()
    if found is None:
        raise AirflowException(
            "Current context was requested but no context was found! Are you running within an Airflow task?"
        )
    return found


def get_parsing_context() -> Any:
    """What of a file is asked for while it is read: all of it."""
    from types import SimpleNamespace

    return SimpleNamespace(dag_id=None, task_id=None)


def context_merge(context: Any, *args: Any, **kwargs: Any) -> None:
    """Put more into a context."""
    context.update(*args, **kwargs)


def context_to_airflow_vars(context: Mapping[str, Any], in_env_var_format: bool = False) -> dict[str, str]:
    """What commands find in their environment of the task that runs them."""
    task, run = context.get("task"), context.get("dag_run")
    logical = context.get("logical_date")
    found = {
        "dag_id": context["dag"].dag_id if "dag" in context else None,
        "task_id": getattr(task, "task_id", None),
        "execution_date": None if logical is None else logical.isoformat(),
        "logical_date": None if logical is None else logical.isoformat(),
        "try_number": str(context.get("try_number", "")) or None,
        "dag_run_id": getattr(run, "run_id", None),
        "dag_owner": getattr(task, "owner", None),
    }
    names = {name: f"AIRFLOW_CTX_{name.upper()}" if in_env_var_format else f"airflow.ctx.{name}" for name in found}
    return {names[name]: str(value) for name, value in found.items() if value}


def determine_kwargs(func: Callable[..., Any], args: Iterable[Any], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those of the keywords that a function takes."""
    import inspect

    shape = inspect.signature(func).parameters.values()
    if any(each.kind is each.VAR_KEYWORD for each in shape):
        return kwargs
    names = [each.name for each in shape if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    taken = len(list(args))
    return {name: kwargs[name] for name in names[taken:] if name in kwargs}


__all__ = [
    "KEYS",
    "VOLATILE",
    "Context",
    "context_merge",
    "context_of",
    "context_to_airflow_vars",
    "determine_kwargs",
    "entered",
    "get_current_context",
    "get_parsing_context",
    "needs_of",
]
