"""Whose code it is: the user's own, an installed package's, the standard library's or penstock's.

The user's own is what is none of the others, an editable install included. A file counts as installed when it lies
in a `site-packages` or `dist-packages` folder, and not because it lies under `sys.prefix`: containers often keep the
project under `/usr/src` or `/usr/local`, where the interpreter lives too.
"""

from __future__ import annotations

import os
import sys
from enum import Enum
from pathlib import Path
from typing import Any, Final

_SITES: Final = frozenset({"site-packages", "dist-packages"})
_LIBRARY: Final = os.path.dirname(os.__file__) + os.sep  # noqa: PTH120 - on the path of every start
_PENSTOCK: Final = str(Path(__file__).parents[1]) + os.sep


class Origin(Enum):
    """Whose code it is."""

    USER = "user"
    PACKAGE = "package"
    LIBRARY = "library"
    PENSTOCK = "penstock"


def of_file(file: str) -> Origin:
    """Whose a source file, or a compiled one, is."""
    if file.startswith(_PENSTOCK):
        return Origin.PENSTOCK
    if site_of(file) is not None:
        return Origin.PACKAGE
    if file.startswith((_LIBRARY, "<frozen ")):
        return Origin.LIBRARY
    return Origin.USER


def of_module(name: str, file: str | None) -> Origin:
    """Whose a module is, by its name and its file, if it has one."""
    if file is not None:
        return of_file(file)
    top = name.partition(".")[0]
    if top == "penstock":
        return Origin.PENSTOCK
    if top in sys.stdlib_module_names:
        return Origin.LIBRARY
    return Origin.USER


def site_of(file: str) -> str | None:
    """The innermost folder of installed packages that a file lies in."""
    parts = file.split(os.sep)  # noqa: PTH206 - this is asked for every function
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] in _SITES:
            return os.sep.join(parts[: index + 1])  # noqa: PTH118
    return None


def file_of(module: str) -> str | None:
    """The file of a module that has been imported; of a namespace package, its first folder."""
    loaded = sys.modules.get(module)
    if loaded is None:
        return None
    file: object = getattr(loaded, "__file__", None)
    if isinstance(file, str):
        return file
    folders: Any = getattr(loaded, "__path__", ())
    return next((str(folder) for folder in folders), None)
