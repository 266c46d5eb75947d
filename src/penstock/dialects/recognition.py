"""Which dialect a file is in, and which dialects there are."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from penstock.authoring.kinds.conversion import nearest
from penstock.dialects import Dialect, foreign
from penstock.dialects.foreign import DataLoader, ForeignLoader, imported_roots
from penstock.errors import DefinitionError, TargetError
from penstock.model.work import Imported

GROUP = "penstock.dialects"
#: penstock's own dialects, and the packages that they are in. The environment of a task imports penstock from where it is,
#: without the record of an installation, which has the entry points.
OWN = {
    "airflow": "airflow",
    "argo": "argo",
    "kfp": "kfp",
    "penstock": "native",
    "prefect": "prefect",
    "yaml": "yaml",
}
#: how penstock's own Python is called where a dialect is asked for
NATIVE = "penstock"
#: between the name of a dialect and the file that is to be read in it, in a target
_MARK = "+"


@functools.cache
def dialects() -> Mapping[str, Dialect]:
    """Every dialect that is installed, by name. Raises DefinitionError for one that does not load."""
    # most files are penstock's own, and need none of it
    from importlib.metadata import EntryPoint, entry_points

    found: dict[str, Dialect] = {}
    own = [EntryPoint(name, f"penstock.dialects.{package}:DIALECT", GROUP) for name, package in OWN.items()]
    points = {each.name: each for each in (*own, *entry_points(group=GROUP))}
    for _, point in sorted(points.items()):
        try:
            found[point.name] = point.load()
        except Exception as error:
            raise DefinitionError(
                f"the dialect {point.name!r} ({point.value}) does not load: {type(error).__name__}: {error}",
                remedy="Mend the package that has it, or uninstall it.",
            ) from error
    return found


def named(name: str) -> Dialect:
    """The dialect of a name. Raises DefinitionError, listing those that there are."""
    known = dialects()
    if name not in known:
        raise DefinitionError(
            f"there is no dialect {name!r}{nearest(name, known)}", remedy=f"There are: {', '.join(known)}."
        )
    return known[name]


def readable() -> list[str]:
    """The names of the dialects that are read."""
    return [NATIVE, *(name for name, each in dialects().items() if each.read is not None and name != NATIVE)]


def writable() -> list[str]:
    """The names of the dialects that are written."""
    return [name for name, each in dialects().items() if each.write is not None]


def in_dialect(target: str, dialect: str | None) -> str:
    """The target that says as well in which dialect its file is to be read. Raises DefinitionError for one that there is
    not, or that is only written, and where the target names another one itself."""
    if dialect is None:
        return target
    said, rest = split_dialect(target)
    if said not in (None, dialect):
        raise DefinitionError(f"{target} says {said}, and --dialect says {dialect}", remedy="Leave one of them out.")
    if dialect not in readable():
        raise DefinitionError(
            f"files in the dialect {named(dialect).name!r} are written by penstock, and not read",
            remedy=f"Read are: {', '.join(readable())}.",
        )
    return f"{dialect}{_MARK}{rest}"


def split_dialect(place: str) -> tuple[str | None, str]:
    """The dialect that a target names, or None, and the rest of it."""
    name, mark, rest = place.partition(_MARK)
    return (name, rest) if mark and rest and (name == NATIVE or name in dialects()) else (None, place)


def dialect_of(file: Path, asked: str | None = None) -> Dialect | None:
    """The dialect that a file is in, or that was asked for; None for penstock's own Python.

    Raises TargetError for a file that is in several, or in none though it is not of Python.
    """
    if asked is not None:
        return None if asked == NATIVE else named(asked)
    claiming = _claiming(file.suffix, file.read_text(errors="replace"))
    if len(claiming) > 1:
        names = [each.name for each in claiming]
        raise TargetError(
            f"{file} may be in several dialects: {', '.join(names)}", remedy=f"Choose one: --dialect {names[0]}"
        )
    return claiming[0] if claiming else None


def dialect_in(file: str, text: str) -> str:
    """The name of the dialect that the text of a file is in; empty for penstock's own, and where that is not clear."""
    claiming = _claiming(Path(file).suffix, text)
    return claiming[0].name if len(claiming) == 1 else ""


def _claiming(suffix: str, text: str) -> list[Dialect]:
    if suffix != ".py":
        return [each for each in dialects().values() if each.claims is not None and each.claims(text)]
    roots = imported_roots(text)
    # penstock's own files may well use another system in their tasks
    return [] if NATIVE in roots else [each for each in dialects().values() if roots.intersection(each.roots)]


def speaking(module: ModuleType, dialect: str) -> AbstractContextManager[None]:
    """Let a module that is executed in the block be one in the dialect of that name; see `foreign.speaking`."""
    return foreign.speaking(module, named(dialect))


def loader_of(name: str, file: str, dialect: str) -> SourceFileLoader:
    """What loads a file in a dialect as the module `name`. Raises DefinitionError for an unknown dialect."""
    kind = ForeignLoader if file.endswith(".py") else DataLoader
    return kind(name, file, named(dialect))


def function_in(module: ModuleType, code: Imported) -> Callable[..., Any]:
    """The function of a task in a loaded module of a dialect. Raises AttributeError where it is not there."""
    found: Any = module
    for name in code.qualname.split("."):
        found = getattr(found, name, None)
    function = getattr(found, "function", found)
    if getattr(function, "__qualname__", None) == code.qualname:
        return function
    find = named(code.dialect).find
    if find is not None:
        return find(module, code.qualname)
    if function is None:
        raise AttributeError(f"there is no {code.qualname!r} in {module.__name__}")
    return function


__all__ = [
    "NATIVE",
    "dialect_in",
    "dialect_of",
    "dialects",
    "function_in",
    "in_dialect",
    "loader_of",
    "named",
    "readable",
    "speaking",
    "split_dialect",
    "writable",
]
