"""`PythonOperator`, and those that call a function in another Python."""

from __future__ import annotations

import copy
import functools
import importlib.util
import inspect
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, cast

from penstock.authoring.source import caller
from penstock.dialects.airflow.baseoperator import BaseOperator
from penstock.dialects.airflow.exceptions import AirflowSkipException
from penstock.dialects.airflow.inputs import Reads, reads_of
from penstock.dialects.airflow.operators.bash import exit_codes
from penstock.errors import DefinitionError
from penstock.model.action import Environment

if TYPE_CHECKING:
    from penstock.dialects.airflow.nodes import Call


class PythonOperator(BaseOperator):
    """Calls a function."""

    template_fields: ClassVar[Sequence[str]] = ("templates_dict", "op_args", "op_kwargs")
    ui_color = "#ffefeb"
    #: parameters of the function that the decorator of a task has bound already
    bound: bool = False

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        templates_dict: dict[str, Any] | None = None,
        templates_exts: Sequence[str] | None = None,
        show_return_value_in_logs: bool = True,
        provide_context: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(python_callable):
            raise DefinitionError(
                f"python_callable of {self.task_id!r} takes a function, not {python_callable!r}",
                where=str(self.location),
                remedy="Write the name of the function, without calling it.",
            )
        self.python_callable = python_callable
        # as they were given, since outputs of other tasks may take the place of all of them
        self.op_args: Any = list(op_args) if isinstance(op_args, (list, tuple)) else op_args if op_args else []
        self.op_kwargs: Any = dict(op_kwargs) if isinstance(op_kwargs, Mapping) else op_kwargs if op_kwargs else {}
        self.templates_dict = templates_dict
        if templates_exts:
            self.template_ext = templates_exts
        if not show_return_value_in_logs:
            self.without_effect["show_return_value_in_logs"] = "what a task returns is not logged"
        if "provide_context" in {**self.default_args, **self.given}:
            self.without_effect["provide_context"] = "a function is given what it takes of the context"

    def code(self) -> Any:
        return self.python_callable

    def reads(self) -> Reads:
        if self.templates_dict:
            return Reads(None, None)
        return reads_of(self.python_callable, self._given_names())

    def _given_names(self) -> Iterable[str]:
        """The parameters that the function gets from the file."""
        if not isinstance(self.op_kwargs, dict):
            return ()
        try:
            names = list(inspect.signature(self.python_callable).parameters)
        except (TypeError, ValueError):
            names = []
        given = names[: len(cast("list[Any]", self.op_args))] if type(self.op_args) is list else []
        return (*given, *cast("dict[str, Any]", self.op_kwargs))

    def native(self) -> Call | None:
        from penstock.dialects.airflow.nodes import Call
        from penstock.dialects.airflow.places import with_params
        from penstock.dialects.airflow.templates import is_filled_in

        function = self.python_callable
        if not isinstance(function, FunctionType) or not isinstance(self.op_kwargs, dict) or self.outlets:
            return None
        given: Any = copy.copy(self)
        given.op_args, given.op_kwargs = with_params(self, given.op_args), with_params(self, given.op_kwargs)
        if not isinstance(self.op_args, list) or is_filled_in(given) or self.reads() != Reads():
            return None
        if inspect.isgeneratorfunction(function) or not self.do_xcom_push:
            return None
        arguments = arguments_of(function, given.op_args, cast("dict[str, Any]", given.op_kwargs))
        return None if arguments is None else Call(function, arguments, self.environment())

    def environment(self) -> Environment | None:
        """The Python environment that it is called in; None for that of the run."""
        return None

    def execute(self, context: Any) -> Any:
        context = {**context, **self.op_kwargs, "templates_dict": self.templates_dict}
        return self.execute_callable(context)

    def execute_callable(self, context: Mapping[str, Any]) -> Any:
        """Call the function with what it takes of the context."""
        result = self.python_callable(*self.op_args, **taken(self.python_callable, self.op_args, context))
        if inspect.iscoroutine(result):
            import asyncio

            return asyncio.run(result)
        if inspect.isgeneratorfunction(self.python_callable):
            return self._yielded(result, context["outlet_events"])
        return list(cast("Iterable[Any]", result)) if inspect.isgenerator(result) else result

    def _yielded(self, steps: Generator[Any, Any, Any], outlet_events: Any) -> Any:
        """What a generator returns. What it yields says more of outlets, as in Airflow."""
        from penstock.dialects.airflow.assets import Metadata

        while True:
            try:
                found = next(steps)
            except StopIteration as end:
                return end.value
            if isinstance(found, Metadata):
                outlet_events[found.asset].extra.update(found.extra)
                if found.alias:
                    outlet_events[found.alias].add(found.asset, extra=found.extra)
            else:
                self.log.warning("what a task yields is ignored unless it is Metadata: this is %r", found)


