"""Names followed through source code alone, without importing anything.

This is how imports inside functions are followed. Importing the module would be shorter, but it is there that people
put what must not be imported early; and the identity must not depend on what happens to be imported already.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from penstock.fingerprint.alterations import container_of
from penstock.fingerprint.framing import digest
from penstock.fingerprint.openings import parts_of
from penstock.fingerprint.origin import Origin
from penstock.fingerprint.reach import IMPORTING, Extent, Link, Part, Walk, own
from penstock.fingerprint.shown import expression
from penstock.fingerprint.sources import Source, together
from penstock.fingerprint.syntax import Import, Reading, Reference
from penstock.fingerprint.undeclared import note_openings

#: what `from module import *` binds, among the bindings of a module
_STAR = "*"


class Place(NamedTuple):
    """Where a module stands: its name, the package that its relative imports start from, and its source."""

    module: str
    package: str
    source: Source

    def extent(self, lines: tuple[int, int]) -> Extent:
        return Extent(self.module, self.source.file, lines, self.source.text)


class Definition(NamedTuple):
    """A name of a module, with the statements that bind it."""

    place: Place
    variable: str

    @property
    def name(self) -> str:
        if any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for node in self._statements()):
            return f"{self.place.module}:{self.variable}"
        return f"constant:{self.place.module}:{self.variable}"

    @property
    def identity(self) -> Hashable:
        return (self.place.source.file, self.variable)

    def _statements(self) -> list[ast.stmt]:
        return [node for node in self.place.source.bindings()[self.variable] if isinstance(node, ast.stmt)]

    def _shown(self) -> str:
        """Of a constant, what it is set to."""
        match self._statements():
            case [ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value)]:
                return expression(value)
            case _:
                return ""

    def _altering(self) -> list[ast.stmt]:
        """The statements that do more to it while the module is loaded."""
        statements = self._statements()
        return [node for node in self.place.source.alterations.loading.get(self.variable, ()) if node not in statements]

    def _further(self, walk: Walk) -> Iterator[Link]:
        """The whole of the module, where its functions alter what the variable holds: a decorator that fills a registry."""
        altered = self.place.source.alterations
        kind = next(filter(None, map(container_of, self._statements())), None)
        if kind is not None:
            where = f"{self.place.source.file}:{self._statements()[0].lineno}"
            walk.can_change(where, self.variable, kind)
        if self.variable in altered.called or (kind is not None and self.variable in altered.asked):
            yield Link("*", WholeModule(self.place))

    def expand(self, walk: Walk) -> Part:
        readings = [self.place.source.reading(node) for node in (*self._statements(), *self._altering())]
        digests: list[bytes] = []
        links: list[Link] = []
        for reading in readings:
            decorators = [item for item in reading.decorators if not _is_of_penstock(walk, self.place, item)]
            digests.append(own(reading, decorators))
            for item in (reading, *decorators):
                links.extend(follow(walk, self.place, item))
        links.extend(self._further(walk))
        total = digests[0] if len(digests) == 1 else digest("statements", *digests)
        return Part(total, links, self.place.extent(together(readings).lines), self._shown)


class WholeModule(NamedTuple):
    """All of a module: what counts when the module itself is used as a value."""

    place: Place

    @property
    def name(self) -> str:
        return f"{self.place.module}:*"

    @property
    def identity(self) -> Hashable:
        return (self.place.source.file, None)

    def expand(self, walk: Walk) -> Part:
        source = self.place.source
        reading = source.whole()
        extent = self.place.extent((1, source.text.text.count("\n") + 1))
        return Part(own(reading), list(follow(walk, self.place, reading)), extent)


class Compiled(NamedTuple):
    """A module of the user's own without Python source, such as a C extension: the bytes of its file count."""

    module: str
    file: str
    where: str

    @property
    def name(self) -> str:
        return f"{self.module}:*"

    @property
    def identity(self) -> Hashable:
        return (self.file, None)

    def expand(self, walk: Walk) -> Part:
        walk.limit(self.where, f"{self.module} is compiled code; its file counts as a whole, what it reads is not seen")
        extent = Extent(self.module, self.file)
        try:
            return Part(digest("compiled", Path(self.file).read_bytes()), (), extent)
        except OSError:
            return Part(digest("compiled"), (), extent)


def follow(walk: Walk, place: Place, reading: Reading) -> Iterator[Link]:
    """The links from what a definition reads."""
    for reference in reading.references:
        where = f"{place.source.file}:{reference.line}"
        label = label_of(reference)
        if reference.imported is not None:
            yield from imported(walk, label, reference.imported, reference.path[1:], place.package, where)
        else:
            yield from resolve(walk, label, place, reference.path, where)
    for lookup in reading.lookups:
        where = f"{place.source.file}:{lookup.line}"
        if lookup.imported is not None or _imports_of(place, lookup.path[0]):
            walk.limit(where, f"getattr() reads an attribute of {lookup.path[0]} by a name that is computed")
    note_writes(walk, place.source.file, reading)
    note_openings(walk, place.source.file, reading, _Names(place))


def label_of(reference: Reference) -> str:
    """What the links are called from what a name stands for."""
    return ".".join(reference.path) + (IMPORTING if reference.importing else "")


