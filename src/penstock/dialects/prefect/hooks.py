"""Prefect's hooks on states, as penstock's hooks; and the condition on which an attempt is repeated."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, cast

from penstock.authoring.options.hooks import Hooks
from penstock.dialects.prefect.sessions import driven
from penstock.dialects.prefect.states import State, StateType
from penstock.model.work import Imported

#: option of Prefect -> event of penstock, and the state that the hook is told
_TASK = {"on_completion": "success", "on_failure": "failure", "on_running": "start"}
_FLOW = {**_TASK, "on_cancellation": "cancel"}
_STATES = {
    "success": StateType.COMPLETED,
    "failure": StateType.FAILED,
    "start": StateType.RUNNING,
    "cancel": StateType.CANCELLED,
}


class Hook:
    """A hook of Prefect's, `hook(task or flow, its run, state)`, as one that gets penstock's context."""

    def __init__(self, owner: Any, function: Callable[..., Any]) -> None:
        self._owner = owner
        self._function = function
        self.__name__ = getattr(function, "__name__", "hook")

    def __call__(self, context: Any) -> None:
        state = State(_STATES[context.event], message=context.error_message or None)
        if context.error_message:
            state.data = RuntimeError(f"{context.error_type}: {context.error_message}")
        found = self._function(self._owner, run_in(context), state)
        if inspect.iscoroutine(found):
            driven(found)


def run_in(context: Any) -> SimpleNamespace:
    """What a hook is told of the run: of a task where it is about one, or of the flow."""
    name = context.node or context.pipeline
    return SimpleNamespace(
        id=context.run_id,
        name=name,
        flow_run_id=context.run_id,
        run_count=context.attempt,
        parameters=dict(context.parameters),
        total_run_time=context.duration,
        start_time=context.started_at,
        state_name=context.state,
    )


def _listed(value: Any) -> list[Callable[..., Any]]:
    if value is None:
        return []
    return list(cast("list[Any]", value)) if isinstance(value, (list, tuple)) else [value]


def task_hooks(owner: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The hooks of a task, as options of penstock."""
    return {
        f"on_{event}": [Hook(owner, each) for each in _listed(given.get(option))]
        for option, event in _TASK.items()
        if _listed(given.get(option))
    }


def flow_hooks(owner: Any, given: Mapping[str, Any]) -> Hooks:
    """The hooks of a flow."""
    found = {event: tuple(Hook(owner, each) for each in _listed(given.get(name))) for name, event in _FLOW.items()}
    return Hooks(**found)


class RetryCondition:
    """`retry_condition_fn(task, task run, state)` as a condition over the exception."""

    def __init__(self, task: Any, function: Callable[..., Any]) -> None:
        self._task = task
        self._function = function
        self.__name__ = self.__qualname__ = getattr(function, "__name__", "retry_condition_fn")
        self.__module__ = function.__module__

    @property
    def reference(self) -> Imported | None:
        """How a worker gets at it: by the name of its task."""
        return self._task.condition_reference()

    def __call__(self, error: BaseException) -> bool:
        state = State(StateType.FAILED, message=str(error), data=error)
        found = self._function(self._task, SimpleNamespace(run_count=1, name=self._task.name), state)
        return bool(driven(found) if inspect.iscoroutine(found) else found)


__all__ = ["Hook", "RetryCondition", "flow_hooks", "run_in", "task_hooks"]
