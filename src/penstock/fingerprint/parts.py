"""What a walk has found, in the form in which it is kept."""

from __future__ import annotations

import os
from collections.abc import Iterable

import msgspec

from penstock.fingerprint.imports import Imports
from penstock.fingerprint.reach import Part
from penstock.fingerprint.shown import HIDDEN, is_secret
from penstock.model.identity import CodePart


class Parts:
    """Makes parts, each once. Files are told from `folder`, that of the project, where they are inside; `texts` takes up
    what the parts refer to."""

    def __init__(self, folder: str | None, imports: Imports, texts: dict[bytes, str]) -> None:
        self._folder = None if folder is None else folder.rstrip(os.sep) + os.sep
        self._imports = imports
        self._texts = texts
        self._made: dict[tuple[str, bytes], CodePart] = {}

    def of(self, found: Iterable[tuple[str, Part]], first: str) -> tuple[CodePart, ...]:
        """The parts of what was found, sorted by name, the one that is called `first` before the others.

        Of several things that share a name, such as the lambdas of a module, the further ones are numbered.
        """
        named: dict[str, dict[bytes, CodePart]] = {}
        for name, part in found:
            made = self._part(name, part)
            named.setdefault(made.name, {})[part.own] = made
        parts = [part for several in named.values() for part in _numbered(several)]
        first = self._called(first)
        return tuple(sorted(parts, key=lambda part: (part.name != first, part.name)))

    def short(self, place: str) -> str:
        """A file, or a text that begins with one, without the project's folder."""
        return place if self._folder is None else place.removeprefix(self._folder)

    def _part(self, name: str, part: Part) -> CodePart:
        known = self._made.get((name, part.own))
        if known is None:
            known = self._made[name, part.own] = self._new(name, part)
        return known

    def _new(self, met: str, part: Part) -> CodePart:
        name, shown, extent = self._called(met), _shown(met, part), part.extent
        if extent is None or (extent.text is None and extent.file.startswith("<")):
            return CodePart(name, part.own, shown=shown)
        if extent.text is None:
            return CodePart(name, part.own, self.short(extent.file), *extent.lines, shown=shown)
        self._texts[extent.text.digest] = extent.text.text
        return CodePart(name, part.own, self.short(extent.file), *extent.lines, extent.text.digest, shown)

    def _called(self, name: str) -> str:
        """The name with the module as it can be imported: of a script, its file's name rather than `__main__`."""
        prefix, colon, rest = name.partition(":")
        if prefix == "constant":
            return f"constant:{self._called(rest)}"
        return f"{self._imports.importable(prefix) or prefix}{colon}{rest}" if prefix == "__main__" else name


def _shown(name: str, part: Part) -> str:
    if part.show is None:
        return ""
    return HIDDEN if is_secret(name.partition(":")[2].partition(":")[2]) else part.show()


def _numbered(several: dict[bytes, CodePart]) -> Iterable[CodePart]:
    if len(several) == 1:
        return several.values()
    parts = sorted(several.values(), key=lambda part: (part.file, part.first, part.digest))
    names = (f"{part.name} ({number})" if number > 1 else part.name for number, part in enumerate(parts, 1))
    return [msgspec.structs.replace(part, name=name) for part, name in zip(parts, names, strict=True)]


def modules_of(found: Iterable[tuple[str, Part]], imports: Imports) -> list[str]:
    """The modules that what was found is defined in; without what was made by running code, in whichever module."""
    extents = dict.fromkeys(part.extent[:2] for _, part in found if part.extent is not None)
    return [module for module, file in extents if imports.is_in(module, file)]
