"""Source code as it stands on disk or in a notebook: read and parsed once for each version of a file.

What has been loaded may be older than what is on disk by now. A definition is only taken from a source that compiles
to what was loaded; this is looked at where it can differ: in files written after this process began, and in sources
that are not files. Where it does differ, the versions that this process has seen before are tried.
"""

from __future__ import annotations

import ast
import functools
import linecache
import os
import time
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

from blake3 import blake3

from penstock.fingerprint import bytecode, syntax
from penstock.fingerprint.alterations import Alterations, alterations
from penstock.fingerprint.contents import class_of
from penstock.fingerprint.syntax import Import, Reading

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

#: versions of a file that are kept, so that what was loaded from an earlier one can be told
_VERSIONS: Final = 8


def _process_began() -> float:
    """When this process began, in seconds since the epoch; 0 where that cannot be told, so that everything is looked at."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0


# Not when this module was imported: what was loaded before may have been edited in between.
_BEGAN: Final = _process_began()


class Text:
    """One version of a source."""

    def __init__(self, file: str, text: str, *, settled: bool) -> None:
        self.file = file
        self.text = text
        #: whether everything loaded from here was loaded from this very version
        self.settled = settled

    @functools.cached_property
    def digest(self) -> bytes:
        """The BLAKE3 digest of its UTF-8, 32 bytes."""
        return blake3(self.text.encode("utf-8", "surrogatepass")).digest()

    @functools.cached_property
    def source(self) -> Source | None:
        """The same parsed; None if it does not parse."""
        try:
            return Source(self)
        except (SyntaxError, ValueError):
            return None


class Source:
    """One version of a source, parsed. Raises SyntaxError, or ValueError for null bytes, when it does not parse."""

    def __init__(self, text: Text) -> None:
        self.text = text
        self.file = text.file
        self.settled = text.settled
        # notebooks allow `await` at the top of a cell
        self._module = compile(
            text.text, self.file, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
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
        if not self.settled and not self._is_class(kind, codes, nodes):
            return None
        if len(nodes) > 1 and codes:
            line = codes[0].co_firstlineno
            nodes = [node for node in nodes if node.lineno <= line <= (node.end_lineno or line)]
        # of several that cannot be told apart, such as those in the branches of an `if`, all count
        return together([self.reading(node) for node in nodes]) if nodes else None

    def has_class(self, qualname: str) -> bool:
        """Whether there is a statement that defines a class of that name, which may be inside of another class."""
        return qualname in self._classes

    @property
    def tree(self) -> ast.Module:
        """The module as it was parsed; not to be changed."""
        return self._module

    def bodies(self, qualname: str) -> list[list[ast.stmt]]:
        """The bodies of the statements that define classes of that name."""
        return [node.body for node in self._classes.get(qualname, [])]

    @functools.cached_property
    def rebound(self) -> frozenset[str]:
        """The variables of the module that its functions may bind anew."""
        return frozenset(name for node in ast.walk(self._module) if isinstance(node, ast.Global) for name in node.names)

    def whole(self) -> Reading:
        """All of the module."""
        return self.reading(self._module)

    def imports(self) -> Iterator[ast.Import | ast.ImportFrom]:
        """Every import statement, those inside functions included."""
        return (node for node in ast.walk(self._module) if isinstance(node, ast.Import | ast.ImportFrom))

    def is_of(self, names: Mapping[str, Any]) -> bool:
        """Whether a module with these variables was loaded from this version, as far as they tell."""
        if self.settled:
            return True
        if not _agrees(self._module.body, {name: value for name, value in names.items() if name not in self.rebound}):
            return False
        for value in names.values():
            bare: Any = unwrapped(value)
            if class_of(bare) is FunctionType:
                if bare.__code__.co_filename == self.file and not self._compiles_to(bare.__code__):
                    return False
            elif issubclass(class_of(bare), type) and bare.__module__ == names.get("__name__"):
                members = [unwrapped(member) for member in bare.__dict__.values()]
                codes = [each.__code__ for each in members if class_of(each) is FunctionType]
                own = [code for code in codes if code.co_filename == self.file]
                if not self._is_class(bare, own, self._classes.get(bare.__qualname__, [])):
                    return False
        return True

    def _is_class(self, kind: type, codes: Iterable[CodeType], nodes: list[ast.ClassDef]) -> bool:
        """Whether a class was made by one of these statements, as far as its methods tell, or else its variables."""
        codes, fields = list(codes), vars(kind).get("__annotations__")
        if codes or not nodes:
            return all(map(self._compiles_to, codes))
        return any(
            _agrees(node.body, vars(kind)) and (fields is None or _fields_of(node) <= set(fields)) for node in nodes
        )

    @functools.cached_property
    def alterations(self) -> Alterations:
        """What the module does to its variables after it has bound them."""
        return alterations(self._module.body)

    def bindings(self) -> dict[str, list[ast.stmt | Import]]:
        """The names of the module, each with the statements that bind it; `*` for what comes by a star import."""
        if self._bindings is None:
            found: dict[str, list[ast.stmt | Import]] = {}
            for statement in self._module.body:
                for name, imported in _bound(statement):
                    found.setdefault(name, []).append(imported or statement)
            self._bindings = found
        return self._bindings

    def _compiles_to(self, code: CodeType) -> bool:
        if self._compiled is None:
            found: dict[tuple[int, str], list[CodeType]] = {}
            flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            for part in _codes(compile(self._module, self.file, "exec", flags, dont_inherit=True)):
                found.setdefault((part.co_firstlineno, part.co_name), []).append(part)
            self._compiled = found
        candidates = self._compiled.get((code.co_firstlineno, code.co_name), [])
        return bool(candidates) and bytecode.flatten(code) in map(bytecode.flatten, candidates)


class Sources:
    """The sources seen so far. May be shared by all readers of code in a process, in any of its threads."""

    def __init__(self) -> None:
        #: by file, the versions seen, the latest last
        self._files: dict[str, list[tuple[tuple[int, ...], Text | None]]] = {}
        self._lines: dict[str, tuple[list[str], Text]] = {}
        #: by module, the specification that it was loaded by, and from which text
        self._loaded: dict[str, tuple[Any, Text]] = {}

    def find(self, file: str, names: dict[str, Any] | None = None) -> Source | None:
        """The source called `file`, or None; `names` are the globals of a module, for one that is in an archive."""
        text = self.text(file, names)
        return None if text is None else text.source

    def text(self, file: str, names: dict[str, Any] | None = None) -> Text | None:
        """The same without parsing it."""
        try:
            status = os.stat(file)  # noqa: PTH116 - this is asked for every function
        except (OSError, ValueError):
            return self._cached(file, linecache.getlines(file, names))
        version = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        known = self._files.setdefault(file, [])
        if not known or known[-1][0] != version:
            # copying a file can keep the time of its text, but not that of the file itself
            settled = max(status.st_mtime, status.st_ctime) < _BEGAN
            known.append((version, _read(file, settled=settled)))
            del known[:-_VERSIONS]
        return known[-1][1]

    def earlier(self, file: str) -> Iterator[Source]:
        """Versions of a file before the present one, the latest first: those seen here, and what tracebacks were shown
        from."""
        texts = [text for _, text in reversed(self._files.get(file, ())[:-1])]
        if file in self._files and len(entry := linecache.cache.get(file, ())) == 4:
            texts.append(self._cached(file, entry[2]))
        return (text.source for text in texts if text is not None and text.source is not None)

    def loaded(self, module: ModuleType, file: str) -> Text | None:
        """The version of a file that a module was loaded from; None where that cannot be told.

        What a module holds does not tell all that it was loaded from, such as a list: a version that was taken for that
        of a module stays so until it is loaded anew.
        """
        names = vars(module)
        text, spec = self.text(file, names), names.get("__spec__")
        by, known = self._loaded.get(module.__name__, (None, None))
        if by is not spec:
            known = None
        if text is None or not text.settled:
            versions = (known and known.source, text and text.source, *self.earlier(file))
            text = next((each.text for each in versions if each is not None and each.is_of(names)), known)
        if text is not None and spec is not None:
            self._loaded[module.__name__] = spec, text
        return text

    def _cached(self, file: str, lines: list[str]) -> Text | None:
        if not lines:
            return None
        # linecache hands out the same list for as long as the text is the same
        known = self._lines.get(file)
        if known is None or known[0] is not lines:
            known = self._lines[file] = (lines, Text(file, "".join(lines), settled=False))
        return known[1]


@functools.cache
def process_sources() -> Sources:
    """The sources that all readers of this process share, so that a file is parsed once for each version of it."""
    return Sources()


def _read(file: str, *, settled: bool) -> Text | None:
    try:
        with tokenize.open(file) as stream:
            return Text(file, stream.read(), settled=settled)
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None


def unwrapped(value: Any) -> Any:
    """The function in a task, or in whatever keeps to functools.wraps."""
    while not issubclass(class_of(value), type):
        try:
            held: dict[str, Any] = object.__getattribute__(value, "__dict__")
        except Exception:
            break
        inner = held.get("__wrapped__", held.get("function"))
        if inner is None:
            break
        value = inner
    return value


def _agrees(body: list[ast.stmt], held: Mapping[str, Any]) -> bool:
    """Whether the variables that a body sets once, to a number, a text or the like, have these values."""
    statements: dict[str, list[ast.stmt]] = {}
    for statement in body:
        for name, _ in _bound(statement):
            statements.setdefault(name, []).append(statement)
    for name, (statement, *more) in statements.items():
        if isinstance(statement, ast.Assign | ast.AnnAssign) and not more and name in held:
            now, given = held[name], statement.value
            # 1 and True are equal
            if isinstance(given, ast.Constant) and class_of(now) in _FIXED and _kind(now) != _kind(given.value):
                return False
    return True


def _kind(value: Any) -> tuple[type[Any], Any]:
    return class_of(value), value


_FIXED: Final = frozenset({bool, int, float, complex, str, bytes})


def _fields_of(node: ast.ClassDef) -> set[str]:
    """The public fields that a class declares."""
    targets = [statement.target for statement in node.body if isinstance(statement, ast.AnnAssign)]
    return {target.id for target in targets if isinstance(target, ast.Name) and not target.id.startswith("_")}


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
        openings=tuple(item for reading in readings for item in reading.openings),
        subclasses=next((reading.subclasses for reading in readings if reading.subclasses), 0),
        lines=(min(reading.lines[0] for reading in readings), max(reading.lines[1] for reading in readings)),
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
