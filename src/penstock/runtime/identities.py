"""What the code of a run's tasks and of its values is: found out, kept in the store, and told of where it cannot be seen through."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from penstock.authoring.task import Task
from penstock.fingerprint.actions import task_identity
from penstock.fingerprint.code import CodeReader
from penstock.fingerprint.framing import digest
from penstock.fingerprint.imports import Edited
from penstock.fingerprint.sources import process_sources
from penstock.model.action import CommandAction, ContainerAction
from penstock.model.identity import Basis, SourceText, TaskIdentity
from penstock.ports import Store
from penstock.values import Values

if TYPE_CHECKING:
    from penstock.runtime.hooks.line import Complaint


_NOTHING: Final = Basis()


class Identities:
    """The identities of tasks, by their keys in the run, and those of the classes in values. `values` digests the
    constants in their code; files are told from `folder`, that of the project."""

    def __init__(self, values: Values, folder: Path) -> None:
        def digest_of(value: Any) -> bytes:
            # a path in the code counts as the text it is: what it leads to may be large, or this project's own state
            constant = str(value) if isinstance(value, PurePath) else value
            return values.digest(values.store(constant)[0])

        self._reader = CodeReader(digest_of, process_sources(), str(folder))
        self.known: dict[str, TaskIdentity] = {}
        #: of the classes and functions in values that were asked for, by their names
        self.classes: dict[str, TaskIdentity] = {}
        self._codes: dict[str, bytes | None] = {}
        #: whether tasks are defined in the main module
        self._is_script = False
        #: name of each task
        self._names: dict[str, str] = {}
        #: keys of what is yet to be kept
        self._new: list[str] = []
        self._new_classes: list[str] = []
        #: digests of texts that are kept
        self._kept: set[bytes] = set()
        #: what cannot be seen, and in which tasks, by their keys
        self._unseen: dict[str, list[str]] = {}
        #: what was edited, and which tasks need it, by their keys
        self._edited: dict[Edited, list[str]] = {}
        #: variables that were set from outside of their modules, and which tasks read them, by their keys
        self._altered: dict[tuple[str, ...], list[str]] = {}
        self._told: set[str | Edited | tuple[str, ...]] = set()

    @property
    def texts(self) -> dict[bytes, str]:
        """The texts that identities refer to, by their digests."""
        return self._reader.texts

    def add_function(
        self, key: str, task: Task[..., Any], reads: Collection[str] = (), *, elsewhere: bool = False
    ) -> TaskIdentity:
        """Find out the identity of a task that is a function and that declares that it reads the files `reads`;
        `elsewhere` says that other processes are to call it, which import the files as they are now."""
        self._is_script = self._is_script or task.function.__module__ == "__main__"
        identity = msgspec.structs.replace(
            self._reader.identify(task.function),
            function=self._name_of(task.function),
            record=self._record_of(task),
            limits=self._reader.limits(task.function, reads),
        )
        edited = self._reader.edited(task.function) if elsewhere else ()
        if edited:
            for each in edited:
                self._edited.setdefault(each, []).append(key)
            identity = msgspec.structs.replace(
                identity,
                digest=digest("edited", identity.digest, *(each.digest for each in edited)),
                edited=tuple(self._reader.short(each.file) for each in edited),
            )
        altered = self._reader.altered(task.function) if elsewhere else ()
        if altered:
            self._altered.setdefault(altered, []).append(key)
            identity = msgspec.structs.replace(
                identity,
                digest=digest("altered", identity.digest, *(name.encode() for name in altered)),
                altered=altered,
            )
        return self._add(key, task.name, identity)

    def add_code(self, key: str, name: str, function: Callable[..., Any]) -> TaskIdentity:
        """Find out the identity of a function that is no task."""
        identity = msgspec.structs.replace(self._reader.identify(function), function=self._name_of(function))
        return self._add(key, name, identity)

    def add_program(self, key: str, name: str, action: CommandAction | ContainerAction) -> TaskIdentity:
        """Find out the identity of a command or a container."""
        return self._add(key, name, task_identity(action, name, self._reader.short))

    def digest_of(self, function: str) -> bytes | None:
        """The digest of the code of a task that is a function, by its name (`module:qualname`), as it is loaded; None where
        it is not there."""
        module, _, qualname = function.partition(":")
        name = "__main__" if module not in sys.modules and self._reader.importable("__main__") == module else module
        found = _named(name, qualname)
        return self._reader.identify(found).digest if callable(found) else None

    def code_of(self, name: str) -> bytes | None:
        """The digest of the code of a class or a function in a value, by its name there (see `Artifact.classes`); empty
        for what is not the user's own, None for what is not there today."""
        if name not in self._codes:
            self._codes[name] = self._code_of(name)
        return self._codes[name]

    def _code_of(self, name: str) -> bytes | None:
        if not self._reader.is_own(name.partition(":")[0]):
            return b""
        identity = self._reader.find(name)
        if identity is None:
            # what a script defines is stored with its code, and may go by another name than its class says
            return b"" if self._is_script and name.startswith("__main__:") else None
        self.classes[name] = identity
        self._new_classes.append(name)
        return identity.digest

    def keep_new(self, store: Store) -> Basis:
        """Put what was found out since the last time into the store. Returns the digests of these identities."""
        if not (self._new or self._new_classes):
            return _NOTHING
        tasks, self._new = {key: self.known[key] for key in self._new}, []
        classes, self._new_classes = {name: self.classes[name] for name in self._new_classes}, []
        self._keep([*tasks.items(), *classes.items()], store)
        return Basis(tasks=_digests(tasks), classes=_digests(classes))

    def _keep(self, found: list[tuple[str, TaskIdentity]], store: Store) -> None:
        texts = [SourceText(digest, text) for digest, text in self.texts.items() if digest not in self._kept]
        never_seen = store.keep([identity for _, identity in found], texts)
        self._kept.update(text.digest for text in texts)
        for key, identity in found:
            for limit in identity.limits if identity.digest in never_seen else ():
                if limit not in self._told:
                    self._unseen.setdefault(limit, []).append(key)

    def take_complaints(self, nodes: Mapping[str, str], cached: Mapping[str, bool]) -> list[Complaint]:
        """What to tell of code that is new to the store and that cannot be seen through, of files that were edited, and
        of variables that were set from outside, each thing once. `nodes` are where tasks are called, by their keys, of those that have a place in the graph.
        Nothing is told of tasks that are not `cached`: no result of theirs is ever taken from the cache."""
        if not (self._unseen or self._edited or self._altered):
            return []
        unseen, self._unseen = self._unseen, {}
        edited, self._edited = self._edited, {}
        altered, self._altered = self._altered, {}
        told = [(_limited, limit, keys) for limit, keys in unseen.items()]
        told += [(self._stale, each, keys) for each, keys in edited.items()]
        told += [(_unlike, names, keys) for names, keys in altered.items()]
        found = (
            self._complaint(tell, what, [key for key in keys if cached.get(key, True)], nodes)
            for tell, what, keys in told
        )
        return [complaint for complaint in found if complaint is not None]

    def _complaint(
        self,
        tell: Callable[[Any, Sequence[str]], str],
        what: str | Edited | tuple[str, ...],
        keys: list[str],
        nodes: Mapping[str, str],
    ) -> Complaint | None:
        if not keys or what in self._told:
            return None
        from penstock.runtime.hooks.line import Complaint

        self._told.add(what)
        return Complaint(nodes.get(keys[0], ""), -1, 0, tell(what, list(dict.fromkeys(map(self._told_as, keys)))))

    def _stale(self, edited: Edited, names: Sequence[str]) -> str:
        run = "runs" if len(names) == 1 else "run"
        return (
            f"{self._reader.short(edited.file)} was edited after this process had loaded it, and workers run it as it is "
            f"now: {', '.join(names)} {run} uncached. Restart this process, or load the file anew: importlib.reload({edited.module})"
        )

    def _add(self, key: str, name: str, identity: TaskIdentity) -> TaskIdentity:
        self.known[key] = identity
        self._names[key] = name
        self._new.append(key)
        return identity

    def _told_as(self, key: str) -> str:
        return self._names[key] if key in self._names else f"what takes a {key.rpartition(':')[2]}"

    def _name_of(self, function: Callable[..., Any]) -> str:
        """How a function can be imported again, as `module:qualname`; empty if it cannot."""
        module, qualname = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
        if not isinstance(module, str) or not isinstance(qualname, str):
            return ""
        return self._importable(module, qualname, function)

    def _record_of(self, task: Task[..., Any]) -> str:
        """The class that several outputs of a task make up, likewise."""
        module, colon, qualname = record_type(task).partition(":")
        return f"{self._reader.importable(module) or module}{colon}{qualname}"

    def _importable(self, module: str, qualname: str, wanted: object) -> str:
        found = _named(module, qualname)
        name = self._reader.importable(module)
        return f"{name}:{qualname}" if found is wanted and name else ""


