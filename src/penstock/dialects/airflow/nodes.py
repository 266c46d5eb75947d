"""What an operator is as a node of penstock's own, where it says the same as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from penstock.authoring.task import Task
    from penstock.model.action import Environment


class Call(NamedTuple):
    """A call of a function of the user's."""

    function: Callable[..., Any]
    #: by parameter; outputs of other tasks may be in them
    arguments: Mapping[str, Any]
    environment: Environment | None = None


class Program(NamedTuple):
    """A command, or a container, that has been made a task. Its outputs are the lines of stdout, a value, or none."""

    task: Task[..., Any]
    gives: str = "lines"
    #: by input; outputs of other tasks may be in them
    arguments: Mapping[str, Any] = {}


class Choice(NamedTuple):
    """What a task decides about those after it by what it returns."""

    #: of those directly after it, which run, by their ids; or else whether any of those after it do
    by_name: bool
    #: all that come after it, and not only those directly after it
    all_after: bool = False
    #: a key of what it returns, and what has to be said there; none for all that it returns, which has to be true
    says: tuple[str, str] | None = None


__all__ = ["Call", "Choice", "Program"]
