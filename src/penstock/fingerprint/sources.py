"""Source code as it stands on disk or in a notebook: read and parsed once for each version of a file.

What has been loaded may be older than what is on disk by now. A definition is only taken from a source that compiles
to what was loaded; this is looked at where it can differ: in files written after this process began, and in sources
that are not files.
"""

from __future__ import annotations

import ast
import linecache
import os
import time
import tokenize
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any, Final

from penstock.fingerprint import bytecode, syntax
from penstock.fingerprint.syntax import Import, Reading

_BEGAN: Final = time.time()

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Source:
    """One version of a source, parsed. Raises SyntaxError, or ValueError for null bytes, when it does not parse."""

    def __init__(self, file: str, text: str, *, settled: bool) -> None:
        self.file = file
        #: whether everything loaded from here was loaded from this very version
        self.settled = settled
        # notebooks allow `await` at the top of a cell
        self._module = compile(
            text, file, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
        )
        self._functions: dict[tuple[int, str], list[ast.AST]] = {}
        self._classes: dict[str, list[ast.ClassDef]] = {}
        self._readings: dict[ast.AST, Reading] = {}
        self._bindings: dict[str, list[ast.stmt | Import]] | None = None
        self._compiled: dict[tuple[int, str], list[CodeType]] | None = None
        self._index()

    def _index(self) -> None:
        stack: list[tuple[ast.AST, str]] = [(self._module, "")]
        while stack:
            node, prefix = stack.pop()
            if isinstance(node, _Definition):
                name = prefix + node.name
                if isinstance(node, ast.ClassDef):
                    self._classes.setdefault(name, []).append(node)
                else:
                    # a code object begins at its first decorator
                    first = node.decorator_list[0] if node.decorator_list else node
                    self._functions.setdefault((first.lineno, node.name), []).append(node)
                prefix = f"{name}." if isinstance(node, ast.ClassDef) else f"{name}.<locals>."
            elif isinstance(node, ast.Lambda):
                self._functions.setdefault((node.lineno, "<lambda>"), []).append(node)
            stack.extend((child, prefix) for child in ast.iter_child_nodes(node))

    def reading(self, node: ast.AST) -> Reading:
        """What a definition of this source says."""
        if node not in self._readings:
            self._readings[node] = syntax.read(node)
        return self._readings[node]

    def function(self, code: CodeType) -> Reading | None:
        """The definition that a code object was compiled from; None when it is not here, or no longer the same."""
        nodes = self._functions.get((code.co_firstlineno, code.co_name), [])
        if not nodes or not (self.settled or self._compiles_to(code)):
            return None
        if len(nodes) > 1:
            nodes = [node for node in nodes if _spans(node, code)] or nodes
        return together([self.reading(node) for node in nodes])

    def definition(self, kind: type) -> Reading | None:
        """The statement that defines a class; None when it is not here, or no longer the same."""
        codes = [value.__code__ for value in vars(kind).values() if isinstance(value, FunctionType)]
        codes = [code for code in codes if code.co_filename == self.file]
        nodes = self._classes.get(kind.__qualname__, [])
        if not self.settled and not all(map(self._compiles_to, codes)):
            return None
        if len(nodes) > 1 and codes:
            line = codes[0].co_firstlineno
            nodes = [node for node in nodes if node.lineno <= line <= (node.end_lineno or line)]
        # of several that cannot be told apart, such as those in the branches of an `if`, all count
        return together([self.reading(node) for node in nodes]) if nodes else None

    def whole(self) -> Reading:
        """All of the module."""
        return self.reading(self._module)

    def bindings(self) -> dict[str, list[ast.stmt | Import]]:
        """The names of the module, each with the statements that bind it; `*` for what comes by a star import."""
        if self._bindings is None:
            self._bindings = {}
            for statement in self._module.body:
                for name, imported in _bound(statement):
                    self._bindings.setdefault(name, []).append(imported or statement)
        return self._bindings

    def _compiles_to(self, code: CodeType) -> bool:
        if self._compiled is None:
            self._compiled = {}
            flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            for part in _codes(compile(self._module, self.file, "exec", flags, dont_inherit=True)):
                self._compiled.setdefault((part.co_firstlineno, part.co_name), []).append(part)
        candidates = self._compiled.get((code.co_firstlineno, code.co_name), [])
        return bool(candidates) and bytecode.flatten(code) in map(bytecode.flatten, candidates)


class Sources:
    """The sources seen so far. May be shared by all readers of code in a process; not for two threads at once."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[tuple[int, int], Source | None]] = {}
        self._texts: dict[str, tuple[list[str], Source | None]] = {}

    def find(self, file: str, names: dict[str, Any] | None = None) -> Source | None:
        """The source called `file`, or None; `names` are the globals of a module, for one that is in an archive."""
        try:
            status = os.stat(file)  # noqa: PTH116 - this is asked for every function
        except (OSError, ValueError):
            return self._elsewhere(file, names)
        version = (status.st_size, status.st_mtime_ns)
        known = self._files.get(file)
        if known is None or known[0] != version:
            known = self._files[file] = (version, _parse_file(file, settled=status.st_mtime < _BEGAN))
        return known[1]

    def _elsewhere(self, file: str, names: dict[str, Any] | None) -> Source | None:
        lines = linecache.getlines(file, names)
        if not lines:
            return None
        # linecache hands out the same list for as long as the text is the same
        known = self._texts.get(file)
        if known is None or known[0] is not lines:
            known = self._texts[file] = (lines, _parse(file, "".join(lines), settled=False))
        return known[1]


def _parse_file(file: str, *, settled: bool) -> Source | None:
    try:
        with tokenize.open(file) as stream:
            text = stream.read()
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None
    return _parse(file, text, settled=settled)


def _parse(file: str, text: str, *, settled: bool) -> Source | None:
    try:
        return Source(file, text, settled=settled)
    except (SyntaxError, ValueError):
        return None


def together(readings: list[Reading]) -> Reading:
    """Several definitions that count as one."""
    if len(readings) == 1:
        return readings[0]
    return Reading(
        text=b"".join(reading.text for reading in readings),
        references=tuple(dict.fromkeys(item for reading in readings for item in reading.references)),
        lookups=tuple(item for reading in readings for item in reading.lookups),
        writes=tuple(item for reading in readings for item in reading.writes),
        decorators=tuple(item for reading in readings for item in reading.decorators),
    )


def _spans(node: ast.AST, code: CodeType) -> bool:
    """Whether a lambda among several on one line is the one that was compiled to `code`."""
    if not isinstance(node, ast.Lambda):
        return True
    body = node.body
    start, end = (body.lineno, body.col_offset), (body.end_lineno or 0, body.end_col_offset or 0)
    places = [place for place in code.co_positions() if None not in place and place[3]]
    starts = [(line, column) for line, _, column, _ in places]
    ends = [(line, column) for _, line, _, column in places]
    return bool(places) and min(starts) == start and max(ends) == end  # pyright: ignore[reportArgumentType]


def _codes(code: CodeType) -> Iterator[CodeType]:
    for value in code.co_consts:
        if isinstance(value, CodeType):
            yield value
            yield from _codes(value)


def _bound(statement: ast.stmt) -> Iterator[tuple[str, Import | None]]:
    stack: list[ast.AST] = [statement]
    while stack:
        node = stack.pop()
        yield from syntax.binds(node).items()
        if not isinstance(node, _Definition | ast.Lambda | syntax.Comprehension):
            stack.extend(ast.iter_child_nodes(node))
