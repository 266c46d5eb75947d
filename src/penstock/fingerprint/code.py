"""The identity of code: what a function does, as far as its text and everything of the user's own it reaches say.

What counts: the normalised syntax trees of the function and of the functions, classes, methods and bases that it
reaches by name in any module of the user's own, annotations included; the values of the module variables, closures
and defaults that it reads, of dicts among them also the order of their keys; what was put on functions and classes
after they were defined; installed packages by name and version; Python by its feature version.

What does not: comments, docstrings, formatting; where in a file, and in which module, a definition stands; decorators
that come from penstock, which say how a task is run and not what it computes; `__name__`, `__file__` and the like.

Imports inside functions are followed through the source, without importing anything. A module that is used as a value
counts as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.fingerprint.held import links_to
from penstock.fingerprint.imports import Edited, Home, Imports
from penstock.fingerprint.live import links
from penstock.fingerprint.modules import Modules
from penstock.fingerprint.origin import Origin
from penstock.fingerprint.parts import Parts, modules_of
from penstock.fingerprint.reach import Walk
from penstock.fingerprint.sources import Sources
from penstock.model.identity import TaskIdentity


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
        self._identities: dict[int, tuple[Callable[..., Any], TaskIdentity, list[Home]]] = {}

    def identify(self, function: Callable[..., Any]) -> TaskIdentity:
        """The identity of a function, a task, a partial, a bound method or any other callable; `function` and `record`
        are left empty.

        Never raises for what it meets on the way: what cannot be seen is one of the `limits`.
        """
        return self._known(function)[1]

    def edited(self, function: Callable[..., Any]) -> tuple[Edited, ...]:
        """The files with modules that a function needs, and that were edited after this process had loaded them."""
        return self._imports.edited(self._known(function)[2])

    def _known(self, function: Callable[..., Any]) -> tuple[Callable[..., Any], TaskIdentity, list[Home]]:
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

    def _identify(self, function: Callable[..., Any]) -> tuple[TaskIdentity, list[Home]]:
        walk = Walk(self._sources, self._modules, self._digest_value)
        root = links(walk, "", function, f"constant:{getattr(function, '__module__', '')}:<task>", "<task>:0")
        digest = walk.digest(root)
        extents = (part.extent for _, part in walk.found if part.extent is not None)
        homes = list(dict.fromkeys(Home(extent.module, extent.file, extent.text) for extent in extents))
        identity = TaskIdentity(
            digest=digest,
            parts=self._parts.of(walk.found, _name(function)),
            limits=tuple(map(self._parts.short, walk.limits)),
            modules=self._imports.needed(modules_of(walk.found, self._imports)),
        )
        return identity, homes

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
