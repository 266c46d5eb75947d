"""`BaseOperator`: what all operators have in common, those that people write themselves included."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from penstock.authoring.kinds.conversion import nearest
from penstock.authoring.source import caller
from penstock.dialects.airflow.arguments import ARGUMENTS
from penstock.dialects.airflow.dag import DAG, current_dag
from penstock.dialects.airflow.exceptions import AirflowException
from penstock.dialects.airflow.relations import Ordered
from penstock.dialects.foreign import loading, made
from penstock.errors import DefinitionError, NotCoveredError
from penstock.model.place import Location

if TYPE_CHECKING:
    from penstock.dialects.airflow.inputs import Reads
    from penstock.dialects.airflow.nodes import Choice
    from penstock.dialects.airflow.taskgroup import TaskGroup
    from penstock.dialects.airflow.xcomarg import XComArg

_FORBIDDEN = "[]"
#: what `do_xcom_push` was called before Airflow 2
_FORMER_PUSH = "xcom_push"


class OperatorMeta(type):
    """Lets every `__init__` of an operator find in `default_args` what it is not given."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **others: Any) -> Any:
        made = cast(Any, super().__new__(mcs, name, bases, namespace, **others))
        if "__init__" in namespace:
            made.__init__ = _defaulting(namespace["__init__"])
        return made

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        task = cast(Any, cls).__new__(cls)
        task.location = caller()
        dag: DAG | None = kwargs.get("dag") or current_dag()
        task.default_args = _default_args(dag, kwargs.get("task_group"), kwargs.pop("default_args", None))
        #: as given, for those that are written as they stand
        task.given = dict(kwargs)
        task.__init__(*args, **kwargs)
        if "task_id" not in vars(task):
            raise DefinitionError(
                f"{cls.__name__}.__init__ does not call that of its base class",
                where=str(task.location),
                remedy="Write super().__init__(**kwargs) in it.",
            )
        task.connect_inputs()
        return task


def _default_args(dag: DAG | None, group: Any, own: Mapping[str, Any] | None) -> dict[str, Any]:
    from penstock.dialects.airflow.taskgroup import current_group

    group = group or current_group()
    return {
        **({} if dag is None else dag.default_args),
        **({} if group is None else group.all_default_args()),
        **(own or {}),
    }


def _defaulting(init: Callable[..., None]) -> Callable[..., None]:
    shape = inspect.signature(init).parameters
    plain = [name for name, each in shape.items() if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)][1:]
    needed = {name for name in plain if shape[name].default is inspect.Parameter.empty}

    @functools.wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        known = {*plain[: len(args)], *kwargs}
        kwargs |= {name: value for name, value in self.default_args.items() if name in plain and name not in known}
        missing = sorted(needed - known - set(kwargs))
        if missing:
            others = sorted(set(kwargs) - {*ARGUMENTS, *cast("type[BaseOperator]", type(self)).parameters()})
            raise AirflowException(
                f"missing keyword argument{'s' * (len(missing) > 1)} {', '.join(map(repr, missing))}"
                + f", and {', '.join(map(repr, others))} is none of them" * bool(others)
            )
        init(self, *args, **kwargs)

    return __init__


