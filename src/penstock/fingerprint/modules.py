"""Where modules are, found without importing any."""

from __future__ import annotations

import sys
from typing import Any

from penstock.fingerprint.origin import Origin, file_of, of_module
from penstock.fingerprint.packages import Owners, Package
from penstock.fingerprint.sources import Source


class Modules:
    """The files and the owners of modules, looked up once each; to be made anew for every run."""

    def __init__(self) -> None:
        self._specs: dict[str, Any] = {}
        self._origins: dict[str, Origin] = {}
        self._owners = Owners()
        self._changed: dict[str, bool] = {}

    def file(self, name: str) -> str | None:
        """The file of a module, imported or not; of a namespace package a folder; None if there is none."""
        if sys.modules.get(name) is not None:
            return file_of(name)
        spec = self._spec(name)
        if spec is None:
            return None
        if spec.has_location:
            return spec.origin
        return next(iter(spec.submodule_search_locations or ()), None)

    def origin(self, name: str) -> Origin:
        """Whose a module is. The main one is the user's, though it may be an installed program that runs their code."""
        if name == "__main__":
            return Origin.USER
        if name not in self._origins:
            self._origins[name] = of_module(name, self.file(name))
        return self._origins[name]

    def package(self, name: str, attributes: tuple[str, ...] = ()) -> Package | None:
        """The installed package of a module, or of what `attributes` lead to if it is a namespace package."""
        for count in range(len(attributes) + 1):
            file = self.file(".".join((name, *attributes[:count])))
            owner = self._owners.of(file) if file is not None else None
            if owner is not None:
                return owner
        return None

    def is_changed(self, name: str, source: Source) -> bool:
        """Whether a module is loaded, and was loaded from another version of its source than this."""
        if name not in self._changed:
            loaded = sys.modules.get(name)
            self._changed[name] = loaded is not None and not source.is_of(vars(loaded))
        return self._changed[name]

    def _spec(self, name: str) -> Any:
        if name not in self._specs:
            self._specs[name] = self._find(name)
        return self._specs[name]

    def _find(self, name: str) -> Any:
        parent = name.rpartition(".")[0]
        folders = self._folders(parent) if parent else None
        if parent and folders is None:
            return None
        for finder in sys.meta_path:
            spec = finder.find_spec(name, folders)
            if spec is not None:
                return spec
        return None

    def _folders(self, package: str) -> Any:
        loaded = sys.modules.get(package)
        if loaded is not None:
            return getattr(loaded, "__path__", None)
        spec = self._spec(package)
        return None if spec is None else spec.submodule_search_locations
