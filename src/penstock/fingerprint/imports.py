"""What has to be there to import a module again: the modules of the user's own that it imports, and those above it."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Container, Iterable, Iterator
from pathlib import PurePath
from typing import Any, Final, NamedTuple

from penstock.fingerprint.contents import is_plain
from penstock.fingerprint.modules import Modules
from penstock.fingerprint.origin import Origin, of_file
from penstock.fingerprint.sources import Sources, Text
from penstock.fingerprint.static import absolute
from penstock.fingerprint.syntax import Import
from penstock.model.identity import ModuleSource

#: lines that may begin an import statement, up to its end; finding them costs a fraction of parsing the file
_STATEMENTS: Final = re.compile(
    r"(?:^|[:;])[ \t]*((?:from\b[^\n(;#]+\bimport[ \t]*\([^)]*\))|(?:(?:from|import)\b(?:[^\n\\;]|\\.|\\\n)*))",
    re.MULTILINE,
)


class Home(NamedTuple):
    """Where something is defined, and the version of the file that it was loaded from, if that is known."""

    module: str
    file: str
    text: Text | None


class Edited(NamedTuple):
    """A file that no longer says what a module was loaded from."""

    module: str
    file: str
    #: digest of its text as it is now
    digest: bytes


class Imports:
    """The modules that modules need, each looked at once. `texts` collects what the results refer to."""

    def __init__(self, sources: Sources, modules: Modules, texts: dict[bytes, str]) -> None:
        self._sources = sources
        self._modules = modules
        self._texts = texts
        self._needs: dict[str, tuple[str, ...]] = {}
        self._found: dict[str, ModuleSource | None] = {}
        self._unsettled_texts: dict[str, Text | None] = {}

    def needed(self, modules: Iterable[str]) -> tuple[ModuleSource, ...]:
        """What importing the modules takes, sorted by name; without what other modules than the user's own are for."""
        found = (self._module(name) for name in self._all(modules))
        return tuple(sorted((module for module in found if module is not None), key=lambda module: module.module))

    def edited(self, reached: Iterable[Home]) -> tuple[Edited, ...]:
        """What was edited of what is reached and of what importing it takes, sorted by name: a process that imports it
        now runs something else than this one. The main module is not imported anywhere else."""
        homes = self._elsewhere(reached)
        names = sorted(self._all(home.module for home in homes))
        # for all that is as it was when this process began, one look at each file is enough
        unsettled = {name: text for name in names if (text := self._unsettled(name)) is not None}
        if not unsettled:
            return ()
        found = {name for name, text in unsettled.items() if not _same(self._loaded(name), text)}
        # what was loaded anew since may still be held, as it was, by those who had imported it before
        found |= {
            home.module for home in homes if home.module in unsettled and not _same(home.text, unsettled[home.module])
        }
        found |= {name for holder in names for name in self._held_by(holder, unsettled)}
        return tuple(Edited(name, unsettled[name].file, unsettled[name].digest) for name in sorted(found))

    def imported(self, reached: Iterable[Home]) -> list[str]:
        """The modules that another process imports to have what is reached, sorted."""
        return sorted(self._all(home.module for home in self._elsewhere(reached)))

    def _elsewhere(self, reached: Iterable[Home]) -> list[Home]:
        return [home for home in reached if home.module != "__main__" and self.is_in(home.module, home.file)]

    def closure(self, modules: Iterable[str]) -> Iterable[str]:
        """The modules with all that they import, the user's own only."""
        return self._all(modules)

    def loaded(self, name: str) -> Text | None:
        """The text that a module was loaded from; None if that is not known. Of one that is not loaded, the present."""
        return self._loaded(name)

    def is_in(self, module: str, file: str) -> bool:
        """Whether a file is that of a module."""
        return self._modules.file(module) == file

    def importable(self, module: str) -> str:
        """The name to import a module by: that of the file for a script; empty for a main module without a file."""
        if module != "__main__":
            return module
        main: Any = sys.modules[module]
        file = self._modules.file(module)
        if file is None or of_file(file) is not Origin.USER:
            return ""
        spec = getattr(main, "__spec__", None)
        if spec is not None:
            return str(spec.name)
        stem = PurePath(file).stem
        return stem if stem.isidentifier() and stem not in sys.stdlib_module_names else f"script_{_spelled(stem)}"

    def _all(self, modules: Iterable[str]) -> Iterable[str]:
        """The modules with all that they need, the user's own only."""
        seen: dict[str, None] = {}
        stack = [*modules]
        while stack:
            name = stack.pop()
            if name not in seen:
                seen[name] = None
                stack.extend(self._need(name))
        return seen

    def _need(self, name: str) -> tuple[str, ...]:
        if name not in self._needs:
            parent = name.rpartition(".")[0]
            found = dict.fromkeys([parent] if parent else [])
            found.update(dict.fromkeys(self._imported(name)))
            self._needs[name] = tuple(found)
        return self._needs[name]

    def _imported(self, name: str) -> Iterator[str]:
        text = self._text(name)
        if text is None:
            return
        loaded = name in sys.modules
        for module in _names(text, package_of(name, text)):
            # of a module that is loaded, what it needs to be loaded is loaded too
            there = module in sys.modules if loaded else self._modules.file(module) is not None
            if there and self._modules.origin(module) is Origin.USER:
                yield module

    def _module(self, name: str) -> ModuleSource | None:
        if name not in self._found:
            self._found[name] = self._made(name)
        return self._found[name]

    def _made(self, name: str) -> ModuleSource | None:
        file, called = self._modules.file(name), self.importable(name)
        path = PurePath(file or "")
        if not path.suffix or not called:
            # the folder of a namespace package, or a notebook
            return None
        stem = "/".join(called.split("."))
        place = f"{stem}/__init__{path.suffix}" if path.stem == "__init__" else f"{stem}{''.join(path.suffixes)}"
        text = self._loaded(name)
        if text is None:
            return ModuleSource(called, place, b"")
        self._texts[text.digest] = text.text
        return ModuleSource(called, place, text.digest)

    def _text(self, name: str) -> Text | None:
        file = self._modules.file(name)
        if file is None or not file.endswith(".py"):
            return None
        return self._sources.text(file, getattr(sys.modules.get(name), "__dict__", None))

    def _unsettled(self, name: str) -> Text | None:
        """The text of a module that is loaded, if it may be another one by now."""
        if name not in self._unsettled_texts:
            text = self._text(name) if name in sys.modules else None
            self._unsettled_texts[name] = None if text is None or text.settled else text
        return self._unsettled_texts[name]

    def _held_by(self, holder: str, modules: Container[str]) -> Iterator[str]:
        """Those of the modules of which a module holds plain values that are no longer theirs."""
        text, loaded = self._loaded(holder), sys.modules.get(holder)
        if loaded is None or text is None or text.source is None:
            return
        package, mine = package_of(holder, text), vars(loaded)
        for name, statements in text.source.bindings().items():
            for each in statements:
                module = absolute(each, package) if isinstance(each, Import) and each.attribute is not None else ""
                if isinstance(each, Import) and module in modules:
                    theirs = vars(sys.modules[module])
                    names = zip(theirs, theirs, strict=True) if name == "*" else [(name, each.attribute or "")]
                    if any(_differ(mine.get(own), theirs.get(its)) for own, its in names):
                        yield module

    def _loaded(self, name: str) -> Text | None:
        """The text that a module was loaded from; None if that is not known. Of one that is not loaded, the present."""
        text, module = self._text(name), sys.modules.get(name)
        return text if text is None or module is None else self._sources.loaded(module, text.file)


