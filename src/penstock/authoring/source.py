"""Where things stand in the user's code."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penstock.model.graph import Location

#: what stands between the user's line and here: penstock itself, and what enters the block of a `with` for it
_BETWEEN = (f"{Path(__file__).parent.parent}{os.sep}", contextlib.__file__)


def location_of(function: Callable[..., Any]) -> Location:
    """Where a function is defined."""
    code = getattr(function, "__code__", None)
    if code is None:
        return Location("<unknown>", 0)
    return Location(_shortened(code.co_filename), code.co_firstlineno)


def caller() -> Location:
    """The line of the user's code that called into penstock."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame.f_code.co_filename.startswith(_BETWEEN) and frame.f_back is not None:
        frame = frame.f_back
    return Location(_shortened(frame.f_code.co_filename), frame.f_lineno)


def found_by_name(module: str, qualname: str) -> Any:
    """What another process finds under a name once it has imported the module; None for what it cannot find so."""
    found: Any = None if module == "__main__" else sys.modules.get(module)
    for name in qualname.split("."):
        found = getattr(found, name, None)
    return found


def _shortened(file: str) -> str:
    """A path under the working folder without the folder, as people write it."""
    try:
        folder = os.path.join(os.getcwd(), "")  # noqa: PTH109, PTH118 - once for every node of a graph, so by text
    except FileNotFoundError:
        return file
    return file.removeprefix(folder)
