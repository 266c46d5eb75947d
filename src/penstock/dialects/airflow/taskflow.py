"""TaskFlow: `@task` and its flavours."""

from __future__ import annotations

import functools
import inspect
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, cast

from penstock.authoring.source import caller
from penstock.dialects.airflow.baseoperator import BaseOperator
from penstock.dialects.airflow.basesensor import BaseSensorOperator
from penstock.dialects.airflow.context import KEYS
from penstock.dialects.airflow.coverage import left_out
from penstock.dialects.airflow.dag import current_dag
from penstock.dialects.airflow.exceptions import AirflowSkipException
from penstock.dialects.airflow.inputs import Reads, reads_of
from penstock.dialects.airflow.operators.bash import BashOperator
from penstock.dialects.airflow.operators.branch import (
    BranchExternalPythonOperator,
    BranchPythonOperator,
    BranchPythonVirtualenvOperator,
    ShortCircuitOperator,
)
from penstock.dialects.airflow.operators.container import DecoratedDocker, DecoratedPod
from penstock.dialects.airflow.operators.python import (
    ExternalPythonOperator,
    PythonOperator,
    PythonVirtualenvOperator,
    taken,
)
from penstock.dialects.airflow.xcomarg import PlainXComArg
from penstock.errors import DefinitionError

#: what a decorated function is given, as templates
_GIVEN = ("op_args", "op_kwargs")


