"""Which code a task is made again with: that of today, or that of the run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType
from typing import Literal, NamedTuple

from penstock.authoring.pipeline import Definition
from penstock.errors import DefinitionError, PenstockError
from penstock.fingerprint.packages import installed
from penstock.model.action import CommandAction, ContainerAction
from penstock.model.fault import user_traceback
from penstock.model.graph import Task as TaskNoun
from penstock.model.identity import TaskIdentity
from penstock.runtime.explaining.code import Version, code_differences
from penstock.runtime.explaining.difference import Difference
from penstock.runtime.identities import Identities
from penstock.runtime.reading.past import Past
from penstock.runtime.replaying.places import entries_of, places_of
from penstock.runtime.replaying.stored import StoredCode, StoredModule, stored_modules
from penstock.runtime.replaying.tasks import AnyTask, Home, found_in, home_of, loaded_module, recognition

#: the code as it was when the run began, or as it is now
Origin = Literal["stored", "today"]

#: differences that are no other text: the same code runs, with what is installed here
_SURROUNDINGS = frozenset({"package", "python"})
#: differences that a note names
_NAMED = 3


class Chosen(NamedTuple):
    """The code to make a task again with."""

    origin: Origin
    #: as it stands in the graph: what it takes and what it returns
    noun: TaskNoun
    #: a command has none
    function: Callable[..., object] | None
    home: Home | None
    #: what is to be said of it
    notes: tuple[str, ...] = ()
    stored: StoredCode | None = None


class Choice:
    """Chooses the code of one task of a run. `define` gives the pipeline as it is today, where that can be had, and
    `prefers` it to what is found by name. `noun` is the task as it stood in the graph of the run that made the result."""

    def __init__(
        self,
        past: Past,
        key: str,
        name: str,
        folder: Path,
        define: Callable[[], Definition] | None,
        *,
        prefers: bool,
        noun: TaskNoun,
    ) -> None:
        identity = past.identities.get(key)
        assert identity is not None
        self._past = past
        self._key = key
        self._name = name
        self._folder = folder
        self._define = define
        self._prefers = prefers
        self._identity: TaskIdentity = identity
        self._noun = noun
        self._places = places_of(identity, folder)

    @contextmanager
    def made(self, asked: Origin | None) -> Generator[Chosen]:
        """The code, ready to be called in the block. Without `asked`, it is today's where that does the same."""
        if isinstance(self._noun.action, (CommandAction, ContainerAction)):
            yield self._program(asked)
            return
        home = self._spoken(home_of(self._noun, self._identity))
        path = list(sys.path)
        sys.path += [entry for entry in entries_of(self._identity, self._folder) if entry not in sys.path]
        try:
            chosen = None if asked == "stored" else self._today(home, asked)
            if chosen is not None and chosen.function is not None:
                with _as_main(home):
                    yield chosen
            else:
                with self._as_stored(home, () if chosen is None else chosen.notes) as chosen:
                    yield chosen
        finally:
            sys.path[:] = [entry for entry in sys.path if entry in path]

    def _spoken(self, home: Home) -> Home:
        """The same, with the dialect that its module is written in."""
        place = self._places.get(home.stored)
        target, _, name = self._past.run.target.rpartition(":")
        forced, file = recognition().split_dialect(target or name)
        if forced and place is not None and Path(file).name == place.name:
            return home._replace(dialect="" if forced == recognition().NATIVE else forced)
        text = next(
            (self._past.text_of(each.text) for each in self._identity.modules if each.module == home.stored), None
        )
        if text is None and place is not None and place.is_file():
            text = place.read_text(errors="replace")
        return home if place is None or text is None else home._replace(dialect=_dialect_in(place, text))

    # As it is today.

    def _today(self, home: Home, asked: Origin | None) -> Chosen:
        """The task of today; without its function where it is not to be used, with the reasons as notes."""
        try:
            task = self._present(home)
        except Exception as error:
            reason = _reason(error)
            if asked == "today":
                raise DefinitionError(
                    f"the code of {self._name} cannot be had as it is today: {reason}",
                    remedy="Replay it with the code of the run: --code stored.",
                ) from None
            return Chosen("stored", self._noun, None, home, (f"the present code cannot be had: {reason}",))
        found = self._differences(task)
        noted = tuple(_surroundings(found))
        text = [each for each in found if each.kind not in _SURROUNDINGS]
        if not text:
            return Chosen("today", task.noun, task.function, home, noted)
        named = ", ".join(f"{each.name}{f' ({each.where})' if each.where else ''}" for each in text[:_NAMED])
        more = f" and {len(text) - _NAMED} more" if len(text) > _NAMED else ""
        changed = f"the code has changed since the run: {named}{more}"
        if asked == "today":
            return Chosen("today", task.noun, task.function, home, (changed, *noted))
        note = f"{changed}; this is the code of the run (--code today takes the present one)"
        return Chosen("stored", self._noun, None, home, (note,))

    def _present(self, home: Home) -> AnyTask:
        """The task as it is today. Raises what loading its module raises, and DefinitionError where it is not there."""
        if self._prefers and (task := self._defined()) is not None:
            return task
        task, unloaded = None, None
        try:
            task = found_in(loaded_module(home, self._places), home, self._noun)
        except Exception as error:
            unloaded = error
        # not while the exception is handled, which would be told with each that follows
        task = task or self._defined()
        if task is not None:
            return task
        if unloaded is not None:
            raise unloaded
        where = f"there is no {home.qualname} in {home.module}" if home.by_name else "it has no name to be found by"
        raise DefinitionError(where)

    def _defined(self) -> AnyTask | None:
        """The task in the pipeline as it is today."""
        if self._define is None:
            return None
        definition = self._define()
        known = definition.functions
        return known.get(self._key) or next((task for task in known.values() if task.name == self._noun.name), None)

    def _differences(self, task: AnyTask) -> list[Difference]:
        identities = Identities(self._past.values, self._folder)
        now = identities.add_function(self._key, task)
        if now.digest == self._identity.digest:
            return []
        before = Version(self._identity, self._past.text_of)
        found = code_differences(before, Version(now, identities.texts.get))
        # a digest that differs in nothing that is told is another one all the same
        return found or [Difference(kind="code", name=self._name)]

    # As it was.

    @contextmanager
    def _as_stored(self, home: Home, notes: tuple[str, ...]) -> Generator[Chosen]:
        modules = stored_modules(self._identity, self._past.text_of, self._places)
        if home.module not in modules and home.stored in modules:
            # a script goes by another name than that which it was loaded under
            was = modules[home.stored]
            modules[home.module] = was._replace(name=home.module, file=f"{home.module}.py")
        if home.module not in modules and self._identity.modules:
            raise self._not_kept(home)
        dialects = (
            {name: _dialect_in(module.place, module.text) for name, module in modules.items()} if home.dialect else {}
        )
        with StoredCode(modules, {**dialects, home.module: home.dialect}) as stored:
            task = self._loaded(home, modules)
            noted = (*notes, *_changed_packages(self._identity))
            with _as_main(home):
                yield Chosen("stored", self._noun, task.function, home, noted, stored)

    def _loaded(self, home: Home, modules: Mapping[str, StoredModule]) -> AnyTask:
        try:
            module = loaded_module(home._replace(is_main=False), {})
        except Exception as error:
            raise DefinitionError(
                f"the code of {self._name}, as it was in the run, cannot be loaded: {_reason(error)}",
                remedy=_missing(self._identity) or "Replay it with the present code: --code today.",
            ) from None
        task = found_in(module, home, self._noun)
        if task is None and home.module not in modules:
            raise self._not_kept(home)
        if task is None:
            raise DefinitionError(
                f"{home.qualname} is made while the pipeline is composed, so that its code cannot be had by itself",
                where=str(getattr(self._noun.action, "location", "")),
                remedy="Replay it with the present code (--code today), or define it at the top level of its module.",
            )
        return task

    def _not_kept(self, home: Home) -> DefinitionError:
        return DefinitionError(
            f"the module of {self._name} is not kept with the run: it was defined in a notebook, or in text that is gone",
            remedy="Replay it with the present code (--code today); in a notebook: run.task(...).replay(code='today').",
        )

    # Commands.

    def _program(self, asked: Origin | None) -> Chosen:
        """A command, which stands in the graph of the run; files that it reads are those of today."""
        notes = tuple(_changed_files(self._identity, self._folder))
        if asked != "today":
            return Chosen("stored", self._noun, None, None, notes)
        if self._define is None:
            raise DefinitionError(
                f"{self._name} is a command, and stands in its pipeline, which is not loaded here",
                remedy="Replay it as it was: --code stored.",
            )
        graph = self._define().graph
        noun = graph.tasks.get(self._key)
        if noun is None or not isinstance(noun.action, (CommandAction, ContainerAction)):
            raise DefinitionError(
                f"the pipeline has no command {self._name} today", remedy="Replay it as it was: --code stored."
            )
        return Chosen("today", noun, None, None)


