"""Collections and records that contain more than plain data.

A tree is stored as one manifest: plain data, records taken apart, and in place of every frame, model or file a leaf,
the artifact under which that is stored. So a part of a tree can be had without loading the rest.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec.msgpack import Decoder, Ext

from penstock.fingerprint.framing import (
    FIRST_FREE_CODE,
    NESTED,
    NotPlain,
    Unpacker,
    reference,
    seal,
)
from penstock.model.value import Argument, Artifact
from penstock.secrets.signing import NO_KEYS, Trust
from penstock.values.codec import Encoded
from penstock.values.data import NamingPacker, export_data
from penstock.values.jsonable import NotJsonable, jsonable, shown
from penstock.values.records import Parts, put_together, take_apart

_LEAF, _RECORD = FIRST_FREE_CODE, FIRST_FREE_CODE + 1
_CONTAINERS: frozenset[type] = frozenset({list, tuple, dict, set, frozenset, deque, OrderedDict})


class Leaf:
    """Stands in a tree for a value that is stored apart."""

    __slots__ = ("argument",)

    def __init__(self, argument: Argument) -> None:
        self.argument = argument


class Tree:
    """The family of trees. `store` puts a leaf away, `load` brings it back."""

    name = "tree"

    def __init__(
        self, store: Callable[[Any, bool], Artifact], load: Callable[[Artifact], Any], trust: Trust = NO_KEYS
    ) -> None:
        self._store = store
        self._trust = trust
        self._whole = _TreeUnpacker(load, trust)
        self._lazy = _TreeUnpacker(Leaf, trust)

    def accepts(self, value: Any) -> bool:
        return type(value) in _CONTAINERS or take_apart(value) is not None

    def encode(self, value: Any, *, output: bool = False) -> Encoded:
        """Stores the leaves and gives the manifest. Raises NotPlain for a tree that contains itself."""
        leaves = _Leaves(lambda part: self._store(part, output))
        wire = (packer := _TreePacker(leaves, trust=self._trust)).pack(value)
        canonical = _TreePacker(leaves, canonical=True).pack(value)
        classes = tuple(sorted(packer.classes))
        preview = self.preview(value)
        return Encoded([wire], digest=seal(canonical), preview=preview, apart=leaves.size, classes=classes)

    def digest(self, value: Any) -> bytes:
        """The digest of a tree of which all leaves are stored already."""
        return seal(_TreePacker(_Leaves(None), canonical=True).pack(value))

    def classes(self, peeked: Any) -> set[str]:
        """The names of the user's own classes and functions in a peeked tree."""
        packer = _TreePacker(_Leaves(None), trust=self._trust)
        packer.pack(peeked)
        return packer.classes

    def decode(self, data: memoryview) -> Any:
        return self._whole.unpack(data)

    def peek(self, data: Any) -> Any:
        """The tree with its leaves left where they are."""
        return self._lazy.unpack(data)

    def complete(self, peeked: Any) -> Any:
        """A peeked tree, or a part of one, with its leaves loaded."""
        return self._whole.unpack(_TreePacker(_Leaves(None), trust=self._trust).pack(peeked))

    def leaves(self, data: Any) -> list[Artifact]:
        """The artifacts of all leaves, of records of classes that are gone as well."""
        return _leaves_in(data)

    def preview(self, value: Any) -> dict[str, Any]:
        entries = {name: _glance(part) for name, part in list(_entries(value))[:50]}
        return {"kind": "tree", "type": type(value).__name__, "parts": entries}

    def export(self, value: Any, path: Path) -> Path:
        """JSON where the tree has no leaves; else a folder with a file for each part, by `export_parts`."""
        return export_data(value, path)

    def export_parts(self, peeked: Any, path: Path, export: Callable[[Artifact, Path], Path]) -> Path:
        """Write a peeked tree: as JSON if it has no leaves, else each of its parts into the folder `path`."""
        try:
            jsonable(peeked)
        except NotJsonable:
            path.mkdir(parents=True, exist_ok=True)
            for name, part in _entries(peeked):
                self._export_part(part, path / _file_name(name), export)
            return path
        return export_data(peeked, path)

    def _export_part(self, part: Any, path: Path, export: Callable[[Artifact, Path], Path]) -> None:
        if type(part) is Leaf and isinstance(part.argument, Artifact):
            export(part.argument, path)
        elif type(part) is Leaf or next(_entries(part), None) is not None:
            self.export_parts(part, path, export)
        else:
            export_data(part, path)


