"""What the tasks of a run have handed on so far, for callbacks: they are called beside the tasks, and wait for none."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from penstock.dialects.airflow.nodes import Program

if TYPE_CHECKING:
    from penstock.dialects.airflow.baseoperator import BaseOperator
    from penstock.dialects.airflow.dag import DAG

#: states of tasks that have handed something on
_DONE = ("cached", "succeeded")


class Handed(Mapping[str, Any]):
    """Task -> what it has pushed, by key (`return_value` included); of a mapped task, a list of these over its items. It is
    found in the project's store when it is first asked for."""

    def __init__(self, dag: DAG, run_id: str) -> None:
        self._dag = dag
        self._run_id = run_id

    @cached_property
    def _found(self) -> dict[str, Any]:
        from penstock.dialects.airflow.recorded import place_of

        found: dict[str, Any] = {}
        for each in importlib.import_module("penstock").find_run(self._run_id).tasks:
            task_id, index = place_of(each.id)
            operator = self._dag.task_dict.get(task_id)
            pushed = {} if operator is None or str(each.state) not in _DONE else _pushed(operator, _outputs(each))
            if pushed and index < 0:
                found[task_id] = pushed
            elif pushed:
                items = found.setdefault(task_id, [])
                items.extend([None] * (index + 1 - len(items)))
                items[index] = pushed
        return found

    def __getitem__(self, task_id: str) -> Any:
        return self._found[task_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def _outputs(task: Any) -> Mapping[str, Any]:
    try:
        return task.outputs
    except ValueError:
        # it has ended just now, and is being recorded: nothing that the callback is about comes after it
        return {}


def _pushed(operator: BaseOperator, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """What a task has pushed, of the outputs of its node."""
    if "result" not in outputs:
        return {}
    result = outputs["result"]
    native = operator.native() if operator.is_plain and not operator.is_mapped else None
    if operator.is_sensor and result:
        result = result[0]
    elif isinstance(native, Program) and native.gives == "lines":
        result = result[-1] if result else None
    others = cast("Mapping[str, Any]", outputs.get("xcoms") or {})
    return {**others, **({} if result is None else {"return_value": result})}


__all__ = ["Handed"]
