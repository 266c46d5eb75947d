"""Where the files of a task's modules are, or would be, in this project."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from penstock.model.identity import ModuleSource, TaskIdentity


def places_of(identity: TaskIdentity, folder: Path) -> dict[str, Path]:
    """Module -> its file. `folder` is that of the project, from which what is inside is told."""
    told = {part.text: part.file for part in identity.parts if part.text and part.file}
    known = {each.module: Path(folder, told[each.text]) for each in identity.modules if each.text in told}
    entries = _entries(identity.modules, known)
    for each in identity.modules:
        if each.module not in known:
            tries = [Path(entry, each.file) for entry in (*entries, folder, *sys.path)]
            known[each.module] = next((file for file in tries if file.is_file()), tries[0])
    return known


def entries_of(identity: TaskIdentity, folder: Path) -> list[str]:
    """The folders that the modules of a task are imported from, as far as they are there."""
    return [entry for entry in _entries(identity.modules, places_of(identity, folder)) if Path(entry).is_dir()]


def _entries(modules: Iterable[ModuleSource], places: Mapping[str, Path]) -> list[str]:
    """The entries of `sys.path` that modules were found in, each once."""
    found: dict[str, None] = {}
    for module in modules:
        place = places.get(module.module)
        if place is not None:
            # a script may be imported under another name than that of its file
            found[str(place.parents[len(Path(module.file).parts) - 1])] = None
    return list(found)


__all__ = ["entries_of", "places_of"]
