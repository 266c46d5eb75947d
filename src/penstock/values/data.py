"""Plain data: what JSON knows and what it forgets, with exact types. See `penstock.fingerprint.framing`."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from msgspec.msgpack import Encoder

from penstock.fingerprint.framing import ATOMS, NotPlain, Packer, Unpacker, seal, unpack
from penstock.fingerprint.named import name_of
from penstock.secrets.signing import NO_KEYS, Trust
from penstock.values.codec import Encoded, with_suffix
from penstock.values.jsonable import NotJsonable, jsonable, shown

_PATH = type(Path())


class DataPacker(Packer):
    """Packs plain data without paths, which have a family of their own: what they lead to counts."""

    def tree(self, value: Any) -> Any:
        return self.other(value) if type(value) is _PATH else super().tree(value)


class NamingPacker(DataPacker):
    """Notes the names of the user's own classes that are in what it packs."""

    def __init__(self, *, canonical: bool = False, trust: Trust = NO_KEYS) -> None:
        super().__init__(canonical=canonical, trust=trust)
        self.classes: set[str] = set()

    def note(self, kind: type[Any]) -> None:
        if name := name_of(kind):
            self.classes.add(name)


class _Named(Exception):
    """A class of the user's own is in what is packed."""


class _QuickPacker(DataPacker):
    """Packs what has no class of the user's own in it, as nearly everything has none. Raises _Named."""

    def note(self, kind: type[Any]) -> None:
        if name_of(kind):
            raise _Named


_quick = _QuickPacker()
_encode = Encoder().encode
_canonical = DataPacker(canonical=True)


def encode(value: Any, trust: Trust = NO_KEYS) -> tuple[bytes, bytes, tuple[str, ...]]:
    """The wire form of plain data, its digest, and the names of the user's own classes in it. Raises NotPlain."""
    kind = cast(Any, type(value))
    if kind in ATOMS:
        try:
            wire = _encode(value)
            return wire, seal(wire), ()
        except (OverflowError, UnicodeEncodeError):
            pass
    wire, classes = _packed(value, trust)
    flat = kind in ATOMS or (kind is list and ATOMS.issuperset(map(type, value)))
    return wire, seal(wire if flat else _canonical.pack(value)), classes


def _packed(value: Any, trust: Trust) -> tuple[bytes, tuple[str, ...]]:
    if not trust.checks:
        with suppress(_Named):
            return _quick.pack(value), ()
    packer = NamingPacker(trust=trust)
    return packer.pack(value), tuple(sorted(packer.classes))


class Data:
    """The family of plain data."""

    name = "data"

    def __init__(self, trust: Trust = NO_KEYS) -> None:
        self._trust = trust
        self._unpack = Unpacker(trust).unpack if trust.checks else unpack

    def accepts(self, value: Any) -> bool:
        try:
            _canonical.tree(value)
        except (NotPlain, RecursionError):
            return False
        return True

    def encode(self, value: Any) -> Encoded:
        """Raises NotPlain."""
        wire, digest, classes = encode(value, self._trust)
        return Encoded([wire], digest=digest, classes=classes)

    def decode(self, data: memoryview) -> Any:
        return self._unpack(data)

    def preview(self, value: Any) -> dict[str, Any]:
        length = {"length": len(value)} if isinstance(value, (str, bytes, list, tuple, dict, set, frozenset)) else {}  # pyright: ignore[reportUnknownArgumentType]
        return {"kind": "data", **length, "value": shown(value)}

    def export(self, value: Any, path: Path) -> Path:
        return export_data(value, path)


def export_data(value: Any, path: Path) -> Path:
    """Write JSON, or the bytes or the text themselves to a path whose suffix does not ask for JSON."""
    if isinstance(value, bytes):
        path = path if path.suffix else path.with_name(path.name + ".bin")
        path.write_bytes(value)
    elif isinstance(value, str) and path.suffix not in ("", ".json"):
        path.write_text(value, encoding="utf-8")
    else:
        path = with_suffix(path, ".json")
        path.write_text(json.dumps(_dumpable(value), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _dumpable(value: Any) -> Any:
    try:
        return jsonable(value)
    except NotJsonable:
        return shown(value, longest=10_000, most=10_000, depth=50)


__all__ = ["Data", "NamingPacker", "export_data"]
