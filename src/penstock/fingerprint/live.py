"""Names followed through what is loaded: from a function to whatever its names are bound to now."""

from __future__ import annotations

import builtins
import functools
import os
import sys
import types
from collections.abc import Hashable, Iterable, Iterator, Mapping
from enum import Enum
from types import CellType, FunctionType, MappingProxyType, MethodType, ModuleType, SimpleNamespace
from typing import Any, Final, NamedTuple

from penstock.fingerprint import bytecode
from penstock.fingerprint.classes import additions_to, functions_of, members_of, variables_of
from penstock.fingerprint.contents import class_of, code_within, is_logger, is_plain, items_of, orders_of, state_of
from penstock.fingerprint.framing import digest, digest_of
from penstock.fingerprint.origin import Origin, file_of, of_file
from penstock.fingerprint.reach import PYTHON, Extent, Link, Part, Walk, own
from penstock.fingerprint.shown import shown
from penstock.fingerprint.static import imported, label_of, note_writes, whole
from penstock.fingerprint.syntax import Reading, Reference
from penstock.fingerprint.undeclared import Loaded, note_openings

#: where a module is and how it was loaded says nothing about what it does
_CIRCUMSTANCES: Final = frozenset(
    {"__name__", "__file__", "__doc__", "__package__", "__loader__", "__spec__", "__path__", "__cached__", "__class__"}
)
_CONTAINERS: Final = (list, tuple, set, frozenset, dict)
_MUTABLE: Final = (list, dict, set, bytearray)
_NAMESPACES: Final[frozenset[Any]] = frozenset({MappingProxyType, SimpleNamespace})
_WRAPPERS: Final[dict[type[Any], tuple[str, ...]]] = {
    MethodType: ("__func__", "__self__"),
    functools.partial: ("func", "args", "keywords"),
    staticmethod: ("__func__",),
    classmethod: ("__func__",),
    property: ("fget", "fset", "fdel"),
}
_TYPING: Final = frozenset({"typing", "typing_extensions", "types"})


class Scope(NamedTuple):
    """Where the names of a definition are looked up, and what it is called in keys and in messages."""

    cells: Mapping[str, CellType]
    names: dict[str, Any]
    #: `module:qualname`
    owner: str
    file: str
    #: where it is defined
    line: int = 0

    def place(self, line: int) -> str:
        return f"{self.file}:{line}"


class Function(NamedTuple):
    """A function of the user's own."""

    #: a FunctionType, which as an attribute looks like a method to type checkers
    function: Any

    @property
    def name(self) -> str:
        # where it is written, which is elsewhere than it says of itself if it keeps to functools.wraps
        return f"{_module_of(self.function)}:{self.function.__code__.co_qualname}"

    @property
    def identity(self) -> Hashable:
        return id(self.function)

    def expand(self, walk: Walk) -> Part:
        function, code = self.function, self.function.__code__
        owner = f"{_module_of(function)}:{function.__qualname__}"
        scope = Scope(_cells(function), function.__globals__, owner, code.co_filename, code.co_firstlineno)
        part = _definition(walk, scope, *_read_function(walk, function))
        return part._replace(links=[*part.links, *self._defaults(walk, scope), *self._attributes(walk, scope)])

    def _defaults(self, walk: Walk, scope: Scope) -> Iterator[Link]:
        code = self.function.__code__
        values = self.function.__defaults__ or ()
        names = code.co_varnames[: code.co_argcount]
        pairs = [*zip(names[len(names) - len(values) :], values, strict=True)]
        keywords: dict[str, Any] = self.function.__kwdefaults__ or {}
        pairs.extend(keywords.items())
        for name, value in pairs:
            place = f"constant:{scope.owner}.{name}"
            yield from _named(walk, f"={name}", value, place, scope.place(scope.line))

    def _attributes(self, walk: Walk, scope: Scope) -> Iterator[Link]:
        """What was put on the function: `limit.most = 18`."""
        place = scope.place(self.function.__code__.co_firstlineno)
        held: Any = self.function.__dict__
        for name, value in sorted(held.items()):
            if name.startswith("_"):
                continue
            if name in bytecode.attributes_set(self.function.__code__):
                walk.limit(
                    place, f"{self.function.__qualname__} sets its own {name}; what that holds later is not seen"
                )
            else:
                yield from _named(walk, f".{name}", value, f"constant:{scope.owner}.{name}", place)