def arguments_of(function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any] | None:
    """The arguments of a call by parameter, those that the function does not take left out, as Airflow does; None where
    they do not fit."""
    shape = inspect.signature(function)
    if not any(each.kind is each.VAR_KEYWORD for each in shape.parameters.values()):
        kwargs = {name: value for name, value in kwargs.items() if name in shape.parameters}
    try:
        return dict(shape.bind(*args, **kwargs).arguments)
    except TypeError:
        return None


def taken(function: Callable[..., Any], args: Collection[Any], context: Mapping[str, Any]) -> dict[str, Any]:
    """What a function takes of the context, besides positional arguments."""
    parameters = list(inspect.signature(function).parameters.values())
    for each in parameters[: len(args)]:
        if each.name in _CONTEXT_ONLY and each.name in context:
            raise ValueError(f"The key '{each.name}' in args is a part of kwargs and therefore reserved.")
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        first = {each.name for each in parameters[: len(args)]}
        return {name: value for name, value in context.items() if name not in first}
    rest = parameters[len(args) :]
    return {each.name: context[each.name] for each in rest if each.name in context}


_CONTEXT_ONLY = frozenset({"ti", "task_instance", "dag_run", "ds", "ts", "dag", "task", "logical_date"})


#: arguments about the environment that have no effect here -> why
_OF_ENVIRONMENTS = {
    "serializer": "values are handed over as between all tasks",
    "use_dill": "values are handed over as between all tasks",
    "venv_cache_path": "penstock keeps the environments that it makes itself",
    "inherit_env": "a task has the variables of the run",
}


