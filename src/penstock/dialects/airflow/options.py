"""What the arguments of operators and DAGs amount to as options of penstock's own."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from penstock.authoring.kinds.conversion import nearest
from penstock.authoring.options.policy import read_options
from penstock.authoring.options.settings import Settings, settings_of
from penstock.dialects.airflow.arguments import ARGUMENTS, SHOWN
from penstock.dialects.airflow.callbacks import dag_hooks, task_hooks
from penstock.dialects.airflow.inputs import pulled_in_vain
from penstock.dialects.airflow.retrying import not_asked, policy_options
from penstock.dialects.airflow.weights import has_strategy, weight_of
from penstock.errors import DefinitionError
from penstock.model.graph import Wait

if TYPE_CHECKING:
    from penstock.dialects.airflow.baseoperator import BaseOperator
    from penstock.dialects.airflow.dag import DAG

#: the longest wait before a task is repeated, as in Airflow
_LONGEST = timedelta(hours=24)
#: what is only shown beside a task, and what only the form shows by which a run is started in Airflow
_DOCS = ("doc", "doc_md", "doc_json", "doc_yaml", "doc_rst")
_OF_FORMS = ("title", "description_md", "description_html", "section", "values_display", "custom_html_form", "examples")
#: a pool that every task is in has no effect
_EVERYONES = "default_pool"
#: what is called with the context of a task when something happens to it
CALLBACKS = (
    "on_execute_callback",
    "on_failure_callback",
    "on_success_callback",
    "on_retry_callback",
    "on_skipped_callback",
)


def task_options(task: BaseOperator) -> dict[str, Any]:
    """The options of a task's node, as `read_options` gives them."""
    found: dict[str, Any] = {**_retries(task), **task_hooks(task)}
    if task.execution_timeout is not None and not task.is_sensor:
        found["timeout"] = task.execution_timeout
    if task.pool not in (None, _EVERYONES):
        found["pools"] = {task.pool: task.pool_slots or 1}
    if (weight := weight_of(task)) not in (None, 1):
        found["priority"] = weight
    if task.max_active_tis_per_dag is not None:
        found["concurrency"] = task.max_active_tis_per_dag
    return read_options(found)


def _retries(task: BaseOperator) -> dict[str, Any]:
    if not task.retries:
        return {}
    found: dict[str, Any] = {"retries": int(task.retries), "retry_delay": task.retry_delay, **policy_options(task)}
    factor = task.retry_exponential_backoff
    if factor:
        found["backoff"] = 2.0 if factor is True else float(factor)
        found["retry_cap"] = task.max_retry_delay or _LONGEST
    return found


def wait_of(sensor: Any) -> Wait:
    """How a sensor is asked again and again."""
    poll = max(float(sensor.poke_interval), 0.001)
    longest = max(Wait().longest, poll) if sensor.max_wait is None else max(float(sensor.max_wait), poll)
    return Wait(
        poll=poll,
        factor=2.0 if sensor.exponential_backoff else 1.0,
        longest=longest,
        timeout=float(sensor.timeout),
        on_timeout="skip" if sensor.soft_fail else "fail",
    )


def dag_settings(dag: DAG) -> Settings:
    """The settings of a DAG's pipeline."""
    options: dict[str, Any] = dict(dag_hooks(dag))
    if dag.dagrun_timeout is not None:
        options["timeout"] = dag.dagrun_timeout
    if dag.fail_fast:
        options["failure"] = "stop"
    if any(task.depends_on_past or task.wait_for_downstream for task in dag.tasks):
        # the run before has to have ended
        options["concurrency"] = 1
    return settings_of(options)


def note_ignored(dag: DAG) -> None:
    """Note what the tasks of a DAG say that has no effect."""
    for task in dag.tasks:
        for name, why in (task.without_effect | _set_later(task)).items():
            if name in task.given or name not in dag.default_args:
                dag.ignore(f"the task {task.task_id!r}: {name}", why, task.location)
            else:
                dag.ignore(f"the DAG {dag.dag_id!r}: {name} in default_args", why)
        if task.defers:
            dag.ignore(f"the task {task.task_id!r}: deferrable", "a wait holds no worker", task.location)
        for name in ("start_date", "end_date"):
            if name in task.given and getattr(task, name) != getattr(dag, name):
                dag.ignore(
                    f"the task {task.task_id!r}: {name}", "a task is a part of every run of its DAG", task.location
                )
        if task.is_sensor and task.given.get("mode") == "poke":
            dag.ignore(f"the task {task.task_id!r}: mode", "a wait holds no worker", task.location)

        for name in pulled_in_vain(task):
            why = f"it does not wait for {name!r}" if name in dag.task_dict else f"the DAG has no task {name!r}"
            dag.ignore(
                f"the task {task.task_id!r}: xcom_pull of {name!r}", f"{why}, so that there is nothing", task.location
            )
    _note_of_dag(dag)


def _set_later(task: BaseOperator) -> dict[str, str]:
    """What has no effect of what was not given to an operator: set as an attribute, or without what it belongs to."""
    found = {name: ARGUMENTS[name].without_effect for name in _DOCS if getattr(task, name, None)}
    if has_strategy(task):
        found["weight_rule"] = "its weight is that of the first attempt, and stays so for those that follow"
    if (task.pool_slots or 1) != 1 and task.pool in (None, _EVERYONES):
        found["pool_slots"] = "it takes from no pool that has a size"
    if why := not_asked(task):
        found["retry_policy"] = why
    return found


def _note_of_dag(dag: DAG) -> None:
    """Note what has no effect of what a DAG says of all its tasks, of its groups and of its params."""
    known = {name for task in dag.tasks for name in (*ARGUMENTS, *type(task).parameters())}
    for name in dag.default_args:
        if dag.tasks and name not in known:
            dag.ignore(
                f"the DAG {dag.dag_id!r}: {name} in default_args", f"no task of it takes that{nearest(name, known)}"
            )
    for group in dag.task_group.groups():
        for name, why in group.without_effect.items():
            dag.ignore(f"the group {group.group_id!r}: {name}", why, group.location)
    for name, param in dag.params.items():
        said = [each for each in _OF_FORMS if each in getattr(param, "schema", {})]
        if said:
            dag.ignore(f"the param {name!r}: {', '.join(said)}", SHOWN, param.location)


def check_rule(task: BaseOperator) -> None:
    """Raise DefinitionError for a trigger rule that there is none of."""
    from penstock.dialects.airflow.rules import OLDER, RULES, is_known, named

    # it may have been set after the task was made
    task.trigger_rule = named(str(getattr(task.trigger_rule, "value", task.trigger_rule)))
    if not is_known(task.trigger_rule):
        known = sorted({*RULES, *OLDER})
        raise DefinitionError(
            f"the task {task.task_id!r} has the trigger rule {task.trigger_rule!r}, which Airflow does not have"
            f"{nearest(task.trigger_rule, known)}",
            where=str(task.location),
            remedy=f"Its rules are: {', '.join(sorted(RULES))}.",
        )


__all__ = ["CALLBACKS", "check_rule", "dag_settings", "note_ignored", "task_options", "wait_of"]
