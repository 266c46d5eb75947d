"""Strategies by which people weigh their tasks: asked once, when the file is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from penstock.dialects.airflow.rules import WeightRule
from penstock.dialects.foreign import import_beside
from penstock.errors import DefinitionError

if TYPE_CHECKING:
    from penstock.dialects.airflow.baseoperator import BaseOperator

_RULES: Final = frozenset(each.value for each in WeightRule)


class PriorityWeightStrategy:
    """How urgent a task is. Subclasses of people's own write `get_weight`."""

    def get_weight(self, ti: Any) -> int:
        """The weight of an attempt."""
        raise NotImplementedError("must be implemented by a subclass")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self))

    def __hash__(self) -> int:
        return hash(type(self))


class Unstarted:
    """A task before its first attempt, as a strategy is given it."""

    try_number = 0
    map_index = -1
    run_id: str | None = None
    state: str | None = None

    def __init__(self, task: BaseOperator) -> None:
        self.task = task
        self.task_id, self.dag_id = task.task_id, task.dag_id
        self.max_tries, self.pool, self.operator = task.retries or 0, task.pool, task.task_type
        self.priority_weight = task.priority_weight

    def __getattr__(self, name: str) -> Any:
        raise DefinitionError(
            f"the strategy that weighs the task {self.task_id!r} asks for ti.{name}, which there is not before it runs",
            where=str(self.task.location),
            remedy="Let the weight follow from the task: from ti.task, ti.task_id, ti.try_number (0).",
        )


def has_strategy(task: BaseOperator) -> bool:
    """Whether it is a strategy of the user's own that weighs a task."""
    rule = _rule(task)
    return rule is not None and str(getattr(rule, "value", rule)) not in _RULES


def weight_of(task: BaseOperator) -> int | None:
    """How urgent a task is: its `priority_weight`, or what a strategy of the user's own says of its first attempt. Raises
    DefinitionError for what is no strategy, and what says no whole number."""
    if not has_strategy(task):
        return task.priority_weight
    rule = _rule(task)
    found: Any = _imported(task, rule) if isinstance(rule, str) else rule
    strategy = found() if isinstance(found, type) else found
    if not isinstance(strategy, PriorityWeightStrategy):
        raise DefinitionError(
            f"the task {task.task_id!r} has the weight_rule {rule!r}, which is none",
            where=str(task.location),
            remedy=f"It is {', '.join(sorted(_RULES))}, or a PriorityWeightStrategy of your own.",
        )
    weight = strategy.get_weight(Unstarted(task))
    if type(weight) is not int:
        raise DefinitionError(
            f"{type(strategy).__name__} weighs the task {task.task_id!r} with {weight!r}, and not with a whole number",
            where=str(task.location),
        )
    return weight


def _rule(task: BaseOperator) -> Any:
    return getattr(task, "weight_rule", None)


def _imported(task: BaseOperator, path: str) -> Any:
    """What a path names: `package.module.Strategy`. Raises DefinitionError for nothing."""
    from penstock.dialects.airflow import DIALECT

    module, _, name = path.rpartition(".")
    try:
        return getattr(import_beside(module, DIALECT, task.location.file), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise DefinitionError(
            f"the weight_rule {path!r} of the task {task.task_id!r} is not found: {error}",
            where=str(task.location),
            remedy=f"It is {', '.join(sorted(_RULES))}, or where a PriorityWeightStrategy of your own can be imported.",
        ) from None


__all__ = ["PriorityWeightStrategy", "has_strategy", "weight_of"]
