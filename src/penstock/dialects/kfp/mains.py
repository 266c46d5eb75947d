"""Plain functions that a file compiles or starts as pipelines, as the first version's files do, behind their
`if __name__ == "__main__":`."""

from __future__ import annotations

import ast
from collections.abc import Collection
from pathlib import Path
from types import FunctionType, ModuleType

from penstock.authoring.source import nearby
from penstock.model.graph import Ignored
from penstock.model.place import Location

_RECURRING = "create_recurring_run"
_WHY = "loading the file does not call it; what the top level of a file calls becomes a trigger"
#: the methods that are given the function of a pipeline
_METHODS = frozenset({"compile", "create_run_from_pipeline_func", "from_pipeline_func"})


def pipelines_of_main(module: ModuleType) -> dict[str, FunctionType]:
    """The functions of a file's own, without a decorator, that it names as pipelines, in their order in the file."""
    path = Path(getattr(module, "__file__", None) or "")
    if path.suffix != ".py" or not path.is_file():
        return {}
    named = _named(path.read_text(errors="replace"))
    return {
        name: value
        for name, value in vars(module).items()
        if name in named and isinstance(value, FunctionType) and value.__module__ == module.__name__
    }


def recurring_elsewhere(module: ModuleType, lines: Collection[int]) -> list[Ignored]:
    """The recurring runs in the text of a file besides those on some lines, which loading it has come by."""
    path = Path(getattr(module, "__file__", None) or "")
    source = path.read_text(errors="replace") if path.suffix == ".py" and path.is_file() else ""
    if f".{_RECURRING}(" not in source:
        return []
    calls = [each for each in ast.walk(ast.parse(source)) if isinstance(each, ast.Call)]
    return [
        Ignored(f"{ast.unparse(each.func)}(...)", Location(nearby(str(path)), each.lineno), _WHY)
        for each in calls
        if isinstance(each.func, ast.Attribute) and each.func.attr == _RECURRING and each.lineno not in lines
    ]


def _named(source: str) -> set[str]:
    if not any(f".{method}(" in source for method in _METHODS):
        return set()
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS:
            given = [each.value for each in node.keywords if each.arg == "pipeline_func"]
            found.update(each.id for each in (*node.args[:1], *given) if isinstance(each, ast.Name))
    return found


__all__ = ["pipelines_of_main", "recurring_elsewhere"]
