"""Plain data as bytes and back, and digests of it in which every element is framed with its type and length.

Plain data is what is built of the exact types None, bool, int, float, str, bytes, list, tuple, dict, set, frozenset,
date, datetime, time, timedelta, Decimal, UUID, complex, bytearray, range, OrderedDict, deque, paths, enums and secrets,
which are known by their references.
Subclasses are not plain, because they would not come back as themselves.

MessagePack is typed and self-delimiting, so its bytes are a framing already; what it does not know is framed as an
extension. There are two forms: the wire form keeps the order of dictionaries and whatever is needed to read a value
back; the canonical form is the same for equal values, and only ever hashed.
"""

from __future__ import annotations

import copy
import datetime
import functools
import importlib
import sys
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any, cast
from uuid import UUID

from blake3 import blake3
from msgspec.msgpack import Decoder, Encoder, Ext

from penstock.errors import NotFoundError
from penstock.fingerprint.named import find
from penstock.secrets import Secret
from penstock.secrets.signing import NO_KEYS, Trust

#: types that MessagePack itself tells apart
ATOMS: frozenset[type] = frozenset({type(None), bool, int, float, str, bytes})

_CAREFUL = ATOMS - {int, str}
_STRINGS = frozenset({str})
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1

#: the lowest extension code that is free for packers that extend this one
FIRST_FREE_CODE = 64

(
    _TUPLE, _DICT, _SET, _FROZENSET, _INT, _STR, _DATE, _DATETIME, _TIME, _TIMEDELTA,
    _DECIMAL, _UUID, _COMPLEX, _BYTEARRAY, _RANGE, _ORDERED, _DEQUE, _PATH, _ENUM, _SECRET,
) = range(1, 21)  # fmt: skip


class NotPlain(TypeError):
    """A value is not plain data; `value` is the part of it that is not."""

    def __init__(self, value: Any) -> None:
        super().__init__(f"{type(value).__qualname__} is not plain data")
        self.value = value


class Packer:
    """Turns plain data into bytes, of the wire form or the canonical one.

    Subclasses extend it to further types by overriding `other`.
    """

    def __init__(self, *, canonical: bool = False, trust: Trust = NO_KEYS) -> None:
        self.canonical = canonical
        self._trust = trust
        self.encode: Callable[[Any], bytes] = Encoder(order="deterministic" if canonical else None).encode
        #: exact types that are taken as they are
        self.atoms = ATOMS

    def pack(self, value: Any) -> bytes:
        """The bytes of a value. Raises NotPlain."""
        try:
            return self.encode(self.tree(value))
        except (OverflowError, UnicodeEncodeError):
            return self._pack_carefully(value)
        except RecursionError as error:
            raise NotPlain(value) from error

    def tree(self, value: Any) -> Any:
        """The value with everything that MessagePack does not know replaced by extensions. Raises NotPlain."""
        kind = cast(Any, type(value))
        if kind in self.atoms:
            return value
        replace = _REPLACERS.get(kind)
        return self.other(value) if replace is None else replace(self, value)

    def other(self, value: Any) -> Any:
        """What stands for a value of a type that is not in the table."""
        if isinstance(value, Enum):
            return _enum(self, value)
        raise NotPlain(value)

    def pickled_class(self, kind: Any) -> bytes | None:
        """The class by cloudpickle, signed, when it cannot be imported by its name, else None."""
        pickled = pickled_class(kind)
        return None if pickled is None else self._trust.seal(pickled)

    def note(self, kind: type[Any]) -> None:
        """Called with every class that is only named in what is packed. Nothing is made of it here."""

    def _pack_carefully(self, value: Any) -> bytes:
        # Integers beyond 64 bits and lone surrogates are rare: only when one turns up is every element looked at.
        careful = copy.copy(self)
        careful.atoms = _CAREFUL
        return careful.encode(careful.tree(value))


def _list(packer: Packer, value: Any) -> Any:
    if packer.atoms.issuperset(map(type, value)):
        return value
    tree = packer.tree
    return [tree(element) for element in value]


