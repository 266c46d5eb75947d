"""Plain functions that a file compiles or starts as pipelines, as the first version's files do, behind their
`if __name__ == "__main__":`."""

from __future__ import annotations

import ast
from pathlib import Path
from types import FunctionType, ModuleType

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


def _named(source: str) -> set[str]:
    if not any(f".{method}(" in source for method in _METHODS):
        return set()
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS:
            given = [each.value for each in node.keywords if each.arg == "pipeline_func"]
            found.update(each.id for each in (*node.args[:1], *given) if isinstance(each, ast.Name))
    return found


__all__ = ["pipelines_of_main"]
