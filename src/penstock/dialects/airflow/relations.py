"""Order among operators and groups: `>>`, `<<`, `chain`, `chain_linear`, `cross_downstream`, `Label`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, cast

from penstock.authoring.source import caller
from penstock.dialects.airflow.arguments import SHOWN
from penstock.dialects.airflow.exceptions import AirflowException
from penstock.dialects.uncovered import Uncovered
from penstock.errors import DefinitionError


class Ordered:
    """What can stand in `>>`: an operator, a group, the output of an operator, a label."""

    @property
    def roots(self) -> Sequence[Any]:
        """The operators that begin when this begins."""
        raise NotImplementedError

    @property
    def leaves(self) -> Sequence[Any]:
        """The operators that have ended when this has."""
        raise NotImplementedError

    def set_upstream(self, other: Any, edge_modifier: Any = None) -> None:
        """Let this wait for others."""
        order(other, self)

    def set_downstream(self, other: Any, edge_modifier: Any = None) -> None:
        """Let others wait for this."""
        order(self, other)

    def __rshift__(self, other: Any) -> Any:
        self.set_downstream(other)
        return other

    def __lshift__(self, other: Any) -> Any:
        self.set_upstream(other)
        return other

    def __rrshift__(self, other: Any) -> Any:
        self.set_upstream(other)
        return self

    def __rlshift__(self, other: Any) -> Any:
        self.set_downstream(other)
        return self


class EdgeModifier(Ordered):
    """A label on an edge: only shown, so that what stands before it is simply followed by what stands after it."""

    def __init__(self, label: str | None = None) -> None:
        self.label = label
        self.location = caller()
        self._before: list[Any] = []
        self._after: list[Any] = []

    @property
    def roots(self) -> Sequence[Any]:
        return ()

    @property
    def leaves(self) -> Sequence[Any]:
        return ()

    def set_upstream(self, other: Any, edge_modifier: Any = None) -> None:
        self._before += listed(other)
        self._note(other)
        order(self._before, self._after)

    def set_downstream(self, other: Any, edge_modifier: Any = None) -> None:
        self._after += listed(other)
        self._note(other)
        order(self._before, self._after)

    def _note(self, other: Any) -> None:
        for each in listed(other):
            dag = getattr(each, "dag", None)
            if dag is not None and self.label:
                dag.ignore(f"the label {self.label!r}", SHOWN, self.location)


def Label(label: str) -> EdgeModifier:
    """A text for the edge on which it stands."""
    return EdgeModifier(label)


def listed(value: Any) -> list[Any]:
    """One thing, or several, as a list."""
    if isinstance(value, (list, tuple, set)):
        return [each for part in cast("Iterable[Any]", value) for each in listed(part)]
    return [value]


def order(earlier: Any, later: Any) -> None:
    """Let some wait for others. Raises DefinitionError for what cannot be put in order."""
    for one in listed(earlier):
        for other in listed(later):
            _check(one)
            _check(other)
            if isinstance(one, EdgeModifier):
                one.set_downstream(other)
            elif isinstance(other, EdgeModifier):
                other.set_upstream(one)
            else:
                _order(one, other)


def _order(earlier: Ordered, later: Ordered) -> None:
    for one in earlier.leaves:
        for other in later.roots:
            one.downstream_task_ids.add(other.task_id)
            other.upstream_task_ids.add(one.task_id)
            share_dag(one, other)


def share_dag(one: Any, other: Any) -> None:
    """Let two operators be of one DAG."""
    if one.dag is None and other.dag is not None:
        other.dag.add_task(one)
    elif other.dag is None and one.dag is not None:
        one.dag.add_task(other)
    elif one.dag is not None and other.dag is not None and one.dag is not other.dag:
        raise DefinitionError(
            f"{one.task_id!r} and {other.task_id!r} are in two DAGs, {one.dag.dag_id!r} and {other.dag.dag_id!r}, and "
            "cannot wait for each other",
            where=str(caller()),
            remedy="Put both into one DAG, or start the other one with a TriggerDagRunOperator.",
        )


def _check(value: Any) -> None:
    if isinstance(value, Uncovered):
        raise value.error(caller())
    if not isinstance(value, Ordered):
        raise DefinitionError(
            f"only tasks and groups can be put in order, and this is {value!r}",
            where=str(caller()),
            remedy="Call the decorated function: its call is the task." if callable(value) else None,
        )


def chain(*tasks: Any) -> None:
    """Let every step wait for the one before; two lists in a row are taken in pairs."""
    for one, other in pairwise(tasks):
        if not (isinstance(one, (list, tuple)) and isinstance(other, (list, tuple))):
            order(one, other)
            continue
        ones, others = cast("Sequence[Any]", one), cast("Sequence[Any]", other)
        if len(ones) != len(others):
            raise AirflowException(
                f"Chain not supported for different length Iterable. Got {len(ones)} and {len(others)}."
            )
        for each, following in zip(ones, others, strict=True):
            order(each, following)


def chain_linear(*elements: Any) -> None:
    """Let all of every step wait for all of the one before."""
    if len(elements) < 2:
        raise ValueError("chain_linear() needs two steps or more")
    for one, other in pairwise(elements):
        order(one, other)


def cross_downstream(from_tasks: Any, to_tasks: Any) -> None:
    """Let every one of some wait for every one of others."""
    order(from_tasks, to_tasks)


__all__ = ["EdgeModifier", "Label", "Ordered", "chain", "chain_linear", "cross_downstream", "listed", "order"]