class PythonVirtualenvOperator(PythonOperator):
    """Calls a function in a Python environment that is made for it."""

    template_fields: ClassVar[Sequence[str]] = (*PythonOperator.template_fields, "requirements")

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        requirements: str | Iterable[str] | None = None,
        python_version: str | None = None,
        system_site_packages: bool = True,
        serializer: str | None = None,
        use_dill: bool = False,
        pip_install_options: list[str] | None = None,
        index_urls: Any = None,
        venv_cache_path: Any = None,
        skip_on_exit_code: Any = None,
        expect_airflow: bool = True,
        expect_pendulum: bool = True,
        string_args: Iterable[str] | None = None,
        env_vars: dict[str, str] | None = None,
        inherit_env: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(python_callable=python_callable, **kwargs)
        if getattr(python_callable, "__name__", "") == "<lambda>":
            raise DefinitionError(
                f"{type(self).__name__} only supports functions for python_callable arg", where=str(self.location)
            )
        refuse(
            self,
            pip_install_options=pip_install_options,
            index_urls=index_urls,
            string_args=string_args,
            env_vars=env_vars,
        )
        self.requirements: Any = [requirements] if isinstance(requirements, str) else list(requirements or ())
        self.python_version = python_version
        self.system_site_packages = system_site_packages
        self.skip_on_exit_code = exit_codes(skip_on_exit_code)
        said = {
            "serializer": serializer,
            "use_dill": use_dill,
            "venv_cache_path": venv_cache_path,
            "inherit_env": not inherit_env,
        }
        self.without_effect |= {name: _OF_ENVIRONMENTS[name] for name, value in said.items() if value}

    def native(self) -> Call | None:
        return None if self.skip_on_exit_code else super().native()

    def execute_callable(self, context: Mapping[str, Any]) -> Any:
        try:
            return super().execute_callable(context)
        except SystemExit as end:
            if end.code not in self.skip_on_exit_code:
                raise
            raise AirflowSkipException(f"Process exited with code {end.code}. Skipping.") from end

    def environment(self) -> Environment | None:
        listed = [line for each in self.requirements for line in self._lines(each)]
        if not listed and self.python_version is None and self.system_site_packages:
            # what is installed is what it is to have
            return None
        return Environment(tuple(listed), {}, str(self.python_version or ""))

    def _lines(self, requirement: str) -> list[str]:
        """A requirement, or those that a file of that name lists."""
        if not requirement.endswith(".txt"):
            return [line.strip() for line in requirement.splitlines() if line.strip()]
        file = Path(self.location.file).parent / requirement
        if not file.is_file():
            raise DefinitionError(f"there is no file {requirement}", where=str(self.location))
        lines = (line.partition("#")[0].strip() for line in file.read_text().splitlines())
        return [line for line in lines if line]


def refuse(operator: BaseOperator, **given: Any) -> None:
    """Raise DefinitionError for arguments that penstock has no counterpart of."""
    for name, value in given.items():
        if value:
            raise DefinitionError(
                f"{name}= of {type(operator).__name__} is not covered by penstock's reader of Apache Airflow",
                where=str(caller()),
                remedy="Take it out, or set it for the whole run where penstock runs.",
            )


class ExternalPythonOperator(PythonOperator):
    """Calls a function in another Python, named by its path."""

    template_fields: ClassVar[Sequence[str]] = (*PythonOperator.template_fields, "python")

    def __init__(
        self,
        *,
        python: str,
        python_callable: Callable[..., Any],
        serializer: str | None = None,
        use_dill: bool = False,
        expect_airflow: bool = True,
        expect_pendulum: bool = True,
        string_args: Iterable[str] | None = None,
        skip_on_exit_code: Any = None,
        env_vars: dict[str, str] | None = None,
        inherit_env: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(python_callable=python_callable, **kwargs)
        refuse(self, string_args=string_args)
        self.python = python
        self.serializer = serializer or ("dill" if use_dill else "pickle")
        self.skip_on_exit_code = exit_codes(skip_on_exit_code)
        self.env_vars = dict(env_vars or {})
        self.inherit_env = inherit_env

    def native(self) -> Call | None:
        return None

    def execute_callable(self, context: Mapping[str, Any]) -> Any:
        from penstock.dialects.airflow.operators.external import call_in

        function = self.python_callable
        kwargs = taken(function, self.op_args, {**self.op_kwargs, **_plain(context)})
        return call_in(self, function, tuple(self.op_args), kwargs)


def _plain(context: Mapping[str, Any]) -> dict[str, Any]:
    """What of the context another Python can be given."""
    names = (
        "ds",
        "ds_nodash",
        "ts",
        "ts_nodash",
        "ts_nodash_with_tz",
        "run_id",
        "params",
        "test_mode",
        "task_instance_key_str",
    )
    found = {name: context[name] for name in names if name in context}
    return {name: dict(value) if name == "params" else value for name, value in found.items()}


@functools.cache
def is_venv_installed() -> bool:
    """Whether environments can be made."""
    return importlib.util.find_spec("venv") is not None


__all__ = [
    "ExternalPythonOperator",
    "PythonOperator",
    "PythonVirtualenvOperator",
    "arguments_of",
    "is_venv_installed",
    "refuse",
    "taken",
]
