"""Any event, for property tests: made from the types of its fields, whatever they are."""

from __future__ import annotations

import types
import typing
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
from hypothesis import strategies as st

from penstock.model.event import AnyEvent

_texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=5)
_integers = st.integers(-(2**63), 2**63 - 1)
_reals = st.floats(allow_nan=False, allow_infinity=False)
_scalars = st.none() | st.booleans() | _integers | _reals | _texts
#: what JSON holds as it is
_values = st.recursive(_scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_texts, inner, max_size=2))

_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    Any: _values,
    str: _texts,
    int: _integers,
    float: _reals,
    bool: st.booleans(),
    bytes: st.binary(max_size=4),
    type(None): st.none(),
}


class Maker:
    """Strategies by type; of a type within itself there is less and less."""

    def __init__(self) -> None:
        self._made: dict[tuple[Any, int], st.SearchStrategy[Any]] = {}

    def of(self, kind: Any, depth: int = 2) -> st.SearchStrategy[Any]:
        """Values of a type. `depth` is how many more structs may be within one another."""
        if kind in _PLAIN:
            return _PLAIN[kind]
        if (kind, depth) not in self._made:
            self._made[kind, depth] = self._make(kind, depth)
        return self._made[kind, depth]

    def _make(self, kind: Any, depth: int) -> st.SearchStrategy[Any]:
        origin, inner = get_origin(kind), get_args(kind)
        if origin is Literal:
            return st.sampled_from(inner)
        if origin in (types.UnionType, Union):
            return st.one_of([self.of(option, depth) for option in self._shallow(inner, depth)])
        most = 2 if depth > 0 else 0
        if origin is tuple and inner[-1] is ...:
            return st.lists(self._later(inner[0], depth), max_size=most).map(tuple)
        if origin is tuple:
            return st.tuples(*(self.of(part, depth) for part in inner))
        if origin is dict:
            return st.dictionaries(self.of(inner[0], depth), self._later(inner[1], depth), max_size=most)
        fields = typing.get_type_hints(kind)
        return st.builds(kind, **{name: self._later(fields[name], depth - 1) for name in kind.__struct_fields__})

    def _later(self, kind: Any, depth: int) -> st.SearchStrategy[Any]:
        return st.deferred(lambda: self.of(kind, depth))

    def _shallow(self, options: tuple[Any, ...], depth: int) -> list[Any]:
        """Without depth, the options that hold no other structs, so that it comes to an end."""
        leaves = [option for option in options if not _nests(option)]
        return leaves if depth <= 0 and leaves else list(options)


def _nests(kind: Any) -> bool:
    if get_args(kind):
        return any(_nests(part) for part in get_args(kind))
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return False
    return any(_holds_struct(hint) for hint in typing.get_type_hints(kind).values())


def _holds_struct(kind: Any) -> bool:
    return any(map(_holds_struct, get_args(kind))) or (isinstance(kind, type) and issubclass(kind, msgspec.Struct))


_maker = Maker()
#: one strategy for each kind of event
ANY_EVENT = {kind: _maker.of(kind, 3) for kind in get_args(AnyEvent)}
