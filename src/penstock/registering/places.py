"""Where definitions are looked for: files, folders and modules."""

from __future__ import annotations

import importlib.util
import pkgutil
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from penstock.dialects.recognition import dialect_of, in_dialect, split_dialect
from penstock.errors import TargetError
from penstock.registering.loading import SUFFIXES, is_path, near_files, split_target, unreadable

#: folders that are left out, wherever they are
_LEFT_OUT = ("__pycache__", "tests", "test", "node_modules", "venv", "env", "build", "dist", "*.egg-info")
#: files that are left out of folders
_NO_SOURCES = ("test_*.py", "*_test.py", "conftest.py", "setup.py", "noxfile.py")


class Place(NamedTuple):
    """A file or a module with definitions."""

    #: the file as an absolute path, or the dotted name of the module; with its dialect, where that was named
    origin: str
    #: the one that is meant; empty for all that are in it
    name: str = ""


def places_of(target: str) -> list[Place]:
    """The files, or modules, that a target stands for: a file, a folder with all that is below it, a module, a package with
    all its modules; each may be followed by `:name`. Raises TargetError for what does not exist."""
    place, name = split_target(target)
    dialect, place = split_dialect(place)
    if not is_path(place):
        return [Place(in_dialect(module, dialect), name) for module in ([place] if name else _modules(place))]
    path = Path(place).absolute()
    if path.is_file():
        if path.suffix != ".py" and dialect is None and dialect_of(path) is None:
            raise unreadable(Path(place))
        return [Place(in_dialect(str(path.resolve()), dialect), name)]
    if not path.is_dir():
        raise TargetError(f"there is no file or folder {place}", remedy=near_files(Path(place)))
    if name:
        raise TargetError(f"{place} is a folder", remedy=f"Name the file in it that has {name!r}.")
    return [Place(in_dialect(str(file), dialect)) for file in sorted(_files(path.resolve()))]


def _files(folder: Path) -> Iterator[Path]:
    """The files below a folder that may have pipelines: those of Python, and those of data that are in a dialect; hidden
    folders, environments and tests are left out."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            environment = (path / "pyvenv.cfg").is_file()
            if not environment and not any(fnmatch(path.name, pattern) for pattern in _LEFT_OUT):
                yield from _files(path)
        elif not any(fnmatch(path.name, pattern) for pattern in _NO_SOURCES) and _is_read(path):
            yield path


def _is_read(file: Path) -> bool:
    """Whether a file is one of Python, or one of data in a dialect that is read."""
    if file.suffix not in SUFFIXES or file.suffix == ".py":
        return file.suffix in SUFFIXES
    try:
        dialect = dialect_of(file)
    except TargetError:
        # loading it says what is wrong
        return True
    return dialect is not None and dialect.read is not None


def _modules(name: str) -> list[str]:
    """A module, and those below it."""
    import sys

    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        raise TargetError(
            f"there is no file, folder or module {name!r}",
            remedy=near_files(Path(name)) or "Name a file, a folder, or a module that can be imported.",
        )
    if spec.submodule_search_locations is None:
        return [name]
    return [name, *_below(name, spec.submodule_search_locations)]


def _below(package: str, folders: Iterable[str]) -> Iterator[str]:
    for found in pkgutil.iter_modules(list(folders)):
        if found.name.startswith(("_", "test_")) or found.name in ("tests", "test"):
            continue
        name = f"{package}.{found.name}"
        yield name
        if found.ispkg:
            yield from _below(name, [str(Path(folder, found.name)) for folder in folders])


def is_below(origin: str, target: str) -> bool:
    """Whether an origin is, or was, among what a target stands for as a whole."""
    place, name = split_target(target)
    if name:
        return False
    origin, place = split_dialect(origin)[1], split_dialect(place)[1]
    if not is_path(place):
        return origin == place or origin.startswith(f"{place}.")
    path = Path(place).resolve()
    return Path(origin) == path or path in Path(origin).parents


__all__ = ["Place", "is_below", "places_of"]