def _same(loaded: Text | None, now: Text) -> bool:
    """Whether two versions say the same, but for comments and formatting."""
    if loaded is now:
        return True
    sources = (loaded and loaded.source, now.source)
    return all(sources) and len({source.whole().text for source in sources if source is not None}) == 1


def _differ(held: Any, value: Any) -> bool:
    return held is not value and is_plain(held) and is_plain(value) and (type(held), held) != (type(value), value)


def package_of(name: str, text: Text) -> str:
    """The package that the imports of a module start from."""
    return name if PurePath(text.file).name == "__init__.py" else name.rpartition(".")[0]


def _names(text: Text, package: str) -> Iterator[str]:
    """The full names of modules that a text may import, and of what may be modules; one may come several times."""
    for statement in _statements(text):
        if isinstance(statement, ast.Import):
            names = [alias.name for alias in statement.names]
        else:
            base = absolute(Import(statement.module or "", None, statement.level), package)
            names = [base, *(f"{base}.{alias.name}" for alias in statement.names)]
        yield from names


def _statements(text: Text) -> list[ast.Import | ast.ImportFrom]:
    found: list[ast.Import | ast.ImportFrom] = []
    for match in _STATEMENTS.finditer(text.text):
        try:
            body = ast.parse(match[1]).body
        except SyntaxError:
            # prose, or something in brackets with a comment: only reading all of it will tell
            return [] if text.source is None else [*text.source.imports()]
        found += [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    return found


def _spelled(stem: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in stem)
