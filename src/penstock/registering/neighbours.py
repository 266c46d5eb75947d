"""What a file imports from its own folder. Modules are known to Python by their names, so two folders that have a module of
one name cannot both be meant in one process."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from penstock.authoring.source import nearby
from penstock.errors import TargetError


class Loaded(msgspec.Struct, frozen=True):
    """A file as it was when it was loaded by itself."""

    file: Path
    changed_at: int
    size: int
    #: where it may find modules: its folder, and the one that its package is in
    folders: tuple[Path, ...]
    #: the modules there that it imports, or that those import
    neighbours: frozenset[str]


def looked_at(file: Path) -> Loaded:
    """A file as it is now."""
    status = file.stat()
    folders = tuple(dict.fromkeys((file.parent, package_of(file)[0])))
    return Loaded(file, status.st_mtime_ns, status.st_size, folders, frozenset(_neighbours(file, folders)))


def package_of(file: Path) -> tuple[Path, list[str]]:
    """The folder that the package of a file is in, and the names that lead from it to the file."""
    folder, names = file.parent, [file.stem]
    while (folder / "__init__.py").is_file():
        names.insert(0, folder.name)
        folder = folder.parent
    return folder, names


def check_neighbours(file: Loaded) -> None:
    """Raise TargetError where a module that a file means, or one that was loaded before it, is found in the other's folder
    too."""
    for other in loaded_files():
        for name in sorted(file.neighbours | other.neighbours):
            mine, theirs = _place(file.folders, name), _place(other.folders, name)
            if mine is not None and theirs is not None and mine != theirs:
                raise TargetError(
                    f"there are two modules {name!r}: {nearby(str(mine))}, for {nearby(str(file.file))}, and "
                    f"{nearby(str(theirs))}, for {nearby(str(other.file))}; in one process, an import finds only one of them",
                    where=nearby(str(file.file)),
                    remedy="Give one of them another name, or put the files into packages (__init__.py) and import from those; each "
                    "of the files alone can be used as it is.",
                )


def loaded_files() -> list[Loaded]:
    """The files that this process has loaded by themselves."""
    specs = [getattr(module, "__spec__", None) for module in list(sys.modules.values())]
    states = [getattr(spec, "loader_state", None) for spec in specs]
    return [state for state in states if isinstance(state, Loaded)]


def _place(folders: tuple[Path, ...], name: str) -> Path | None:
    """The file, or the folder, of a module in the first of the folders that has it."""
    for folder in folders:
        file, package = folder / f"{name}.py", folder / name
        if file.is_file():
            return file
        if package.is_dir() and any(package.glob("*.py")):
            return package
    return None


def _neighbours(file: Path, folders: tuple[Path, ...]) -> set[str]:
    top = package_of(file)[1][0]
    found: set[str] = set()
    waiting = [file]
    while waiting:
        # one that is relative begins at the package
        names = {name or top for name in _imported(waiting.pop())}
        for name in names - found - sys.stdlib_module_names:
            place = _place(folders, name)
            if place is not None:
                found.add(name)
                waiting += place.glob("*.py") if place.is_dir() else [place]
    return found


def _imported(file: Path) -> Iterator[str]:
    """The first names of the modules that are imported in a file, wherever in it; empty where it is relative."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        # loading it says what is wrong
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name.partition(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "" if node.level else (node.module or "").partition(".")[0]


__all__ = ["Loaded", "check_neighbours", "loaded_files", "looked_at", "package_of"]
