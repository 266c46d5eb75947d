"""From what a value calls its code (see `penstock.fingerprint.named`) to what that is today.

The source tells wherever it can: the module may be one that is only imported inside of tasks, because that takes long
or because not every process can import it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable

from penstock.fingerprint.live import links
from penstock.fingerprint.named import WHOLE, find
from penstock.fingerprint.reach import PYTHON, Link, Walk
from penstock.fingerprint.static import imported, whole
from penstock.fingerprint.syntax import Import


def links_to(walk: Walk, name: str) -> Iterable[Link]:
    """The links to what is called `name`; none where there is nothing of that name."""
    module, _, qualname = name.partition(":")
    path = () if qualname == WHOLE else tuple(qualname.split("."))
    file = None if module == "__main__" else walk.modules.file(module)
    found = [] if file is None else list(_in_source(walk, module, path, file))
    if found and not _is_edited(walk, module, file):
        return found
    # of a file that was edited since it was loaded here, other processes may load either version
    return [*_loaded(walk, module, path), *found]


def _is_edited(walk: Walk, module: str, file: str | None) -> bool:
    source = None if file is None else walk.sources.find(file)
    return source is not None and walk.modules.is_changed(module, source)


def _in_source(walk: Walk, module: str, path: tuple[str, ...], file: str) -> Iterable[Link]:
    if not path or not file.endswith(".py"):
        return whole(walk, "", module, f"{file}:1")
    source = walk.sources.find(file)
    if source is None or (len(path) > 1 and not source.has_class(".".join(path))):
        return ()
    return imported(walk, "", Import(module), path, "", f"{file}:1", exact=True)


def _loaded(walk: Walk, module: str, path: tuple[str, ...]) -> Iterable[Link]:
    file = walk.modules.file(module)
    if module not in sys.modules and file is None:
        return ()
    try:
        importlib.import_module(module)
    except (Exception, SystemExit):
        # nor can the value be loaded then
        return ()
    if not path:
        return (Link("", PYTHON),)
    qualname = ".".join(path)
    found = find(module, qualname)
    return () if found is None else links(walk, "", found, f"constant:{module}:{qualname}", f"{file or module}:1")


__all__ = ["links_to"]
