"""The functions that stages name: `project.data:load`, `steps.py:load`, or one of the stage's own name beside the file."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import inspect
import itertools
import sys
import textwrap
import traceback
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, cast

from penstock.authoring.decorated import Decorated
from penstock.authoring.kinds.conversion import nearest
from penstock.authoring.options.settings import Settings
from penstock.authoring.pipeline import Composition
from penstock.authoring.source import DIALECT, location_of, nearby
from penstock.authoring.task import Task
from penstock.dialects import Reading
from penstock.dialects.code.adapting import ADAPTS, Adapts, adapts
from penstock.dialects.recognition import dialect_of, function_in, loader_of, named
from penstock.errors import PenstockError
from penstock.model.graph import Ignored
from penstock.model.work import Imported

_STATE = "__penstock_state__"
#: the attribute of the function of a pipeline that has the names of what it returns
RETURNS = "__penstock_returns__"
#: how the name of a file ends that functions may be named in; those of data are in the dialect of another system
_FILES = (".py", ".yaml", ".yml", ".json")


class Missing(Exception):
    """There is no such module or function; `remedy` says what to do."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.remedy = remedy


class Code:
    """The user's code as a file of YAML finds it."""

    def __init__(self, file: Path) -> None:
        self.folder = file.parent
        #: the module of the same stem beside the file
        self.beside = file.with_suffix(".py")

    def named(self, reference: str) -> Any:
        """What `module:name` or `file.py:name` stands for. Raises Missing."""
        if reference.endswith(_FILES):
            return self._only_pipeline(self._module(reference), reference)
        place, colon, name = reference.rpartition(":")
        if not colon or not place or not name:
            raise Missing(f"{reference!r} names no function", "Write module:function, or file.py:function.")
        return self._in(self._module(place), name, place)

    def of_stage(self, stage: str) -> Any:
        """The function of a stage's own name, in the module beside the file. Raises Missing."""
        name = identifier(stage)
        if not self.beside.is_file():
            raise Missing(
                f"the stage {stage!r} says nothing of what it does, and there is no {nearby(str(self.beside))}",
                f"Write uses: module:function, run: a command, or container: an image; or put a function {name}() into "
                f"{self.beside.name}.",
            )
        return self._in(_loaded(self.beside), name, self.beside.name)

    def _only_pipeline(self, module: ModuleType, place: str) -> Composition[..., Any]:
        found, main = pipelines_of(module)
        if len(found) == 1 or main in found:
            return found[main] if main in found else next(iter(found.values()))
        if not found:
            raise Missing(f"there is no pipeline in {place}", f"Name a function in it: {place}:function.")
        raise Missing(f"{place} has several pipelines: {', '.join(found)}", f"Write {place}:{next(iter(found))}.")

    def _module(self, place: str) -> ModuleType:
        if place.endswith(_FILES):
            found = next((path for path in (self.folder / place, Path(place)) if path.is_file()), None)
            if found is None:
                raise Missing(
                    f"there is no file {place}", "Name it from the folder of this file, or from the working folder."
                )
            return _loaded(found.resolve())
        file = self.folder.joinpath(*place.split(".")).with_suffix(".py")
        if file.is_file() and not (file.parent / "__init__.py").is_file():
            return _loaded(file)
        for folder in (str(Path.cwd()), str(self.folder)):
            if folder not in sys.path:
                sys.path.insert(0, folder)
        return _imported(place)

    def _in(self, module: ModuleType, name: str, place: str) -> Any:
        if getattr(module, DIALECT, ""):
            if name in (pipelines := pipelines_of(module)[0]):
                return pipelines[name]
            try:
                return function_in(module, Imported(module.__name__, name, module.__file__, getattr(module, DIALECT)))
            except AttributeError:
                raise Missing(f"there is no {name!r} in {place}") from None
        found: Any = module
        for each in name.split("."):
            if not hasattr(found, each):
                near = nearest(each, _callables(found))
                remedy = "" if near else f"Define it there: def {each}(...)." if each.isidentifier() else ""
                raise Missing(f"there is no function {name!r} in {place}{near}", remedy)
            found = getattr(found, each)
        return found


#: where a module that is written for another system keeps its pipelines, once they are read
_PIPELINES = "__penstock_parts__"


def pipelines_of(module: ModuleType) -> tuple[Mapping[str, Composition[..., Any]], str]:
    """The pipelines of a module, by name, and which of them is meant where none is named. Raises Missing."""
    name = getattr(module, DIALECT, "")
    if not name:
        values = {key: cast("Composition[..., Any]", each) for key, each in vars(module).items() if _composes(each)}
        return {key: each for key, each in values.items() if each.function.__module__ == module.__name__}, ""
    if _PIPELINES not in vars(module):
        read = named(name).read
        try:
            reading = Reading({}) if read is None else read(module, _part)
        except PenstockError as error:
            place = nearby(str(module.__file__))
            raise Missing(f"the pipelines of {place} cannot be told: {error.what}", error.remedy or "") from None
        vars(module)[_PIPELINES] = (reading.pipelines, reading.main)
    return cast("tuple[Mapping[str, Composition[..., Any]], str]", vars(module)[_PIPELINES])


def _composes(value: object) -> bool:
    return isinstance(value, Composition)


def _part(
    function: Callable[..., Any], name: str, settings: Settings | None = None, ignored: tuple[Ignored, ...] = ()
) -> Composition[..., Any]:
    made = Composition(function, name, settings)
    made.ignored = ignored
    return made


def _callables(holder: object) -> list[str]:
    return [name for name in dir(holder) if not name.startswith("_") and callable(getattr(holder, name, None))]


