"""What modules do, while they are imported, to what is not theirs: a method put on a class of a package, an accessor
that is registered there, a setting of a library, a variable of another module.

No name leads from a task to such a statement. What is done to a library counts for all tasks whose modules import the
module that does it; what is done to a module of the user's own counts for the tasks that read that by its source, as
they do where they import it inside of a function: of what is loaded, the values count themselves.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Hashable, Iterable, Iterator
from types import FunctionType
from typing import Any, Final, NamedTuple

from penstock.fingerprint.framing import digest
from penstock.fingerprint.imports import Imports, package_of
from penstock.fingerprint.origin import Origin, of_file
from penstock.fingerprint.reach import PYTHON, Link, Part, Walk, own
from penstock.fingerprint.sources import Text, together
from penstock.fingerprint.static import Definition, Place, WholeModule, follow, imported
from penstock.fingerprint.syntax import Import, dotted

#: lines that such a statement may begin with; finding none takes a fraction of parsing the file
_LINES: Final = re.compile(
    r"^(?:[A-Za-z_][\w.]*[.\[(]|del |@|(?:if|for|with|while|match)\b(?! (?:__name__|TYPE_CHECKING|typing\.))|try:)",
    re.MULTILINE,
)
#: parts of the names of decorators that put what they decorate somewhere
_REGISTERING: Final = re.compile("regist|accessor|extend|hook|plugin|implement|overload")
_DEFINED: Final = (type, FunctionType)
#: what they are told to do says nothing about results
_QUIET: Final = frozenset({"logging", "warnings"})
#: calls that are made of settings of Python itself
_SETTING: Final = ("set", "seed")


class _Patch(NamedTuple):
    """A statement at the top of a module that alters, calls or registers with what an imported name stands for."""

    statement: ast.stmt
    #: the dotted name of what is altered, called or registered with
    path: tuple[str, ...]
    called: bool = False


class Patching(NamedTuple):
    """The statements of a module that do something to others while it is imported."""

    place: Place
    statements: tuple[ast.stmt, ...]

    @property
    def name(self) -> str:
        return f"{self.place.module}:<import>"

    @property
    def identity(self) -> Hashable:
        return (self.place.source.file, "<import>")

    def expand(self, walk: Walk) -> Part:
        readings = [self.place.source.reading(statement) for statement in self.statements]
        every = [item for reading in readings for item in (reading, *reading.decorators)]
        found = [link for item in every for link in follow(walk, self.place, item)]
        texts = [own(reading, reading.decorators) for reading in readings]
        return Part(digest("patches", *texts), found, self.place.extent(together(readings).lines))


class Patches:
    """Finds the patches that count for a walk; each module is looked at once."""

    def __init__(self, imports: Imports, scratch: Callable[[], Walk]) -> None:
        self._imports = imports
        #: a walk that nobody reads
        self._scratch = scratch
        self._found: dict[str, tuple[Place, list[_Patch]] | None] = {}

    def of(self, walk: Walk, modules: Iterable[str]) -> list[Patching]:
        """What counts of all that was met on a walk through `modules`, sorted by module."""
        names = set(self._imports.closure(modules))
        by_source = {met.place.module for met in walk.met() if isinstance(met, Definition | WholeModule)}
        beside = _holding(by_source) - names if by_source else set[str]()
        made = (self._patching(walk, name, of_libraries=name in names) for name in sorted(names | beside))
        return [patching for patching in made if patching is not None]

    def _patching(self, walk: Walk, module: str, *, of_libraries: bool) -> Patching | None:
        if module not in self._found:
            text = self._imports.loaded(module)
            self._found[module] = None if text is None else _read(module, text)
        found = self._found[module]
        if found is None:
            return None
        place, patches = found
        counted = [patch for patch in patches if self._counts(walk, place, patch, of_libraries=of_libraries)]
        statements = tuple(dict.fromkeys(patch.statement for patch in counted))
        return Patching(place, statements) if statements else None

    def _counts(self, walk: Walk, place: Place, patch: _Patch, *, of_libraries: bool) -> bool:
        of = patch.path[1:-1] if patch.called and len(patch.path) > 1 else patch.path[1:]
        for link in self._links(place, ".".join(patch.path[:1]), of):
            if isinstance(link.target, Definition | WholeModule):
                file = link.target.place.source.file
                if walk.has_met(link.target.identity) or walk.has_met((file, None)):
                    return True
            elif of_libraries and _is_set(link, patch):
                return True
        return False

    def _links(self, place: Place, name: str, attributes: tuple[str, ...]) -> Iterator[Link]:
        for binding in place.source.bindings().get(name, ()):
            if isinstance(binding, Import):
                yield from imported(self._scratch(), "", binding, attributes, place.package, "")


def _is_set(link: Link, patch: _Patch) -> bool:
    """Whether a patch of a library is one that can make a difference to results."""
    if link.detail.partition(":")[0].partition(".")[0] in _QUIET:
        return False
    is_python = link.target == PYTHON
    return not (patch.called and is_python) or "".join(patch.path[-1:]).startswith(_SETTING)


def _holding(modules: set[str]) -> set[str]:
    """The loaded modules of the user's own that hold one of these modules, a package that it is in, or a class or a
    function of it: the others cannot alter it. Looking at what is loaded is far cheaper than reading all of it."""
    packages = {
        ".".join(parts[:count]) for parts in (name.split(".") for name in modules) for count in range(1, len(parts) + 1)
    }
    held = {id(sys.modules[name]) for name in packages if name in sys.modules}
    found: set[str] = set()
    for name, module in [*sys.modules.items()]:
        # what is in there need not be a module, and one that loads itself when it is asked for something is not asked
        variables: dict[str, Any] = getattr(module, "__dict__", {})
        file = variables.get("__file__")
        if not (isinstance(file, str) and file.endswith(".py")):
            continue
        if any(_is_of(value, held, modules) for value in [*variables.values()]) and of_file(file) is Origin.USER:
            found.add(name)
    return found


def _is_of(value: Any, held: set[int], modules: set[str]) -> bool:
    return id(value) in held or (type(value) in _DEFINED and getattr(value, "__module__", None) in modules)


def _read(module: str, text: Text) -> tuple[Place, list[_Patch]] | None:
    if not _LINES.search(text.text) or text.source is None:
        return None
    patches = list(_patches(text.source.tree.body))
    return (Place(module, package_of(module, text), text.source), patches) if patches else None


def _patches(body: Iterable[ast.stmt]) -> Iterator[_Patch]:
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            paths = (_spelled(decorator) for decorator in statement.decorator_list)
            yield from (_Patch(statement, path) for path in paths if _REGISTERING.search(".".join(path)))
        elif isinstance(statement, ast.If | ast.For | ast.While | ast.With | ast.Try | ast.Match):
            # the whole of it counts: whether it happens is a part of what happens
            inner = () if _asks_for_main(statement) else _inner(statement)
            yield from (patch._replace(statement=statement) for patch in _patches(inner))
        else:
            yield from _simple(statement)


def _simple(statement: ast.stmt) -> Iterator[_Patch]:
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Name(id="setattr" | "delattr"), args=[of, *_])):
            yield _Patch(statement, _spelled(of))
        case ast.Expr(value=ast.Call(func=callee)):
            yield _Patch(statement, _spelled(callee), called=True)
        case ast.Assign() | ast.AugAssign() | ast.AnnAssign() | ast.Delete():
            targets: list[ast.expr] = getattr(statement, "targets", None) or [
                getattr(statement, "target", ast.Name(""))
            ]
            for node in (node for target in targets for node in ast.walk(target)):
                if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
                    yield _Patch(statement, _spelled(node))
        case _:
            pass


def _inner(statement: ast.stmt) -> list[ast.stmt]:
    parts: list[Any] = [statement, *getattr(statement, "handlers", ()), *getattr(statement, "cases", ())]
    names = ("body", "orelse", "finalbody")
    return [inner for part in parts for name in names for inner in getattr(part, name, ())]


def _asks_for_main(statement: ast.stmt) -> bool:
    test = getattr(statement, "test", None)
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"


def _spelled(node: ast.expr) -> tuple[str, ...]:
    """The dotted name that an expression begins with: `decimal.getcontext` of `decimal.getcontext().prec`."""
    path = dotted(node)
    while not path and isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
        path = dotted(node)
    return path


__all__ = ["Patches", "Patching"]
