"""Loading a file that is written for another system, which need not be installed.

Only the imports that stand in such a file, and in the user's own modules that it imports, are answered with what stands
for the other system here. That is done by an `__import__` of these modules' own: `sys.modules` and everybody else's
imports stay as they are, beside an installed copy of the system as well.
"""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import re
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from penstock.authoring.source import DIALECT, caller, nearby
from penstock.dialects import Dialect
from penstock.errors import DefinitionError, NotCoveredError
from penstock.model.place import Location

#: the attribute of a module that holds what was made while it was loaded
MADE = "__penstock_made__"

#: the dialect of the file that imports something at the moment
_importing: ContextVar[Dialect | None] = ContextVar("_importing", default=None)
#: the module that is to be in that dialect whatever it imports; empty for none
_asked: ContextVar[str] = ContextVar("_asked", default="")
#: what the file that is being loaded has made so far
_made: ContextVar[list[Any] | None] = ContextVar("_made", default=None)


def made(thing: Any) -> None:
    """Note something that the file that is being loaded has made (a DAG, say), whether it keeps it or not."""
    found = _made.get()
    if found is not None:
        found.append(thing)


def loading() -> bool:
    """Whether a file in a dialect is being loaded right now: what it calls at its top level is called by that."""
    return _made.get() is not None


def made_so_far() -> list[Any]:
    """What the file that is being loaded has made until now; nothing where none is."""
    return list(_made.get() or ())


def made_in(module: ModuleType) -> list[Any]:
    """What was made while a module was loaded, in that order."""
    return list(getattr(module, MADE, ()))


class ForeignLoader(SourceFileLoader):
    """Loads a Python file that is written for another system."""

    def __init__(self, name: str, path: str, dialect: Dialect) -> None:
        super().__init__(name, path)
        self.dialect = dialect

    def exec_module(self, module: ModuleType) -> None:
        _add_folders(self.dialect, Path(self.path))
        with speaking(module, self.dialect):
            super().exec_module(module)


def _add_folders(dialect: Dialect, file: Path) -> None:
    """Let modules be found where a dialect has them, after all others."""
    for folder in () if dialect.folders is None else dialect.folders(file):
        if str(folder) not in sys.path and folder.is_dir():
            sys.path.append(str(folder))


@contextmanager
def speaking(module: ModuleType, dialect: Dialect) -> Generator[None]:
    """Let a module that is executed in the block be one in a dialect: what it imports from the other system, now and once
    its functions are called, is what stands for that here."""
    own = {**vars(builtins), "__import__": _Import(dialect)}
    module.__dict__.update({"__builtins__": own, DIALECT: dialect.name, MADE: []})
    _follow()
    # what a module of the user's makes while a file is loaded belongs to that file
    token = None if _made.get() is not None else _made.set(module.__dict__[MADE])
    try:
        yield
    finally:
        if token is not None:
            _made.reset(token)


def import_in(name: str, dialect: Dialect) -> ModuleType:
    """Import a module of the user's own by its name, in a dialect. Raises what importing it raises."""
    _follow()
    tokens = _importing.set(dialect), _asked.set(name)
    try:
        return importlib.import_module(name)
    finally:
        _importing.reset(tokens[0])
        _asked.reset(tokens[1])


def module_beside(name: str, dialect: Dialect, file: str) -> ModuleType | None:
    """The module that a file in a folder `examples` means by `system.examples.plugins.clocks`: the one in `plugins/clocks.py`
    there. None where there is none. Raises what importing it raises."""
    folder = Path(file).parent
    parts = name.split(".")
    for place in range(1, len(parts) - 1):
        if parts[place] != folder.name:
            continue
        inside = parts[place + 1 :]
        if folder.joinpath(*inside).with_suffix(".py").is_file():
            if str(folder) not in sys.path:
                sys.path.insert(0, str(folder))
            return import_in(".".join(inside), dialect)
    return None


def import_beside(name: str, dialect: Dialect, file: str) -> ModuleType:
    """Import what a file in a dialect means by the name of a module. Raises what importing it raises."""
    if name.partition(".")[0] in dialect.roots:
        return module_beside(name, dialect, file) or _Import(dialect)(name, fromlist=("*",))
    return import_in(name, dialect)


