"""NumPy arrays and scalars, in NumPy's own file format."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blake3 import blake3

from penstock.fingerprint.framing import digest, frame
from penstock.model import hashing
from penstock.values.codec import Encoded, loaded, module, with_suffix
from penstock.values.jsonable import shown

#: the kinds of dtype whose bytes are the value
_RAW_KINDS = frozenset("biufcmMSUV")
#: enough for the header of any array
_HEADER = 1 << 16


class Arrays:
    """The family of arrays. They come back writable, on top of the stored bytes, without a copy."""

    name = "array"

    def accepts(self, value: Any) -> bool:
        np = loaded("numpy")
        return np is not None and type(value) in (np.ndarray, np.memmap) and _is_raw(value.dtype)

    def encode(self, value: Any) -> Encoded:
        return Encoded(_npy(value), digest=_digest_array(value))

    def decode(self, data: memoryview) -> Any:
        return from_npy(data)

    def preview(self, value: Any) -> dict[str, Any]:
        head: Any = shown(value.reshape(-1)[:10].tolist())
        return {"kind": "array", "shape": list(value.shape), "dtype": str(value.dtype), "head": head, **_span(value)}

    def export(self, value: Any, path: Path) -> Path:
        np = module("numpy")

        path = with_suffix(path, ".npy", ".csv")
        if path.suffix.lower() == ".csv":
            np.savetxt(path, value, delimiter=",", fmt="%s")
        else:
            np.save(path, value, allow_pickle=False)
        return path


class Scalars:
    """The family of NumPy's scalars, which keep their width: a `float32` stays one."""

    name = "scalar"

    def accepts(self, value: Any) -> bool:
        np = loaded("numpy")
        return np is not None and isinstance(value, np.generic) and _is_raw(value.dtype)

    def encode(self, value: Any) -> Encoded:
        np = module("numpy")

        array = np.asarray(value)
        return Encoded(_npy(array), digest=digest("scalar", _digest_array(array)))

    def decode(self, data: memoryview) -> Any:
        return from_npy(data)[()]

    def preview(self, value: Any) -> dict[str, Any]:
        return {"kind": "scalar", "dtype": str(value.dtype), "value": shown(value.item())}

    def export(self, value: Any, path: Path) -> Path:
        from penstock.values.data import export_data

        return export_data(value.item(), path)


def identify(value: Any, of: Callable[[Any], bytes]) -> bytes | None:
    """The digest of an array or a scalar by its content, None for anything else. `of` digests single elements."""
    np = loaded("numpy")
    if np is None:
        return None
    if isinstance(value, np.generic) and _is_raw(value.dtype):
        return digest("scalar", _digest_array(np.asarray(value)))
    masked = loaded("numpy.ma")
    if masked is not None and type(value) is masked.MaskedArray:
        # Its own state changes when it is looked at: the fill value is only made then.
        return digest("masked", *map(of, (value.data, masked.getmaskarray(value), value.fill_value)))
    if type(value) not in (np.ndarray, np.memmap):
        return None
    if _is_raw(value.dtype):
        return _digest_array(value)
    return digest("objects", frame([str(value.dtype), list(value.shape)]), of(value.reshape(-1).tolist()))


def raw(array: Any) -> memoryview:
    """The bytes of an array in C order, without a copy if they are in that order."""
    np = module("numpy")

    if array.nbytes == 0:
        return memoryview(b"")
    return memoryview(np.ascontiguousarray(array).reshape(-1).view(np.uint8))


def hashed(buffer: memoryview) -> bytes:
    """The BLAKE3 digest of a buffer, by all processors if it is large."""
    return blake3(buffer, max_threads=hashing.threads() if len(buffer) >= 1 << 20 else 1).digest()


def from_npy(data: memoryview) -> Any:
    """The array whose `.npy` bytes are given, on top of them."""
    np = module("numpy")

    header = io.BytesIO(data[:_HEADER])
    version = np.lib.format.read_magic(header)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(header, max_header_size=_HEADER)
    if 0 in shape or dtype.itemsize == 0:
        return np.empty(shape, dtype)
    flat = np.frombuffer(data, dtype, offset=header.tell())
    return flat.reshape(shape, order="F" if fortran else "C")


def _npy(array: Any) -> list[Any]:
    np = module("numpy")

    header = io.BytesIO()
    described = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_2_0(header, described)
    return [header.getvalue(), raw(array.T if described["fortran_order"] else array)]


def _is_raw(dtype: Any) -> bool:
    return dtype.kind in _RAW_KINDS and not dtype.hasobject


def _digest_array(array: Any) -> bytes:
    shape = frame(list(array.shape))
    if array.dtype.names is None:
        return digest("array", shape, array.dtype.str.encode(), hashed(raw(array)))
    # Field by field: the bytes between the fields of a structure are whatever was there before.
    fields = [part for name in array.dtype.names for part in (name.encode(), _digest_array(array[name]))]
    return digest("structured", shape, *fields)


def _span(array: Any) -> dict[str, Any]:
    if array.dtype.kind not in "iuf" or not array.size:
        return {}
    return {"min": shown(array.min().item()), "max": shown(array.max().item())}