class Class(NamedTuple):
    """A class of the user's own, with its methods and bases."""

    kind: type

    @property
    def name(self) -> str:
        return f"{self.kind.__module__}:{self.kind.__qualname__}"

    @property
    def identity(self) -> Hashable:
        return id(self.kind)

    def expand(self, walk: Walk) -> Part:
        walk.held[self.kind.__module__, self.kind.__qualname__] = self.kind
        methods = functions_of(self.kind)
        cells = {name: cell for method in methods for name, cell in _cells(method).items()}
        reading, extent = _read_class(walk, self.kind, methods)
        first = min((method.__code__.co_firstlineno for method in methods), default=1)
        line = first if reading is None else reading.lines[0]
        scope = Scope(cells, self._names(methods), self.name, extent.file, line)
        if reading is not None:
            part = _definition(walk, scope, reading, extent)
            part = part._replace(links=[*part.links, *self._held(walk, scope, reading.members)])
        else:
            part = self._members(walk, scope)._replace(extent=extent)
        return part._replace(links=[*part.links, *self._bases(walk, scope)])

    def _names(self, methods: list[FunctionType]) -> dict[str, Any]:
        """The variables of the module; from a method, because modules can be loaded without being registered."""
        module = self.kind.__module__
        own = (method.__globals__ for method in methods if method.__module__ == module)
        return next(own, getattr(sys.modules.get(module), "__dict__", {}))

    def _bases(self, walk: Walk, scope: Scope) -> Iterator[Link]:
        bases = [("metaclass", type(self.kind)), *((f"base {i}", base) for i, base in enumerate(self.kind.__bases__))]
        for label, base in bases:
            if base is not object and base is not type:
                yield from links(walk, label, base, self.name, scope.place(scope.line))

    def _held(self, walk: Walk, scope: Scope, members: frozenset[str]) -> Iterator[Link]:
        """What the class has now, besides what its body says."""
        added = (item for item in additions_to(self.kind, members) if _is_of_user(walk, item[1]))
        for name, value in (*variables_of(self.kind, members), *added):
            yield from _named(walk, f".{name}", value, f"constant:{scope.owner}.{name}", scope.place(scope.line))

    def _members(self, walk: Walk, scope: Scope) -> Part:
        """A class without source counts by what it holds."""
        found = [
            link
            for name, value in members_of(self.kind)
            for link in links(walk, name, value, f"constant:{scope.owner}.{name}", scope.place(scope.line))
        ]
        return Part(digest("class", self.kind.__qualname__.encode()), found)


class Constant(NamedTuple):
    """Plain data: a constant, what a closure holds, a default."""

    own: bytes
    #: `constant:module:NAME`, with what leads further in
    name: str
    value: Any

    @property
    def identity(self) -> Hashable:
        # Equal constants may or may not be one object, as the compiler likes, and in whichever module.
        return self.own

    def expand(self, walk: Walk) -> Part:
        return Part(self.own, (), show=functools.partial(shown, self.value))