class BaseOperator(Ordered, metaclass=OperatorMeta):
    """An operator as a file makes it. Subclasses of users' own call this `__init__` and write `execute`."""

    template_fields: ClassVar[Sequence[str]] = ()
    template_ext: Sequence[str] = ()
    template_fields_renderers: ClassVar[Mapping[str, str]] = {}
    operator_extra_links: ClassVar[Sequence[Any]] = ()
    ui_color = "#fff"
    ui_fgcolor = "#000"
    #: the class is a sensor, see `basesensor`
    is_sensor: ClassVar[bool] = False
    #: whether it may have something for others to pull
    has_value: ClassVar[bool] = True
    #: whether a recorded result may be taken
    cached: ClassVar[bool] = True
    #: whether it stands for any number of tasks, which are known when it runs
    is_mapped: ClassVar[bool] = False

    #: conditions under which it is skipped
    conditions: tuple[Any, ...] = ()
    task_id: str
    location: Location
    default_args: dict[str, Any]
    given: dict[str, Any]
    #: when it runs, how, and whom it tells: see `arguments.ARGUMENTS`
    trigger_rule: str
    depends_on_past: bool
    wait_for_downstream: bool
    retries: int | None
    retry_delay: Any
    retry_exponential_backoff: Any
    max_retry_delay: Any
    retry_policy: Any
    execution_timeout: Any
    pool: str | None
    pool_slots: int
    priority_weight: int
    max_active_tis_per_dag: int | None
    do_xcom_push: bool
    multiple_outputs: bool
    params: dict[str, Any]
    owner: str
    start_date: Any
    end_date: Any
    max_active_tis_per_dagrun: int | None
    outlets: Any
    inlets: Any
    doc_md: Any
    email: Any
    email_on_failure: bool
    email_on_retry: bool
    sla: Any
    map_index_template: str | None

    def __init__(
        self, task_id: str, *, dag: DAG | None = None, task_group: TaskGroup | None = None, **kwargs: Any
    ) -> None:
        from penstock.dialects.airflow.taskgroup import current_group

        self.upstream_task_ids: set[str] = set()
        self.downstream_task_ids: set[str] = set()
        self.is_setup = False
        self.is_teardown = False
        #: the failure of a teardown is a failure of the run
        self.on_failure_fail_dagrun = False
        #: tasks in whose `with` block, or between which and this teardown, others stand
        self.setup_task_ids: set[str] = set()
        self.dag: DAG | None = None
        self.task_group: TaskGroup | None = None
        problem = self._unknown(kwargs)
        self._take(kwargs)
        group = task_group or current_group()
        self.task_id = _checked(group.child_id(task_id) if group is not None else task_id, self.location)
        self.label = task_id
        if group is not None:
            group.add(self)
        dag = dag or current_dag() or (None if group is None else group.dag)
        if dag is not None:
            dag.add_task(self)
        else:
            # it may come into one yet
            made(self)
        if problem is not None:
            self._refuse(problem)

    def _unknown(self, kwargs: dict[str, Any]) -> NotCoveredError | None:
        """What is wrong with the names of arguments; None for nothing. Those that are not known are taken out."""
        pushes = kwargs.pop(_FORMER_PUSH, None)
        if pushes is not None:
            kwargs.setdefault("do_xcom_push", pushes)
        unknown = [name for name in kwargs if name not in ARGUMENTS]
        for name in unknown:
            del kwargs[name]
        if not unknown:
            return None
        known = sorted({*ARGUMENTS, *self.parameters()})
        return NotCoveredError(
            f"{type(self).__name__} has no argument {unknown[0]!r}{nearest(unknown[0], known)}",
            where=str(self.location),
            remedy="Take it out: what the function is to be given goes into op_kwargs."
            if "op_kwargs" in known
            else "Take it out. If it is one of Airflow's, it is not covered here.",
        )

    def _refuse(self, problem: NotCoveredError) -> None:
        """Let its DAG not run, while others of its file do. Raises the problem where there are none of these."""
        if self.dag is None or not loading():
            raise problem
        self.dag.problem = self.dag.problem or problem

    def _take(self, kwargs: dict[str, Any]) -> None:
        values = {name: self.default_args[name] for name in ARGUMENTS if name in self.default_args} | kwargs
        #: arguments that were given, here or by default_args, and have no effect
        self.without_effect = {
            name: ARGUMENTS[name].without_effect for name in values if ARGUMENTS[name].without_effect
        }
        #: functions that are called with the context before and after it: `pre_execute=`, `post_execute=`
        self.around = {name: values[name] for name in ("pre_execute", "post_execute") if values.get(name) is not None}
        for name, argument in ARGUMENTS.items():
            if name not in ("pre_execute", "post_execute"):
                setattr(self, name, values.get(name, argument.default))
        self.trigger_rule = str(getattr(self.trigger_rule, "value", self.trigger_rule))
        self.params = dict(values.get("params") or {})
        if values.get("task_concurrency") is not None:
            self.max_active_tis_per_dag = values["task_concurrency"]

    @classmethod
    def parameters(cls) -> frozenset[str]:
        """The names of the arguments of its own that it takes, and its base classes do."""
        shapes = [inspect.signature(vars(each)["__init__"]) for each in cls.__mro__ if "__init__" in vars(each)]
        return frozenset(name for shape in shapes for name in shape.parameters) - {"self", "args", "kwargs"}

    # What subclasses say.

    def pre_execute(self, context: Any) -> None:
        """Called before `execute`."""

    def execute(self, context: Any) -> Any:
        """Do it. Subclasses write this; what it returns is the XCom `return_value`."""
        raise NotImplementedError

    def post_execute(self, context: Any, result: Any = None) -> None:
        """Called after `execute`."""

    def on_kill(self) -> None:
        """Called where the attempt is ended from outside."""

    def prepare_for_execution(self) -> BaseOperator:
        return self

    @staticmethod
    def xcom_push(context: Any, key: str, value: Any, execution_date: Any = None) -> None:
        """Hand something on under a key, from `execute`."""
        context["ti"].xcom_push(key=key, value=value)

    @staticmethod
    def xcom_pull(
        context: Any, task_ids: Any = None, dag_id: str | None = None, key: Any = "return_value", **others: Any
    ) -> Any:
        """What other tasks have handed on: see `TaskInstance.xcom_pull`."""
        return context["ti"].xcom_pull(task_ids=task_ids, dag_id=dag_id, key=key, **others)

    def render_template_fields(self, context: Any, jinja_env: Any = None) -> None:
        """Render the fields of this operator in place."""
        from penstock.dialects.airflow.templates import rendered

        done = rendered(self, context)
        for name in self.template_fields:
            if hasattr(done, name):
                setattr(self, name, getattr(done, name))

    def render_template(self, content: Any, context: Any, jinja_env: Any = None, seen_oids: Any = None) -> Any:
        """A value with all templates in it rendered."""
        from penstock.dialects.airflow.templates import render

        return render(content, context, self)

    @property
    def log(self) -> logging.Logger:
        module = type(self).__module__.removeprefix("penstock.dialects.")
        return logging.getLogger(f"airflow.task.operators.{module}.{type(self).__name__}")

    # What it is as a node.

    @property
    def defers(self) -> bool:
        """Whether the file says that Airflow's triggerer is to wait in its place."""
        return bool(getattr(self, "deferrable", False))

    @property
    def is_plain(self) -> bool:
        """Whether nothing of the file's own is asked before it or told after it."""
        return not self.conditions and not self.around

    def native(self) -> Any:
        """The same as a node of penstock's own (see `nodes`); None where it is more than one."""
        return None

    def code(self) -> Any:
        """The function of the user's that it calls; None for none."""
        return None

    def reads(self) -> Reads:
        """What it reads of its context, besides what its templates do."""
        from penstock.dialects.airflow.inputs import reads_of_method

        return reads_of_method(type(self).execute)

    def own_params(self) -> Mapping[str, Any]:
        """The params that it says itself, as far as they are known before it runs."""
        return self.params

    def choice(self) -> Choice | None:
        """What it decides about the tasks after it; None for nothing."""
        return None

    def expanded_arguments(self) -> tuple[str, ...]:
        """The arguments that it is expanded over."""
        return ()

    # How it stands among others.

    @property
    def roots(self) -> Sequence[BaseOperator]:
        return (self,)

    @property
    def leaves(self) -> Sequence[BaseOperator]:
        return (self,)

    @property
    def dag_id(self) -> str:
        return f"adhoc_{self.owner}" if self.dag is None else self.dag.dag_id

    @property
    def node_id(self) -> str:
        return self.task_id

    @property
    def task_type(self) -> str:
        return type(self).__name__

    operator_name = task_type

    @property
    def upstream_list(self) -> list[BaseOperator]:
        return [] if self.dag is None else [self.dag.task_dict[name] for name in sorted(self.upstream_task_ids)]

    @property
    def downstream_list(self) -> list[BaseOperator]:
        return [] if self.dag is None else [self.dag.task_dict[name] for name in sorted(self.downstream_task_ids)]

    def get_flat_relative_ids(self, upstream: bool = False) -> set[str]:
        """The ids of all tasks before it, or after it."""
        return {task.task_id for task in self.get_flat_relatives(upstream)}

    def get_flat_relatives(self, upstream: bool = False) -> list[BaseOperator]:
        """All tasks before it, or after it."""
        found: dict[str, BaseOperator] = {}
        waiting: list[BaseOperator] = [self]
        while waiting:
            task = waiting.pop()
            for other in task.upstream_list if upstream else task.downstream_list:
                if other.task_id not in found:
                    found[other.task_id] = other
                    waiting.append(other)
        return list(found.values())

    def get_direct_relative_ids(self, upstream: bool = False) -> set[str]:
        return self.upstream_task_ids if upstream else self.downstream_task_ids

    # What it gives.

    @property
    def output(self) -> XComArg:
        """What the task returns, as an argument of others."""
        from penstock.dialects.airflow.xcomarg import PlainXComArg

        return PlainXComArg(self)

    def inputs(self) -> Iterator[XComArg]:
        """The outputs of other tasks that its templated fields take."""
        from penstock.dialects.airflow.xcomarg import XComArg

        for name in self.template_fields:
            yield from XComArg.found_in(getattr(self, name, None))

    def taken(self) -> Iterator[XComArg]:
        """Those of them that are put in the place of what was given."""
        return self.inputs()

    def connect_inputs(self) -> None:
        """Let it wait for the tasks whose outputs it takes."""
        from penstock.dialects.airflow.relations import order

        for arg in self.inputs():
            for operator in arg.operators():
                if operator.task_id not in self.upstream_task_ids:
                    order(operator, self)

    @classmethod
    def partial(cls, *, task_id: str, **kwargs: Any) -> Any:
        """The same operator with some arguments held fixed, to be expanded over others."""
        from penstock.dialects.airflow.mapping import OperatorPartial

        return OperatorPartial(cls, {"task_id": task_id, **kwargs})

    # Setups and teardowns.

    def as_setup(self) -> BaseOperator:
        """Make it a setup. Returns itself."""
        self.is_setup = True
        return self

    def as_teardown(self, *, setups: Any = None, on_failure_fail_dagrun: bool = False) -> BaseOperator:
        """Make it a teardown, of setups that are given. Returns itself."""
        from penstock.dialects.airflow.setups import make_teardown

        make_teardown(self, setups, fails_run=on_failure_fail_dagrun)
        return self

    def __enter__(self) -> BaseOperator:
        from penstock.dialects.airflow.setups import enter

        enter(self)
        return self

    def __exit__(self, *_: object) -> None:
        from penstock.dialects.airflow.setups import leave

        leave()

    def __repr__(self) -> str:
        return f"<Task({type(self).__name__}): {self.task_id}>"


