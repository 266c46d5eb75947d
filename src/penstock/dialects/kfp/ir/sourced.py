"""Functions that are there as text alone: the components of compiled pipelines carry their source along."""

from __future__ import annotations

import ast
import linecache
import re
import sys
from collections.abc import Callable
from types import CodeType, ModuleType
from typing import Any

from penstock.dialects.foreign import ForeignLoader
from penstock.dialects.recognition import named
from penstock.errors import TargetError

#: what every component's source begins with
HEADER = ("import kfp", "from kfp import dsl", "from kfp.dsl import *", "from typing import *")


class _TextLoader(ForeignLoader):
    """Loads a text as a module in Kubeflow's dialect."""

    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path, named("kfp"))
        self._code = text

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._code, self.path, "exec", dont_inherit=True)

    def get_source(self, fullname: str) -> str:
        return self._code


def function_of(text: str, name: str, label: str, module: str) -> Callable[..., Any]:
    """The function of a name in a source; `label` stands for its file, and its module is called after both.

    Raises TargetError for a source that does not load or has no such function.
    """
    file = f"<{label}>"
    # so that tracebacks and fingerprints find the lines
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    home = re.sub(r"\W+", "_", f"{module}_{label}")
    loaded = ModuleType(home)
    loader = _TextLoader(home, file, text)
    loaded.__loader__, loaded.__file__ = loader, file
    # where those who look for the source of a function by its module find it
    sys.modules[home] = loaded
    try:
        loader.exec_module(loaded)
    except Exception as error:
        raise TargetError(
            f"the source of {label} does not load: {type(error).__name__}: {error}", where=label
        ) from error
    found = getattr(loaded, name, None)
    if found is None:
        raise TargetError(f"the source of {label} has no function {name!r}", where=label)
    return found


def without_header(text: str) -> str:
    """A component's source without the imports that every one has."""
    lines = text.strip("\n").splitlines()
    while lines and (not lines[0].strip() or lines[0].strip() in HEADER):
        lines.pop(0)
    return "\n".join(lines).rstrip() + "\n"


def has_function(text: str, name: str) -> bool:
    """Whether a source defines a function at its top level."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return False
    return any(isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)) and each.name == name for each in tree.body)


__all__ = ["HEADER", "function_of", "has_function", "without_header"]