class Value(NamedTuple):
    """Anything else that is not code, though it may hold code."""

    value: Any
    #: as that of a constant
    name: str
    where: str

    @property
    def identity(self) -> Hashable:
        # what was made by running code can be met again inside itself
        return id(self.value)

    def expand(self, walk: Walk) -> Part:
        try:
            part = self._opened(walk)
        except Exception:
            part = Part(self._unseen(walk), ())
        return part._replace(show=functools.partial(shown, self.value))

    def _opened(self, walk: Walk) -> Part:
        value = self.value
        kind = class_of(value)
        if issubclass(kind, Enum):
            return self._composed(walk, {"type": kind}, "enum", value.name)
        if kind in _CONTAINERS:
            return self._composed(walk, dict(items_of(value)), kind.__name__)
        if kind in _NAMESPACES:
            return self._composed(walk, dict(items_of(_entries(value))), kind.__name__)
        if _origin_of_class(walk, kind) is Origin.USER:
            return self._object(walk)
        return self._foreign(walk)

    def _composed(self, walk: Walk, items: dict[str, Any], *kind: str) -> Part:
        found = [link for name, item in items.items() for link in self._links(walk, name, item)]
        return Part(digest("value", *(word.encode() for word in kind)), found)

    def _links(self, walk: Walk, name: str, item: Any) -> Iterable[Link]:
        return links(walk, name, item, f"{self.name}{name}", self.where)

    def _object(self, walk: Walk) -> Part:
        """An instance of a class of the user's own: the class and the attributes."""
        value = self.value
        items: dict[str, Any] = {"type": type(value)}
        items.update((f".{name}", item) for name, item in state_of(value).items())
        if isinstance(value, _CONTAINERS):
            items.update(items_of(value))
        part = self._composed(walk, items, "object")
        if isinstance(value, int | float | complex | str | bytes):
            return Part(digest("value", part.own, repr(value).encode("utf-8", "surrogatepass")), part.links)
        return part

    def _foreign(self, walk: Walk) -> Part:
        """An instance of somebody else's class: its digest, and the code of the user's own that it holds."""
        found: list[Link] = []
        try:
            for number, code in enumerate(code_within(self.value)):
                if _is_own(walk, code):
                    found.extend(self._links(walk, f"<code {number}>", code))
        except Exception:
            # digesting it will fail as well, and say so, unless there is a way for its very type
            found.clear()
        return Part(self._digest(walk), found)

    def _digest(self, walk: Walk) -> bytes:
        try:
            return digest("value", walk.digest_value(self.value))
        except Exception:
            return self._unseen(walk)

    def _unseen(self, walk: Walk) -> bytes:
        kind = f"{type(self.value).__module__}.{type(self.value).__qualname__}"
        words = f"{_short(self.name)} is a {kind}, which has no digest, so a change of it is not noticed"
        walk.limit(self.where, words)
        return digest("unseen", kind.encode())


# from a definition to links


def _read_function(walk: Walk, function: FunctionType) -> tuple[Reading, Extent]:
    code = function.__code__
    module, file = _module_of(function), code.co_filename
    source = walk.sources.find(file, function.__globals__)
    if source is None:
        return bytecode.read(code), Extent(module, file)
    reading = source.function(code)
    if reading is not None:
        return reading, Extent(module, file, reading.lines, source.text)
    words = f"{function.__qualname__} is not in its file as it was loaded; it counts as it was loaded"
    walk.limit(f"{file}:{code.co_firstlineno}", words)
    for source in walk.sources.earlier(file):
        reading = source.function(code)
        if reading is not None:
            return reading, Extent(module, file, reading.lines, source.text)
    return bytecode.read(code), Extent(module, file)


def _read_class(walk: Walk, kind: type, methods: list[FunctionType]) -> tuple[Reading | None, Extent]:
    """What the source says of a class, if it is to be had, and where it is."""
    module, file = kind.__module__, file_of(kind.__module__)
    # those that the standard library adds, to named tuples and enums, are in files that are long to read
    files = dict.fromkeys(method.__code__.co_filename for method in methods if method.__module__ == module)
    for name in (*files, file) if file is not None else files:
        source = walk.sources.find(name)
        for version in (source, *walk.sources.earlier(name)) if source is not None else ():
            reading = version.definition(kind)
            if reading is not None:
                return reading, Extent(module, name, reading.lines, version.text)
    return None, Extent(module, next(iter(files), f"<{module}>"))


def _module_of(function: FunctionType) -> str:
    return str(function.__globals__.get("__name__") or function.__module__)


def _definition(walk: Walk, scope: Scope, reading: Reading, extent: Extent) -> Part:
    decorators = [item for item in reading.decorators if not _is_of_penstock(walk, scope, item)]
    found = [link for item in (reading, *decorators) for link in _follow(walk, scope, item)]
    if b"__subclasses__" in reading.text:
        found += _subclasses(walk, scope, reading)
    _note_limits(walk, scope, reading)
    return Part(own(reading, decorators), found, extent)


