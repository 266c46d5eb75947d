"""How a worker gets at the function of a task: by importing it, or else by cloudpickle."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, cast

from penstock.authoring.source import DIALECT, found_by_name, location_of
from penstock.authoring.task import Task
from penstock.errors import DefinitionError
from penstock.model.work import Code, Imported, Pickled


def code_of(given: Task[..., Any] | Callable[..., Any], called: str = "") -> Code:
    """A reference to a function, or to that of a task, that works in another process; what is called like a function may
    have its own, as a task may. `called` is what messages call it.

    Raises DefinitionError, naming the variable at fault, for a function that can neither be imported nor pickled.
    """
    if isinstance(given, Task):
        task = cast("Task[..., Any]", given)
        return task.reference or code_of(task.function, f"the task {task.name!r}")
    function = given
    called = called or function.__name__
    reference = getattr(function, "reference", None)
    if isinstance(reference, Imported):
        return reference
    imported = _imported(function)
    return imported if imported is not None else Pickled(_pickled(function, called))


def _imported(function: Callable[..., Any]) -> Imported | None:
    found = found_by_name(function.__module__, function.__qualname__)
    if isinstance(found, Task):
        found = cast(Task[..., Any], found).function
    if found is not function:
        return None
    module = sys.modules[function.__module__]
    file, dialect = getattr(module, "__file__", None), getattr(module, DIALECT, "")
    return Imported(function.__module__, function.__qualname__, file, dialect)


def _pickled(function: Callable[..., Any], called: str) -> bytes:
    import cloudpickle

    try:
        return cast(Any, cloudpickle).dumps(function)
    except Exception as error:
        raise DefinitionError(
            f"{called} cannot be sent to a worker: {_culprit(function) or error}",
            where=str(location_of(function)),
            remedy="Move the function to the top level of a module, create such objects inside the task, "
            'or run with executor="inline" (--executor inline).',
        ) from None


def _culprit(function: Callable[..., Any]) -> str | None:
    """The variable that a function holds and that cannot be pickled."""
    import cloudpickle

    held = dict(
        zip(function.__code__.co_freevars, (cell.cell_contents for cell in function.__closure__ or ()), strict=False)
    )
    held.update(
        {name: function.__globals__[name] for name in function.__code__.co_names if name in function.__globals__}
    )
    for name, value in held.items():
        try:
            cast(Any, cloudpickle).dumps(value)
        except Exception:
            return f"it uses {name!r}, a {type(value).__qualname__}, which cannot be pickled"
    return None