class DecoratedSensor(BaseSensorOperator):
    """A function that is asked whether something is there."""

    template_fields: ClassVar[Sequence[str]] = _GIVEN

    def __init__(
        self, *, python_callable: Callable[..., Any], op_args: Any = (), op_kwargs: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.python_callable = python_callable
        self.op_args = list(op_args)
        self.op_kwargs = dict(op_kwargs or {})

    def code(self) -> Any:
        return self.python_callable

    def reads(self) -> Reads:
        return reads_of(self.python_callable, self.op_kwargs)

    def poke(self, context: Any) -> Any:
        found = {**context, **self.op_kwargs}
        return self.python_callable(*self.op_args, **taken(self.python_callable, self.op_args, found))


class DecoratedBash(BashOperator):
    """A function that returns a command for bash."""

    template_fields: ClassVar[Sequence[str]] = (*_GIVEN, "env", "cwd")

    def __init__(
        self, *, python_callable: Callable[..., Any], op_args: Any = (), op_kwargs: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(bash_command=None, **kwargs)
        self.python_callable = python_callable
        self.op_args = list(op_args)
        self.op_kwargs = dict(op_kwargs or {})

    def code(self) -> Any:
        return self.python_callable

    def reads(self) -> Reads:
        # what the function returns is a template again
        return Reads(None, None) if self.op_kwargs or self.op_args else reads_of(self.python_callable)

    def native(self) -> None:
        return None

    def execute(self, context: Any) -> Any:
        from penstock.dialects.airflow.templates import render

        found = {**context, **self.op_kwargs}
        command = self.python_callable(*self.op_args, **taken(self.python_callable, self.op_args, found))
        if not isinstance(command, str) or not command.strip():
            raise TypeError("The returned value from the TaskFlow callable must be a non-empty string.")
        self.bash_command = render(command, context, self)
        return super().execute(context)


#: flavour -> its operator
_KINDS: Mapping[str, type[BaseOperator]] = {
    "python": PythonOperator,
    "branch": BranchPythonOperator,
    "short_circuit": ShortCircuitOperator,
    "virtualenv": PythonVirtualenvOperator,
    "external_python": ExternalPythonOperator,
    "branch_virtualenv": BranchPythonVirtualenvOperator,
    "branch_external_python": BranchExternalPythonOperator,
    "sensor": DecoratedSensor,
    "bash": DecoratedBash,
    "docker": DecoratedDocker,
    "kubernetes": DecoratedPod,
}


class TaskDecorator:
    """A decorated function: called in a DAG, it is a task."""

    def __init__(self, function: Callable[..., Any], kind: str, options: Mapping[str, Any]) -> None:
        if isinstance(function, type) or not callable(function):
            raise DefinitionError(f"@task cannot be used on {function!r}", where=str(caller()))
        self.function = function
        self.kind = kind
        self.options = dict(options)
        #: what is done to the task once it is there
        self.role: dict[str, Any] = {}
        self.conditions: tuple[Condition, ...] = ()
        functools.update_wrapper(self, function)

    @property
    def operator_class(self) -> type[BaseOperator]:
        return _KINDS[self.kind]

    @property
    def is_setup(self) -> bool:
        return bool(self.role.get("is_setup"))

    @property
    def is_teardown(self) -> bool:
        return bool(self.role.get("is_teardown"))

    def changed(self, **role: Any) -> TaskDecorator:
        """The same as a setup or a teardown."""
        made = self._copy(self.options)
        made.role = {**self.role, **role}
        return made

    def under(self, condition: Condition) -> TaskDecorator:
        """The same under a condition."""
        made = self._copy(self.options)
        made.conditions = (*self.conditions, condition)
        return made

    def _copy(self, options: Mapping[str, Any]) -> TaskDecorator:
        made = TaskDecorator(self.function, self.kind, options)
        made.role, made.conditions = dict(self.role), self.conditions
        return made

    def override(self, **options: Any) -> TaskDecorator:
        """The same under other options."""
        return self._copy({**self.options, **options})

    def __call__(self, *args: Any, **kwargs: Any) -> PlainXComArg:
        self._check(args, kwargs)
        operator = cast(Any, self.operator_class)(
            **self.arguments(), python_callable=self.function, op_args=args, op_kwargs=kwargs
        )
        return PlainXComArg(self.finished(operator))

    def finished(self, operator: BaseOperator) -> BaseOperator:
        """The operator with its part in the DAG."""
        operator.conditions = self.conditions
        if self.is_setup:
            operator.as_setup()
        if self.is_teardown:
            operator.as_teardown(
                setups=self.role.get("setups"), on_failure_fail_dagrun=bool(self.role.get("fails_run"))
            )
        return operator

    def arguments(self) -> dict[str, Any]:
        """The arguments of the operator, besides those that the function is given."""
        options = {"task_id": self.function.__name__, **self.options}
        options["task_id"] = _unique(options["task_id"], options.get("dag"), options.get("task_group"))
        if options.get("multiple_outputs") is None:
            options["multiple_outputs"] = self.kind in _INFERRED and _returns_mapping(self.function)
        if self.function.__doc__ and not any(name.startswith("doc") for name in options):
            options["doc_md"] = self.function.__doc__
        return options

    def _check(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        shape = inspect.signature(self.function)
        # what the context has is given by it
        free = [
            each.replace(default=None)
            if each.name in KEYS
            and each.default is each.empty
            and each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
            else each
            for each in shape.parameters.values()
        ]
        try:
            _relaxed(shape, free).bind(*args, **kwargs)
        except TypeError as error:
            raise DefinitionError(
                f"the task {self.function.__name__}() was called with wrong arguments: {error}",
                where=str(caller()),
                remedy=f"It takes {self.function.__name__}{shape}.",
            ) from None

    def partial(self, **kwargs: Any) -> Any:
        """Hold some arguments fixed."""
        from penstock.dialects.airflow.mapping import DecoratedPartial

        return DecoratedPartial(self, kwargs)

    def expand(self, **kwargs: Any) -> Any:
        """A task for every element of the arguments."""
        return self.partial().expand(**kwargs)

    def expand_kwargs(self, kwargs: Any, *, strict: bool = True) -> Any:
        """A task for every dict of arguments."""
        return self.partial().expand_kwargs(kwargs)


_INFERRED = frozenset({"python", "virtualenv", "external_python"})


def _relaxed(shape: inspect.Signature, parameters: list[inspect.Parameter]) -> inspect.Signature:
    seen = False
    found: list[inspect.Parameter] = []
    for each in parameters:
        # what follows a parameter with a default needs one too
        positional = each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
        seen = seen or (positional and each.default is not each.empty)
        found.append(
            each.replace(kind=each.KEYWORD_ONLY) if seen and positional and each.default is each.empty else each
        )
    return shape.replace(parameters=sorted(found, key=lambda each: each.kind))


def _returns_mapping(function: Callable[..., Any]) -> bool:
    try:
        returned = typing.get_type_hints(function).get("return", Any)
    except (NameError, TypeError, AttributeError):
        return False
    kind = typing.get_origin(returned) or returned
    return isinstance(kind, type) and issubclass(kind, Mapping)


def _unique(task_id: str, dag: Any, group: Any) -> str:
    from penstock.dialects.airflow.taskgroup import current_group

    dag, group = dag or current_dag(), group or current_group()
    dag = dag or (None if group is None else group.dag)
    if dag is None:
        return task_id
    full = task_id if group is None else group.child_id(task_id)
    if full not in dag.task_dict:
        return task_id
    stem = re.split(r"__\d+$", full)[0]
    numbers = [int(found[1]) for name in dag.task_dict if (found := re.match(rf"^{re.escape(stem)}__(\d+)$", name))]
    return f"{re.split(r'__[0-9]+$', task_id)[0]}__{max(numbers, default=0) + 1}"


class Condition:
    """A condition of a task: `@task.run_if`, `@task.skip_if`."""

    def __init__(self, function: Callable[..., Any], message: str | None, *, wanted: bool) -> None:
        self.function = function
        self.message = message
        self.wanted = wanted

    def check(self, context: Any) -> None:
        """Raise AirflowSkipException where the task is to be skipped."""
        found = self.function(context)
        holds, message = cast("tuple[Any, Any]", found) if isinstance(found, tuple) else (found, None)
        if bool(holds) is not self.wanted:
            raise AirflowSkipException(message or self.message or "a condition of the task does not hold")


class TaskFlow:
    """`task`."""

    def __call__(self, python_callable: Any = None, **options: Any) -> Any:
        return self._decorator("python", python_callable, options)

    def __getattr__(self, name: str) -> Any:
        if name in _KINDS:
            return functools.partial(self._flavour, name)
        if name.startswith("__"):
            raise AttributeError(name)
        return left_out(f"@task.{name}", "Write @task, and do what is special about it inside the function.")

    def _flavour(self, kind: str, python_callable: Any = None, /, *more: Any, **options: Any) -> Any:
        if isinstance(python_callable, str) and kind.endswith("external_python"):
            options["python"] = python_callable
            python_callable = None
        return self._decorator(kind, python_callable, options)

    def _decorator(self, kind: str, function: Any, options: Mapping[str, Any]) -> Any:
        if function is not None:
            return TaskDecorator(function, kind, options)

        def decorate(decorated: Callable[..., Any]) -> TaskDecorator:
            return TaskDecorator(decorated, kind, options)

        return decorate

    def run_if(self, condition: Callable[..., Any], skip_message: str | None = None) -> Any:
        """Skip the task unless a condition over its context holds."""
        return _under(Condition(condition, skip_message, wanted=True))

    def skip_if(self, condition: Callable[..., Any], skip_message: str | None = None) -> Any:
        """Skip the task if a condition over its context holds."""
        return _under(Condition(condition, skip_message, wanted=False))


def _under(condition: Condition) -> Callable[[Any], TaskDecorator]:
    def decorate(decorated: Any) -> TaskDecorator:
        return as_decorator(decorated).under(condition)

    return decorate


task = TaskFlow()


def as_decorator(function: Any) -> TaskDecorator:
    """A decorated function, or one that is to be."""
    return function if isinstance(function, TaskDecorator) else TaskDecorator(function, "python", {})


__all__ = ["Condition", "TaskDecorator", "TaskFlow", "as_decorator", "task"]
