"""What tasks and flows can ask about their run: loggers, `prefect.runtime`, `get_run_context`."""

from __future__ import annotations

import importlib
import inspect
import logging
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

from penstock.authoring.joins import outcome_ref
from penstock.authoring.ref import Ref, expression_of, is_known, value_of
from penstock.dialects.prefect.noting import not_covered
from penstock.dialects.prefect.sessions import current_session
from penstock.errors import PenstockError

#: what files compare that ask which Prefect is there
VERSION = "3.7.2"


class MissingContextError(PenstockError, RuntimeError):
    """Something is asked of a run where there is none."""


def attempt() -> Any:
    """The attempt that runs here and now."""
    # what tasks can ask is a part of the public face, which stands above the dialects
    return importlib.import_module("penstock").current()


def get_run_logger(context: Any = None, **_: Any) -> logging.Logger:
    """A logger whose lines are kept with the run."""
    logger = logging.getLogger("prefect.task_runs" if current_session() is None else "prefect.flow_runs")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    if not logger.hasHandlers():
        logger.addHandler(_Shown())
    return logger


class _Shown(logging.Handler):
    """Shows what a flow logs, which is no attempt that keeps it."""

    def emit(self, record: logging.LogRecord) -> None:
        print(f"{record.levelname.lower()}: {record.getMessage()}", file=sys.stderr)


def get_logger(name: str | None = None) -> logging.Logger:
    return logging.getLogger(f"prefect.{name}" if name else "prefect")


get_run_logger.composes = True  # type: ignore[attr-defined]
get_logger.composes = True  # type: ignore[attr-defined]


def run_id() -> str:
    """The id of the run; empty where there is none."""
    session = current_session()
    if session is None:
        return attempt().run_id
    return value_of(outcome_ref(session.building, ())).run_id  # type: ignore[arg-type]


def flow_parameters() -> dict[str, Any]:
    """The parameters of the flow; in a task, as data."""
    session = current_session()
    if session is None:
        return dict(attempt().parameters)
    return {
        name: value_of(each) if isinstance(each, Ref) and is_known(expression_of(each)) else each
        for name, each in session.parameters.items()
    }


class _FlowRun(type):
    """What `prefect.runtime.flow_run` has."""

    @property
    def id(cls) -> str:
        return run_id()

    @property
    def name(cls) -> str:
        return run_id()

    @property
    def parameters(cls) -> dict[str, Any]:
        return flow_parameters()

    @property
    def flow_name(cls) -> str | None:
        session = current_session()
        if session is None and attempt().id:
            raise not_covered("prefect.runtime.flow_run.flow_name in a task", "Let the flow hand it to the task.")
        return None if session is None else session.flow.name

    @property
    def tags(cls) -> list[str]:
        session = current_session()
        return [] if session is None else list(session.tags)

    @property
    def run_count(cls) -> int:
        return 1

    def get_id(cls) -> str:
        return run_id()

    def get_name(cls) -> str:
        return run_id()

    def get_parameters(cls) -> dict[str, Any]:
        return flow_parameters()


#: the name of a task and the arguments of the call whose name is being made
_named: ContextVar[tuple[str, Mapping[str, Any]] | None] = ContextVar("penstock_prefect_named", default=None)


def named(name: Callable[..., Any], task: str, arguments: Mapping[str, Any]) -> Any:
    """What a function says that makes the name of a task's run. Raises what it raises."""
    token = _named.set((task, arguments))
    try:
        return name(dict(arguments)) if inspect.signature(name).parameters else name()
    finally:
        _named.reset(token)


class _TaskRun(type):
    """What `prefect.runtime.task_run` has."""

    @property
    def id(cls) -> str:
        current = attempt()
        return f"{current.run_id}/{current.id}" if current.id else ""

    @property
    def name(cls) -> str:
        return attempt().id

    @property
    def task_name(cls) -> str:
        known = _named.get()
        return attempt().node if known is None else known[0]

    @property
    def parameters(cls) -> dict[str, Any]:
        known = _named.get()
        if known is None:
            raise not_covered("prefect.runtime.task_run.parameters", "Use the arguments of the task.")
        return dict(known[1])

    @property
    def run_count(cls) -> int:
        return attempt().attempt


class _Deployment(type):
    """What `prefect.runtime.deployment` has: what started a run is asked with `penstock show`."""

    id = name = version = property(lambda cls: None)
    flow_run_id = property(lambda cls: run_id())


# classes, so that a task which names one depends on no object


class flow_run(metaclass=_FlowRun):
    """The run that the flow or the task is in."""


class task_run(metaclass=_TaskRun):
    """The attempt that runs here."""


class deployment(metaclass=_Deployment):
    """The deployment that started the run."""


class FlowRunContext(SimpleNamespace):
    """What a flow can ask: `flow`, `flow_run`, `parameters`."""

    @classmethod
    def get(cls) -> FlowRunContext | None:
        session = current_session()
        if session is None:
            return None
        return cls(flow=session.flow, flow_run=flow_run, parameters=flow_parameters(), task_runner=None)


class TaskRunContext(SimpleNamespace):
    """What a task can ask: `task`, `task_run`, `parameters`."""

    @classmethod
    def get(cls) -> TaskRunContext | None:
        current = attempt()
        if current_session() is not None or not current.id:
            return None
        run = SimpleNamespace(
            id=task_run.id, name=current.id, run_count=current.attempt, flow_run_id=current.run_id, tags=[]
        )
        return cls(task=SimpleNamespace(name=current.node), task_run=run, parameters=dict(current.parameters))


def get_run_context() -> Any:
    """What can be asked of the flow or the task that runs here. Raises MissingContextError where there is none."""
    found = FlowRunContext.get() or TaskRunContext.get()
    if found is None:
        raise MissingContextError("no flow and no task runs here")
    return found


def disable_run_logger() -> Any:
    """Prefect's help for tests: loggers work outside of runs here as they are."""
    from contextlib import nullcontext

    return nullcontext()


class tags:
    """Tags for the tasks that are called in the block."""

    composes = True

    def __init__(self, *names: str) -> None:
        self._names = names
        self._before: tuple[str, ...] = ()

    def __enter__(self) -> set[str]:
        session = current_session()
        if session is not None:
            self._before = session.tags
            session.tags = tuple(dict.fromkeys((*session.tags, *self._names)))
        return {*self._before, *self._names}

    def __exit__(self, *_: object) -> None:
        session = current_session()
        if session is not None:
            session.tags = self._before


__all__ = [
    "FlowRunContext",
    "VERSION",
    "MissingContextError",
    "TaskRunContext",
    "attempt",
    "deployment",
    "disable_run_logger",
    "flow_parameters",
    "flow_run",
    "get_logger",
    "get_run_context",
    "get_run_logger",
    "named",
    "run_id",
    "tags",
    "task_run",
]