class _Names(NamedTuple):
    """What names stand for in a module, by its source alone."""

    place: Place

    def text(self, reference: Reference) -> str | None:
        bindings = self.place.source.bindings().get(reference.path[0], ())
        match bindings:
            case [ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value)] if reference.imported is None:
                parts = [] if isinstance(value, ast.Name) else parts_of(value) or []
                texts = [part.value for part in parts if isinstance(part, ast.Constant)]
                return "/".join(map(str, texts)) if texts and len(texts) == len(parts) else None
            case _:
                return None

    def library(self, reference: Reference) -> str:
        bindings = self.place.source.bindings()
        statement = reference.imported or next(iter(_imports_of(self.place, reference.path[0])), None)
        if statement is not None:
            return absolute(statement, self.place.package)
        return "builtins" if reference.path[0] not in bindings and hasattr(builtins, reference.path[0]) else ""


def note_writes(walk: Walk, file: str, reading: Reading) -> None:
    """Report the module variables that a definition assigns to."""
    for write in reading.writes:
        words = f"the module variable {write.path[0]} is written; what it holds later is not seen"
        walk.limit(f"{file}:{write.line}", words)


def resolve(
    walk: Walk, label: str, place: Place, path: tuple[str, ...], where: str, trail: frozenset[object] = frozenset()
) -> Iterable[Link]:
    """The links from a dotted name as it is read in a module."""
    bindings = place.source.bindings()
    if path[0] not in bindings:
        return _unbound(walk, label, place, path, where, trail)
    links: list[Link] = []
    if any(isinstance(binding, ast.stmt) for binding in bindings[path[0]]):
        links.append(Link(label, Definition(place, path[0])))
    for binding in _imports_of(place, path[0]):
        links.extend(imported(walk, label, binding, path[1:], place.package, where, trail))
    return links


def _unbound(
    walk: Walk, label: str, place: Place, path: tuple[str, ...], where: str, trail: frozenset[object]
) -> Iterable[Link]:
    for star in _imports_of(place, _STAR):
        name = absolute(star, place.package)
        if links := list(imported(walk, label, Import(name), path, place.package, where, trail, exact=True)):
            return links
    return walk.outside(label, "builtins", path, where) if hasattr(builtins, path[0]) else ()


def _imports_of(place: Place, name: str) -> list[Import]:
    return [binding for binding in place.source.bindings().get(name, ()) if isinstance(binding, Import)]


def imported(
    walk: Walk,
    label: str,
    statement: Import,
    attributes: tuple[str, ...],
    package: str,
    where: str,
    trail: frozenset[object] = frozenset(),
    *,
    exact: bool = False,
) -> Iterable[Link]:
    """The links from `attributes` of what an import statement binds.

    `exact` leaves out the module as a whole where the attribute is not found in it.
    """
    module = absolute(statement, package)
    path = attributes if statement.attribute is None else (statement.attribute, *attributes)
    step = (module, path)
    if step in trail:
        return ()
    trail = trail | {step}
    if walk.modules.origin(module) is not Origin.USER:
        return walk.outside(label, module, path, where)
    place = place_of(walk, module)
    if path and place is not None and path[0] in place.source.bindings():
        return resolve(walk, label, place, path, where, trail)
    if path and walk.modules.file(f"{module}.{path[0]}") is not None:
        return imported(walk, label, Import(f"{module}.{path[0]}"), path[1:], package, where, trail)
    if path and place is not None and (links := list(_unbound(walk, label, place, path, where, trail))):
        return links
    return () if exact else whole(walk, label, module, where)


def whole(walk: Walk, label: str, module: str, where: str) -> Iterable[Link]:
    """The link to a module of the user's own as a whole; none where there is nothing but a folder."""
    place = place_of(walk, module)
    if place is not None:
        return (Link(label, WholeModule(place)),)
    file = walk.modules.file(module)
    if file is not None and Path(file).is_file():
        return (Link(label, Compiled(module, file, where)),)
    return ()


def place_of(walk: Walk, module: str) -> Place | None:
    """Where a module of the user's own stands, if it has source."""
    file = walk.modules.file(module)
    source = walk.sources.find(file) if file is not None and file.endswith(".py") else None
    if file is None or source is None:
        return None
    loaded = walk.sources.loaded(sys.modules[module], file) if module in sys.modules else None
    if loaded is not None and loaded.source is not None:
        # what is imported inside of a function is what this process has loaded, whatever the file says by now
        source = loaded.source
    elif walk.modules.is_changed(module, source):
        walk.limit(f"{file}:1", f"{module} is not as it was loaded; it counts as it is in its file")
    package = module if Path(file).name == "__init__.py" else module.rpartition(".")[0]
    return Place(module, package, source)


def absolute(statement: Import, package: str) -> str:
    """The full name of the module that an import statement in `package` names."""
    if not statement.level:
        return statement.module
    base = package.split(".")[: len(package.split(".")) - statement.level + 1]
    return ".".join([*base, statement.module] if statement.module else base)


def _is_of_penstock(walk: Walk, place: Place, decorator: Reading) -> bool:
    if not decorator.references:
        return False
    path = decorator.references[0].path
    return any(
        walk.modules.origin(absolute(binding, place.package)) is Origin.PENSTOCK
        for binding in _imports_of(place, path[0])
    )
