"""From the DAGs that a file has made to pipelines, and from the name of a task to its function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from penstock.authoring.building import required_building
from penstock.authoring.kinds.causes import logical_time
from penstock.dialects import Maker, Reading
from penstock.dialects.airflow.baseoperator import BaseOperator
from penstock.dialects.airflow.clockwork import interval_defaults
from penstock.dialects.airflow.coverage import problem_of
from penstock.dialects.airflow.dag import DAG, Factory
from penstock.dialects.airflow.plugins import of_plugins
from penstock.dialects.foreign import made_in
from penstock.dialects.uncovered import unused
from penstock.errors import DefinitionError, NotCoveredError
from penstock.model.graph import Ignored

if TYPE_CHECKING:
    from penstock.authoring.triggers.trigger import Trigger

_TIMES = ("logical_date", "data_interval_start", "data_interval_end")


def dags_in(module: ModuleType) -> dict[str, DAG]:
    """The DAGs that a module has made, by their ids. Raises DefinitionError for two of one id."""
    found: dict[str, DAG] = {}
    for each in made_in(module):
        if isinstance(each, DAG) and (each.task_dict or each.problem):
            if each.dag_id in found:
                raise DefinitionError(
                    f"two DAGs of {module.__name__} are called {each.dag_id!r}; the other is at {found[each.dag_id].location}",
                    where=str(each.location),
                    remedy="Give one of them another dag_id.",
                )
            found[each.dag_id] = each
            each.module = module.__name__
    return found


def read(module: ModuleType, make: Maker) -> Reading:
    """The pipelines of the DAGs of a module, and what starts them. That of a DAG that uses something that is not covered says
    so when it is composed."""
    pipelines: dict[str, Any] = {}
    triggers: dict[str, Trigger] = {}
    noted = (*unused(made_in(module)), *_astray(module), *of_plugins(module))
    for name, dag in dags_in(module).items():
        problem = problem_of(dag)
        if problem is None:
            try:
                pipelines[name], found = _read_dag(dag, make, noted)
            except NotCoveredError as error:
                problem = error
            else:
                triggers.update(found)
        if problem is not None:
            pipelines[name] = make(_refusing(dag, problem), name)
    return Reading(pipelines, triggers, remedy="" if pipelines else _uncalled(module))


def _uncalled(module: ModuleType) -> str:
    """What to do about a file whose functions under `@dag` are not called; empty where it has none."""
    found = next((each for each in made_in(module) if isinstance(each, Factory) and not each.called), None)
    return (
        ""
        if found is None
        else f"Call the function under @dag at {found.location}, which makes the DAG: {found.name}()."
    )


def _astray(module: ModuleType) -> Iterator[Ignored]:
    """The operators of a file that are in no DAG."""
    for each in made_in(module):
        if isinstance(each, BaseOperator) and each.dag is None:
            yield Ignored(
                f"the task {each.task_id!r}", each.location, "it is in no DAG: give it dag=, or make it in `with DAG`"
            )


def _read_dag(dag: DAG, make: Maker, noted: tuple[Ignored, ...]) -> tuple[Any, dict[str, Trigger]]:
    from penstock.dialects.airflow.options import check_rule, dag_settings, note_ignored
    from penstock.dialects.airflow.schedules import triggers_of

    for task in dag.tasks:
        check_rule(task)
    note_ignored(dag)
    pipeline = make(_body(dag), dag.dag_id, dag_settings(dag), ())
    triggers = triggers_of(dag, pipeline)
    cast(Any, pipeline).ignored = (*dag.ignored, *noted)
    return pipeline, dict(triggers)


def _refusing(dag: DAG, problem: NotCoveredError) -> Callable[..., Any]:
    """The body of a DAG that cannot be run."""
    from penstock.dialects.airflow.params import parameters_of

    def body(**_: Any) -> Any:
        raise NotCoveredError(problem.what, where=problem.where, remedy=problem.remedy)

    parameters: list[inspect.Parameter] = []
    # its schedule, or a default, may be what is not covered
    with suppress(DefinitionError):
        parameters = parameters_of(dag)
    return _of_dag(body, dag, parameters)


def _body(dag: DAG) -> Callable[..., Any]:
    """The function that composes the tasks of a DAG."""
    from penstock.dialects.airflow.drawing import Drawing
    from penstock.dialects.airflow.params import check_given, parameters_of

    parameters = [*parameters_of(dag), *_times(dag)]

    def body(**_: Any) -> Any:
        building = required_building(dag.dag_id)
        check_given(dag, building.parameters)
        return Drawing(building, dag, [each.name for each in parameters]).draw()

    return _of_dag(body, dag, parameters)


def _of_dag(body: Callable[..., Any], dag: DAG, parameters: list[inspect.Parameter]) -> Callable[..., Any]:
    """A body as the function of a DAG."""
    made = cast(Any, body)
    made.__name__ = made.__qualname__ = dag.dag_id
    made.__module__ = dag.module
    made.__doc__ = dag.description or dag.doc_md
    made.__signature__ = inspect.Signature(parameters)
    made.__annotations__ = {each.name: each.annotation for each in parameters}
    made.location = dag.location
    return made


def _times(dag: DAG) -> list[inspect.Parameter]:
    """The times that a run is about, where its tasks or its callbacks ask for them."""
    from datetime import datetime

    from penstock.dialects.airflow.partitions.timetables import is_by_clock

    # of a tick comes the partition that outlets are updated for
    told = is_by_clock(dag) and any(task.outlets for task in dag.tasks)
    if not (told or any(map(_asks_for_times, dag.tasks)) or dag.on_success_callback or dag.on_failure_callback):
        return []
    defaults = (logical_time(), *interval_defaults(dag))
    keyword = inspect.Parameter.KEYWORD_ONLY
    return [
        inspect.Parameter(name, keyword, default=default, annotation=datetime)
        for name, default in zip(_TIMES, defaults, strict=True)
    ]


def _asks_for_times(task: BaseOperator) -> bool:
    from penstock.dialects.airflow.inputs import inputs_of
    from penstock.dialects.airflow.options import CALLBACKS

    if task.depends_on_past or task.wait_for_downstream or any(getattr(task, name) for name in CALLBACKS):
        return True
    return bool(inputs_of(task).fields & set(_TIMES))


def find(module: ModuleType, qualname: str) -> Callable[..., Any]:
    """The function of a task: by its name in the module, as `dag/task`, or of what it is expanded over as
    `dag/task#argument`. Raises AttributeError where there is none."""
    dag_id, slash, task_id = qualname.partition("/")
    if not slash:
        found: Any = module
        for name in qualname.split("."):
            found = getattr(found, name)
        return getattr(found, "function", found)
    task_id, mark, part = task_id.partition("#")
    dag = dags_in(module).get(dag_id)
    if dag is None or task_id not in dag.task_dict:
        raise AttributeError(f"{module.__name__} has no task {task_id!r} in a DAG {dag_id!r}")
    return _function_of(dag.task_dict[task_id], part if mark else None)


def _function_of(task: Any, part: str | None) -> Callable[..., Any]:
    from penstock.dialects.airflow.asking import function_of
    from penstock.dialects.airflow.computing import computation_of
    from penstock.dialects.airflow.execution import attempt_of
    from penstock.dialects.airflow.inputs import inputs_of
    from penstock.dialects.airflow.nodes import Call
    from penstock.dialects.airflow.operators.hitl import HITLOperator
    from penstock.dialects.airflow.retrying import RETRIES, asked

    if part == RETRIES:
        return asked(task)
    if isinstance(task, HITLOperator):
        return function_of(task, part)
    if part is not None:
        return computation_of(_expanded(task)[part])
    if not task.is_mapped and task.is_plain and isinstance(called := task.native(), Call):
        return called.function
    if task.is_mapped and task.is_call():
        return task.python_callable
    return attempt_of(task, inputs_of(task))


def _expanded(task: Any) -> Any:
    """What a task, or the mapped group that it is the first of, is expanded over."""
    if task.is_mapped:
        return task.expansion.over
    return task.task_group.mapped().expansion.over


__all__ = ["dags_in", "find", "read"]
