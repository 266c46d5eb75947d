"""The identity of code: what a function does, as far as its text and everything of the user's own it reaches say.

What counts: the normalised syntax trees of the function and of the functions, classes, methods and bases that it
reaches by name in any module of the user's own, annotations included; the values of the module variables, closures
and defaults that it reads, of dicts among them also the order of their keys; what was put on functions and classes
after they were defined; installed packages by name and version; Python by its feature version.

What does not: comments, docstrings, formatting; where in a file, and in which module, a definition stands; decorators
that come from penstock, which say how a task is run and not what it computes; `__name__`, `__file__` and the like.

Imports inside functions are followed through the source, without importing anything, and so are imports by a name that
is spelled out (`import_module("lib")`). What modules do to libraries and to each other while they are imported counts as
`penstock.fingerprint.patches` says. A module that is used as a value
counts as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from penstock.fingerprint.held import links_to
from penstock.fingerprint.imports import Edited, Home, Imports
from penstock.fingerprint.live import links
from penstock.fingerprint.modules import Modules
from penstock.fingerprint.origin import Origin
from penstock.fingerprint.outside import Outside
from penstock.fingerprint.parts import Parts, modules_of
from penstock.fingerprint.patches import Patches, Patching
from penstock.fingerprint.reach import File, Link, Walk
from penstock.fingerprint.sources import Sources
from penstock.model.identity import TaskIdentity


class _Reached(NamedTuple):
    """Where what a function reaches is defined, and what of it is loaded, as in `Walk.held`."""

    homes: list[Home]
    held: dict[tuple[str, str], Any]
    #: files that it reads, by the limits that say so
    files: dict[str, File]


class CodeReader:
    """Tells the identity of functions, each computed once; to be made anew for every run.

    `digest_value` gives the digest of a value and raises where it cannot. `sources` holds syntax trees, and is worth
    sharing between the readers of a process: a file is parsed once for each version of it. What a name is bound to,
    on the other hand, may change from run to run (in a notebook, say), but is looked at once by a reader. The files of
    parts and limits are told from `folder`, that of the project, where they are inside.
    """

    def __init__(
        self, digest_value: Callable[[Any], bytes], sources: Sources | None = None, folder: str | None = None
    ) -> None:
        self._digest_value = digest_value
        self._sources = sources if sources is not None else Sources()
        self._modules = Modules()
        #: the texts that the identities refer to, by their digests
        self.texts: dict[bytes, str] = {}
        self._imports = Imports(self._sources, self._modules, self.texts)
        self._parts = Parts(folder, self._imports, self.texts)
        #: functions with what they are and reach, kept so that no other can come to have the address of one
        self._identities: dict[int, tuple[Callable[..., Any], TaskIdentity, _Reached]] = {}
        self._patches = Patches(self._imports, self._new_walk)
        self._outside = Outside(self._sources, self._modules)

    def identify(self, function: Callable[..., Any]) -> TaskIdentity:
        """The identity of a function, a task, a partial, a bound method or any other callable; `function` and `record`
        are left empty.

        Never raises for what it meets on the way: what cannot be seen is one of the `limits`.
        """
        return self._known(function)[1]

    def edited(self, function: Callable[..., Any]) -> tuple[Edited, ...]:
        """The files with modules that a function needs, and that were edited after this process had loaded them."""
        return self._imports.edited(self._known(function)[2].homes)

    def limits(self, function: Callable[..., Any], reads: Collection[str]) -> tuple[str, ...]:
        """The limits of the identity of a function, without those about files that are declared to be read: `reads` are
        files and folders, as absolute paths."""
        _, identity, reached = self._known(function)
        files = {limit: file for limit, file in reached.files.items() if file.is_declared(reads)}
        return tuple(limit for limit in identity.limits if limit not in files)

    def altered(self, function: Callable[..., Any]) -> tuple[str, ...]:
        """The full names of the variables that a function reaches and that were set from outside of their modules, sorted:
        another process, which imports these, does not have them as they are here."""
        reached = self._known(function)[2]
        return self._outside.altered(reached.held, lambda: self._imports.imported(reached.homes))

    def _known(self, function: Callable[..., Any]) -> tuple[Callable[..., Any], TaskIdentity, _Reached]:
        known = self._identities.get(id(function))
        if known is None:
            known = self._identities[id(function)] = (function, *self._identify(function))
        return known

    def find(self, name: str) -> TaskIdentity | None:
        """The identity of what a value calls `name` (see `fingerprint.named`), as it is today; None where there is
        nothing of that name. Where the source does not tell, its module is imported.
        """
        walk = Walk(self._sources, self._modules, self._digest_value)
        root = links_to(walk, name)
        if not root:
            return None
        digest = walk.digest(root)
        limits = tuple(map(self._parts.short, walk.limits))
        return TaskIdentity(digest=digest, parts=self._parts.of(walk.found, name), limits=limits)

    def is_own(self, module: str) -> bool:
        """Whether a module is one of the user's own, or is not there."""
        return self._modules.origin(module) is Origin.USER

    def _identify(self, function: Callable[..., Any]) -> tuple[TaskIdentity, _Reached]:
        walk, digest = self._walk(function)
        extents = (part.extent for _, part in walk.found if part.extent is not None)
        homes = list(dict.fromkeys(Home(extent.module, extent.file, extent.text) for extent in extents))
        identity = TaskIdentity(
            digest=digest,
            parts=self._parts.of(walk.found, _name(function)),
            limits=tuple(map(self._parts.short, walk.limits)),
            modules=self._imports.needed(modules_of(walk.found, self._imports)),
        )
        files = {self._parts.short(limit): file for limit, file in walk.files.items()}
        return identity, _Reached(homes, walk.held, files)

    def _new_walk(self) -> Walk:
        return Walk(self._sources, self._modules, self._digest_value)

    def _walk(self, function: Callable[..., Any]) -> tuple[Walk, bytes]:
        """Go everywhere from a function, and from what the modules on the way do to others while they are imported."""
        patches: list[Patching] = []
        while True:
            walk = self._new_walk()
            root = links(walk, "", function, f"constant:{getattr(function, '__module__', '')}:<task>", "<task>:0")
            digest = walk.digest([*root, *(Link("import", patching) for patching in patches)])
            # what they reach may be in modules with more of the kind
            found = self._patches.of(walk, modules_of(walk.found, self._imports))
            if found == patches:
                return walk, digest
            patches = found

    def importable(self, module: str) -> str:
        """The name by which a module can be imported again: that of the file for a script; empty where there is none."""
        return self._imports.importable(module)

    def short(self, file: str) -> str:
        """A file as parts and limits tell it."""
        return self._parts.short(file)


def _name(function: Any) -> str:
    """What the part is called that is the function itself."""
    function = getattr(function, "function", function)
    return f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', '')}"