class DataLoader(SourceFileLoader):
    """Loads a file of data (YAML) that is written for another system."""

    def __init__(self, name: str, path: str, dialect: Dialect) -> None:
        super().__init__(name, path)
        self.dialect = dialect

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__[DIALECT] = self.dialect.name
        assert self.dialect.execute is not None
        self.dialect.execute(module)


class _Import:
    """The `__import__` of the modules in a dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._modules: dict[str, ModuleType] = {}

    def __call__(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        root = name.partition(".")[0]
        beside = self._beside(name, globals) if level == 0 and root in self._dialect.roots else None
        if beside is not None:
            return beside if fromlist else self._under(name, beside)
        if level == 0 and (root in self._dialect.roots or (root in self._dialect.companions and not _is_there(root))):
            module = self._module(name)
            for each in fromlist or ():
                _check_name(module, each)
            return module if fromlist else self._module(root)
        token = _importing.set(self._dialect)
        try:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        finally:
            _importing.reset(token)

    def _beside(self, name: str, globals: Mapping[str, Any] | None) -> ModuleType | None:
        """The user's own module that lies beside the importing file, or below, and goes by a name in the other system, as those
        of its examples do; None where there is none."""
        file = (globals or {}).get("__file__")
        if not file or name in self._dialect.vocabulary():
            return None
        return module_beside(name, self._dialect, str(file))

    def _under(self, name: str, module: ModuleType) -> ModuleType:
        """The top-level module of a name, under which that module is then found."""
        parts = name.split(".")
        for end in range(1, len(parts)):
            inner = ".".join(parts[:end])
            made = _Substitute(inner, self._dialect.vocabulary(), self._dialect, self._modules)
            self._modules.setdefault(inner, made)
        self._modules[name] = module
        return self._modules[parts[0]]

    def _module(self, name: str) -> ModuleType:
        known = self._modules.get(name)
        if known is None:
            vocabulary = self._dialect.vocabulary()
            if name not in vocabulary and not any(each.startswith(f"{name}.") for each in vocabulary):
                known = _unknown_module(self._dialect, name)
            else:
                known = _Substitute(name, vocabulary, self._dialect, self._modules)
            self._modules[name] = known
        return known


def _unknown_module(dialect: Dialect, name: str) -> _Substitute:
    if dialect.missing is None:
        error = not_covered(dialect, f"the module {name}")
        raise _NoSuchModule(error.what, where=error.where, remedy=error.remedy)
    return _Substitute(name, {}, dialect, {})


class _NoSuchModule(NotCoveredError, ModuleNotFoundError):
    """The same of a whole module, for files that ask for it with `except ModuleNotFoundError`."""


class _Substitute(ModuleType):
    """What stands for a module of another system: its names are looked up when they are asked for."""

    def __init__(
        self, name: str, vocabulary: Mapping[str, Mapping[str, str]], dialect: Dialect, modules: dict[str, ModuleType]
    ) -> None:
        super().__init__(name)
        self.__path__ = []
        self.__all__ = [each for each in vocabulary.get(name, {}) if not each.startswith("_")]
        self._penstock = (vocabulary, dialect, modules)

    def __reduce__(self) -> Any:
        # in a function that is sent to a worker with all that it uses
        return _substitute, (self.__name__, self._penstock[1].name)

    def __getattr__(self, name: str) -> Any:
        vocabulary, dialect, modules = self._penstock
        home = vocabulary.get(self.__name__, {}).get(name)
        if home is None and name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if home is not None:
            module, _, attribute = home.partition(":")
            found = getattr(importlib.import_module(module), attribute)
        else:
            found = self._inner(f"{self.__name__}.{name}", name, vocabulary, dialect, modules)
        setattr(self, name, found)
        return found

    def _inner(
        self,
        full: str,
        name: str,
        vocabulary: Mapping[str, Mapping[str, str]],
        dialect: Dialect,
        modules: dict[str, ModuleType],
    ) -> Any:
        if full in modules:
            return modules[full]
        if full in vocabulary or any(each.startswith(f"{full}.") for each in vocabulary):
            modules[full] = _Substitute(full, vocabulary, dialect, modules)
            return modules[full]
        if dialect.missing is not None:
            return dialect.missing(self.__name__, name)
        error = not_covered(dialect, full)
        raise _NoSuchName(error.what, where=error.where, remedy=error.remedy)


def _substitute(name: str, dialect: str) -> ModuleType:
    from penstock.dialects.recognition import named

    return _Import(named(dialect))(name, fromlist=("*",))


class _NoSuchName(DefinitionError, AttributeError):
    """The same of an attribute of a module, for files that ask for it with `hasattr`."""


def _check_name(module: ModuleType, name: str) -> None:
    """Raise NotCoveredError for a name that a module does not have. Left to `from ... import`, that would be told without
    the line and the remedy."""
    try:
        if name != "*":
            getattr(module, name)
    except _NoSuchName as error:
        raise NotCoveredError(error.what, where=error.where, remedy=error.remedy) from None


def user_line() -> Location:
    """The line of the file in a dialect that called here, for readers that are not a part of penstock themselves; outside
    of such a file, what `caller` gives."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while DIALECT not in frame.f_globals:
        if frame.f_back is None:
            return caller()
        frame = frame.f_back
    return Location(nearby(frame.f_code.co_filename), frame.f_lineno)