def _dialect_in(file: Path, text: str) -> str:
    return str(recognition().dialect_in(str(file), text))


@contextmanager
def _as_main(home: Home) -> Generator[None]:
    """Let a script that is loaded as a module pass for the main one, as it was in the run."""
    if not home.is_main:
        yield
        return
    module, before = sys.modules.get(home.module), sys.modules["__main__"]
    if module is None or module is before:
        yield
        return
    own = [each for each in vars(module).values() if isinstance(each, type | FunctionType)]
    own = [each for each in own if each.__module__ == home.module]
    for each in own:
        each.__module__ = "__main__"
    sys.modules["__main__"] = module
    try:
        yield
    finally:
        sys.modules["__main__"] = before
        for each in own:
            each.__module__ = home.module


def _reason(error: BaseException) -> str:
    if isinstance(error, PenstockError):
        return error.what
    if isinstance(error, ImportError):
        return str(error)
    return f"\n{user_traceback(error).rstrip()}"


def packages_of(identity: TaskIdentity) -> dict[str, str]:
    """The packages that a task uses, and their versions, without what tells their content; without Python itself."""
    named = [part.name.removeprefix("package:") for part in identity.parts if part.name.startswith("package:")]
    pairs = (name.partition("==")[::2] for name in named)
    return {name: version.partition(" ")[0] for name, version in pairs if name != "python"}


