"""When the tasks of a DAG run, and which of their failures are failures of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from typing import TYPE_CHECKING

from penstock.dialects.airflow.rules import DOUBTFUL, FORWARDING
from penstock.model.expression import Apply, Choose, Constant, Expression

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
        condition = _chosen(task, other, result(other)) if choice.by_name else result(other)
        if not (other.task_id in task.upstream_task_ids and task.trigger_rule == "all_success"):
            # where the branch did not run, it has skipped nothing
            condition = Choose((condition, Constant(True)))
        found.append(condition)
    return reduce(lambda one, other: Apply("and", (one, other)), found) if found else None


def _concerns(choice: Choice, other: BaseOperator, task: BaseOperator) -> bool:
    return not task.is_teardown if choice.all_after else task.task_id in other.downstream_task_ids


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
    surely = _reaching(dag, last, FORWARDING)
    perhaps = _reaching(dag, last, FORWARDING | DOUBTFUL)
    return surely, perhaps != surely


def _reaching(dag: DAG, last: Iterable[str], rules: frozenset[str]) -> set[str]:
    """The tasks whose failure goes on, by rules, to a last task."""
    found = set(last)
    waiting = list(found)
    while waiting:
        task = dag.task_dict[waiting.pop()]
        if task.trigger_rule in rules:
            new = task.upstream_task_ids - found
            found |= new
            waiting += new
    return found


__all__ = ["deciding", "guard_of", "last_tasks", "setups_of"]