def not_covered(dialect: Dialect, what: str, remedy: str = "") -> NotCoveredError:
    """The error that something of another system has no counterpart here, at the line of the user's file."""
    return NotCoveredError(
        f"{what} is not covered by penstock's reader of {dialect.title}",
        where=str(caller()),
        remedy=remedy or "Take it out of the file, or write what it does as a task of the file's own.",
    )


def _is_there(name: str) -> bool:
    """Whether a top-level module is installed."""
    return name in sys.modules or PathFinder.find_spec(name) is not None


def _is_of_library(path: Sequence[str] | None) -> bool:
    """Whether a module is looked for in a package of a library, by where that is."""
    return path is not None and all(each.startswith(_libraries()) for each in path) and not _asked.get()


@functools.cache
def _libraries() -> tuple[str, ...]:
    """The folders of what is not the user's own."""
    # it takes milliseconds to load
    import sysconfig

    return tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


class _OwnModules:
    """Finds the user's own modules that a file in a dialect imports, and that import the other system themselves."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        dialect = _importing.get()
        # libraries have many modules, and each would be looked for twice
        if dialect is None or name in sys.stdlib_module_names or _is_of_library(path):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or type(spec.loader) is not SourceFileLoader or spec.origin is None:
            return None
        if name != _asked.get() and (
            spec.origin.startswith(_libraries()) or not imports_any(Path(spec.origin), dialect.roots)
        ):
            return None
        spec.loader = ForeignLoader(name, spec.origin, dialect)
        return spec


_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+([A-Za-z_]\w*)|import[ \t]+([^\n#;]+))", re.MULTILINE)


def imports_any(file: Path, roots: tuple[str, ...]) -> bool:
    """Whether a file of Python imports one of these top-level modules."""
    return not imported_roots(file.read_text(errors="replace"), among=frozenset(roots)).isdisjoint(roots)


def imported_roots(source: str, among: frozenset[str] | None = None) -> set[str]:
    """The top-level modules that a source of Python imports anywhere, in functions as well. With `among`, a source that has
    nothing that looks like an import of these is not parsed."""
    found: set[str] = set()
    for first, listed in _IMPORT.findall(source):
        found.update([first] if first else re.findall(r"(?:^|,)\s*([A-Za-z_]\w*)", listed))
    if among is not None and found.isdisjoint(among):
        return set()
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        # loading it says what is wrong
        return found
    # what only stands in a text, such as a docstring, is no import
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = [
        name
        for node in imports
        for name in (
            [each.name for each in node.names]
            if isinstance(node, ast.Import)
            else []
            if node.level
            else [node.module or ""]
        )
    ]
    return {name.partition(".")[0] for name in names}


def _follow() -> None:
    if not any(each is _OwnModules for each in sys.meta_path):
        sys.meta_path.insert(0, _OwnModules)


__all__ = [
    "DataLoader",
    "ForeignLoader",
    "import_beside",
    "import_in",
    "imported_roots",
    "imports_any",
    "loading",
    "made",
    "made_in",
    "made_so_far",
    "not_covered",
    "speaking",
    "user_line",
]
