"""`DAG` and `@dag`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from penstock.authoring.kinds.conversion import nearest
from penstock.authoring.source import caller
from penstock.dialects.airflow.exceptions import DuplicateTaskIdFound, TaskNotFound
from penstock.dialects.foreign import loading, made, made_in
from penstock.errors import DefinitionError, NotCoveredError
from penstock.model.graph import Ignored
from penstock.model.place import Location

if TYPE_CHECKING:
    from penstock.dialects.airflow.baseoperator import BaseOperator
    from penstock.dialects.airflow.taskgroup import TaskGroup
    from penstock.dialects.airflow.timetable import Timetable

_SHOWN = "it only changes what Airflow's own pages show"
#: arguments of a DAG that have no effect here -> why
WITHOUT_EFFECT: dict[str, str] = {
    "max_active_tasks": "how many tasks run at once is said by the executor and by pools",
    "concurrency": "how many tasks run at once is said by the executor and by pools",
    "default_view": _SHOWN,
    "orientation": _SHOWN,
    "doc_md": _SHOWN,
    "access_control": "penstock has no users of its own",
    "owner_links": _SHOWN,
    "dag_display_name": _SHOWN,
    "max_consecutive_failed_dag_runs": "triggers are paused by hand",
    "auto_register": "every DAG of the file is read",
    "full_filepath": "the file is known",
    "disable_bundle_versioning": "runs keep the code that they ran",
    "bundle_name": "runs keep the code that they ran",
    "rerun_with_latest_version": "runs keep the code that they ran",
    "allowed_run_types": "any trigger may start it",
    "deadline": "a missed deadline is told by hooks of penstock",
}
_NONE: Any = object()
#: arguments that are known besides those that `DAG` lists
_OF_TEMPLATES = (
    "template_searchpath",
    "template_undefined",
    "user_defined_macros",
    "user_defined_filters",
    "jinja_environment_kwargs",
    "render_template_as_native_obj",
    "sla_miss_callback",
    "fail_stop",
    "fail_fast",
)


class DAG:
    """What a file says of a DAG, and its operators as they are added. `schedule` is what was given for it, by whichever
    name; None for none, and `schedule_omitted` where not even that is said."""

    #: what its block uses that is not covered: the DAG does not run, and others of the file do
    problem: NotCoveredError | None = None

    def __init__(
        self,
        dag_id: str,
        description: str | None = None,
        schedule: Any = _NONE,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        *,
        schedule_interval: Any = _NONE,
        timetable: Any = None,
        default_args: Mapping[str, Any] | None = None,
        max_active_runs: int = 16,
        dagrun_timeout: timedelta | float | None = None,
        catchup: bool | None = None,
        on_success_callback: Any = None,
        on_failure_callback: Any = None,
        params: Mapping[str, Any] | None = None,
        tags: Iterable[str] | None = None,
        is_paused_upon_creation: bool | None = None,
        **others: Any,
    ) -> None:
        from penstock.dialects.airflow.taskgroup import TaskGroup

        self.location = caller()
        self.dag_id = dag_id
        self.description = description
        self.schedule: Any = _first(schedule, schedule_interval, timetable)
        self.default_args: dict[str, Any] = dict(default_args or {})
        self.start_date = self._date("start_date", start_date)
        self.end_date = self._date("end_date", end_date)
        self.schedule_omitted = schedule is _NONE and schedule_interval is _NONE and timetable is None
        self.max_active_runs = max_active_runs
        self.dagrun_timeout = dagrun_timeout
        self.catchup = catchup
        self.on_success_callback = on_success_callback
        self.on_failure_callback = on_failure_callback
        #: name -> value or Param
        self.params: dict[str, Any] = {**dict(self.default_args.pop("params", None) or {}), **dict(params or {})}
        self.tags = list(tags or ())
        self.is_paused_upon_creation = is_paused_upon_creation
        self.doc_md: Any = others.get("doc_md")
        #: what it says that has no effect
        self.ignored: list[Ignored] = []
        self.task_dict: dict[str, BaseOperator] = {}
        self.task_group: TaskGroup = TaskGroup.root(self)
        self.module = ""
        self._tokens: list[Any] = []
        self._take(others)
        self._note(others)
        made(self)

    def _date(self, name: str, given: Any) -> datetime | None:
        """When it begins or ends to run. As in Airflow, it may be said as text."""
        found = given or self.default_args.get(name)
        if isinstance(found, str):
            from penstock.dialects.airflow.moments import parse

            try:
                found = parse(found)
            except ValueError:
                found = given or self.default_args[name]
        if found is not None and not isinstance(found, datetime):
            raise DefinitionError(
                f"the {name} of the DAG {self.dag_id!r} is {found!r}, which is no moment",
                where=str(self.location),
                remedy="Write datetime(2024, 1, 31), or its text: '2024-01-31'.",
            )
        return found

    def _take(self, others: dict[str, Any]) -> None:
        """What is said of templates, and of failures."""
        folders = others.pop("template_searchpath", None)
        self.template_searchpath: Any = [folders] if isinstance(folders, str) else folders
        self.user_defined_macros: dict[str, Any] = dict(others.pop("user_defined_macros", None) or {})
        self.user_defined_filters: dict[str, Any] = dict(others.pop("user_defined_filters", None) or {})
        self.jinja_environment_kwargs: dict[str, Any] = dict(others.pop("jinja_environment_kwargs", None) or {})
        self.render_template_as_native_obj = bool(others.pop("render_template_as_native_obj", False))
        self.template_undefined: Any = others.pop("template_undefined", None)
        self.sla_miss_callback: Any = others.pop("sla_miss_callback", None)
        self.fail_fast = bool(others.pop("fail_stop", False) or others.pop("fail_fast", False))

    def _note(self, others: Mapping[str, Any]) -> None:
        for name, value in others.items():
            if name not in WITHOUT_EFFECT:
                known = (*WITHOUT_EFFECT, *inspect.signature(DAG).parameters, *_OF_TEMPLATES)
                # other DAGs of the file run
                self.problem = self.problem or NotCoveredError(
                    f"DAG has no argument {name!r}{nearest(name, known)}",
                    where=str(self.location),
                    remedy="Take it out. If it is one of Airflow's, it is not covered here.",
                )
            elif value is not None:
                self.ignore(f"the DAG {self.dag_id!r}: {name}", WITHOUT_EFFECT[name])

    def ignore(self, what: str, why: str, location: Location | None = None) -> None:
        """Note something that the file says, and that has no effect here: `the task 'load': owner`."""
        found = Ignored(what, location or self.location, why)
        if found not in self.ignored:
            self.ignored.append(found)

    # Operators.

    def add_task(self, task: BaseOperator) -> None:
        """Take in an operator. Raises DuplicateTaskIdFound for one with an id that another has."""
        known = self.task_dict.get(task.task_id)
        if known is not None and known is not task:
            raise DuplicateTaskIdFound(
                f"Task id '{task.task_id}' has already been added to the DAG {self.dag_id!r} at {known.location}"
            )
        task.dag = self
        self.task_dict[task.task_id] = task
        if task.task_group is None:
            self.task_group.add(task)

    def add_tasks(self, tasks: Iterable[BaseOperator]) -> None:
        for task in tasks:
            self.add_task(task)

    @property
    def tasks(self) -> list[BaseOperator]:
        return list(self.task_dict.values())

    @property
    def task_ids(self) -> list[str]:
        return list(self.task_dict)

    @property
    def task_count(self) -> int:
        return len(self.task_dict)

    @property
    def roots(self) -> list[BaseOperator]:
        return [task for task in self.tasks if not task.upstream_task_ids]

    @property
    def leaves(self) -> list[BaseOperator]:
        return [task for task in self.tasks if not task.downstream_task_ids]

    @property
    def task_group_dict(self) -> dict[str, TaskGroup]:
        return {group.group_id: group for group in self.task_group.groups() if group.group_id is not None}

    @property
    def schedule_interval(self) -> Any:
        return self.schedule

    @property
    def timetable(self) -> Timetable:
        """The timetable that its schedule amounts to. Raises DefinitionError."""
        from penstock.dialects.airflow.schedules import timetable_of

        return timetable_of(self)

    @property
    def fileloc(self) -> str:
        return self.location.file

    def beside(self) -> tuple[str, ...]:
        """The ids of the DAGs of the same file."""
        import sys

        module = sys.modules.get(self.module)
        return () if module is None else tuple(each.dag_id for each in made_in(module) if isinstance(each, DAG))

    def param(self, name: str, default: Any = ...) -> Any:
        """A parameter of the DAG, as an argument of its tasks."""
        from penstock.dialects.airflow.params import DagParam

        return DagParam(self, name) if default is ... else DagParam(self, name, default)

    def has_task(self, task_id: str) -> bool:
        return task_id in self.task_dict

    def get_task(self, task_id: str, include_subdags: bool = False) -> BaseOperator:
        """The operator with an id. Raises TaskNotFound."""
        if task_id not in self.task_dict:
            raise TaskNotFound(f"Task {task_id} not found")
        return self.task_dict[task_id]

    def topological_sort(self) -> tuple[BaseOperator, ...]:
        """The operators, each after those that it waits for. Raises DefinitionError for a circle."""
        from graphlib import CycleError, TopologicalSorter

        upstream = {task.task_id: sorted(task.upstream_task_ids, key=list(self.task_dict).index) for task in self.tasks}
        try:
            return tuple(self.task_dict[name] for name in TopologicalSorter(upstream).static_order())
        except CycleError as error:
            raise DefinitionError(
                f"the tasks of the DAG {self.dag_id!r} wait for each other in a circle: {' -> '.join(error.args[1])}",
                where=str(self.location),
                remedy="Take one of these dependencies away.",
            ) from None

    # In `with`.

    def __enter__(self) -> DAG:
        self._tokens.append((_current.set(self), self.task_group.enter()))
        return self

    # not `bool`, by which all that a block binds would count as perhaps unbound
    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> Any:
        token, group = self._tokens.pop()
        self.task_group.leave(group)
        _current.reset(token)
        if not isinstance(error, NotCoveredError) or not loading():
            return False
        self.problem = self.problem or error
        return True

    def __repr__(self) -> str:
        return f"<DAG: {self.dag_id}>"

    # What scripts do under `if __name__ == "__main__":` is done by the command line here.

    def test(self, *args: Any, **options: Any) -> Any:
        """Run it to its end, from a test: see `dagbag.run_dag`. Raises DefinitionError in the file that makes it."""
        from penstock.dialects.airflow.dagbag import run_dag

        if not self.module:
            raise _on_command_line(f"{self.dag_id}.test()", "penstock run")
        return run_dag(self, *args, **options)

    def cli(self) -> None:
        raise _on_command_line(f"{self.dag_id}.cli()", "penstock run")

    def run(self, *_: Any, **__: Any) -> None:
        raise _on_command_line(f"{self.dag_id}.run()", "penstock backfill")


def _on_command_line(what: str, command: str) -> DefinitionError:
    return DefinitionError(
        f"{what} runs the DAG from within its file",
        where=str(caller()),
        remedy=f"Take it out, or put it under `if __name__ == '__main__':`, and write {command} FILE.",
    )


_current: ContextVar[DAG | None] = ContextVar("_current", default=None)


def current_dag() -> DAG | None:
    """The DAG whose block the file is in."""
    return _current.get()


def _first(*given: Any) -> Any:
    return next((each for each in given if each is not _NONE and each is not None), None)


class DagContext:
    """`airflow.models.dag.DagContext`."""

    @staticmethod
    def get_current_dag() -> DAG | None:
        return current_dag()

    @staticmethod
    def get_current() -> DAG | None:
        return current_dag()


def dag(dag_id: Any = "", *args: Any, **options: Any) -> Any:
    """`@dag`: a function that makes a DAG when it is called. Its arguments are parameters of the DAG."""
    if callable(dag_id):
        return _factory(dag_id, dag_id.__name__, (), {})

    def decorate(function: Callable[..., Any]) -> Callable[..., DAG]:
        return _factory(function, dag_id or function.__name__, args, options)

    return decorate


class Factory(NamedTuple):
    """A function under `@dag`, and the ids of the DAGs that calls of it have made."""

    name: str
    location: Location
    called: list[str] = []  # noqa: RUF012 - each is given its own


def _factory(function: Callable[..., Any], name: str, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    shape = inspect.signature(function)
    factory = Factory(function.__name__, caller(), [])
    made(factory)

    @functools.wraps(function)
    def make(*given: Any, **named: Any) -> DAG:
        from penstock.dialects.airflow.params import DagParam, Param

        bound = shape.bind(*given, **named)
        bound.apply_defaults()
        factory.called.append(name)
        found = DAG(name, *args, **options)
        found.location = caller()
        if function.__doc__ and not found.doc_md:
            found.doc_md = function.__doc__
        with found:
            refs: dict[str, Any] = {}
            for key, value in bound.arguments.items():
                found.params[key] = value if isinstance(value, Param) else Param(value)
                refs[key] = DagParam(found, key, value)
            function(**refs)
        return found

    return cast("Callable[..., DAG]", make)


__all__ = ["DAG", "DagContext", "current_dag", "dag"]