def identifier(name: str) -> str:
    """The name of the function that is meant by the name of a stage."""
    return "".join(character if character.isalnum() else "_" for character in name.rpartition("/")[2])


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise _broken(name, error) from None
        raise Missing(
            f"there is no module {name!r}",
            "Modules are looked for beside this file, in the working folder, and among the installed.",
        ) from None
    except (Exception, SystemExit) as error:
        raise _broken(name, error) from None


def _loaded(file: Path) -> ModuleType:
    """A file as a module of its own, once for each state that it is in."""
    status = file.stat()
    now = (str(file), status.st_mtime_ns, status.st_size)
    for module in list(sys.modules.values()):
        state = getattr(getattr(module, "__spec__", None), "loader_state", None)
        mine = (str(getattr(state, "file", "")), getattr(state, "changed_at", 0), getattr(state, "size", 0))
        plain = state is None and _STATE not in vars(module) and getattr(module, "__file__", None) == str(file)
        if plain or vars(module).get(_STATE) == now or mine == now:
            return module
    name = _name_for(file)
    try:
        dialect = dialect_of(file)
        loader = None if dialect is None else loader_of(name, str(file), dialect.name)
        spec = importlib.util.spec_from_file_location(name, file, loader=loader)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        vars(module)[_STATE] = now
        sys.modules[name] = module
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        raise _broken(nearby(str(file)), error) from None
    return module


def _name_for(file: Path) -> str:
    """The name of a file's module: its own where that is free, since workers import it by that."""
    stem = "".join(character if character.isalnum() else "_" for character in file.stem)
    names = itertools.chain([stem], (f"penstock_beside{number}_{stem}" for number in itertools.count(1)))
    return next(name for name in names if name not in sys.stdlib_module_names and _is_free(name, file))


def _is_free(name: str, file: Path) -> bool:
    known = sys.modules.get(name)
    if known is None:
        return True
    return getattr(known, "__file__", None) == str(file) and _STATE in vars(known)


def _broken(place: str, error: BaseException) -> Missing:
    if isinstance(error, PenstockError):
        return Missing(f"{place} does not load: {error}")
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" ({nearby(last[0].filename)}:{last[0].lineno})" if last else ""
    if isinstance(error, SyntaxError):
        where = f" ({nearby(error.filename or place)}:{error.lineno})"
    return Missing(f"{place} does not load: {type(error).__name__}: {error}{where}", "Mend the module first.")


# What a function returns.


class Returned(NamedTuple):
    """What is known of what a function returns: names of the parts of a dict, or the number of those of a tuple."""

    keys: tuple[str, ...] = ()
    length: int = 0


def returned(function: Callable[..., Any]) -> Returned:
    """What the return statements of a function show, where all of them show the same; nothing of one that another wraps."""
    function = without_variables(function)
    if inspect.isgeneratorfunction(function) or hasattr(function, "__wrapped__"):
        return Returned()
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return Returned()
    body = tree.body[0]
    if not isinstance(body, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return Returned()
    shown = {_shown(each) for each in _own(body) if isinstance(each, ast.Return)}
    return shown.pop() if len(shown) == 1 else Returned()


def _own(function: ast.AST) -> typing.Iterator[ast.AST]:
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            yield child
            yield from _own(child)


def _shown(node: ast.Return) -> Returned:
    match node.value:
        case ast.Tuple(elts) if not any(isinstance(each, ast.Starred) for each in elts):
            return Returned(length=len(elts))
        case ast.Dict(keys) if all(isinstance(key, ast.Constant) and isinstance(key.value, str) for key in keys):
            return Returned(tuple(cast(Any, key).value for key in keys))
        case _:
            return Returned()


# Variables of the environment.


def with_variables(function: Callable[..., Any], variables: Mapping[str, str]) -> Callable[..., Any]:
    """A function that finds variables in the environment of its process while it runs."""
    given = tuple(sorted(variables.items()))

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        import os

        before = {name: os.environ.get(name) for name, _ in given}
        os.environ.update(given)
        try:
            return function(*args, **kwargs)
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value

    # whoever unwraps it would have a function that finds none of them
    del call.__wrapped__
    plain: Any = call
    plain.__signature__ = inspect.signature(function)
    plain.location = location_of(function)
    setattr(call, ADAPTS, Adapts(environment=dict(given), wraps=function))
    return call


def variables_of(function: Any) -> Mapping[str, str]:
    """The variables that a function is called with."""
    about = adapts(function)
    # those of other systems do more besides
    return {} if about is None or about.wraps is None else about.environment


def without_variables(function: Any) -> Any:
    """The function that variables were given to."""
    about = adapts(function)
    return function if about is None or about.wraps is None else about.wraps


def plain_function(found: Any) -> tuple[Callable[..., Any], Mapping[str, Any], Task[..., Any] | None]:
    """The function of what was found, the options that it was given as a task, and the task. Raises Missing for what cannot
    be a task."""
    if isinstance(found, Task):
        task = cast("Task[..., Any]", found)
        return task.function, task.given, task
    if isinstance(found, Decorated):
        role = cast(Any, found).role
        raise Missing(f"{cast(Any, found).name} is a {role}, and a stage needs a task or a plain function")
    if not callable(found) or isinstance(found, type) or not hasattr(found, "__name__"):
        raise Missing(f"{found!r} is no function", "Write a small function around it.")
    try:
        inspect.signature(found)
    except (TypeError, ValueError):
        raise Missing(f"{found.__name__}() does not tell what it takes", "Write a small function around it.") from None
    return found, {}, None


__all__ = [
    "Code",
    "Missing",
    "Returned",
    "identifier",
    "plain_function",
    "returned",
    "variables_of",
    "with_variables",
    "without_variables",
]
