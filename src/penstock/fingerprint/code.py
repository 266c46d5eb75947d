"""The identity of code: what a function does, as far as its text and everything of the user's own it reaches say.

What counts: the normalised syntax trees of the function and of the functions, classes, methods and bases that it
reaches by name in any module of the user's own, annotations included; the values of the module variables, closures
and defaults that it reads; installed packages by name and version; Python by its feature version.

What does not: comments, docstrings, formatting; where in a file, and in which module, a definition stands; decorators
that come from penstock, which say how a task is run and not what it computes; `__name__`, `__file__` and the like.

Imports inside functions are followed through the source, without importing anything. A module that is used as a value
counts as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from penstock.fingerprint.live import links
from penstock.fingerprint.modules import Modules
from penstock.fingerprint.reach import Walk
from penstock.fingerprint.sources import Sources


class CodeIdentity(msgspec.Struct, frozen=True):
    """What makes two pieces of code the same, and what it is made of."""

    #: 32 bytes
    digest: bytes
    #: what went in, sorted: "module:qualname", "constant:module:NAME" or "package:name==version" -> its own digest
    parts: dict[str, bytes]
    #: what cannot be seen without running the code, in words, each with its `file:line`
    limits: tuple[str, ...]


class CodeReader:
    """Tells the identity of functions, each computed once; to be made anew for every run.

    `digest_value` gives the digest of a value and raises where it cannot. `sources` holds syntax trees, and is worth
    sharing between the readers of a process: a file is parsed once for each version of it. What a name is bound to,
    on the other hand, may change from run to run (in a notebook, say), but is looked at once by a reader.
    """

    def __init__(self, digest_value: Callable[[Any], bytes], sources: Sources | None = None) -> None:
        self._digest_value = digest_value
        self._sources = sources if sources is not None else Sources()
        self._modules = Modules()
        # The function is kept beside its identity, so that no other can come to have its address.
        self._identities: dict[int, tuple[Callable[..., Any], CodeIdentity]] = {}

    def identify(self, function: Callable[..., Any]) -> CodeIdentity:
        """The identity of a function, a task, a partial, a bound method or any other callable.

        Never raises for what it meets on the way: what cannot be seen is one of the `limits`.
        """
        known = self._identities.get(id(function))
        if known is None:
            known = self._identities[id(function)] = (function, self._identify(function))
        return known[1]

    def _identify(self, function: Callable[..., Any]) -> CodeIdentity:
        walk = Walk(self._sources, self._modules, self._digest_value)
        root = links(walk, "", function, f"constant:{getattr(function, '__module__', '')}:<task>", "<task>:0")
        digest = walk.digest(root)
        return CodeIdentity(digest, dict(sorted(walk.parts.items())), tuple(walk.limits))
