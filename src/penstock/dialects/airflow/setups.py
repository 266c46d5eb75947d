"""Setups and teardowns: `as_setup`, `as_teardown`, `@setup`, `@teardown`, and what stands in the block of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.authoring.source import caller
from penstock.dialects.airflow.relations import listed, order
from penstock.errors import DefinitionError

if TYPE_CHECKING:
    from penstock.dialects.airflow.baseoperator import BaseOperator

#: the rule of every teardown
TEARDOWN_RULE = "all_done_setup_success"


class Block(NamedTuple):
    """A `with` block of a setup or a teardown."""

    task: BaseOperator
    #: the tasks of the DAG that were there when it began
    before: frozenset[str]


_open: ContextVar[tuple[Block, ...]] = ContextVar("_open", default=())


def operators_of(value: Any) -> Iterator[BaseOperator]:
    """The operators that a value stands for: themselves, or those whose outputs it is."""
    from penstock.dialects.airflow.baseoperator import BaseOperator
    from penstock.dialects.airflow.xcomarg import XComArg

    for each in listed(value):
        if isinstance(each, BaseOperator):
            yield each
        elif isinstance(each, XComArg):
            yield from each.operators()


def make_teardown(task: BaseOperator, setups: Any, *, fails_run: bool) -> None:
    """Make a task a teardown, of some setups."""
    task.is_teardown = True
    task.trigger_rule = TEARDOWN_RULE
    task.on_failure_fail_dagrun = bool(fails_run)
    for setup in operators_of(setups) if setups is not None else ():
        setup.is_setup = True
        order(setup, task)


def enter(task: BaseOperator) -> None:
    """Begin the block of a setup or a teardown. Raises DefinitionError for any other task."""
    if not (task.is_setup or task.is_teardown):
        raise DefinitionError(
            f"`with {task.task_id}` is for setups and teardowns only",
            where=str(caller()),
            remedy="Make it one: .as_setup(), .as_teardown(setups=...).",
        )
    known = frozenset(() if task.dag is None else task.dag.task_dict)
    _open.set((*_open.get(), Block(task, known)))


def leave() -> None:
    """End the block: what stands in it runs after its setups and before its teardowns."""
    *outer, block = _open.get()
    _open.set(tuple(outer))
    task, dag = block.task, block.task.dag
    if dag is None:
        return
    inside = {name: each for name, each in dag.task_dict.items() if name not in block.before}
    work = {name: each for name, each in inside.items() if not (each.is_setup or each.is_teardown)}
    setups, teardowns = ([task], _following(task)) if task.is_setup else (_preceding(task), [task])
    roots = [each for each in work.values() if not each.upstream_task_ids & set(work)]
    leaves = [each for each in work.values() if not each.downstream_task_ids & set(work)]
    # a block inside this one begins and ends with its own setups and teardowns
    roots += [each for each in inside.values() if each.is_setup and not each.upstream_task_ids & set(inside)]
    leaves += [each for each in inside.values() if each.is_teardown and not each.downstream_task_ids & set(inside)]
    order([each for each in setups if each.task_id not in inside], roots)
    order(leaves, [each for each in teardowns if each.task_id not in inside])


def _following(setup: BaseOperator) -> list[BaseOperator]:
    return [each for each in setup.downstream_list if each.is_teardown]


def _preceding(teardown: BaseOperator) -> list[BaseOperator]:
    return [each for each in teardown.upstream_list if each.is_setup]


def setup(function: Callable[..., Any]) -> Any:
    """`@setup`: a task that sets up."""
    from penstock.dialects.airflow.taskflow import as_decorator

    return as_decorator(function).changed(is_setup=True)


def teardown(function: Any = None, *, setups: Any = None, on_failure_fail_dagrun: bool = False) -> Any:
    """`@teardown`: a task that takes down."""
    from penstock.dialects.airflow.taskflow import as_decorator

    def decorate(decorated: Callable[..., Any]) -> Any:
        return as_decorator(decorated).changed(is_teardown=True, setups=setups, fails_run=on_failure_fail_dagrun)

    return decorate if function is None else decorate(function)


__all__ = ["TEARDOWN_RULE", "enter", "leave", "make_teardown", "operators_of", "setup", "teardown"]