class _Leaves:
    """Stores each leaf once, though it is met again: a tree is walked twice."""

    def __init__(self, store: Callable[[Any], Artifact] | None) -> None:
        self._store = store
        self._known: dict[int, tuple[Any, Artifact]] = {}

    def artifact(self, value: Any) -> Artifact:
        if type(value) is Leaf and isinstance(value.argument, Artifact):
            return value.argument
        if id(value) not in self._known:
            if self._store is None:
                raise NotPlain(value)
            self._known[id(value)] = (value, self._store(value))
        return self._known[id(value)][1]

    @property
    def size(self) -> int:
        return sum(artifact.size for _, artifact in self._known.values())


class _TreePacker(NamingPacker):
    def __init__(self, leaves: _Leaves, *, canonical: bool = False, trust: Trust = NO_KEYS) -> None:
        super().__init__(canonical=canonical, trust=trust)
        self._leaves = leaves

    def other(self, value: Any) -> Any:
        parts = take_apart(value)
        if parts is not None:
            return Ext(_RECORD, self._record(type(value), parts))
        try:
            return super().other(value)
        except NotPlain:
            artifact = self._leaves.artifact(value)
            self.classes.update(artifact.classes)
            return Ext(_LEAF, artifact.digest if self.canonical else msgspec.msgpack.encode(artifact))

    def _record(self, kind: Any, parts: Parts) -> bytes:
        self.note(kind)
        named = [reference(kind), parts.form, self.tree(parts.identity)]
        return self.encode(named if self.canonical else [*named, self.tree(parts.rest), self.pickled_class(kind)])


class _TreeUnpacker(Unpacker):
    def __init__(self, leaf: Callable[[Artifact], Any], trust: Trust) -> None:
        super().__init__(trust)
        self._leaf = leaf

    def other(self, code: int, data: memoryview) -> Any:
        if code == _LEAF:
            return self._leaf(msgspec.msgpack.decode(data, type=Artifact))
        if code != _RECORD:
            return super().other(code, data)
        name, form, identity, rest, pickled = self.unpack(data)
        return put_together(self.locate(name, pickled), form, identity, rest)


def _leaves_in(data: Any) -> list[Artifact]:
    found: list[Artifact] = []

    def look(code: int, data: memoryview) -> None:
        if code == _LEAF:
            found.append(msgspec.msgpack.decode(data, type=Artifact))
        elif code == _RECORD or code in NESTED:
            decode(data)

    decode = Decoder(ext_hook=look).decode
    decode(data)
    return found


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """The parts directly in a tree, with names for people; none of what is no collection or record."""
    if isinstance(value, dict):
        yield from ((str(key), part) for key, part in cast("dict[Any, Any]", value).items())
        return
    parts = take_apart(value)
    if parts is None and type(value) in _CONTAINERS:
        yield from ((str(number), part) for number, part in enumerate(value))
    elif parts is not None and parts.form == "tuple":
        yield from zip(value._fields, parts.identity, strict=True)
    elif parts is not None:
        yield from (parts.identity if parts.form == "fields" else parts.identity[0]).items()


def _file_name(name: str) -> str:
    """A name for a file: one that stays in its folder."""
    plain = re.sub(r"[^\w.-]+", "_", name)
    return plain if plain.strip(".") else plain.replace(".", "_") or "_"


def _glance(part: Any) -> Any:
    if type(part) is Leaf and isinstance(part.argument, Artifact):
        return {"type": part.argument.type, "size": part.argument.size}
    try:
        return shown(jsonable(part), most=5, depth=2)
    except NotJsonable:
        return {"type": type(part).__name__}


__all__ = ["Leaf", "Tree"]