def _subclasses(walk: Walk, scope: Scope, reading: Reading) -> Iterator[Link]:
    """The subclasses of all classes that a definition names, and of the class that it is, as far as they are loaded."""
    words = "__subclasses__() finds classes wherever they are; those count that are loaded when the graph is made"
    walk.limit(scope.place(reading.subclasses or reading.lines[0]), words)
    named = [
        _look_up(walk, scope, item)[0]
        for item in (*reading.references, Reference((scope.owner.rpartition(":")[2],), 0))
    ]
    stack, seen = [value for value in named if _is_own(walk, value) and isinstance(value, type)], dict[type, None]()
    while stack:
        children = type.__subclasses__(stack.pop())
        stack.extend(kind for kind in children if kind not in seen)
        seen.update(dict.fromkeys(children))
    for kind in sorted(seen, key=lambda kind: f"{kind.__qualname__} {kind.__module__}"):
        yield from _of_class(walk, kind.__qualname__, kind, scope.place(reading.lines[0]))


def _follow(walk: Walk, scope: Scope, reading: Reading) -> Iterator[Link]:
    for reference in reading.references:
        label, where = label_of(reference), scope.place(reference.line)
        if reference.imported is not None:
            package = str(scope.names.get("__package__") or "")
            yield from imported(walk, label, reference.imported, reference.path[1:], package, where)
        else:
            yield from _resolve(walk, label, scope, reference, where)


def _note_limits(walk: Walk, scope: Scope, reading: Reading) -> None:
    note_writes(walk, scope.file, reading)
    note_openings(walk, scope.file, reading, Loaded(functools.partial(_bound_to, walk, scope)))
    for lookup in reading.lookups:
        value, _, _ = _look_up(walk, scope, lookup)
        module = value.__name__ if isinstance(value, ModuleType) else type(value).__module__
        if value is not None and walk.modules.origin(module) is Origin.USER:
            words = f"getattr() reads an attribute of {'.'.join(lookup.path)} by a name that is computed"
            walk.limit(scope.place(lookup.line), words)


def _bound_to(walk: Walk, scope: Scope, reference: Reference) -> tuple[Any, tuple[str, ...]]:
    name, *rest = reference.path
    if name in scope.cells or name in scope.names or reference.imported is not None:
        value, _, left = _look_up(walk, scope, reference)
        return value, left
    return getattr(builtins, name, None), tuple(rest)


def _is_of_penstock(walk: Walk, scope: Scope, decorator: Reading) -> bool:
    if not decorator.references:
        return False
    value, _, _ = _look_up(walk, scope, decorator.references[0])
    value = value.func if isinstance(value, functools.partial) else value
    if isinstance(value, ModuleType):
        return walk.modules.origin(value.__name__) is Origin.PENSTOCK
    if isinstance(value, FunctionType):
        return _origin_of_function(walk, value) is Origin.PENSTOCK
    return _origin_of_class(walk, value if isinstance(value, type) else type(value)) is Origin.PENSTOCK


def _resolve(walk: Walk, label: str, scope: Scope, reference: Reference, where: str) -> Iterable[Link]:
    name = reference.path[0]
    if name in _CIRCUMSTANCES:
        return ()
    if name not in scope.cells and name not in scope.names:
        return walk.outside(label, "builtins", reference.path, where) if hasattr(builtins, name) else ()
    value, key, rest = _look_up(walk, scope, reference)
    if isinstance(value, ModuleType):
        if walk.modules.origin(value.__name__) is Origin.USER:
            return whole(walk, label, value.__name__, where)
        return walk.outside(label, value.__name__, rest, where)
    return () if value is _EMPTY else _named(walk, label, value, key, where)


_EMPTY: Final = object()


def _look_up(walk: Walk, scope: Scope, reference: Reference) -> tuple[Any, str, tuple[str, ...]]:
    """What a name is bound to, through modules of the user's own; its key; and the attributes that are left."""
    name, *_ = reference.path
    if reference.imported is not None:
        return sys.modules.get(reference.imported.module), "", reference.path[1:]
    if name in scope.cells:
        value, key = _content(scope.cells[name]), f"constant:{scope.owner}.{name}"
    else:
        module = scope.owner.partition(":")[0]
        value, key = scope.names.get(name), f"constant:{module}:{name}"
        walk.held[module, name] = value
    rest = reference.path[1:]
    while rest and isinstance(value, ModuleType) and rest[0] in vars(value):
        if walk.modules.origin(value.__name__) is not Origin.USER:
            break
        key = f"constant:{value.__name__}:{rest[0]}"
        held = value.__name__, rest[0]
        value, rest = vars(value)[rest[0]], rest[1:]
        walk.held[held] = value
    return value, key, rest


