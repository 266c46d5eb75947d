"""Which lines of a definition say what it does."""

from __future__ import annotations

import ast
import io
import textwrap
import tokenize
from collections.abc import Iterator, Sequence

_Documented = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)


def significant(lines: Sequence[str]) -> list[tuple[int, str]]:
    """The lines of a definition without blank ones, comments and docstrings, with their places among all."""
    text = textwrap.dedent("\n".join(lines))
    try:
        comments = _comments(text)
        left_out = set(_docstrings(ast.parse(text)))
    except (SyntaxError, ValueError, tokenize.TokenError):
        # a part of a statement, such as a lambda
        comments, left_out = {}, set[int]()
    kept: list[tuple[int, str]] = []
    for place, line in enumerate(text.split("\n")):
        code = line[: comments.get(place + 1, len(line))].rstrip()
        if code and place + 1 not in left_out:
            kept.append((place, code))
    return kept


def _comments(text: str) -> dict[int, int]:
    """Line -> where its comment begins."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {token.start[0]: token.start[1] for token in tokens if token.type == tokenize.COMMENT}


def _docstrings(tree: ast.AST) -> Iterator[int]:
    """The lines that docstrings stand in."""
    for node in ast.walk(tree):
        if isinstance(node, _Documented) and ast.get_docstring(node, clean=False) is not None:
            yield from range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)


__all__ = ["significant"]
