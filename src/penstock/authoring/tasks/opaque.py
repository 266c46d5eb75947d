"""Nodes that stand for something of another system that has no counterpart here."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Sequence
from typing import Any, NoReturn

from penstock.authoring.kinds.outputs import RESULT
from penstock.authoring.task import Task
from penstock.errors import DefinitionError
from penstock.model.action import OpaqueAction
from penstock.model.graph import Port
from penstock.model.graph import Task as TaskNoun


class OpaqueTask(Task[..., Any]):
    """A task that can be shown, and written for the system that it comes from, and not be run. `inputs` are the names of
    what it is given, by keyword."""

    def __init__(self, action: OpaqueAction, name: str, inputs: Sequence[str] = ()) -> None:
        super().__init__(functools.partial(_refused, action), name, {"cache": False})
        self.action = action
        self._inputs = tuple(inputs)

    @functools.cached_property
    def shape(self) -> inspect.Signature:
        kind = inspect.Parameter.KEYWORD_ONLY
        return inspect.Signature([inspect.Parameter(name, kind) for name in self._inputs])

    @functools.cached_property
    def noun(self) -> TaskNoun:
        return TaskNoun(self.name, self.action, tuple(map(Port, self._inputs)), (Port(RESULT),))


def _refused(action: OpaqueAction, **_: Any) -> NoReturn:
    raise DefinitionError(
        f"{action.kind} has no counterpart in penstock, which can show it and not run it", where=str(action.location)
    )


__all__ = ["OpaqueTask"]