def _entries(namespace: Any) -> dict[str, Any]:
    return dict(namespace) if class_of(namespace) is MappingProxyType else namespace.__dict__


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _EMPTY


def _named(walk: Walk, label: str, value: Any, key: str, where: str) -> Iterable[Link]:
    kind = class_of(value)
    if issubclass(kind, _MUTABLE):
        walk.can_change(where, _short(key), kind.__name__)
    try:
        return list(links(walk, label, value, key, where))
    except Exception as error:
        # some objects answer to nothing before they are set up, such as the proxies of web frameworks
        walk.limit(where, f"{_short(key)} cannot be looked into: {type(error).__name__}: {error}")
        return ()


# from a value to links


def links(walk: Walk, label: str, value: Any, key: str, where: str) -> Iterable[Link]:
    """The links from a value that something reads by the name `label`; `key` is what it is called if it is a constant."""
    if is_plain(value):
        return (Link(label, _constant(walk, value, key, where)),)
    kind = class_of(value)
    origin = _origin_of_class(walk, kind)
    inner = _inner(value, kind)
    if kind is FunctionType:
        return _of_function(walk, label, value, key, where, inner)
    if issubclass(kind, type):
        return _of_class(walk, label, value, where)
    if issubclass(kind, ModuleType):
        return _of_module(walk, label, value, where)
    if kind.__module__ in _TYPING and kind not in _NAMESPACES:
        return _of_type_form(walk, label, value, key, where)
    if _is_of_process(value, kind):
        # all of the environment would count, whatever is read of it
        return walk.outside(label, "os", ("environ",), where) if value is os.environ else ()
    if origin is Origin.PENSTOCK and inner:
        return _each(walk, label, inner, key, where)
    if origin is Origin.PENSTOCK:
        return (Link(label, Value(value, key, where)),)
    if origin is Origin.USER:
        return (Link(label, Value(value, key, where)), *_each(walk, label, inner, key, where))
    if inner:
        return (*_of_type(walk, label, kind, where), *_each(walk, label, inner, key, where))
    if isinstance(getattr(value, "__qualname__", None), str):
        return _of_builtin(walk, label, value, key, where)
    return (Link(label, Value(value, key, where)),)


def _is_of_process(value: Any, kind: type[Any]) -> bool:
    """Whether something is about where the code runs: a logger, or the environment variables."""
    return value is os.environ or is_logger(kind)


def _constant(walk: Walk, value: Any, key: str, where: str) -> Constant | Value:
    try:
        # in code, other than in data, the order of a dict is the author's, and can be made use of
        own, orders = walk.content(value), orders_of(value)
        return Constant(digest("ordered", own, digest_of(orders)) if orders else own, key, value)
    except Exception:
        # it will be one of the limits
        return Value(value, key, where)


def _inner(value: Any, kind: type[Any]) -> dict[str, Any]:
    """The code that a wrapper wraps: methods, partials, tasks, and whatever keeps to functools.wraps."""
    if issubclass(kind, type | ModuleType):
        return {}
    for wrapper, attributes in _WRAPPERS.items():
        if issubclass(kind, wrapper):
            found = {f".{name}": getattr(value, name) for name in attributes}
            return {name: item for name, item in found.items() if item is not None}
    if kind.__module__.partition(".")[0] == "penstock" and hasattr(value, "function"):
        return {".function": value.function}
    held: Any = getattr(value, "__dict__", {})
    registry = held.get("registry")
    found = {".__wrapped__": held["__wrapped__"]} if "__wrapped__" in held else {}
    # the implementations of functools.singledispatch
    return {**found, ".registry": registry} if type(registry) is MappingProxyType else found


def _each(walk: Walk, label: str, items: Mapping[str, Any], key: str, where: str) -> Iterable[Link]:
    return [link for name, item in items.items() for link in links(walk, label + name, item, key + name, where)]