def _tuple(packer: Packer, value: Any) -> Ext:
    return Ext(_TUPLE, packer.encode(_list(packer, value)))


def _dict(packer: Packer, value: dict[Any, Any]) -> Any:
    if not _STRINGS.issuperset(map(type, value)) or (packer.atoms is _CAREFUL and not _encodable(value)):
        return Ext(_DICT, _pairs(packer, value))
    if packer.atoms.issuperset(map(type, value.values())):
        return value
    tree = packer.tree
    return {key: tree(element) for key, element in value.items()}


def _pairs(packer: Packer, value: dict[Any, Any]) -> bytes:
    pairs = [(packer.tree(key), packer.tree(element)) for key, element in value.items()]
    if packer.canonical:
        pairs.sort(key=lambda pair: packer.encode(pair[0]))
    return packer.encode([part for pair in pairs for part in pair])


def _elements(packer: Packer, value: Any) -> bytes:
    return packer.encode(sorted(map(packer.tree, value), key=packer.encode))


def _set(packer: Packer, value: Any) -> Ext:
    return Ext(_SET, _elements(packer, value))


def _frozenset(packer: Packer, value: Any) -> Ext:
    return Ext(_FROZENSET, _elements(packer, value))


def _int(packer: Packer, value: int) -> Any:
    if _SMALLEST <= value <= _LARGEST:
        return value
    return Ext(_INT, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _str(packer: Packer, value: str) -> Any:
    return value if _encodable((value,)) else Ext(_STR, value.encode("utf-8", "surrogatepass"))


def _date(packer: Packer, value: datetime.date) -> Ext:
    return Ext(_DATE, value.isoformat().encode())


def _datetime(packer: Packer, value: datetime.datetime) -> Ext:
    text = value.replace(tzinfo=None).isoformat()
    return Ext(_DATETIME, packer.encode([text, value.fold, _zone(value)]))


def _time(packer: Packer, value: datetime.time) -> Ext:
    text = value.replace(tzinfo=None).isoformat()
    return Ext(_TIME, packer.encode([text, value.fold, _zone(value)]))


def _timedelta(packer: Packer, value: datetime.timedelta) -> Ext:
    return Ext(_TIMEDELTA, packer.encode([value.days, value.seconds, value.microseconds]))


def _decimal(packer: Packer, value: Decimal) -> Ext:
    return Ext(_DECIMAL, str(value).encode())


def _uuid(packer: Packer, value: UUID) -> Ext:
    return Ext(_UUID, value.bytes)


def _complex(packer: Packer, value: complex) -> Ext:
    return Ext(_COMPLEX, packer.encode([value.real, value.imag]))


def _bytearray(packer: Packer, value: bytearray) -> Ext:
    return Ext(_BYTEARRAY, bytes(value))


def _range(packer: Packer, value: range) -> Ext:
    return Ext(_RANGE, packer.encode([_int(packer, value.start), _int(packer, value.stop), _int(packer, value.step)]))


def _ordered(packer: Packer, value: OrderedDict[Any, Any]) -> Ext:
    if vars(value):
        return packer.other(value)
    return Ext(_ORDERED, packer.encode([packer.tree(part) for pair in value.items() for part in pair]))


def _deque(packer: Packer, value: deque[Any]) -> Ext:
    return Ext(_DEQUE, packer.encode([value.maxlen, *map(packer.tree, value)]))


def _path(packer: Packer, value: PurePath) -> Ext:
    return Ext(_PATH, packer.encode([_PATH_NAMES[type(value)], str(value)]))


def _secret(packer: Packer, value: Secret) -> Ext:
    return Ext(_SECRET, value.reference.encode("utf-8", "surrogatepass"))


def _enum(packer: Packer, value: Enum) -> Ext:
    kind = type(value)
    packer.note(kind)
    try:
        content = packer.tree(value.value)
    except NotPlain:
        content = None
    parts = [reference(kind), value.name, content]
    return Ext(_ENUM, packer.encode(parts if packer.canonical else [*parts, packer.pickled_class(kind)]))


_REPLACERS: dict[type, Callable[[Any, Any], Any]] = {
    list: _list,
    tuple: _tuple,
    dict: _dict,
    set: _set,
    frozenset: _frozenset,
    int: _int,
    str: _str,
    datetime.date: _date,
    datetime.datetime: _datetime,
    datetime.time: _time,
    datetime.timedelta: _timedelta,
    Decimal: _decimal,
    UUID: _uuid,
    complex: _complex,
    bytearray: _bytearray,
    range: _range,
    OrderedDict: _ordered,
    deque: _deque,
    type(Path()): _path,
    PurePosixPath: _path,
    PureWindowsPath: _path,
    Secret: _secret,
}


class Unpacker:
    """Turns bytes of the wire form back into the value. Subclasses extend it by overriding `other`."""

    def __init__(self, trust: Trust = NO_KEYS) -> None:
        self.unpack: Callable[[Any], Any] = Decoder(ext_hook=self._restore).decode
        self._trust = trust

    def locate(self, name: str, pickled: bytes | None) -> type:
        """The class called `module:qualname`, or the pickled one where there is none. Raises NotFoundError, and
        UntrustedError for a pickle that must not be loaded."""
        return locate(name, pickled, self._trust)

    def other(self, code: int, data: memoryview) -> Any:
        """The value of an extension that is not in the table."""
        raise ValueError(f"extension {code} is not known")

    def _restore(self, code: int, data: memoryview) -> Any:
        if code in _FROM_BYTES:
            return _FROM_BYTES[code](bytes(data))
        if code == _ENUM:
            return self._enum(self.unpack(data))
        if code in _FROM_PARTS:
            return _FROM_PARTS[code](self.unpack(data))
        return self.other(code, data)

    def _enum(self, parts: list[Any]) -> Enum:
        name, member, value, pickled = parts
        kind = cast("type[Enum]", self.locate(name, pickled))
        # A combination of flags has a name that is no member's.
        return kind[member] if member in kind.__members__ else kind(value)


def pack(value: Any) -> bytes:
    """The wire form of plain data. Raises NotPlain."""
    return Packer().pack(value)


def frame(value: Any) -> bytes:
    """The canonical form of plain data: the same for equal values, different for any two that differ in a type,
    a length or an element. Raises NotPlain.
    """
    return Packer(canonical=True).pack(value)


unpack: Callable[[Any], Any] = Unpacker().unpack
_encode = Encoder().encode


def digest(tag: str, *parts: bytes) -> bytes:
    """The 32 bytes that stand for some digests, or other bytes, taken together under a tag that says what they are."""
    return blake3(_encode((tag, parts))).digest()


def seal(canonical: bytes) -> bytes:
    """The digest, 32 bytes, of plain data given in its canonical form."""
    return blake3(b"\xa4data" + canonical).digest()


def digest_of(value: Any) -> bytes:
    """The digest, 32 bytes, of plain data. Raises NotPlain."""
    return seal(frame(value))


def reference(kind: Any) -> str:
    """How a class is named wherever it is stored: `module:qualname`."""
    return f"{kind.__module__}:{kind.__qualname__}"


def importable(kind: Any) -> bool:
    """Whether another process finds the class under its name. Those of a script's main module are not found."""
    return kind.__module__ != "__main__" and find(kind.__module__, kind.__qualname__) is kind


_pickled_classes: weakref.WeakKeyDictionary[type, bytes] = weakref.WeakKeyDictionary()


def pickled_class(kind: Any) -> bytes | None:
    """The class by cloudpickle when it cannot be imported by its name, else None."""
    if importable(kind):
        return None
    if kind not in _pickled_classes:
        import cloudpickle

        _pickled_classes[kind] = cast(Any, cloudpickle).dumps(kind)
    return _pickled_classes[kind]


def locate(name: str, pickled: bytes | None = None, trust: Trust = NO_KEYS) -> type:
    """The class called `module:qualname`, or the pickled one where there is none. Raises NotFoundError, and UntrustedError
    for a pickle that must not be loaded."""
    module, _, qualname = name.partition(":")
    if module not in sys.modules:
        _import(module)
    found = find(module, qualname)
    if isinstance(found, type):
        return found
    if pickled is None:
        raise NotFoundError(
            f"the class {name} of a stored value cannot be found",
            remedy="It was renamed, moved or is not installed here: bring it back under that name, or run again.",
        )
    return _unpickled_class(trust.open(pickled))


def _import(module: str) -> None:
    try:
        importlib.import_module(module)
    except ImportError:
        return


@functools.lru_cache(maxsize=256)
def _unpickled_class(pickled: bytes) -> type:
    import cloudpickle

    return cast(Any, cloudpickle).loads(pickled)


def _encodable(texts: Any) -> bool:
    try:
        for text in texts:
            text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _zone(value: datetime.datetime | datetime.time) -> Any:
    zone: Any = value.tzinfo
    if zone is None:
        return None
    if type(zone) is datetime.timezone:
        offset, *name = cast(Any, zone).__getinitargs__()
        return [offset.total_seconds(), *name]
    zoneinfo = sys.modules.get("zoneinfo")
    if zoneinfo is None or type(zone) is not zoneinfo.ZoneInfo or zone.key is None:
        raise NotPlain(zone)
    return zone.key


def _zone_from(spec: Any) -> datetime.tzinfo | None:
    if spec is None:
        return None
    if isinstance(spec, str):
        from zoneinfo import ZoneInfo

        return ZoneInfo(spec)
    offset, *name = spec
    return datetime.timezone(datetime.timedelta(seconds=offset), *name)


def _datetime_from(parts: Any) -> datetime.datetime:
    text, fold, zone = parts
    return datetime.datetime.fromisoformat(text).replace(fold=fold, tzinfo=_zone_from(zone))


def _time_from(parts: Any) -> datetime.time:
    text, fold, zone = parts
    return datetime.time.fromisoformat(text).replace(fold=fold, tzinfo=_zone_from(zone))


def _dict_from(parts: list[Any]) -> dict[Any, Any]:
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _ordered_from(parts: list[Any]) -> OrderedDict[Any, Any]:
    return OrderedDict(zip(parts[::2], parts[1::2], strict=True))


def _deque_from(parts: list[Any]) -> deque[Any]:
    return deque(parts[1:], maxlen=parts[0])


_PATH_NAMES: dict[type, str] = {type(Path()): "path", PurePosixPath: "posix", PureWindowsPath: "windows"}
_PATH_KINDS: dict[str, type[PurePath]] = {"path": Path, "posix": PurePosixPath, "windows": PureWindowsPath}

_FROM_BYTES: dict[int, Callable[[bytes], Any]] = {
    _INT: lambda data: int.from_bytes(data, "big", signed=True),
    _STR: lambda data: data.decode("utf-8", "surrogatepass"),
    _DATE: lambda data: datetime.date.fromisoformat(data.decode()),
    _DECIMAL: lambda data: Decimal(data.decode()),
    _UUID: lambda data: UUID(bytes=data),
    _BYTEARRAY: bytearray,
    _SECRET: lambda data: Secret(data.decode("utf-8", "surrogatepass")),
}

_FROM_PARTS: dict[int, Callable[[Any], Any]] = {
    _TUPLE: tuple,
    _DICT: _dict_from,
    _SET: set,
    _FROZENSET: frozenset,
    _DATETIME: _datetime_from,
    _TIME: _time_from,
    _TIMEDELTA: lambda parts: datetime.timedelta(*parts),
    _COMPLEX: lambda parts: complex(*parts),
    _RANGE: lambda parts: range(*parts),
    _ORDERED: _ordered_from,
    _DEQUE: _deque_from,
    _PATH: lambda parts: _PATH_KINDS[parts[0]](parts[1]),
}

#: extensions whose data are packed values
NESTED = frozenset({*_FROM_PARTS, _ENUM})
