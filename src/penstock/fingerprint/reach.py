"""The walk over everything of the user's own that a function reaches.

What is reached is a graph: functions, classes, values, modules and packages, and the names by which each reads the
next. Its digest numbers them in the order in which they are found, so that neither the modules that things are in
nor the order in which they are written count, and cycles end by themselves.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from penstock.fingerprint.framing import digest
from penstock.fingerprint.modules import Modules
from penstock.fingerprint.origin import Origin
from penstock.fingerprint.sources import Sources, Text
from penstock.fingerprint.syntax import Reading

_PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"

_OPAQUE: Final = {
    "builtins:eval": "eval() runs text, and what that text reads is not seen",
    "builtins:exec": "exec() runs text, and what that text reads is not seen",
    "builtins:globals": "globals() can read any variable of the module, and which is not seen",
    "builtins:__import__": "__import__() imports a module by a name that is computed, and which is not seen",
    "importlib:import_module": "import_module() imports a module by a name that is computed, and which is not seen",
    "runpy:run_path": "runpy.run_path() runs a file, and what that does is not seen",
    "runpy:run_module": "runpy.run_module() runs a module, and what that does is not seen",
    "sys:modules": "sys.modules can give any module, and which is not seen",
}
#: what starts programs
_PROGRAMS: Final = frozenset(
    {f"subprocess:{name}" for name in ("run", "call", "check_call", "check_output", "Popen")}
    | {"subprocess:getoutput", "subprocess:getstatusoutput", "pty:spawn"}
    | {f"{module}:{name}" for module in ("os", "posix") for name in ("system", "popen", "posix_spawn", "posix_spawnp")}
    | {f"asyncio:create_subprocess_{kind}" for kind in ("exec", "shell")}
    | {f"asyncio.subprocess:create_subprocess_{kind}" for kind in ("exec", "shell")}
)
#: how environment variables are read
_VARIABLES: Final = ("os:environ", "os:getenv")
#: how the label of a link ends to what imports a module whose name is given
IMPORTING: Final = "()"


class File(NamedTuple):
    """A file that code reads."""

    #: in which the code is
    by: str
    #: as it is spelled there, or the end of it
    path: str

    def is_declared(self, reads: Iterable[str]) -> bool:
        """Whether it is one of these files and folders, which are absolute paths, or in one of them."""
        path = os.path.normpath(self.path)
        absolute = [Path(os.path.normpath(folder / path)) for folder in (Path.cwd(), Path(self.by).parent)]
        # what the path begins with is not always known
        ends = [] if Path(path).is_absolute() else [f"/{each}" for each in (path, *[*Path(path).parents][:-1])]
        return any(
            any(each.is_relative_to(read) for each in absolute) or any(read.endswith(end) for end in ends)
            for read in map(os.path.normpath, reads)
        )


class Extent(NamedTuple):
    """Where something is defined."""

    module: str
    #: empty where it was made by code that has no file
    file: str = ""
    #: first and last line; 0 where they are not known
    lines: tuple[int, int] = (0, 0)
    #: the version of the file that it was loaded from, if that is known
    text: Text | None = None


class Part(NamedTuple):
    """What one thing is by itself, and what it reaches."""

    own: bytes
    links: Iterable[Link]
    extent: Extent | None = None
    #: tells a value, for people
    show: Callable[[], str] | None = None


class Target(Protocol):
    """Something that can be reached."""

    @property
    def name(self) -> str:
        """What it is called in `CodePart.name`."""
        ...

    @property
    def identity(self) -> Hashable:
        """Equal for two targets that are one and the same thing."""
        ...

    def expand(self, walk: Walk) -> Part: ...


class Link(NamedTuple):
    """One thing reads another, by the name `label`; `detail` says what of a package it is."""

    label: str
    target: Target
    detail: str = ""


class Distribution(NamedTuple):
    """An installed package or Python itself, which counts by its name and version alone (see `Package.edition`)."""

    package: str
    version: str

    @property
    def name(self) -> str:
        return f"package:{self.package}=={self.version}"

    @property
    def identity(self) -> Hashable:
        return self

    def expand(self, walk: Walk) -> Part:
        return Part(digest("package", self.package.encode(), self.version.encode()), ())


PYTHON: Final = Distribution("python", _PYTHON)


class Walk:
    """One walk, from one function. `found` and `limits` are complete when `digest` has returned."""

    def __init__(self, sources: Sources, modules: Modules, digest_value: Callable[[Any], bytes]) -> None:
        self.sources = sources
        self.modules = modules
        self.digest_value = digest_value
        #: the name of everything that was met, under each name that it has, and what it is
        self.found: list[tuple[str, Part]] = []
        #: in the order in which they were met, without repeats
        self.limits: dict[str, None] = {}
        #: the files that are read without being declared, by the limits that tell so
        self.files: dict[str, File] = {}
        self._mutable: dict[str, tuple[str, str]] = {}
        #: what is loaded of the user's own modules and was read, by module and name; classes by their qualified names
        self.held: dict[tuple[str, str], Any] = {}
        # Targets are kept beside their numbers, so that no other object can come to have the address of one.
        self._numbers: dict[Hashable, tuple[int, Target]] = {}
        self._queue: deque[Target] = deque()
        #: further names of what has a number
        self._aliases: dict[tuple[str, int], None] = {}
        self._contents: dict[int, tuple[Any, bytes]] = {}

    def digest(self, root: Iterable[Link]) -> bytes:
        """Go everywhere that `root` leads; returns the digest of the whole."""
        nodes = [self._node(Part(digest("root"), (*root, Link("", PYTHON))))]
        while self._queue:
            target = self._queue.popleft()
            part = target.expand(self)
            self.found.append((target.name, part))
            nodes.append(self._node(part))
        self.found.extend((name, self.found[number][1]) for name, number in self._aliases)
        self._note_mutable()
        return digest("code", *nodes)

    def _node(self, part: Part) -> bytes:
        frames = [
            digest("link", link.label.encode(), link.detail.encode(), b"%d" % self._number(link.target))
            for link in part.links
        ]
        return digest("part", part.own, *frames)

    def _number(self, target: Target) -> int:
        identity = target.identity
        known = self._numbers.get(identity)
        if known is None:
            known = self._numbers[identity] = (len(self._numbers), target)
            self._queue.append(target)
        elif type(identity) is bytes and known[1].name != target.name:
            # plain data is one thing in all the places where it is the same
            self._aliases[target.name, known[0]] = None
        return known[0]

    def met(self) -> Iterable[Target]:
        """All that was met."""
        return (target for _, target in self._numbers.values())

    def has_met(self, identity: Hashable) -> bool:
        return identity in self._numbers

    def content(self, value: Any) -> bytes:
        """The digest of plain data. Raises what `digest_value` raises."""
        known = self._contents.get(id(value))
        if known is None:
            known = self._contents[id(value)] = (value, digest("value", self.digest_value(value)))
        return known[1]

    def limit(self, where: str, words: str) -> str:
        """Note something that cannot be seen; `where` is `file:line`. Returns how it is told."""
        told = f"{where}: {words}"
        self.limits[told] = None
        return told

    def can_change(self, where: str, name: str, kind: str) -> None:
        """Note a container that the code may change while it runs."""
        self._mutable.setdefault(name, (where, kind))

    def _note_mutable(self) -> None:
        """All the containers in one limit, because there can be many."""
        if self._mutable:
            (first, (where, kind)), *more = self._mutable.items()
            if more:
                names = ", ".join(name for name, _ in sorted(self._mutable.items()))
                self.limit(where, f"{names} can change; they count as they are when the graph is made")
            else:
                self.limit(where, f"{first} is a {kind}, which can change; it counts as it is when the graph is made")

    def outside(self, label: str, module: str, attributes: tuple[str, ...], where: str) -> Iterable[Link]:
        """The link to something of a package or of the standard library; none to penstock, which only runs the task."""
        detail = f"{module}:{'.'.join(attributes)}"
        if label.endswith(IMPORTING):
            # the module has a link of its own
            pass
        elif words := next((_OPAQUE[name] for name in (detail, detail.partition(".")[0]) if name in _OPAQUE), ""):
            self.limit(where, words)
        elif detail in _PROGRAMS:
            self.limit(where, f"{detail.replace(':', '.')}() starts a program; what that reads is not seen")
        elif detail.startswith(_VARIABLES):
            self.limit(where, f"os.{detail[3:].partition('.')[0]} reads environment variables, which do not count")
        origin = self.modules.origin(module)
        if origin is Origin.LIBRARY:
            return (Link(label, PYTHON, detail),)
        if origin is Origin.PACKAGE:
            return (Link(label, self._distribution(module, attributes, where), detail),)
        return ()

    def _distribution(self, module: str, attributes: tuple[str, ...], where: str) -> Distribution:
        owner = self.modules.package(module, attributes)
        if owner is not None:
            return Distribution(owner.name, owner.edition)
        top = module.partition(".")[0]
        self.limit(where, f"{top} is installed without a record of its version, so a new version of it is not noticed")
        return Distribution(top, "")


def own(reading: Reading, decorators: Iterable[Reading] = ()) -> bytes:
    """The digest of a definition with those of its decorators that count."""
    return digest("definition", reading.text, *(decorator.text for decorator in decorators))