def _checked(task_id: Any, location: Location) -> str:
    if not isinstance(task_id, str) or not task_id or any(each in task_id for each in _FORBIDDEN + "/"):
        raise DefinitionError(
            f"{task_id!r} cannot be the id of a task", where=str(location), remedy="Use letters, digits, '-', '_', '.'."
        )
    return task_id


def apply_defaults(function: Callable[..., Any]) -> Callable[..., Any]:
    """`airflow.utils.decorators.apply_defaults`: every `__init__` of an operator does so by itself."""
    return function


class BaseOperatorLink:
    """A link on Airflow's own pages."""

    name = ""


class SkipMixin:
    """`airflow.models.SkipMixin`."""

    def skip(self, *_: Any, **__: Any) -> None:
        """Raises AirflowException: what is skipped here is said by what a branch returns."""
        raise AirflowException(
            "tasks cannot be skipped one by one from inside a task: use a branch, or a short circuit"
        )

    skip_all_except = skip


def operators_in(value: Any) -> Iterable[BaseOperator]:
    """One operator, or those in lists."""
    if isinstance(value, BaseOperator):
        yield value
    elif isinstance(value, (list, tuple, set)):
        for each in cast("Iterable[Any]", value):
            yield from operators_in(each)


__all__ = ["BaseOperator", "BaseOperatorLink", "OperatorMeta", "SkipMixin", "apply_defaults", "operators_in"]
