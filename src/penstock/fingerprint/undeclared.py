"""Files that code reads by paths that it spells out: their content does not count unless the task declares them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path, PurePath
from types import ModuleType
from typing import Any, Final, NamedTuple, Protocol

from penstock.fingerprint.origin import Origin
from penstock.fingerprint.reach import File, Walk
from penstock.fingerprint.syntax import Opening, Reading, Reference

#: what is called `load` there takes a stream or a text
_STREAMS: Final = frozenset(
    {"json", "pickle", "yaml", "marshal", "tomllib", "tomli", "webbrowser", "dill", "cloudpickle"}
)


class Names(Protocol):
    """What names in code stand for."""

    def text(self, reference: Reference) -> str | None:
        """The text or the path that a name stands for; None for anything else."""
        ...

    def library(self, reference: Reference) -> str:
        """The module of what a name stands for; empty where that is not known."""
        ...


class Loaded(NamedTuple):
    """What names stand for in what is loaded; `look_up` gives what a name is bound to, and the attributes left."""

    look_up: Callable[[Reference], tuple[Any, tuple[str, ...]]]

    def text(self, reference: Reference) -> str | None:
        value, rest = self.look_up(reference)
        if isinstance(value, PurePath) and not set(rest) - {"parent"}:
            return str(functools.reduce(lambda path, _: path.parent, rest, value))
        return value if type(value) is str and not rest else None

    def library(self, reference: Reference) -> str:
        if reference.imported is not None:
            return "" if reference.imported.level else reference.imported.module
        value, _ = self.look_up(reference)
        if isinstance(value, ModuleType):
            return value.__name__
        return str(value.__module__) if callable(value) and hasattr(value, "__qualname__") else ""


def note_openings(walk: Walk, file: str, reading: Reading, names: Names) -> None:
    """Report the files that a definition reads by paths that it spells out, or that come in as texts."""
    for opening in reading.openings:
        path = _path(walk, opening, names)
        where = f"{file}:{opening.line}"
        if path is not None and opening.parameter:
            words = (
                f"{opening.shown} reads a file, of which only the name counts: declare {opening.parameter} as a Path"
            )
            walk.limit(where, words)
        elif path:
            example = "..." if Path(path).is_absolute() else repr(path)
            words = (
                f"{opening.shown} reads a file that does not count: declare it, reads=[{example}], or pass it as a Path"
            )
            walk.files[walk.limit(where, words)] = File(file, path)


def _path(walk: Walk, opening: Opening, names: Names) -> str | None:
    """The path that is read, as far as it is known; None where no file is."""
    parts = opening.parts
    if opening.callee is not None:
        of = opening.callee.path[:-1]
        constant = names.text(opening.callee._replace(path=of)) if of and opening.callee.path[-1] != "load" else None
        if constant is not None:
            # a method of a path; the texts say how it is to be opened
            writes = any(isinstance(part, str) and part[:1] in ("w", "a", "x") for part in parts[:1])
            return None if writes else constant
        library = names.library(opening.callee)
        taken = opening.callee.path[-1] == "load" and library.partition(".")[0] in _STREAMS
        if not library or taken or walk.modules.origin(library) in (Origin.USER, Origin.PENSTOCK):
            return None
    texts = [part if isinstance(part, str) else names.text(part) for part in parts]
    known = [text for text in texts if text is not None]
    if len(known) < len(texts):
        return None
    return "/".join(text if number == 0 else text.lstrip("/") for number, text in enumerate(filter(None, known)))


__all__ = ["Loaded", "Names", "note_openings"]
