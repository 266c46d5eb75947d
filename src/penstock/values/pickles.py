"""Values by cloudpickle, with large buffers beside the pickle, aligned, so that they are not copied on the way back.

The layout: 8 bytes with the length of the header; the header (MessagePack: where the pickle and the buffers are, from
the start of what follows, and their lengths); then the pickle and the buffers, each at a multiple of 64 bytes.
"""

from __future__ import annotations

import pickle
from typing import Any, cast

import msgspec

from penstock.errors import OutputError, StoreError
from penstock.secrets.signing import NO_KEYS, Trust
from penstock.values.codec import module, type_name

_ALIGNMENT = 64
#: the least bytes for which a place of their own is worth it
_APART = 1024


def dump(value: Any, trust: Trust = NO_KEYS) -> list[Any]:
    """The buffers that make up the pickled value, signed. Raises OutputError if it cannot be pickled."""
    buffers: list[memoryview] = []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        try:
            raw = buffer.raw()
        except BufferError:
            return True
        if raw.nbytes < _APART:
            return True
        buffers.append(raw)
        return False

    return trust.sealed(_laid_out([_dumps(value, keep), *buffers]))


def load(data: memoryview, trust: Trust = NO_KEYS) -> Any:
    """The value again, its buffers on top of `data`. Raises StoreError if a class it needs is not there, UntrustedError if
    it must not be loaded."""
    data = trust.opened(data)
    header = 8 + int.from_bytes(data[:8], "little")
    places: list[tuple[int, int]] = msgspec.msgpack.decode(data[8:header])
    start = _aligned(header)
    first, *others = [data[start + offset : start + offset + length] for offset, length in places]
    try:
        return pickle.loads(first, buffers=others)
    except (ImportError, AttributeError) as error:
        raise StoreError(
            f"a stored value cannot be loaded: {error}",
            remedy="It needs code that was renamed, moved or is not installed here.",
        ) from error


def _dumps(value: Any, keep: Any = None) -> bytes:
    cloudpickle = module("cloudpickle")

    try:
        return cloudpickle.dumps(value, protocol=5, buffer_callback=keep)
    except Exception as error:
        place = _offender(value)
        part = f" (because of {place})" if place else ""
        raise OutputError(
            f"a value of type {type_name(type(value))} cannot be stored{part}: {error}",
            remedy="Return only what can be pickled: leave out locks, connections, open files, generators and the like.",
        ) from error


def _laid_out(pieces: list[Any]) -> list[Any]:
    places: list[tuple[int, int]] = []
    end = 0
    for piece in pieces:
        start = _aligned(end)
        places.append((start, len(piece)))
        end = start + len(piece)
    header = msgspec.msgpack.encode(places)
    end = 8 + len(header)
    laid: list[Any] = [len(header).to_bytes(8, "little"), header, bytes(_aligned(end) - end)]
    end = 0
    for (start, length), piece in zip(places, pieces, strict=True):
        laid += [bytes(start - end), piece]
        end = start + length
    return laid


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGNMENT) * _ALIGNMENT


def _offender(value: Any, depth: int = 3) -> str | None:
    """The attribute, element or entry that keeps a value from being pickled, as one would write it: `.model._lock`."""
    for name, part in _parts(value):
        if _pickles(part):
            continue
        inner = _offender(part, depth - 1) if depth else None
        return name + (inner if inner else f", of type {type_name(type(part))}")
    return None


def _parts(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(f"[{key!r}]", part) for key, part in cast("dict[Any, Any]", value).items()]
    if isinstance(value, (list, tuple)):
        return [(f"[{index}]", part) for index, part in enumerate(cast("list[Any]", value))]
    return [(f".{name}", part) for name, part in getattr(value, "__dict__", {}).items()]


def _pickles(value: Any) -> bool:
    cloudpickle = module("cloudpickle")

    try:
        cloudpickle.dumps(value, protocol=5)
    except Exception:
        return False
    return True
