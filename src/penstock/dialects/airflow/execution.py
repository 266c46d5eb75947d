"""One attempt at an operator that is more than a function, a command or a container of penstock's own.

The parts of this package meet here:

- `baseoperator.BaseOperator` is what a file makes; `reading` turns the operators of a DAG into nodes. Where the same can
  be said by a native node (a callable that takes no context, a command without templates), that is what it becomes; for
  all else the node calls `run` in the worker, with the operator as the file made it and a `Given`.
- `context.context_of(operator, given)` gives the dict that Airflow calls the context, of the operator and a `Given`.
- `templates.rendered(operator, context)` gives a copy of an operator whose `template_fields` are rendered (files named by
  `template_ext` read), and `templates.is_template(value)` says whether anything in a value would be changed by that.
- `params.parameters_of(dag)` gives the parameters of a DAG (`inspect.Parameter`, keyword only, annotated, with defaults),
  `schedules.triggers_of(dag, pipeline)` what starts it (name -> Trigger), `callbacks.task_hooks(operator)` and
  `callbacks.dag_hooks(dag)` the hooks of penstock (`on_failure`, ...) that callbacks and e-mails amount to. What
  they cannot honour they note with `dag.ignore(what, why, location)`, or refuse.
- Of a sensor (`basesensor.BaseSensorOperator`), penstock asks `poke(context)` again and again, holding no worker between.

Nothing in the rooms of the context imports anything of this but `baseoperator`, `basesensor`, `exceptions`, `dag`, and
`Given`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from penstock.dialects.airflow.exceptions import AirflowException, AirflowSkipException

if TYPE_CHECKING:
    from penstock.dialects.airflow.baseoperator import BaseOperator
    from penstock.dialects.airflow.inputs import Inputs


class Given(NamedTuple):
    """What an attempt at an operator is given of its run. What a node does not use is None: it is not bound then."""

    #: of the run's parameters, those that are the DAG's `params`
    params: Mapping[str, Any] | None = None
    logical_date: datetime | None = None
    data_interval_start: datetime | None = None
    data_interval_end: datetime | None = None
    #: task -> what it has pushed, by key (`return_value` included); of a mapped task, a list of these over its items.
    #: Tasks that are not upstream, or pushed nothing, are absent
    xcoms: Mapping[str, Any] = {}
    #: which item of a mapped task this is; -1 for none
    map_index: int = -1
    #: what `ti.xcom_push` puts here is what others find in `xcoms`
    pushed: dict[str, Any] = {}  # noqa: RUF012 - every attempt gives its own


class Pushed(NamedTuple):
    """What an attempt results in: what the task returns, and what it has pushed under other keys."""

    result: Any
    xcoms: dict[str, Any]


def attempt_of(operator: BaseOperator, inputs: Inputs) -> Callable[..., Any]:
    """The function of the node of an operator. It takes the ports that `inputs` names."""
    # what counts as its code are the class and the functions of the user's that are held here
    kind, code = type(operator), operator.code()
    around = _functions(operator)

    def attempt(**given: Any) -> Any:
        return _carried_out(operator, inputs, given, (kind, code, around))

    made = cast(Any, attempt)
    made.__name__ = operator.label
    made.__qualname__ = f"{operator.dag_id}/{operator.task_id}"
    made.__module__ = "" if operator.dag is None else operator.dag.module
    made.__doc__ = inspect.getdoc(code) if inspect.isfunction(code) else operator.doc_md
    made.__annotations__ = {"return": Pushed} if inputs.pushes else {}
    keyword = inspect.Parameter.KEYWORD_ONLY
    made.__signature__ = inspect.Signature([inspect.Parameter(name, keyword) for name in inputs.ports])
    made.location = operator.location
    #: for those who write it again
    made.operator = operator
    return made


def _functions(operator: BaseOperator) -> Callable[..., Any] | None:
    """What of the user's is called around an operator, as one function."""
    found = [each.function for each in operator.conditions] + list(operator.around.values())
    return None if not found else found[0] if len(found) == 1 else functools.partial(*found)


