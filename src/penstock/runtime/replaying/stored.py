"""The modules of a task as they were when it ran, in the place of those that are there now."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import linecache
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, Self

from penstock.errors import StoreError
from penstock.fingerprint.origin import Origin, of_module
from penstock.model.identity import TaskIdentity
from penstock.runtime.replaying.tasks import recognition

#: the text of a source file by its digest; None where it is not kept
TextOf = Callable[[bytes], str | None]


class StoredModule(NamedTuple):
    """A module as it was."""

    name: str
    #: from an entry of `sys.path`
    file: str
    #: where it was, or would be here
    place: Path
    text: str

    @property
    def is_package(self) -> bool:
        return Path(self.file).stem == "__init__"


def stored_modules(identity: TaskIdentity, text_of: TextOf, places: Mapping[str, Path]) -> dict[str, StoredModule]:
    """The modules that a task needs, by name, of those whose text is kept. `places` says where they were."""
    found: dict[str, StoredModule] = {}
    for module in identity.modules:
        text = text_of(module.text) if module.text else None
        if text is not None:
            found[module.module] = StoredModule(module.module, module.file, places[module.module], text)
    return found


class StoredCode:
    """Within the block, stored modules are imported in the place of those of the same names; afterwards everything is as
    it was, but for libraries that they have imported.

    The modules, their tracebacks and debuggers tell the places where the files were, so that data beside them are
    found; processes that are started import them from a folder that comes first on `sys.path`. A module that is not
    stored is imported as it is today. `dialects` tells of those that are written for another system in which dialect they are.
    """

    def __init__(self, modules: Mapping[str, StoredModule], dialects: Mapping[str, str] = {}) -> None:
        self._modules = modules
        self._dialects = dialects
        self._loaded: dict[str, ModuleType] = {}
        self._taken: dict[str, ModuleType] = {}
        self._attributes: list[tuple[ModuleType, str, Any]] = []
        self._lines: dict[str, Any] = {}
        self._path: list[str] = []
        self._folder = Path()

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="penstock-code-"))
        self._path = list(sys.path)
        self._loaded = dict(sys.modules)
        self._set_aside()
        for module in self._modules.values():
            file = self._folder / module.file
            if not file.resolve().is_relative_to(self._folder.resolve()):
                raise StoreError(f"what is stored of the module {module.name} leads out of its folder: {module.file}")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(module.text.encode("utf-8", "surrogatepass"))
            place = str(module.place)
            self._lines[place] = linecache.cache.get(place)
            # without a time, so that nobody reads the file that is there now in its place
            linecache.cache[place] = (len(module.text), None, module.text.splitlines(keepends=True), place)
        sys.path.insert(0, str(self._folder))
        self._finder = _Finder(self._modules, self._folder, self._dialects)
        sys.meta_path.insert(0, self._finder)
        importlib.invalidate_caches()
        return self

    def __exit__(self, *_: object) -> None:
        sys.meta_path.remove(self._finder)
        sys.path[:] = self._path
        for name in self._newly_imported():
            del sys.modules[name]
        sys.modules.update(self._taken)
        for parent, name, value in self._attributes:
            setattr(parent, name, value)
        for place, entry in self._lines.items():
            if entry is None:
                linecache.cache.pop(place, None)
            else:
                linecache.cache[place] = entry
        sys.path_importer_cache.pop(str(self._folder), None)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def borrowed(self) -> list[str]:
        """The modules of the user's own that were imported as they are today, since they are not stored."""
        return sorted(name for name in self._newly_imported() if name not in self._modules)

    def _set_aside(self) -> None:
        """Take the modules that are stored, and others of their packages, out of the way."""
        tops = {name.partition(".")[0] for name in self._modules}
        for name, module in self._loaded.items():
            if name in self._modules or (name.partition(".")[0] in tops and _is_own(name, module)):
                self._taken[name] = sys.modules.pop(name)
        for name, module in self._taken.items():
            parent, _, child = name.rpartition(".")
            above = sys.modules.get(parent)
            if above is not None and vars(above).get(child) is module:
                # a namespace package stays, and would hand out the module of today
                self._attributes.append((above, child, module))
                delattr(above, child)

    def _newly_imported(self) -> list[str]:
        return [
            name
            for name, module in sys.modules.items()
            if self._loaded.get(name) is not module and (name in self._modules or _is_own(name, module))
        ]


def _is_own(name: str, module: ModuleType) -> bool:
    """Whether a module is the user's own, and comes from a file."""
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and name not in ("__main__", "__mp_main__") and of_module(name, file) is Origin.USER


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the stored modules."""

    def __init__(self, modules: Mapping[str, StoredModule], folder: Path, dialects: Mapping[str, str]) -> None:
        self._modules = modules
        self._folder = folder
        self._dialects = dialects

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        module = self._modules.get(fullname)
        if module is None:
            return None
        # what a package has besides is found where it was
        inside = [str((self._folder / module.file).parent), str(module.place.parent)] if module.is_package else None
        return importlib.util.spec_from_file_location(
            fullname,
            str(module.place),
            loader=_Loader(module, self._dialects.get(fullname, "")),
            submodule_search_locations=inside,
        )


class _Loader(importlib.abc.ExecutionLoader):
    """Loads a stored module."""

    def __init__(self, module: StoredModule, dialect: str) -> None:
        self._module = module
        self._dialect = dialect

    def exec_module(self, module: ModuleType) -> None:
        if not self._dialect:
            super().exec_module(module)
            return
        with recognition().speaking(module, self._dialect):
            super().exec_module(module)

    def get_filename(self, fullname: str) -> str:
        return str(self._module.place)

    def get_source(self, fullname: str) -> str:
        return self._module.text

    def is_package(self, fullname: str) -> bool:
        return self._module.is_package


__all__ = ["StoredCode", "StoredModule", "TextOf", "stored_modules"]
