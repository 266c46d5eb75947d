"""Frames, series and indexes of pandas, column by column.

What goes to storage is an Arrow table of the columns and the levels of the index, and an empty frame of the same kind
(the skeleton), which says all the rest: dtypes, names, whatever the index of the columns is, attributes. Numeric columns
are handed over, and come back, without a copy.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from penstock.fingerprint.framing import digest, frame, pack
from penstock.secrets.signing import NO_KEYS, Trust
from penstock.values import arrays, arrow
from penstock.values.codec import loaded, module

#: extension dtypes of pandas whose columns Arrow gives back as they were
_FAITHFUL = frozenset(
    {"StringDtype", "BooleanDtype", "ArrowDtype", "DatetimeTZDtype", "PeriodDtype", "IntervalDtype"}
    | {f"{sign}Int{bits}Dtype" for sign in ("", "U") for bits in (8, 16, 32, 64)}
    | {"Float32Dtype", "Float64Dtype"}
)
_TEXT = frozenset({str, type(None)})


class Inexpressible(TypeError):
    """Arrow has no form for something in a frame, or would not give it back as it was."""


def is_frame(value: Any) -> bool:
    """Whether the value is a frame, a series or an index of pandas itself, not of a library that extends it."""
    pd = loaded("pandas")
    if pd is None:
        return False
    return type(value) in (pd.DataFrame, pd.Series) or (isinstance(value, pd.Index) and _root(type(value)) == "pandas")


def table(value: Any, trust: Trust = NO_KEYS) -> tuple[Any, bytes]:
    """The Arrow table, and the header to be written with it. Raises Inexpressible if it would not come back."""
    pa = module("pyarrow")

    index = _index(value)
    columns = [] if value is index else [_arrow(array) for array in _arrays(value)]
    levels, span = _levels(index)
    names = [] if value is index else [f"{number}:{name}" for number, name in enumerate(_names(value))]
    names += [f"index:{number}" for number in range(len(levels))]
    header = pack({"kind": "pandas", "skeleton": trust.seal(_skeleton(value)), "span": span, "levels": len(levels)})
    return pa.Table.from_arrays([*columns, *levels], names=names), header


def read(table: Any, about: Any, data: memoryview, trust: Trust = NO_KEYS) -> Any:
    """The frame, series or index again, writable, its numeric columns on top of `data`."""
    pd = module("pandas")

    skeleton = pickle.loads(trust.open(about["skeleton"]))
    columns = [arrow.single(column) for column in table.columns]
    split = len(columns) - about["levels"]
    empty = _index(skeleton)
    index = _index_again(empty, columns[split:], about["span"], data)
    if skeleton is empty:
        return index
    arrays_again = [_pandas(*pair, data) for pair in zip(columns[:split], _dtypes(skeleton), strict=True)]
    if type(skeleton) is pd.Series:
        again: Any = pd.Series(arrays_again[0], index=index, dtype=skeleton.dtype, name=skeleton.name, copy=False)
    else:
        columns_again = {number: _kept(array, index) for number, array in enumerate(arrays_again)}
        again = pd.DataFrame(columns_again, index=index, copy=False)
        again.columns = skeleton.columns
    again.attrs = skeleton.attrs
    again.flags.allows_duplicate_labels = skeleton.flags.allows_duplicate_labels
    return again


def identify(value: Any, of: Callable[[Any], bytes]) -> bytes:
    """The digest of a frame, a series or an index by its values, dtypes, names and attributes."""
    index = _index(value)
    if value is index:
        return _identify_index(index, of)
    labels = _identify_index(value.columns, of) if value.ndim == 2 else of(value.name)
    columns = [_identify_array(array, of) for array in _arrays(value)]
    attributes = of(value.attrs) if value.attrs else b""
    return digest("pandas", frame([value.ndim, len(value)]), labels, _identify_index(index, of), attributes, *columns)


def _root(kind: Any) -> str:
    return kind.__module__.partition(".")[0]


def _index(value: Any) -> Any:
    return value.index if hasattr(value, "iloc") else value


def _names(value: Any) -> list[str]:
    return [str(name) for name in value.columns] if value.ndim == 2 else [str(value.name)]


def _arrays(value: Any) -> list[Any]:
    """The arrays of the columns: NumPy's where pandas only wraps one."""
    if value.ndim == 1:
        return [_plain_array(value)]
    return [_plain_array(value.iloc[:, number]) for number in range(value.shape[1])]


def _dtypes(value: Any) -> list[Any]:
    return list(value.dtypes) if value.ndim == 2 else [value.dtype]


def _plain_array(column: Any) -> Any:
    np = module("numpy")

    return column.to_numpy() if isinstance(column.dtype, np.dtype) else column.array


def _skeleton(value: Any) -> bytes:
    cloudpickle = module("cloudpickle")

    empty = value[:0] if value is _index(value) else value.iloc[:0]
    dumps: Any = cloudpickle.dumps  # pyright: ignore[reportUnknownMemberType]
    return dumps(empty, protocol=5)


