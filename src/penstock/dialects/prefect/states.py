"""Prefect's states: how a task or a flow ended, as a value of the flow."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from penstock.authoring.ref import value
from penstock.dialects.prefect.sessions import Arrival, is_awaited, opens
from penstock.errors import Fail


class StateType(StrEnum):
    """The types of states."""

    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    CRASHED = "CRASHED"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"


_FINAL = (StateType.COMPLETED, StateType.FAILED, StateType.CANCELLED, StateType.CRASHED)


class FailedRun(Fail):
    """What a state of failure stands for that has no exception."""


class CancelledRun(FailedRun):
    """The same of a state of cancellation."""


class CrashedRun(FailedRun):
    """The same of a state of a crash."""


class State:
    """How something ended. `data` is its result, or the exception that it raised."""

    def __init__(
        self, type: StateType | str, name: str | None = None, message: str | None = None, data: Any = None
    ) -> None:
        self.type = StateType(type)
        self.name = name or self.type.value.capitalize()
        self.message = message
        self.data = data

    def is_completed(self) -> bool:
        return self.type is StateType.COMPLETED

    def is_failed(self) -> bool:
        return self.type is StateType.FAILED

    def is_cancelled(self) -> bool:
        return self.type is StateType.CANCELLED

    def is_crashed(self) -> bool:
        return self.type is StateType.CRASHED

    def is_final(self) -> bool:
        return self.type in _FINAL

    def is_running(self) -> bool:
        return self.type is StateType.RUNNING

    def is_pending(self) -> bool:
        return self.type is StateType.PENDING

    def is_scheduled(self) -> bool:
        return self.type is StateType.SCHEDULED

    def is_paused(self) -> bool:
        return self.type is StateType.PAUSED

    def result(self, raise_on_failure: bool = True, **_: Any) -> Any:
        """The result; of a state that is none of success, the exception, which is raised unless that is not wanted."""
        if is_awaited():
            return Arrival(lambda: self._result(raise_on_failure, open=False))
        return self._result(raise_on_failure, open=opens())

    def _result(self, raise_on_failure: bool, *, open: bool) -> Any:
        if self.is_completed() or not self.is_final():
            return self.data if open else value(self.data)
        error = self.error()
        if raise_on_failure:
            raise error
        return error

    async def aresult(self, raise_on_failure: bool = True) -> Any:
        return self.result(raise_on_failure)

    def get(self) -> Any:
        return self.result()

    def error(self) -> BaseException:
        """The exception that stands for a state that is none of success."""
        if isinstance(self.data, BaseException):
            return self.data
        kinds = {StateType.CANCELLED: CancelledRun, StateType.CRASHED: CrashedRun}
        told = self.message or (f"the state is {self.name}" if self.data is None else str(self.data))
        return kinds.get(self.type, FailedRun)(told)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and (self.type, self.name) == (other.type, other.name)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"{self.name}(message={self.message!r}, type={self.type.value})"


def _state(type: StateType, name: str) -> Any:
    def state(*, data: Any = None, message: str | None = None, **given: Any) -> State:
        return State(type, given.get("name", name), message, data)

    state.__name__ = state.__qualname__ = name
    state.composes = True  # type: ignore[attr-defined]
    return state


Completed = _state(StateType.COMPLETED, "Completed")
Failed = _state(StateType.FAILED, "Failed")
Crashed = _state(StateType.CRASHED, "Crashed")
Cancelled = _state(StateType.CANCELLED, "Cancelled")


class Returned:
    """A task's function whose result may be a state: a failure is raised, and of success, the data is the result."""

    def __init__(self, function: Any) -> None:
        import functools

        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return settled(self.__wrapped__(*args, **kwargs))  # type: ignore[attr-defined]


def settled(given: Any) -> Any:
    """A value; of a state, its data. Raises what stands for a state that is none of success."""
    if not isinstance(given, State):
        return given
    if not given.is_completed():
        raise given.error()
    return given.data


def raise_if_failed(state: Any) -> None:
    """Raise what stands for a state that is none of success."""
    settled(state)


def return_states(function: Any) -> bool:
    """Whether the text of a function names what makes states."""
    makers = (State, Completed, Failed, Crashed, Cancelled)
    code = getattr(function, "__code__", None)
    names = getattr(function, "__globals__", {})
    return code is not None and any(_is_maker(names.get(name), makers) for name in code.co_names)


def _is_maker(found: Any, makers: tuple[Any, ...]) -> bool:
    if getattr(found, "__name__", "") in ("prefect.states", "prefect"):
        return True
    return any(found is each for each in makers)


__all__ = [
    "CancelledRun",
    "CrashedRun",
    "FailedRun",
    "Cancelled",
    "Completed",
    "Crashed",
    "Failed",
    "Returned",
    "State",
    "StateType",
    "raise_if_failed",
    "return_states",
    "settled",
]
