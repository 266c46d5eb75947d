"""Calls that may read a file whose path is spelled out in the code, as far as their text says.

Who reads the names in them, and whether they are calls of a library, is told by `penstock.fingerprint.undeclared`.
"""

from __future__ import annotations

import ast
from typing import Final, NamedTuple

_READERS: Final = frozenset(
    {"open", "load", "loadtxt", "genfromtxt", "fromfile", "memmap", "imread", "read_text", "read_binary", "read_bytes"}
    | {"open_text", "open_binary", "get_data"}
)
#: read from somewhere else than a file
_OTHERS: Final = ("read_sql", "read_database", "read_gbq", "read_clipboard", "read_msgpack")
_METHODS: Final = frozenset({"read_text", "read_bytes", "open"})
#: what makes a path of texts, and what makes a path of a path
_MAKERS: Final = frozenset({"Path", "PurePath", "PosixPath", "join", "fspath", "str", "abspath", "realpath", "dirname"})
_DERIVED: Final = frozenset({"joinpath", "with_name", "with_suffix", "resolve", "absolute", "expanduser"})
_WHOLE: Final = frozenset({"files", "cwd", "home", "getcwd", "gettempdir"})
_KEYWORDS: Final = frozenset({"file", "path", "filename", "filepath_or_buffer", "source", "io", "fname", "path_or_buf"})
_LONGEST: Final = 60


class Candidate(NamedTuple):
    """A call that reads a file if `callee` is of a library."""

    #: what has to be of a library; None for a method of a path
    callee: ast.expr | None
    #: texts and names that the path is made of
    parts: list[ast.expr]
    #: the call, for people
    shown: str


def candidate(call: ast.Call) -> Candidate | None:
    """What a call reads, if it may be one that reads a file by a path that has no other calls in it."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if not _is_reader(name):
        return None
    try:
        return _candidate(call, name)
    except RecursionError:
        # nobody spells out a path that long
        return None


def _candidate(call: ast.Call, name: str) -> Candidate | None:
    if isinstance(call.func, ast.Attribute) and name in _METHODS and not _is_dotted(call.func):
        parts = None if _is_written(call, 0, name) else parts_of(call.func.value)
        return None if parts is None else Candidate(None, parts, _shown(call.func, None))
    if _is_written(call, 1, name):
        return None
    path = next((word.value for word in call.keywords if word.arg in _KEYWORDS), call.args[0] if call.args else None)
    parts = [] if path is None else parts_of(path)
    return None if parts is None else Candidate(call.func, parts, _shown(call.func, path))


def parts_of(node: ast.expr) -> list[ast.expr] | None:
    """The texts and names that a path is made of; None where there is something else in it."""
    match node:
        case ast.Constant(value=str()):
            return [node]
        case ast.Name(id="__file__"):
            return []
        case ast.Call(func=ast.Attribute(value=of, attr=name), args=args):
            if name in _DERIVED:
                return _all([of, *args])
            return _all(args) if name in _MAKERS | _WHOLE else None
        case ast.Call(func=ast.Name(id=name), args=args):
            return _all(args) if name in _MAKERS | _WHOLE else None
        case ast.BinOp(left=left, op=ast.Div() | ast.Add(), right=right):
            return _all([left, right])
        case ast.JoinedStr(values=values):
            return _all(values)
        case ast.FormattedValue(value=value):
            return parts_of(value)
        case ast.Attribute(value=of) if not _is_dotted(node) or _root(node) == "__file__":
            return parts_of(of) if node.attr == "parent" else None
        case ast.Subscript(value=ast.Attribute(value=of, attr="parents")):
            return parts_of(of)
        case ast.Name() | ast.Attribute():
            return [node]
        case _:
            return None


def imports_of(call: ast.Call) -> str | None:
    """The full name of a module that a call would import; None for other calls and for a name that is computed."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    match call.args:
        case [ast.Constant(value=str(module)), *more] if name in ("import_module", "__import__"):
            relative = module.startswith(".") or (name == "__import__" and len(more) > 3)
            return None if relative or not all(part.isidentifier() for part in module.split(".")) else module
        case _:
            return None


def _is_reader(name: str) -> bool:
    return name in _READERS or (name.startswith(("read_", "scan_")) and not name.startswith(_OTHERS))


def _all(nodes: list[ast.expr]) -> list[ast.expr] | None:
    found: list[ast.expr] = []
    for node in nodes:
        parts = parts_of(node)
        if parts is None:
            return None
        found += parts
    return found


def _is_written(call: ast.Call, position: int, name: str) -> bool:
    """Whether a call of `open` says that it is to write."""
    if name != "open":
        return False
    given = call.args[position] if len(call.args) > position else None
    mode = next((word.value for word in call.keywords if word.arg == "mode"), given)
    return isinstance(mode, ast.Constant) and isinstance(mode.value, str) and mode.value[:1] in ("w", "a", "x")


def _is_dotted(node: ast.expr) -> bool:
    return bool(_root(node))


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _shown(callee: ast.expr, path: ast.expr | None) -> str:
    text = f"{ast.unparse(callee)}({'' if path is None else ast.unparse(path)})"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}\u2026"
