"""Callbacks of tasks and DAGs, what is sent by e-mail, SLAs and the updates of outlets, as hooks of penstock."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from penstock.dialects.airflow.exceptions import AirflowException
from penstock.dialects.airflow.logs import LoggingMixin
from penstock.dialects.airflow.states import TaskInstanceState
from penstock.errors import DefinitionError
from penstock.model.run import item_id

if TYPE_CHECKING:
    from penstock.dialects.airflow.baseoperator import BaseOperator
    from penstock.dialects.airflow.dag import DAG

#: the event of a hook -> the argument of a task
_OF_TASKS: Final = {
    "start": "on_execute_callback",
    "success": "on_success_callback",
    "failure": "on_failure_callback",
    "retry": "on_retry_callback",
    "skip": "on_skipped_callback",
}
_STATES: Final = {
    "start": TaskInstanceState.RUNNING,
    "success": TaskInstanceState.SUCCESS,
    "failure": TaskInstanceState.FAILED,
    "retry": TaskInstanceState.UP_FOR_RETRY,
    "skip": TaskInstanceState.SKIPPED,
}


class BaseNotifier(LoggingMixin):
    """A callback with fields that are templates. Subclasses write `notify(context)`."""

    template_fields: Iterable[str] = ()
    template_ext: Iterable[str] = ()

    def __init__(self, **kwargs: Any) -> None:
        self.dag: Any = None

    def notify(self, context: Any) -> Any:
        """Tell somebody."""
        raise NotImplementedError

    async def async_notify(self, context: Any) -> Any:
        """The same, for what is asynchronous."""
        raise NotImplementedError

    def __call__(self, *args: Any) -> Any:
        from penstock.dialects.airflow.templates import rendered

        context: Any = args[-1] if args else {}
        self.dag = context.get("dag")
        made = rendered(self, context)
        if type(self).notify is BaseNotifier.notify and type(self).async_notify is not BaseNotifier.async_notify:
            import asyncio

            return asyncio.run(made.async_notify(context))
        return made.notify(context)


def task_hooks(operator: Any) -> dict[str, Any]:
    """The hooks of a task, as its options: `on_failure` and so on, and `deadline` for an SLA. Raises DefinitionError for what
    cannot be called."""
    dag = cast("DAG", operator.dag)
    found: dict[str, list[Callable[..., Any]]] = {}
    for event, argument in _OF_TASKS.items():
        for callback in _callbacks(getattr(operator, argument, None), argument, operator):
            found.setdefault(event, []).append(_named(callback, _tell_task, operator, callback))
    for event in _mailed(operator):
        found.setdefault(event, []).append(_named(f"e-mail to {operator.email}", _send_mail, operator))
    if operator.outlets:
        found.setdefault("success", []).append(_named("updates of outlets", _emit_updates, operator))
    options: dict[str, Any] = {f"on_{event}": hooks for event, hooks in found.items()}
    sla = operator.sla
    if isinstance(sla, timedelta):
        options["deadline"] = sla
        missed = getattr(dag, "sla_miss_callback", None)
        called = _callbacks(missed, "sla_miss_callback", operator)
        hooks = [_named(each, _tell_missed, operator, each) for each in called]
        if hooks:
            options["on_deadline"] = hooks
    return options


def dag_hooks(dag: DAG) -> dict[str, Any]:
    """The hooks of a DAG, as options of its pipeline. Raises DefinitionError for what cannot be called."""
    found: dict[str, Any] = {}
    for event, argument in (("success", "on_success_callback"), ("failure", "on_failure_callback")):
        called = _callbacks(getattr(dag, argument), argument, dag)
        hooks = [_named(each, _tell_dag, dag, each) for each in called]
        if hooks:
            found[f"on_{event}"] = hooks
    return found


def _named(name: Any, function: Callable[..., Any], *given: Any) -> Callable[..., Any]:
    """A hook, which goes by a name, or by that of the user's callback, where it is told of."""
    made = functools.partial(function, *given)
    cast(Any, made).__name__ = name if isinstance(name, str) else getattr(name, "__name__", type(name).__name__)
    return made


def _callbacks(given: Any, argument: str, owner: Any) -> list[Callable[..., Any]]:
    listed = list(cast("Iterable[Any]", given)) if isinstance(given, (list, tuple)) else [given]
    listed = [each for each in listed if each is not None]
    for each in listed:
        if not callable(each):
            raise DefinitionError(
                f"{argument} must be a function or a list of functions, not {each!r}", where=str(owner.location)
            )
    return listed


def _mailed(operator: Any) -> list[str]:
    """The events of which somebody is told by e-mail."""
    if not operator.email:
        return []
    return [
        event
        for event, wanted in (("failure", operator.email_on_failure), ("retry", operator.email_on_retry))
        if wanted
    ]


# What the hooks call, in the process that drives the run.


def _tell_task(operator: BaseOperator, callback: Callable[..., Any], told: Any) -> None:
    context = _task_context(operator, told)
    callback(context)
    _check_pushed(context)


