"""Where things stand in the user's code."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from penstock.model.place import Location

#: what stands between the user's line and here: penstock itself, what enters the block of a `with` for it, and what
#: steps through a coroutine
_BETWEEN = (
    os.path.dirname(os.path.dirname(__file__)) + os.sep,  # noqa: PTH120
    contextlib.__file__,
    os.path.join(os.path.dirname(contextlib.__file__), "asyncio") + os.sep,  # noqa: PTH118, PTH120
)


#: the attribute of a module that says which other system's dialect it is written in
DIALECT = "__penstock_dialect__"


def location_of(function: Callable[..., Any]) -> Location:
    """Where a function is defined; of what is called like one, its `location`."""
    known = getattr(function, "location", None)
    if isinstance(known, Location):
        return known
    code = getattr(function, "__code__", None)
    if code is None or is_own(code.co_filename):
        code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
    if code is None:
        return Location("<unknown>", 0)
    return Location(nearby(code.co_filename), code.co_firstlineno)


def composed(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Call the function of a body: below this, everything on the stack belongs to the body."""
    return function(**arguments)


def caller() -> Location:
    """The line of the user's code that called into penstock; where penstock itself does what belongs to a body, that of
    the body's function."""
    return place_of(calling_frame())


def calling_frame() -> FrameType:
    """The frame of the user's code that called into penstock, or that of `composed`."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while is_own((code := frame.f_code).co_filename) and code is not composed.__code__:
        back = frame.f_back
        if back is None:
            break
        frame = back
    return frame


def place_of(frame: FrameType) -> Location:
    """The line that a frame is at; of `composed`, that of the body's function."""
    code = frame.f_code
    if code is composed.__code__:
        return location_of(frame.f_locals["function"])
    return Location(nearby(code.co_filename), frame.f_lineno)


def calling_module() -> str:
    """The name of the module of the user's code that called into penstock."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame.f_code.co_filename.startswith(_BETWEEN) and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_globals.get("__name__", "")


@functools.cache
def is_own(file: str) -> bool:
    """Whether a file is none of the user's: of penstock itself, or what calls their code for it."""
    return file.startswith(_BETWEEN)


def found_by_name(module: str, qualname: str) -> Any:
    """What another process finds under a name once it has imported the module; None for what it cannot find so."""
    found: Any = None if module == "__main__" else sys.modules.get(module)
    for name in qualname.split("."):
        found = getattr(found, name, None)
    return found


def nearby(file: str) -> str:
    """A path under the working folder without the folder, as people write it."""
    try:
        folder = os.getcwd()  # noqa: PTH109 - once for every node of a graph, so by text
    except FileNotFoundError:
        return file
    return file.removeprefix(folder if folder.endswith(os.sep) else folder + os.sep)
