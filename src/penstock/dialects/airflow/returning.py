"""What a function is known to return before it has run."""

from __future__ import annotations

import ast
import inspect
import textwrap
import typing
from collections.abc import Callable, Sequence
from typing import Any

_LISTS = (ast.List, ast.ListComp, ast.Tuple)
_MAKERS = frozenset({"list", "sorted"})


def returns_list(function: Callable[..., Any] | None) -> bool:
    """Whether a function surely returns a list: by its annotation, or by all that it returns being written as one."""
    if not inspect.isfunction(function):
        return False
    annotation = _annotation(function)
    if annotation is not Any:
        kind = typing.get_origin(annotation) or annotation
        return isinstance(kind, type) and issubclass(kind, Sequence) and not issubclass(kind, (str, bytes))
    definition = _definition(function)
    returned = list(_returned(definition)) if isinstance(definition, ast.FunctionDef) else []
    return bool(returned) and all(_is_list(each) for each in returned)


def returned_names(function: Callable[..., Any]) -> set[str] | None:
    """The names that a branch may return, where all that it returns is written out; None where it is not."""
    definition = _definition(function)
    if definition is None:
        return None
    bodies = [definition.body] if isinstance(definition, ast.Lambda) else list(_returned(definition))
    found: set[str] = set()
    for each in bodies:
        names = _names(each)
        if names is None:
            return None
        found |= names
    return found


def _definition(function: Callable[..., Any]) -> ast.FunctionDef | ast.Lambda | None:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError, TypeError):
        return None
    kinds = ast.Lambda if getattr(function, "__name__", "") == "<lambda>" else ast.FunctionDef
    found = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    return found[0] if found and (kinds is ast.FunctionDef or len(found) == 1) else None


def _names(value: ast.expr | None) -> set[str] | None:
    match value:
        case None | ast.Constant(value=None):
            return set()
        case ast.Constant(value=str(name)):
            return {name}
        case ast.IfExp(body=one, orelse=other):
            return _all_names([one, other])
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return _all_names(elements)
        case _:
            return None


def _all_names(values: list[ast.expr]) -> set[str] | None:
    found = [_names(each) for each in values]
    return None if any(each is None for each in found) else {name for each in found for name in each or ()}


def _annotation(function: Callable[..., Any]) -> Any:
    try:
        return typing.get_type_hints(function).get("return", Any)
    except (NameError, TypeError, AttributeError):
        return Any


def _returned(node: ast.AST) -> typing.Iterator[ast.expr | None]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Return):
            yield child.value
        elif not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            yield from _returned(child)


def _is_list(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        return value.func.id in _MAKERS
    return isinstance(value, _LISTS)


__all__ = ["returned_names", "returns_list"]
