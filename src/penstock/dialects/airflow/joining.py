"""When the tasks of a DAG run, and which of their failures are failures of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import TYPE_CHECKING

from penstock.dialects.airflow.rules import DOUBTFUL, FORWARDING
from penstock.model.expression import Apply, Choose, Constant, Expression, Get

if TYPE_CHECKING:
    from penstock.dialects.airflow.baseoperator import BaseOperator
    from penstock.dialects.airflow.dag import DAG
    from penstock.dialects.airflow.nodes import Choice

#: what a task returns, as an expression
Result = Callable[["BaseOperator"], Expression]


def guard_of(task: BaseOperator, result: Result) -> Expression | None:
    """The condition that branches and short circuits before a task set for it; None for none."""
    if task.dag is None:
        return None
    found: list[Expression] = []
    for other in task.get_flat_relatives(upstream=True):
        choice = other.choice()
        if choice is None or not _concerns(choice, other, task):
            continue
        condition = _chosen(task, other, result(other)) if choice.by_name else _said(choice, result(other))
        if not (other.task_id in task.upstream_task_ids and task.trigger_rule == "all_success"):
            # where the branch did not run, it has skipped nothing
            condition = Choose((condition, Constant(True)))
        found.append(condition)
    return reduce(lambda one, other: Apply("and", (one, other)), found) if found else None


def _concerns(choice: Choice, other: BaseOperator, task: BaseOperator) -> bool:
    if task.is_teardown and not choice.by_name:
        return False
    return choice.all_after or task.task_id in other.downstream_task_ids


def _said(choice: Choice, result: Expression) -> Expression:
    """Whether what comes after a task is not cut short."""
    if choice.says is None:
        return result
    key, said = choice.says
    return Apply("selects", (Get(result, key), Constant(said)))


def _chosen(task: BaseOperator, branch: BaseOperator, result: Expression) -> Expression:
    """Whether a branch follows a task, or one after which the task comes as well."""
    after_branch = branch.get_flat_relative_ids()
    names = [task.task_id, *sorted(task.get_flat_relative_ids(upstream=True) & after_branch)]
    dag = task.dag
    groups = {} if dag is None else dag.task_group_dict
    names += [name for name, group in groups.items() if any(root.task_id in names for root in group.roots)]
    tests: list[Expression] = [Apply("selects", (result, Constant(name))) for name in names]
    return reduce(lambda one, other: Apply("or", (one, other)), tests)


def setups_of(task: BaseOperator) -> list[BaseOperator]:
    """The setups that a task needs: those before it whose teardowns come after it."""
    if task.is_teardown:
        return []
    after = task.get_flat_relative_ids() | {task.task_id}
    found: list[BaseOperator] = []
    for other in task.get_flat_relatives(upstream=True):
        if other.is_setup:
            teardowns = {each.task_id for each in other.downstream_list if each.is_teardown}
            if not teardowns or teardowns & after:
                found.append(other)
    return found


def last_tasks(dag: DAG) -> list[BaseOperator]:
    """The tasks by whose states a run has failed or not."""
    found = [task for task in dag.tasks if _counts(task) and not any(map(_counts, task.downstream_list))]
    return found or dag.leaves


def _counts(task: BaseOperator) -> bool:
    return not task.is_teardown or task.on_failure_fail_dagrun


def deciding(dag: DAG) -> tuple[set[str], bool]:
    """The tasks whose failure is one of the run, and whether there are others of which only the run can tell."""
    last = {task.task_id for task in last_tasks(dag)}
    perhaps = _reaching(dag, last, FORWARDING | DOUBTFUL, {})
    surely = _reaching(dag, last, FORWARDING, _branches(dag))
    return surely, perhaps != surely


def _branches(dag: DAG) -> dict[str, set[str]]:
    """The branches and short circuits that may leave a task out, by the task, where there are any."""
    found: dict[str, set[str]] = {}
    for other in dag.tasks:
        choice = other.choice()
        for task in () if choice is None else other.get_flat_relatives():
            if choice is not None and _concerns(choice, other, task):
                found.setdefault(task.task_id, set()).add(other.task_id)
    return found


def _reaching(dag: DAG, last: Iterable[str], rules: frozenset[str], branches: Mapping[str, set[str]]) -> set[str]:
    """The tasks whose failure goes on, by rules, to a last task: not to one that may be left out by one of its
    `branches` which did not choose the one that failed as well."""
    found = set(last)
    waiting = list(found)
    while waiting:
        task = dag.task_dict[waiting.pop()]
        if task.trigger_rule in rules:
            own = branches.get(task.task_id, set[str]())
            new = {name for name in task.upstream_task_ids - found if own <= {name, *branches.get(name, ())}}
            found |= new
            waiting += new
    return found


__all__ = ["deciding", "guard_of", "last_tasks", "setups_of"]
