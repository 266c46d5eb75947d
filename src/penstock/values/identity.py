"""Digests of any objects by their structure: equal ones have equal digests in every process.

The bytes of a pickle are no identity: they depend on which parts happen to be the same object. Here an object is its
class, what it would be rebuilt from (`__reduce_ex__`), and so on downwards; arrays, frames and tensors are their
content. An object that contains itself is framed by how far up it is met again.

Classes, and functions that can be imported, count by their names alone; those of the user's own are noted.
"""

from __future__ import annotations

import copyreg
import functools
import types
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from msgspec.msgpack import Ext

from penstock.fingerprint.framing import FIRST_FREE_CODE, NotPlain, Packer, digest, importable, reference, seal
from penstock.fingerprint.named import name_of
from penstock.values import arrays, frames, torch

_CLASS, _GLOBAL, _OBJECT, _LEAF, _AGAIN = range(FIRST_FREE_CODE, FIRST_FREE_CODE + 5)
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType)


class Unidentifiable(TypeError):
    """An object, or a part of one, cannot be digested by its structure."""


class Structure(NamedTuple):
    """What an object is by its structure."""

    #: None where there is none, and the bytes of the pickle have to do
    digest: bytes | None
    #: the user's own classes and functions in it, sorted
    classes: tuple[str, ...]


def structure_of(value: Any) -> Structure:
    """What an object is by its structure."""
    classes: set[str] = set()
    try:
        found = identify(value, classes)
    except Unidentifiable:
        found = None
    return Structure(found, tuple(sorted(classes)))


def identify(value: Any, classes: set[str] | None = None) -> bytes:
    """The digest, 32 bytes, of any object. Raises Unidentifiable. The user's own classes and functions in it are added
    to `classes`."""
    try:
        return seal(_Walk(set() if classes is None else classes).pack(value))
    except Exception as error:
        # The object's own code runs here (`__reduce_ex__`, `__getstate__`) and may raise anything.
        raise Unidentifiable(str(error)) from error


class _Walk(Packer):
    """The canonical form of objects that are not plain."""

    def __init__(self, classes: set[str]) -> None:
        super().__init__(canonical=True)
        self._classes = classes
        self._identify = functools.partial(identify, classes=classes)
        self._above: dict[int, int] = {}
        self._known: dict[int, tuple[Any, Ext]] = {}
        self._loops = 0

    def other(self, value: Any) -> Any:
        if isinstance(value, type):
            self.note(cast("type[Any]", value))
            return Ext(_CLASS, reference(cast("type[Any]", value)).encode())
        if isinstance(value, _FUNCTIONS):
            return self._function(value)
        if isinstance(value, types.ModuleType):
            self.note(value)
            return Ext(_GLOBAL, value.__name__.encode())
        if id(value) in self._above:
            self._loops += 1
            return Ext(_AGAIN, self.encode(len(self._above) - self._above[id(value)]))
        if id(value) not in self._known:
            self._visit(value)
        return self._known[id(value)][1] if id(value) in self._known else self._object(value)

    def note(self, kind: Any) -> None:
        if name := name_of(kind):
            self._classes.add(name)

    def _visit(self, value: Any) -> None:
        # An object with a loop through what is above it looks different from elsewhere, so it is not remembered.
        loops = self._loops
        framed = self._object(value)
        if loops == self._loops:
            self._known[id(value)] = (value, framed)

    def _object(self, value: Any) -> Ext:
        for leaf in (arrays.identify, frames.identify, torch.identify):
            content = leaf(value, self._identify)
            if content is not None:
                return Ext(_LEAF, content)
        self._above[id(value)] = len(self._above)
        try:
            return self._reduced(value)
        finally:
            del self._above[id(value)]

    def _reduced(self, value: Any) -> Ext:
        kind = cast(Any, type(value))
        reduce = copyreg.dispatch_table.get(kind)
        reduced: Any = reduce(value) if reduce else value.__reduce_ex__(4)
        if isinstance(reduced, str):
            module = getattr(value, "__module__", None) or kind.__module__
            return Ext(_GLOBAL, f"{module}:{reduced}".encode())
        make, arguments, state, elements, entries, *_ = cast("list[Any]", [*reduced, None, None, None, None])
        pairs: Any = None if entries is None else list(entries)
        if pairs is not None and not issubclass(kind, OrderedDict):
            pairs = dict(pairs)
        parts: list[Any] = [kind, make, arguments, state, None if elements is None else list(elements), pairs]
        # Hashed here, so that deep objects are not copied again at every level.
        return Ext(_OBJECT, digest("object", self.encode([self.tree(part) for part in parts])))

    def _function(self, value: Any) -> Ext:
        owner = getattr(value, "__self__", None)
        if owner is not None and not isinstance(owner, types.ModuleType):
            return Ext(_OBJECT, self.encode([self.tree(owner), value.__name__]))
        if importable(value):
            if isinstance(value, types.FunctionType):
                self.note(value)
            return Ext(_GLOBAL, reference(value).encode())
        if not isinstance(value, types.FunctionType) or id(value) in self._above:
            raise NotPlain(value)
        self._above[id(value)] = len(self._above)
        try:
            return Ext(_OBJECT, digest("function", self.encode(self.tree(_inside(value)))))
        finally:
            del self._above[id(value)]


def _inside(function: types.FunctionType) -> list[Any]:
    """What a function that cannot be imported does: its code, and the values that the code can see."""
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    seen = {name: function.__globals__.get(name) for name in sorted(set(_names(function.__code__)))}
    return [_code(function.__code__), function.__defaults__, function.__kwdefaults__, cells, seen]


def _names(code: types.CodeType) -> Iterator[str]:
    """The names that code reads, that of comprehensions and of functions inside of it included."""
    yield from code.co_names
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            yield from _names(part)


def _code(code: types.CodeType) -> list[Any]:
    constants = [_code(part) if isinstance(part, types.CodeType) else part for part in code.co_consts]
    return [code.co_code, constants, code.co_names, code.co_varnames, code.co_argcount, code.co_kwonlyargcount]
