"""From a text that names something of the user's code to the thing itself: `file.py:name`, `package.module:name`."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import itertools
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from penstock.app import ASSETS, Pipeline
from penstock.authoring.source import DIALECT, nearby
from penstock.dialects import Dialect, Reading
from penstock.dialects.foreign import import_in
from penstock.dialects.recognition import (
    NATIVE,
    dialect_of,
    dialects,
    in_dialect,
    loader_of,
    named,
    readable,
    split_dialect,
)
from penstock.errors import PenstockError, TargetError
from penstock.model.fault import user_traceback
from penstock.model.place import Location
from penstock.registering.neighbours import Loaded, check_neighbours, looked_at, package_of

if TYPE_CHECKING:
    from penstock.authoring.options.settings import Settings
    from penstock.model.graph import Ignored

#: suffixes of the files that pipelines are in
SUFFIXES = (".py", ".yaml", ".yml")
#: the attribute of a module in another system's dialect that holds what it defines
_READING = "__penstock_reading__"
#: files whose frames stand between a command and the user's first line
_MACHINERY = (__file__, str(importlib.__file__), "<frozen importlib")


def split_target(target: str) -> tuple[str, str]:
    """The file or module of a target, and the name in it; empty where it has none."""
    place, _, name = target.rpartition(":") if ":" in target else (target, "", "")
    return place, name


def load_module(place: str) -> ModuleType:
    """The module of a file or of a dotted name, loaded; a file in another system's dialect as well, which `DIALECT+FILE`
    names where it is not recognised. Raises TargetError if it does not exist or does not load."""
    dialect, place = split_dialect(place)
    return _load_file(Path(place), dialect) if is_path(place) else _import(place, _spoken(place, dialect))


def pipelines_in(module: ModuleType) -> dict[str, Pipeline[..., Any]]:
    """The pipelines at the top level of a module, or that the file in another system's dialect defines, by name."""
    reading = reading_of(module)
    found: Mapping[str, Any] = vars(module) if reading is None else reading.pipelines
    return {name: value for name, value in found.items() if isinstance(value, Pipeline)}


def reading_of(module: ModuleType) -> Reading | None:
    """What a module that is written for another system defines; None for any other module."""
    name = getattr(module, DIALECT, "")
    if not name:
        return None
    known = vars(module).get(_READING)
    if known is None:
        read = named(name).read
        known = vars(module)[_READING] = Reading({}) if read is None else read(module, _Maker(module))
        place = place_of(module)
        for name, pipeline in known.pipelines.items():
            pipeline.target = pipeline.target or f"{place}:{name}"
    return known


