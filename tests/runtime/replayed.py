"""A project whose files are edited between a run and its replay, all within this process."""

from __future__ import annotations

import importlib
import shutil
import sys
import textwrap
from pathlib import Path
from typing import Any

from penstock import Pipeline, Run, find_run


class Workshop:
    """Files of modules, imported when they are run and forgotten when they are edited. All that the test imports from
    them is gone with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._before = set(sys.modules)
        #: modules that are written here, and packages; other tests may have some of these names
        self._written: set[str] = set()

    def write(self, name: str, text: str) -> Path:
        """Write a module, or write it anew; those that are loaded are forgotten, as by another process."""
        self._written.add(name.partition("/")[0].removesuffix(".py"))
        self.forget()
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
        return file

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def remove(self, name: str) -> None:
        self.forget()
        file = self.folder / name
        if file.is_dir():
            shutil.rmtree(file)
        else:
            file.unlink()

    def forget(self) -> None:
        for name in [each for each in sys.modules if each.partition(".")[0] in self._written]:
            del sys.modules[name]
        for name in set(sys.modules) - self._before:
            module = sys.modules[name]
            places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
            if any(place is not None and Path(place).is_relative_to(self.folder) for place in places):
                del sys.modules[name]
        importlib.invalidate_caches()

    def run(self, module: str, name: str = "pipe", **parameters: Any) -> Run:
        """A run of a pipeline in a module, looked up afterwards as by another process."""
        found: Pipeline[..., Any] = getattr(importlib.import_module(module), name)
        ended = found.options(executor="inline", progress=False).run(**parameters)
        self.forget()
        return find_run(ended.run_id)


__all__ = ["Workshop"]