def _levels(index: Any) -> tuple[list[Any], list[Any] | None]:
    """The columns that hold an index, and the bounds of one that is a range and needs none."""
    pd = module("pandas")

    if type(index) is pd.RangeIndex:
        return [], [index.start, index.stop, index.step]
    if isinstance(index, pd.MultiIndex):
        np = module("numpy")

        return [_arrow(np.asarray(codes)) for codes in index.codes], None
    return [_arrow(_plain_array(index))], None


def _index_again(empty: Any, columns: list[Any], span: list[int] | None, data: memoryview) -> Any:
    pd = module("pandas")

    if span is not None:
        return pd.RangeIndex(*span, name=empty.name)
    if isinstance(empty, pd.MultiIndex):
        codes = [column.to_numpy() for column in columns]
        return pd.MultiIndex(levels=empty.levels, codes=codes, names=empty.names, verify_integrity=False)
    index: Any = pd.Index(_pandas(columns[0], empty.dtype, data), dtype=empty.dtype, name=empty.name)
    if isinstance(empty, (pd.DatetimeIndex, pd.TimedeltaIndex)):
        index.freq = empty.freq
    return index


def _arrow(array: Any) -> Any:
    """A column for Arrow. Raises Inexpressible."""
    np = module("numpy")
    pd = module("pandas")
    pa = module("pyarrow")

    if isinstance(array, np.ndarray):
        return _arrow_from_numpy(array)
    if isinstance(array.dtype, pd.CategoricalDtype):
        return _arrow_from_numpy(array.codes)
    if type(array.dtype).__name__ not in _FAITHFUL or _root(type(array.dtype)) != "pandas":
        raise Inexpressible(f"a column of dtype {array.dtype}")
    return arrow.single(pa.array(array))


def _arrow_from_numpy(array: Any) -> Any:
    np = module("numpy")
    pa = module("pyarrow")

    if array.dtype.kind in "iuf" and array.dtype.isnative and array.dtype.itemsize <= 8:
        buffer = pa.py_buffer(np.ascontiguousarray(array))
        # Straight from the buffer: NaN stays NaN and does not become a missing value.
        return pa.Array.from_buffers(pa.from_numpy_dtype(array.dtype), len(array), [None, buffer])
    if array.dtype.kind in "bMm" and array.dtype.isnative:
        return pa.array(array)
    if array.dtype.kind == "O" and _TEXT.issuperset(map(type, array)):
        return pa.array(array, type=pa.large_string())
    raise Inexpressible(f"a column of dtype {array.dtype} that is not text only")


def _pandas(column: Any, dtype: Any, data: memoryview) -> Any:
    """A column for pandas."""
    np = module("numpy")
    pd = module("pandas")

    if isinstance(dtype, pd.CategoricalDtype):
        return pd.Categorical.from_codes(column.to_numpy(), dtype=dtype)
    if not isinstance(dtype, np.dtype):
        return dtype.__from_arrow__(column)
    if dtype.kind == "O":
        return column.to_numpy(zero_copy_only=False)
    if dtype.kind == "b" or column.null_count:
        return column.to_numpy(zero_copy_only=False).astype(dtype)
    return _on_top(column, dtype, data)


def _kept(array: Any, index: Any) -> Any:
    """A column that keeps its dtype in a new frame: pandas would take an array of text objects for its text dtype."""
    return module("pandas").Series(array, index=index, dtype=object, copy=False) if array.dtype == object else array


def _on_top(column: Any, dtype: Any, data: memoryview) -> Any:
    """A writable array on top of the memory that a column was read from."""
    np = module("numpy")

    memory = np.frombuffer(data, np.uint8)
    buffer = column.buffers()[1]
    if buffer is None or not len(column):
        return np.empty(0, dtype)
    start = buffer.address - memory.ctypes.data + column.offset * dtype.itemsize
    return memory[start : start + len(column) * dtype.itemsize].view(dtype)


def _identify_index(index: Any, of: Callable[[Any], bytes]) -> bytes:
    pd = module("pandas")

    names = of(list(index.names))
    if type(index) is pd.RangeIndex:
        return digest("range", names, frame([index.start, index.stop, index.step]))
    if isinstance(index, pd.MultiIndex):
        levels = [_identify_array(_plain_array(index.get_level_values(level)), of) for level in range(index.nlevels)]
        return digest("levels", names, *levels)
    # what a frequency is, of times and lengths of time, can be asked of the index, and decides about arithmetic with it
    frequency = getattr(index, "freqstr", None)
    regular = () if frequency is None else (str(frequency).encode(),)
    return digest("index", names, type(index).__name__.encode(), _identify_array(_plain_array(index), of), *regular)


def _identify_array(array: Any, of: Callable[[Any], bytes]) -> bytes:
    np = module("numpy")
    pd = module("pandas")

    if isinstance(array, np.ndarray):
        return arrays.identify(array, of) or of(array.tolist())
    dtype = str(array.dtype).encode()
    if isinstance(array.dtype, pd.CategoricalDtype):
        categories = _identify_array(_plain_array(array.categories), of)
        codes = arrays.hashed(arrays.raw(array.codes))
        return digest("category", frame(bool(array.ordered)), categories, codes)
    if type(array.dtype).__name__ in _FAITHFUL and loaded("pyarrow") is not None:
        pa = module("pyarrow")

        return digest("extension", dtype, arrow.identify(pa.array(array)))
    return digest("extension", dtype, of(list(array)))
