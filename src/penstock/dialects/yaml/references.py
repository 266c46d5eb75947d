"""How a file names functions of the user's."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

from penstock.authoring.source import DIALECT, nearby
from penstock.authoring.task import Task


def reference_of(function: Any) -> str | None:
    """How a file names a function: `module:name`, or `file.py:name`; None where other processes could not find it."""
    if isinstance(function, Task):
        reference = cast("Task[..., Any]", function).reference
        if reference is not None and reference.file is not None:
            return f"{nearby(reference.file)}:{reference.qualname}"
    if found_again(function) is None:
        return None
    plain: Any = cast("Task[..., Any]", function).function if isinstance(function, Task) else function
    return f"{_place_of(sys.modules[plain.__module__])}:{plain.__qualname__}"


def found_again(function: Any) -> Any:
    """What another process finds where a function, or that of a task, is defined: itself, or the task that it is the function
    of; None for anything else."""
    plain: Any = cast("Task[..., Any]", function).function if isinstance(function, Task) else function
    module, qualname = getattr(plain, "__module__", None), getattr(plain, "__qualname__", "")
    found: Any = None if module == "__main__" else sys.modules.get(module or "")
    for name in qualname.split("."):
        found = getattr(found, name, None)
    same: Any = cast("Task[..., Any]", found).function if isinstance(found, Task) else found
    return cast(Any, found) if same is plain and found is not None else None


def _place_of(module: Any) -> str:
    """How a module is named from beside its file, or from the working folder."""
    file = getattr(module, "__file__", None)
    by_file = getattr(module, DIALECT, "") or module.__name__.startswith("penstock_")
    if file is not None and by_file and "site-packages" not in Path(file).parts:
        return nearby(file)
    return module.__name__


__all__ = ["found_again", "reference_of"]