class _Maker:
    """Makes the pipelines that a module in a dialect defines."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module.__name__
        self._file = module.__file__ or ""
        self._reader = _root(named(getattr(module, DIALECT)).read)

    def __call__(
        self,
        function: Callable[..., Any],
        name: str,
        settings: Settings | None = None,
        ignored: tuple[Ignored, ...] = (),
    ) -> Pipeline[..., Any]:
        if _root(function) == self._reader:
            # what the reader has made belongs to the user's file, where a run is told to come from
            function.__module__ = self._module
            if not hasattr(function, "__wrapped__") and not hasattr(function, "location"):
                cast(Any, function).location = Location(nearby(self._file), 1)
        pipeline = Pipeline(function, name, settings=settings)
        pipeline.ignored = ignored
        return pipeline


def _root(function: Any) -> str:
    """The top-level package that a function is in."""
    return str(getattr(function, "__module__", "")).partition(".")[0]


def place_of(module: ModuleType) -> str:
    """What loads a module from any folder: its file, or its name where it is installed; with its dialect, where that would
    not be recognised."""
    file = module.__file__
    if file is None or any(part in ("site-packages", "dist-packages") for part in Path(file).parts):
        return module.__name__
    path, spoken = Path(file).resolve(), getattr(module, DIALECT, "") or NATIVE
    if not path.is_file():
        return str(path)
    try:
        recognised = dialect_of(path)
        said = NATIVE if recognised is None else recognised.name
    except TargetError:
        said = ""
    return str(path) if spoken == said else in_dialect(str(path), spoken)


def load_object(target: str) -> Any:
    """What a target names at the top level of its file or module, or that this defines in another system's dialect. Raises
    TargetError if it is not there."""
    place, name = split_target(target)
    module = load_module(place)
    reading = reading_of(module)
    if reading is not None and name in (known := {**reading.pipelines, **reading.triggers}):
        return known[name]
    if not hasattr(module, name):
        near = difflib.get_close_matches(name, vars(module), 1)
        raise TargetError(
            f"there is no {name!r} in {place}", remedy=f"Did you mean {place}:{near[0]}?" if near else None
        )
    return getattr(module, name)


def load_pipeline(target: str) -> Pipeline[..., Any]:
    """The pipeline that a target names: `file.py`, `file.py:name`, `package.module:name` or `package.module`; of a run that
    made assets, the pipeline that makes them.

    Raises TargetError if it does not exist, does not load, or does not name exactly one pipeline.
    """
    if target.startswith(ASSETS):
        from penstock.app.assets import load_assets

        return load_assets(target, load_module)
    place, name = split_target(target)
    return _choose(load_module(place), name, place)


def is_path(place: str) -> bool:
    """Whether a place is a file or a folder, rather than a module."""
    place = split_dialect(place)[1]
    if place.endswith(SUFFIXES) or os.sep in place or Path(place).is_file():
        return True
    return Path(place).is_dir() and not Path(place, "__init__.py").is_file()


def exists(place: str) -> bool:
    """Whether there is such a file, folder or module, without loading anything."""
    place = split_dialect(place)[1]
    if is_path(place):
        return Path(place).exists()
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    package = place.partition(".")[0]
    try:
        return package in sys.modules or importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def _load_file(file: Path, asked: str | None = None) -> ModuleType:
    if file.is_dir():
        scripts = sorted(str(script) for script in file.glob("*.py"))
        raise TargetError(
            f"{file} is a folder",
            remedy=f"Name a file in it, such as {scripts[0]}." if scripts else "Name a Python file with a pipeline.",
        )
    if not file.is_file():
        raise TargetError(f"there is no file {file}", remedy=near_files(file))
    path = file.resolve()
    dialect = dialect_of(path, asked)
    if file.suffix != ".py" and (dialect is None or dialect.execute is None):
        raise unreadable(file)
    now = looked_at(path)
    spoken = "" if dialect is None else dialect.name
    same = (each for each in list(sys.modules.values()) if _state_of(each) == now)
    known = next((each for each in same if getattr(each, DIALECT, "") == spoken), None)
    if known is not None:
        # several runs of one file, which would be other tasks if it was loaded for each of them
        return known
    check_neighbours(now)
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    name = _module_name(path)
    loader = None if dialect is None else loader_of(name, str(path), dialect.name)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None and spec.loader is not None
    spec.loader_state = now
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[module.__name__]
        if _is_of_package(error, path):
            return _import_from(path, now, dialect)
        raise _unloadable(error, str(file)) from None
    return module


def _state_of(module: ModuleType) -> Any:
    """The file that a module was loaded from by itself, as it was then."""
    return getattr(getattr(module, "__spec__", None), "loader_state", None)


def _is_of_package(error: BaseException, file: Path) -> bool:
    """Whether it is an import from the package that a file is in, which it does not know when it is loaded by itself."""
    if not isinstance(error, ImportError) or not (file.parent / "__init__.py").is_file():
        return False
    if isinstance(error, ModuleNotFoundError):
        return error.name is not None and error.name.partition(".")[0] == package_of(file)[1][0]
    return "attempted relative import" in str(error)


def _import_from(file: Path, now: Loaded, dialect: Dialect | None) -> ModuleType:
    """A file as the module of its package."""
    folder, names = package_of(file)
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    known = getattr(sys.modules.get(names[0]), "__file__", None)
    if known is not None and Path(known).resolve().parent != folder / names[0]:
        raise TargetError(
            f"{nearby(str(file))} is in a package {names[0]!r}, and in this process that is {nearby(known)}",
            remedy="Give one of the two packages another name.",
        )
    module = _import(".".join(names), dialect)
    assert module.__spec__ is not None
    module.__spec__.loader_state = now
    return module


def _module_name(file: Path) -> str:
    """The name to load a file under: its own, unless that is taken by another module."""
    name = file.stem if file.suffix == ".py" else file.name
    if name not in sys.modules and name not in sys.stdlib_module_names and name.isidentifier():
        return name
    name = "".join(c if c.isalnum() else "_" for c in name)
    names = itertools.chain([f"penstock_target_{name}"], (f"penstock_target{n}_{name}" for n in itertools.count(2)))
    return next(each for each in names if _is_free(each, file))


def _is_free(name: str, file: Path) -> bool:
    """Whether no other file is loaded under a name."""
    known = sys.modules.get(name)
    state = None if known is None else _state_of(known)
    return known is None or (isinstance(state, Loaded) and state.file == file)


def _spoken(name: str, asked: str | None) -> Dialect | None:
    """The dialect of a module that is named, and not imported yet; None for penstock's own Python."""
    folders: Sequence[str] | None = [str(Path.cwd()), *sys.path]
    spec = None
    parts = name.split(".")
    for number in range(len(parts)):
        spec = PathFinder.find_spec(".".join(parts[: number + 1]), folders)
        folders = None if spec is None else spec.submodule_search_locations
        if folders is None:
            break
    origin = None if spec is None or spec.name != name else spec.origin
    is_source = origin is not None and origin.endswith(".py")
    return dialect_of(Path(origin), asked) if origin is not None and is_source else None


