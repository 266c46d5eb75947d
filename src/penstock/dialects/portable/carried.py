"""The user's functions with everything of the user's own that they reach, for files that can import none of it."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Callable, Iterator
from typing import Any

from penstock.dialects.code.modules import Imported, module_of
from penstock.dialects.code.sources import SYSTEMS, Sources

_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


class Carried(Sources):
    """Sources of which nothing is imported from a module of the user's."""

    def bring(self, kind: type, node: str) -> None:
        """Let a class of the user's be in the file, because values of it are."""
        self._node, self._function = node, None
        module = module_of(kind.__module__)
        self._rank(module)
        self._reach(module, [kind.__qualname__.partition(".")[0]])

    def _importable(self, function: Callable[..., Any]) -> str:
        return ""

    def _import(self, name: str, found: Imported) -> None:
        if found.module == "__future__" or found.root in SYSTEMS or not is_own(found.module):
            super()._import(name, found)
        elif found.name:
            self._from_other(name, found)
        else:
            raise self._error(
                f"uses the module {found.module}, which cannot be imported there",
                f"Import the names that it needs: from {found.module} import ....",
            )


def own_classes(annotation: Any) -> Iterator[type]:
    """The classes of the user's own in a type."""
    if isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        if is_own(annotation.__module__):
            yield annotation
        return
    for each in getattr(annotation, "__args__", ()):
        yield from own_classes(each)


def is_own(module: str) -> bool:
    """Whether a module is the user's own, and no installed package."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is not None and file.endswith(".py") and not file.startswith(_LIBRARIES)


__all__ = ["Carried", "is_own", "own_classes"]