def _named(module: str, qualname: str) -> Any:
    """What a loaded module calls a name, of a task its function; None where there is nothing."""
    found: Any = sys.modules.get(module)
    for name in qualname.split("."):
        found = getattr(found, name, None)
    return cast("Task[..., Any]", found).function if isinstance(found, Task) else found


def _digests(found: Mapping[str, TaskIdentity]) -> dict[str, bytes]:
    return {name: identity.digest for name, identity in found.items()}


def record_type(task: Task[..., Any]) -> str:
    """The class that several outputs of a task make up, as `module:qualname`; empty where there is none."""
    annotation = task.outputs.annotation
    if task.outputs.record in ("named", "dataclass"):
        return f"{annotation.__module__}:{annotation.__qualname__}"
    return ""


def _limited(limit: str, names: Sequence[str]) -> str:
    return (
        f"{limit}. Results of {', '.join(names)} are cached all the same: if it matters, make it an input or declare it"
    )


def _unlike(variables: tuple[str, ...], names: Sequence[str]) -> str:
    were, them = ("was", "it") if len(variables) == 1 else ("were", "them")
    run, its = "runs" if len(names) == 1 else "run", "its module" if len(variables) == 1 else "their modules"
    return (
        f"{' and '.join(variables)} {were} set from outside of {its} in this process, and workers do not see that, since "
        f"they import {its} anew: {', '.join(names)} {run} uncached. Make {them} a parameter or an input of the task, or "
        'run with executor="inline"'
    )
