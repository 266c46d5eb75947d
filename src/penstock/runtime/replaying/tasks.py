"""The functions of tasks, found in their modules: as they are today, or as they were."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, cast

from penstock.authoring.task import Task
from penstock.errors import DefinitionError
from penstock.model.action import PythonAction
from penstock.model.graph import Task as TaskNoun
from penstock.model.identity import TaskIdentity
from penstock.model.work import Imported

AnyTask = Task[..., Any]


class Home(NamedTuple):
    """Where a task is defined."""

    #: the name under which its module was loaded
    module: str
    #: what the module is called where it is stored, which differs for a script
    stored: str
    qualname: str
    #: whether it can be had by its name: it is no lambda, and was not made inside a function
    by_name: bool
    #: whether its module was the one that Python was started with
    is_main: bool
    #: name of the dialect of another system that its module is written in; empty for penstock's own
    dialect: str = ""


def home_of(noun: TaskNoun, identity: TaskIdentity) -> Home:
    """Where the task that a node calls is defined."""
    assert isinstance(noun.action, PythonAction)
    first = identity.function or (identity.parts[0].name if identity.parts else "")
    stored = first.partition(":")[0]
    is_main = noun.action.module == "__main__"
    module = stored if is_main else noun.action.module
    if any(each.module == module for each in identity.modules):
        # a reader of another system's files may have put a function of its own around the user's
        stored = module
    return Home(module, stored, noun.action.qualname, bool(identity.function), is_main)


def found_in(module: ModuleType, home: Home, noun: TaskNoun) -> AnyTask | None:
    """The task of that name in its module; of one that cannot be had by name, the only one that was made there."""
    found: Any = module
    for name in home.qualname.split(".") if home.by_name else ():
        found = getattr(found, name, None)
    if home.by_name and found is not module:
        task = _as_task(found, noun)
        if task is not None:
            return task
    if home.dialect:
        code = Imported(home.module, home.qualname, dialect=home.dialect)
        with suppress(LookupError, AttributeError):
            return _as_task(recognition().function_in(module, code), noun)
    every = [cast(AnyTask, each) for each in vars(module).values() if isinstance(each, Task)]
    made = {id(each): each for each in every if _is_of(each, home, noun)}
    return next(iter(made.values())) if len(made) == 1 else None


def _as_task(found: Any, noun: TaskNoun) -> AnyTask | None:
    if isinstance(found, Task):
        return cast(AnyTask, found)
    # a function that was made a task under another name, or by `task(...)` in the pipeline
    return Task(found, noun.name) if callable(found) and hasattr(found, "__name__") else None


def _is_of(task: AnyTask, home: Home, noun: TaskNoun) -> bool:
    return task.name == noun.name and getattr(task.function, "__qualname__", "") == home.qualname


def loaded_module(home: Home, places: Mapping[str, Path]) -> ModuleType:
    """The module of a task as this process has it, or imports it now. Raises what importing it raises, and
    DefinitionError where there is none."""
    main = sys.modules["__main__"]
    place = places.get(home.stored)
    if home.is_main and place is not None and getattr(main, "__file__", None) and Path(str(main.__file__)) == place:
        return main
    known = sys.modules.get(home.module)
    if known is not None:
        return known
    if home.dialect and place is not None and place.is_file():
        return _from_file(home.module, place, recognition().loader_of(home.module, str(place), home.dialect))
    try:
        return importlib.import_module(home.module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{home.module}.".startswith(f"{error.name}."):
            raise
    if place is None or not place.is_file():
        raise DefinitionError(f"there is no module {home.module!r} today{f', and no {place}' if place else ''}")
    return _from_file(home.module, place)


def recognition() -> Any:
    """What knows the dialects of other systems, which stand beside this package."""
    return importlib.import_module("penstock.dialects.recognition")


def _from_file(name: str, file: Path, loader: Any = None) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file, loader=loader)
    if spec is None or spec.loader is None:
        raise DefinitionError(f"{file} cannot be loaded as a module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


__all__ = ["AnyTask", "Home", "found_in", "home_of", "loaded_module", "recognition"]
