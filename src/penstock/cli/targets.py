"""From what a user names on the command line to a pipeline."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from penstock.app import Pipeline
from penstock.cli.views import nearby
from penstock.errors import PenstockError, TargetError
from penstock.model.fault import user_traceback
from penstock.model.run import Provenance, RunRecord

#: files whose frames stand between a command and the user's first line
_MACHINERY = (__file__, str(importlib.__file__), "<frozen importlib")


def load_target(target: str) -> Pipeline[..., Any]:
    """The pipeline that a target names: `file.py`, `file.py:name`, `package.module:name` or `package.module`.

    Raises TargetError if it does not exist, does not load, or does not name exactly one pipeline.
    """
    place, _, name = target.rpartition(":") if ":" in target else (target, "", "")
    module = _load_file(Path(place)) if _is_path(place) else _import(place)
    return _choose(module, name, place)


def target_of(run: RunRecord, provenance: Provenance) -> str:
    """What names the pipeline of a run, from any folder: the file that it was in, and its name there."""
    place, _, name = run.target.rpartition(":") if ":" in run.target else (run.target, "", "")
    if not provenance.source:
        return run.target
    files = [file for file in provenance.source if Path(file).name == Path(place).name]
    if _is_path(place):
        file = next(iter(files), None)
        return run.target if file is None else f"{file}:{name}" if name else file
    # started from Python, where a module says nothing of the pipeline's name
    return f"{next(iter(provenance.source))}:{name or run.pipeline}"


def make_importable(places: Iterable[str]) -> None:
    """Let files and folders be imported from, so that values of the classes defined there can be loaded."""
    for place in places:
        folder = str(Path(place) if Path(place).is_dir() else Path(place).parent)
        if folder not in sys.path:
            sys.path.append(folder)


def _is_path(place: str) -> bool:
    if place.endswith(".py") or os.sep in place or Path(place).is_file():
        return True
    return Path(place).is_dir() and not Path(place, "__init__.py").is_file()


def _load_file(file: Path) -> ModuleType:
    if file.is_dir():
        scripts = sorted(str(script) for script in file.glob("*.py"))
        raise TargetError(
            f"{file} is a folder",
            remedy=f"Name a file in it, such as {scripts[0]}." if scripts else "Name a Python file with a pipeline.",
        )
    if not file.is_file():
        raise TargetError(f"there is no file {file}", remedy=_near_files(file))
    if file.suffix != ".py":
        raise TargetError(f"{file} is not a Python file", remedy="Pipelines are read from .py files.")
    path = file.resolve()
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    stamp = (path.stat().st_mtime_ns, path.stat().st_size)
    known = getattr(sys.modules.get(path.stem), "__spec__", None)
    if known is not None and (known.origin, known.loader_state) == (str(path), stamp):
        # several runs of one file, which would be other tasks if it was loaded for each of them
        return sys.modules[path.stem]
    spec = importlib.util.spec_from_file_location(_module_name(path), path)
    assert spec is not None and spec.loader is not None
    spec.loader_state = stamp
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[module.__name__]
        raise _unloadable(error, str(file)) from None
    return module


def _module_name(file: Path) -> str:
    """The name to load a file under: its own, unless that is taken by another module."""
    name = file.stem
    if name in sys.modules or name in sys.stdlib_module_names or not name.isidentifier():
        return f"penstock_target_{''.join(c if c.isalnum() else '_' for c in name)}"
    return name


def _import(name: str) -> ModuleType:
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise _unloadable(error, name) from None
        raise TargetError(
            f"there is no file or module {name!r}",
            remedy=_near_files(Path(name))
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
        case _:
            return TargetError(f"{place} does not load\n{_own_traceback(error).rstrip()}")


def _own_traceback(error: BaseException) -> str:
    """The traceback from the first line of the user's own on."""
    start = error.__traceback__
    while start is not None and start.tb_frame.f_code.co_filename.startswith(_MACHINERY):
        start = start.tb_next
    return user_traceback(error.with_traceback(start))


def _choose(module: ModuleType, name: str, place: str) -> Pipeline[..., Any]:
    found: dict[str, Pipeline[..., Any]] = {
        key: value for key, value in vars(module).items() if isinstance(value, Pipeline)
    }
    if name:
        return _named(module, found, name, place)
    # what is imported is not counted, unless there is nothing else; nor is a second name of the same pipeline
    own = {key: value for key, value in found.items() if value.function.__module__ == module.__name__} or found
    own = {id(value): (key, value) for key, value in reversed(own.items())}
    if len(own) == 1:
        return next(iter(own.values()))[1]
    if own:
        names = [key for key, _ in reversed(own.values())]
        raise TargetError(
            f"there are several pipelines in {place}: {', '.join(names)}", remedy=f"Choose one: {place}:{names[0]}"
        )
    raise TargetError(
        f"there is no pipeline in {place}", remedy="Decorate a function with @pipeline (from penstock import pipeline)."
    )


def _named(module: ModuleType, found: dict[str, Pipeline[..., Any]], name: str, place: str) -> Pipeline[..., Any]:
    by_name = {pipeline.name: pipeline for pipeline in found.values()} | found
    if name in by_name:
        return by_name[name]
    if hasattr(module, name):
        raise TargetError(f"{name!r} in {place} is not a pipeline", remedy="Decorate the function with @pipeline.")
    near = difflib.get_close_matches(name, by_name, 1)
    others = f"It has: {', '.join(found)}." if found else None
    raise TargetError(
        f"there is no pipeline {name!r} in {place}", remedy=f"Did you mean {place}:{near[0]}?" if near else others
    )


def _near_files(file: Path) -> str | None:
    folder = file.parent
    if not folder.is_dir():
        return f"The folder {folder} does not exist either."
    near = difflib.get_close_matches(file.name, [each.name for each in folder.glob("*.py")], 1)
    return f"Did you mean {folder / near[0]}?" if near else None
