"""Loading a file that is written for another system, which need not be installed.

Only the imports that stand in such a file, and in the user's own modules that it imports, are answered with what stands
for the other system here. That is done by an `__import__` of these modules' own: `sys.modules` and everybody else's
imports stay as they are, beside an installed copy of the system as well.
"""

from __future__ import annotations

import builtins
import importlib
import re
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from penstock.authoring.source import DIALECT, caller
from penstock.dialects import Dialect
from penstock.errors import NotCoveredError

#: the attribute of a module that holds what was made while it was loaded
MADE = "__penstock_made__"

_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})

#: the dialect of the file that imports something at the moment
_importing: ContextVar[Dialect | None] = ContextVar("_importing", default=None)
#: what the file that is being loaded has made so far
_made: ContextVar[list[Any] | None] = ContextVar("_made", default=None)


def made(thing: Any) -> None:
    """Note something that the file that is being loaded has made (a DAG, say), whether it keeps it or not."""
    found = _made.get()
    if found is not None:
        found.append(thing)


def made_in(module: ModuleType) -> list[Any]:
    """What was made while a module was loaded, in that order."""
    return list(getattr(module, MADE, ()))


class ForeignLoader(SourceFileLoader):
    """Loads a Python file that is written for another system."""

    def __init__(self, name: str, path: str, dialect: Dialect) -> None:
        super().__init__(name, path)
        self.dialect = dialect

    def exec_module(self, module: ModuleType) -> None:
        own = {**vars(builtins), "__import__": _Import(self.dialect)}
        module.__dict__.update({"__builtins__": own, DIALECT: self.dialect.name, MADE: []})
        _follow()
        # what a module of the user's makes while a file is loaded belongs to that file
        token = None if _made.get() is not None else _made.set(module.__dict__[MADE])
        try:
            super().exec_module(module)
        finally:
            if token is not None:
                _made.reset(token)


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
        self._modules: dict[str, _Substitute] = {}

    def __call__(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        root = name.partition(".")[0]
        if level == 0 and root in self._dialect.roots:
            module = self._module(name)
            return module if fromlist else self._module(root)
        token = _importing.set(self._dialect)
        try:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        finally:
            _importing.reset(token)

    def _module(self, name: str) -> _Substitute:
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
        raise not_covered(dialect, f"the module {name}")
    return _Substitute(name, {}, dialect, {})


class _Substitute(ModuleType):
    """What stands for a module of another system: its names are looked up when they are asked for."""

    def __init__(
        self, name: str, vocabulary: Mapping[str, Mapping[str, str]], dialect: Dialect, modules: dict[str, _Substitute]
    ) -> None:
        super().__init__(name)
        self.__path__ = []
        self.__all__ = [each for each in vocabulary.get(name, {}) if not each.startswith("_")]
        self._penstock = (vocabulary, dialect, modules)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        vocabulary, dialect, modules = self._penstock
        home = vocabulary.get(self.__name__, {}).get(name)
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
        modules: dict[str, _Substitute],
    ) -> Any:
        if full in modules:
            return modules[full]
        if full in vocabulary or any(each.startswith(f"{full}.") for each in vocabulary):
            modules[full] = _Substitute(full, vocabulary, dialect, modules)
            return modules[full]
        if dialect.missing is not None:
            return dialect.missing(self.__name__, name)
        raise not_covered(dialect, full)


def not_covered(dialect: Dialect, what: str, remedy: str = "") -> NotCoveredError:
    """The error that something of another system has no counterpart here, at the line of the user's file."""
    return NotCoveredError(
        f"{what} is not covered by penstock's reader of {dialect.title}",
        where=str(caller()),
        remedy=remedy or "Take it out of the file, or write what it does as a task of the file's own.",
    )


class _OwnModules:
    """Finds the user's own modules that a file in a dialect imports, and that import the other system themselves."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        dialect = _importing.get()
        if dialect is None:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or type(spec.loader) is not SourceFileLoader or spec.origin is None:
            return None
        if spec.origin.startswith(_LIBRARIES) or not _mentions(Path(spec.origin), dialect.roots):
            return None
        spec.loader = ForeignLoader(name, spec.origin, dialect)
        return spec


def _mentions(file: Path, roots: tuple[str, ...]) -> bool:
    return bool(imported_roots(file.read_text(errors="replace")) & set(roots))


_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+([A-Za-z_]\w*)|import[ \t]+([^\n#;]+))", re.MULTILINE)


def imported_roots(source: str) -> set[str]:
    """The top-level modules that a source of Python seems to import anywhere."""
    found: set[str] = set()
    for first, listed in _IMPORT.findall(source):
        found.update(
            [first] if first else (each.strip().partition(" ")[0].partition(".")[0] for each in listed.split(","))
        )
    return found


def _follow() -> None:
    if not any(each is _OwnModules for each in sys.meta_path):
        sys.meta_path.insert(0, _OwnModules)


__all__ = ["DataLoader", "ForeignLoader", "imported_roots", "made", "made_in", "not_covered"]