def _of_function(
    walk: Walk, label: str, function: FunctionType, key: str, where: str, inner: dict[str, Any]
) -> Iterable[Link]:
    if _origin_of_function(walk, function) is Origin.USER:
        return (Link(label, Function(function)),)
    module = str(function.__globals__.get("__name__", ""))
    found = [*walk.outside(label, module, tuple(function.__qualname__.split(".")), where)]
    # somebody else's wrapper of the user's function, with or without functools.wraps
    cells = _cells(function).items()
    held = inner or {f"<{name}>": value for name, cell in cells if _is_own(walk, value := _content(cell))}
    return [*found, *_each(walk, label, held, key, where)]


def _of_class(walk: Walk, label: str, kind: type, where: str) -> Iterable[Link]:
    if _origin_of_class(walk, kind) is Origin.USER:
        return (Link(label, Class(kind)),)
    return _of_type(walk, label, kind, where)


def _of_type(walk: Walk, label: str, kind: type, where: str) -> Iterable[Link]:
    return walk.outside(label, kind.__module__, tuple(kind.__qualname__.split(".")), where)


def _of_module(walk: Walk, label: str, module: ModuleType, where: str) -> Iterable[Link]:
    if walk.modules.origin(module.__name__) is Origin.USER:
        return whole(walk, label, module.__name__, where)
    return walk.outside(label, module.__name__, (), where)


def _of_type_form(walk: Walk, label: str, value: Any, key: str, where: str) -> Iterable[Link]:
    """`list[Row]`, `Row | None`, a type variable: what it is made of."""
    name = next((n for n in (getattr(value, a, None) for a in ("__name__", "_name")) if isinstance(n, str)), "")
    parts = [
        getattr(value, a, None) for a in ("__origin__", "__supertype__", "__bound__", "__forward_arg__", "__value__")
    ]
    parts.extend(
        part for a in ("__args__", "__constraints__", "__metadata__") for part in getattr(value, a, None) or ()
    )
    held = {f"<{number}>": part for number, part in enumerate(parts) if part is not None and part is not value}
    return [Link(label, PYTHON, f"{type(value).__name__}:{name}"), *_each(walk, label, held, key, where)]


def _of_builtin(walk: Walk, label: str, value: Any, key: str, where: str) -> Iterable[Link]:
    """A function or method of compiled code."""
    of: Any = getattr(value, "__self__", None)
    bound = of is not None and not isinstance(of, ModuleType | type)
    kind = of if isinstance(of, type) else type(of) if bound else getattr(value, "__objclass__", None)
    module = kind.__module__ if kind is not None else getattr(value, "__module__", None) or type(value).__module__
    if walk.modules.origin(module) is Origin.USER:
        return whole(walk, label, module, where)
    found = walk.outside(label, module, tuple(value.__qualname__.split(".")), where)
    return [*found, *links(walk, f"{label}.__self__", of, f"{key}.__self__", where)] if bound else found


def _cells(function: FunctionType) -> dict[str, CellType]:
    return dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))


def _origin_of_function(walk: Walk, function: FunctionType) -> Origin:
    file = function.__code__.co_filename
    if file.startswith("<"):
        return walk.modules.origin(str(function.__globals__.get("__name__", "")))
    return of_file(file)


def _origin_of_class(walk: Walk, kind: type) -> Origin:
    # Only modules that are loaded are asked: of a class that is there, the module is too, or its name is made up.
    if kind.__module__ == "types" and vars(types).get(kind.__qualname__) is not kind:
        # what `types.new_class` and `dataclasses.make_dataclass` make says that it is from there
        return Origin.USER
    top = kind.__module__.partition(".")[0]
    name = next((name for name in (kind.__module__, top) if name in sys.modules), None)
    return Origin.USER if name is None else walk.modules.origin(name)


def _is_own(walk: Walk, code: Any) -> bool:
    """Whether something is a function or a class of the user's own."""
    if isinstance(code, FunctionType):
        return _origin_of_function(walk, code) is Origin.USER
    return isinstance(code, type) and _origin_of_class(walk, code) is Origin.USER


def _is_of_user(walk: Walk, value: Any) -> bool:
    """Whether something is plain, or of a kind of the user's own."""
    return is_plain(value) or _is_own(walk, value) or _origin_of_class(walk, class_of(value)) is Origin.USER


def _short(key: str) -> str:
    return key.rpartition(":")[2]