def _carried_out(operator: BaseOperator, inputs: Inputs, given: Mapping[str, Any], _: object) -> Any:
    from penstock.dialects.airflow.mapping import item_operator

    item = {key: given[port] for port, key in inputs.expanded.items()}
    task = item_operator(operator, item, iter(given.get("taken", ())))
    about = Given(
        params=given.get("params"),
        logical_date=given.get("logical_date"),
        data_interval_start=given.get("data_interval_start"),
        data_interval_end=given.get("data_interval_end"),
        xcoms=_xcoms(given.get("xcoms") or {}),
        map_index=_index(),
        pushed={},
    )
    result = asked(task, about) if task.is_sensor else executed(task, about)
    return Pushed(result, about.pushed) if inputs.pushes else result


def executed(task: BaseOperator, given: Given) -> Any:
    """What a task returns. What it pushes is in `given.pushed` afterwards."""
    from penstock.dialects.airflow.context import context_of, entered
    from penstock.dialects.airflow.templates import rendered

    context = context_of(task, given)
    with entered(context):
        ready = rendered(task, context)
        context["task"] = ready
        _before(ready, context)
        result = ready.execute(context)
        ready.post_execute(context, result)
        if "post_execute" in ready.around:
            ready.around["post_execute"](context, result)
        if "task_state_store" in context.made:
            context["task_state_store"].succeed()
    if ready.multiple_outputs and result is not None:
        if not isinstance(result, Mapping):
            raise AirflowException(
                f"the task {task.task_id!r} has multiple outputs, and returned a {type(result).__name__}, not a dict"
            )
        given.pushed.update(cast("Mapping[str, Any]", result))
    return cast(Any, result) if ready.do_xcom_push else None


def _before(task: BaseOperator, context: Any) -> None:
    for condition in task.conditions:
        condition.check(context)
    task.pre_execute(context)
    if "pre_execute" in task.around:
        task.around["pre_execute"](context)


def asked(task: BaseOperator, given: Given) -> Any:
    """A list of what a sensor that is done has to hand on, or False: not yet."""
    from penstock.dialects.airflow.basesensor import PokeReturnValue
    from penstock.dialects.airflow.context import context_of, entered
    from penstock.dialects.airflow.templates import rendered

    context = context_of(task, given)
    sensor: Any = task
    with entered(context):
        ready: Any = rendered(sensor, context)
        context["task"] = ready
        try:
            found = ready.poke(context)
        except AirflowSkipException:
            raise
        except Exception as error:
            if sensor.never_fail:
                raise AirflowSkipException(f"{type(error).__name__}: {error}") from error
            if not sensor.silent_fail:
                raise
            sensor.log.exception("the sensor failed, and is asked again")
            return False
    if not found:
        return False
    return [found.xcom_value if isinstance(found, PokeReturnValue) else None]


def _xcoms(given: Mapping[str, Any]) -> dict[str, Any]:
    """What other tasks have pushed, of their results and of what they pushed besides."""
    return {task: pushed for task, each in given.items() if (pushed := _of_task(*each)) is not None}


def _of_task(result: Any, others: Any, mapped: bool) -> Any:
    if not mapped:
        own: dict[str, Any] = others or {}
        return {**own, **({} if result is None else {"return_value": result})} or None
    if result is None:
        return None
    rows = others or [None] * len(result)
    return [_of_task(one, more, False) or {} for one, more in zip(result, rows, strict=True)]


def _index() -> int:
    """Which item of a fan-out the attempt is for, of its own or of the group that it is in; -1 for none."""
    from penstock.dialects.airflow import recorded

    return recorded.place_of(recorded.attempt().id)[1]


__all__ = ["Given", "Pushed", "asked", "attempt_of", "executed"]
