"""What the classes and functions of the user's own are called that values hold.

A value says of its code no more than the name. What is called so today is found by `penstock.fingerprint.code`.
"""

from __future__ import annotations

import sys
import weakref
from types import FunctionType, ModuleType
from typing import Any, Final, cast

from penstock.fingerprint.origin import Origin, file_of, of_file, of_module

#: stands for all of a module, in the place of a name
WHOLE: Final = "*"

_LOCAL: Final = ".<locals>"

_classes: weakref.WeakKeyDictionary[type[Any], str] = weakref.WeakKeyDictionary()


def name_of(code: Any) -> str:
    """The name of a class, a function or a module of the user's own, as `module:qualname`; empty for those of others.

    A module is `module:*`. What is made by a function goes by the name of that function. A class that its module does not have under its name
    stands for the whole module. A function that cannot be imported has no name: its code is a part of the
    value.
    """
    if isinstance(code, FunctionType):
        return _name_of_function(code)
    if isinstance(code, ModuleType):
        return f"{code.__name__}:{WHOLE}" if _is_of_user(code.__name__) else ""
    kind = cast("type[Any]", code)
    name = _classes.get(kind)
    if name is None:
        name = _classes[kind] = _name_of_class(kind)
    return name


def stands_for(reference: str) -> str:
    """The name for a class that is known by its reference alone."""
    return reference.partition(_LOCAL)[0]


def find(module: str, qualname: str) -> Any:
    """What a module that has been imported has under a dotted name; None where there is nothing."""
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def _name_of_class(kind: type[Any]) -> str:
    module, name = kind.__module__, stands_for(kind.__qualname__)
    if module != "__main__" and not _is_of_user(module):
        return ""
    is_there = name != kind.__qualname__ or module == "__main__" or find(module, name) is not None
    return f"{module}:{name if is_there else WHOLE}"


def _name_of_function(function: FunctionType) -> str:
    module, name, file = function.__module__, function.__qualname__, function.__code__.co_filename
    if module == "__main__" or find(module, name) is not function:
        return ""
    if not (_is_of_user(module) if file.startswith("<") else of_file(file) is Origin.USER):
        return ""
    # of a method, its class
    return f"{module}:{name.rpartition('.')[0] or name}"


def _is_of_user(module: str) -> bool:
    return of_module(module, file_of(module)) is Origin.USER


__all__ = ["WHOLE", "find", "name_of", "stands_for"]