def _missing(identity: TaskIdentity) -> str | None:
    """What of the packages that a task uses is not installed here."""
    here = installed()
    gone = [f"{name} {version}".strip() for name, version in packages_of(identity).items() if name not in here]
    return f"Not installed here, and used by it in the run: {', '.join(sorted(gone))}." if gone else None


def _changed_packages(identity: TaskIdentity) -> Iterable[str]:
    here = installed()
    for name, version in sorted(packages_of(identity).items()):
        if name in here and version and here[name] != version:
            yield f"{name} is {here[name]} here, and was {version} in the run"


def _surroundings(differences: Iterable[Difference]) -> Iterable[str]:
    for each in differences:
        if each.kind in _SURROUNDINGS and each.before and each.after:
            name = "Python" if each.kind == "python" else each.name
            yield f"{name} is {each.after} here, and was {each.before} in the run"


def _changed_files(identity: TaskIdentity, folder: Path) -> Iterable[str]:
    from blake3 import blake3

    for part in identity.parts:
        if not part.name.startswith("file:"):
            continue
        file = Path(folder, part.file)
        if not file.is_file():
            yield f"the file {part.file}, which it reads, is gone"
        elif blake3(file.read_bytes()).digest() != part.digest:
            yield f"the file {part.file}, which it reads, has changed since the run, and is read as it is"


__all__ = ["Choice", "Chosen", "Origin", "packages_of"]