def _import(name: str, dialect: Dialect | None = None) -> ModuleType:
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(name) if dialect is None else import_in(name, dialect)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise _unloadable(error, name) from None
        raise TargetError(
            f"there is no file or module {name!r}",
            remedy=near_files(Path(name))
            or "Name a file (pipeline.py), or a module that can be imported (package.module:name).",
        ) from None
    except BaseException as error:
        raise _unloadable(error, name) from None


def _unloadable(error: BaseException, place: str) -> BaseException:
    """What to raise when the user's own file does not load."""
    match error:
        case PenstockError() | KeyboardInterrupt():
            return error
        case SyntaxError():
            line = f":{error.lineno}" if error.lineno else ""
            text = f": {error.text.strip()}" if error.text else ""
            return TargetError(f"{error.msg}{text}", where=nearby(error.filename or place) + line)
        case ValueError() if "null bytes" in str(error):
            # a SyntaxError from Python 3.11.4 on
            return TargetError(str(error), where=nearby(place))
        case SystemExit():
            last = traceback.extract_tb(error.__traceback__)[-1]
            return TargetError(
                f"{place} ends Python while it is loaded: sys.exit({'' if error.code is None else repr(error.code)})",
                where=f"{nearby(last.filename)}:{last.lineno}",
                remedy='Put what it does as a script under `if __name__ == "__main__":`.',
            )
        case ModuleNotFoundError(name=str(name)):
            extra = next((each.name for each in dialects().values() if name in each.libraries), None)
            return TargetError(
                f"{place} does not load\n{_own_traceback(error).rstrip()}",
                remedy=None if extra is None else f"It comes with an extra: pip install 'penstock[{extra}]'",
            )
        case _:
            return TargetError(f"{place} does not load\n{_own_traceback(error).rstrip()}")


def _own_traceback(error: BaseException) -> str:
    """The traceback from the first line of the user's own on."""
    start = error.__traceback__
    while start is not None and start.tb_frame.f_code.co_filename.startswith(_MACHINERY):
        start = start.tb_next
    return user_traceback(error.with_traceback(start))


def _choose(module: ModuleType, name: str, place: str) -> Pipeline[..., Any]:
    found = pipelines_in(module)
    if name:
        return _named(module, found, name, place)
    reading = reading_of(module)
    if reading is not None and reading.main:
        return found[reading.main]
    if reading is None:
        # what is imported is not counted, unless there is nothing else; nor is a second name of the same pipeline
        own = {key: value for key, value in found.items() if value.function.__module__ == module.__name__} or found
    else:
        own = found
    own = {id(value): (key, value) for key, value in reversed(own.items())}
    if len(own) == 1:
        return next(iter(own.values()))[1]
    if own:
        names = [key for key, _ in reversed(own.values())]
        raise TargetError(
            f"there are several pipelines in {place}: {', '.join(names)}", remedy=f"Choose one: {place}:{names[0]}"
        )
    spoken = getattr(module, DIALECT, "")
    if spoken:
        raise TargetError(
            f"there is no pipeline in {place}, which is read as {named(spoken).title}",
            remedy=(reading.remedy if reading is not None else "")
            or f"If it is in another dialect, choose that: --dialect {NATIVE}. Read are: {', '.join(readable())}.",
        )
    raise TargetError(
        f"there is no pipeline in {place}", remedy="Decorate a function with @pipeline (from penstock import pipeline)."
    )


def _named(module: ModuleType, found: dict[str, Pipeline[..., Any]], name: str, place: str) -> Pipeline[..., Any]:
    by_name = {pipeline.name: pipeline for pipeline in found.values()} | found
    if name in by_name:
        return by_name[name]
    if hasattr(module, name) and reading_of(module) is None:
        raise TargetError(f"{name!r} in {place} is not a pipeline", remedy="Decorate the function with @pipeline.")
    near = difflib.get_close_matches(name, by_name, 1)
    others = f"It has: {', '.join(found)}." if found else None
    raise TargetError(
        f"there is no pipeline {name!r} in {place}", remedy=f"Did you mean {place}:{near[0]}?" if near else others
    )


def unreadable(file: Path) -> TargetError:
    """What to raise for a file that is not one of Python, and in no dialect that is read."""
    remedy = f"Pipelines are read in these: {', '.join(readable())}."
    if file.suffix in SUFFIXES:
        remedy = "A pipeline in YAML has `pipeline:` and `stages:` at its top level. " + remedy
    return TargetError(f"{file} is neither a Python file nor in a dialect that penstock reads", remedy=remedy)


def near_files(file: Path) -> str | None:
    """What to say of a file that does not exist: one beside it that may be meant."""
    folder = file.parent
    if not folder.is_dir():
        return f"The folder {folder} does not exist either."
    near = difflib.get_close_matches(file.name, [each.name for each in folder.glob("*.py")], 1)
    return f"Did you mean {folder / near[0]}?" if near else None


__all__ = [
    "SUFFIXES",
    "exists",
    "is_path",
    "load_module",
    "load_object",
    "load_pipeline",
    "near_files",
    "pipelines_in",
    "place_of",
    "reading_of",
    "split_target",
    "unreadable",
]
