"""Which lines of a function stand where exceptions are handled, by its source."""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
from collections.abc import Iterator
from types import CodeType

_Try = (ast.Try, ast.TryStar)
_Function = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


@functools.lru_cache(maxsize=1000)
def caught_lines(code: CodeType) -> tuple[range, ...]:
    """The lines of a function that stand in the body of a `try` with handlers; none where its source is not to be had."""
    linecache.checkcache(code.co_filename)
    lines = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 :]
    try:
        # indented as it is, below a line of its own
        tree = ast.parse("if True:\n" + "".join(f" {line}" for line in inspect.getblock(lines)))
    except (SyntaxError, IndexError):
        return ()
    outer = tree.body[0]
    shift = code.co_firstlineno - 2
    found = [_body_lines(statement) for statement in _statements(outer) if _catches(statement)]
    return tuple(range(first + shift, last + shift + 1) for first, last in found)


def _statements(outer: ast.AST) -> Iterator[ast.AST]:
    """All statements of the function, without those of functions in it."""
    function = next((node for node in ast.walk(outer) if isinstance(node, _Function)), outer)
    stack = list(ast.iter_child_nodes(function))
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, _Function):
            stack.extend(ast.iter_child_nodes(node))


def _catches(node: ast.AST) -> bool:
    if isinstance(node, _Try):
        return bool(node.handlers)
    return isinstance(node, ast.With) and any(_called(item.context_expr) == "suppress" for item in node.items)


def _called(node: ast.expr) -> str:
    function = node.func if isinstance(node, ast.Call) else None
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _body_lines(node: ast.AST) -> tuple[int, int]:
    body: list[ast.stmt] = getattr(node, "body")  # noqa: B009 - of a try or a with, as `_catches` has seen
    return body[0].lineno, max(statement.end_lineno or statement.lineno for statement in body)