def _check_pushed(context: Any) -> None:
    """Say that what a callback has pushed is nowhere."""
    pushed = ", ".join(map(repr, context["ti"].given.pushed))
    if pushed:
        context["ti"].log.warning("a callback has pushed %s, which no task finds: tasks push what others pull", pushed)


def _tell_dag(dag: DAG, callback: Callable[..., Any], told: Any) -> None:
    context = _dag_context(dag, told)
    context["reason"] = told.reason or {"success": "success", "failure": "task_failure"}.get(told.event, told.event)
    callback(context)


def _tell_missed(operator: BaseOperator, callback: Callable[..., Any], told: Any) -> None:
    """Airflow gives what missed its SLA as lists, and as text."""
    context = _task_context(operator, told)
    callback(operator.dag, operator.task_id, "", [context["ti"]], [context["ti"]])


def _task_context(operator: BaseOperator, told: Any) -> Any:
    from penstock.dialects.airflow.context import context_of

    context = context_of(operator, _given(cast("DAG", operator.dag), told))
    _about(context, told)
    task_instance = context["ti"]
    task_instance.state = _STATES.get(told.event, TaskInstanceState.RUNNING)
    task_instance.try_number = told.attempt or 1
    context["try_number"] = task_instance.try_number
    if told.started_at is not None and told.event not in ("start",):
        from penstock.dialects.airflow.moments import instance

        task_instance.start_date = instance(told.started_at)
        task_instance.end_date = task_instance.start_date.add(seconds=told.duration)
    return context


def _dag_context(dag: DAG, told: Any) -> Any:
    """As in Airflow, the context of one of the tasks."""
    from penstock.dialects.airflow.context import Context, context_of

    if not dag.tasks:
        return Context({"dag": dag, "run_id": told.run_id})
    context = context_of(dag.tasks[-1], _given(dag, told))
    _about(context, told)
    context["dag_run"].state = {"success": "success", "failure": "failed"}.get(told.event, "running")
    return context


def _about(context: Any, told: Any) -> None:
    context["run_id"] = context["ti"].run_id = context["dag_run"].run_id = told.run_id
    if told.node:
        from penstock.dialects.airflow.remembered import TaskStates

        context["task_state_store"] = TaskStates(told.run_id, _identity(told))
    if told.error_type or told.error_message:
        context["exception"] = TaskError(told.error_type, told.error_message, told.traceback)
    context["reason"] = told.reason or None


class TaskError(AirflowException):
    """The exception of a task, as callbacks are told of it in another process: its text is what it was."""

    def __init__(self, kind: str, message: str, traceback: str = "") -> None:
        super().__init__(message)
        #: the class of the exception: `ValueError`
        self.kind = kind
        self.traceback = traceback

    def __repr__(self) -> str:
        return f"{self.kind}({str(self)!r})"


def _given(dag: DAG, told: Any) -> Any:
    """What a run was given, of what a hook is told."""
    from penstock.dialects.airflow.execution import Given
    from penstock.dialects.airflow.handed import Handed
    from penstock.dialects.airflow.recorded import place_of

    values = dict(told.parameters)
    times = {
        name: _moment(values.pop(name, None)) for name in ("logical_date", "data_interval_start", "data_interval_end")
    }
    return Given(
        params=values, map_index=place_of(_identity(told))[1], xcoms=Handed(dag, told.run_id), pushed={}, **times
    )


def _identity(told: Any) -> str:
    """What a hook is told of: `fit[3]`, `group[0]/fit`."""
    return item_id(told.node, -1 if told.item is None else told.item)


def _moment(value: Any) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _emit_updates(operator: Any, told: Any) -> None:
    """Say that the outlets of a task were updated. What comes twice of one attempt counts once."""
    from penstock.dialects.airflow import recorded
    from penstock.dialects.airflow.assets import updates_of
    from penstock.dialects.airflow.partitions.runs import taken_partition

    given = _given(operator.dag, told)
    partition = taken_partition(operator.dag, dict(given.params or {}), given)
    place = (operator.dag_id, operator.task_id, told.run_id, given.map_index)
    source = f"airflow/{operator.dag_id}"
    recorded.tell(
        {"type": each.type, "data": dict(each.data), "subject": each.data["uri"], "source": source, "id": each.id}
        for each in updates_of(operator.outlets, place, _pushed(told), partition)
    )


def _pushed(told: Any) -> Mapping[str, Any]:
    """What a task has said of its outlets in its context, where it has."""
    from penstock.dialects.airflow import recorded

    return recorded.pushed_by(told.run_id, _identity(told))


def _send_mail(operator: Any, told: Any) -> None:
    from penstock.dialects.airflow.mail import send_email

    to: Any = operator.email
    subject = f"Airflow alert: <{operator.dag_id}.{operator.task_id} {told.run_id} [{told.event}]>"
    content = f"Try {told.attempt}<br>Exception:<br>{told.error_type}: {told.error_message}<br>"
    send_email(to, subject, content)


__all__ = ["BaseNotifier", "TaskError", "dag_hooks", "task_hooks"]
