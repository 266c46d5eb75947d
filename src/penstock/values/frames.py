"""Frames: pandas, polars and pyarrow, as Arrow files.

What Arrow cannot express, or pandas would not get back as it was, is pickled; the preview says so, and why.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from penstock.errors import OutputError
from penstock.fingerprint.framing import Unpacker, digest, frame, pack
from penstock.secrets.signing import NO_KEYS, Trust
from penstock.values import arrow, pandas, pickles
from penstock.values.codec import Encoded, loaded, module, type_name, with_suffix
from penstock.values.jsonable import shown

#: columns and rows that a preview shows
_COLUMNS, _ROWS = 100, 5


class Frames:
    """The family of frames. `identify` digests what is in columns of objects, and adds the user's own classes in it to a
    set."""

    name = "frame"

    def __init__(self, identify: Callable[[Any, set[str]], bytes], trust: Trust = NO_KEYS) -> None:
        self._identify = identify
        self._trust = trust

    def accepts(self, value: Any) -> bool:
        return _kind(value) is not None

    def encode(self, value: Any) -> Encoded:
        try:
            table, header = _table(value, self._trust)
            content: Any = partial(arrow.write, table, header)
            note = {}
        except (pandas.Inexpressible, ImportError, ValueError, TypeError) as error:
            content = pickles.dump(value, self._trust)
            note = {"stored_as": "pickle", "reason": str(error)}
        digest, classes = self._structure_of(value)
        return Encoded(content, digest=digest, preview={**self.preview(value), **note}, classes=classes)

    def decode(self, data: memoryview) -> Any:
        if is_pickled(data):
            return pickles.load(data, self._trust)
        table, header = arrow.read(data)
        about = Unpacker(self._trust).unpack(header)
        if about["kind"] == "pandas":
            return pandas.read(table, about, data, self._trust)
        return _FROM_TABLE[about["kind"]](table)

    def preview(self, value: Any) -> dict[str, Any]:
        return _preview(value)

    def export(self, value: Any, path: Path) -> Path:
        return _export(value, path)

    def _structure_of(self, value: Any) -> tuple[bytes | None, tuple[str, ...]]:
        from penstock.values.identity import Unidentifiable

        classes: set[str] = set()
        try:
            known = identify(value, lambda part: self._identify(part, classes))
        except Unidentifiable:
            known = None
        return known, tuple(sorted(classes))


def is_pickled(data: memoryview) -> bool:
    """Whether the bytes of a frame are a pickle, for want of pyarrow or because Arrow cannot express it."""
    return bytes(data[: len(arrow.MAGIC)]) != arrow.MAGIC


def identify(value: Any, of: Callable[[Any], bytes]) -> bytes | None:
    """The digest of a frame by its content, None for anything else. `of` digests single objects."""
    kind = _kind(value)
    if kind is None:
        return None
    name = type_name(type(value)).encode()
    if kind == "pandas":
        return digest("frame", name, pandas.identify(value, of))
    try:
        return digest("frame", name, _schema(value), arrow.identify_table(_table(value)[0]))
    except (pandas.Inexpressible, ImportError):
        return digest("frame", name, _schema(value), of([column.to_list() for column in _series(value)]))


def _kind(value: Any) -> str | None:
    if pandas.is_frame(value):
        return "pandas"
    pl, pa = loaded("polars"), loaded("pyarrow")
    if pl is not None and type(value) in (pl.DataFrame, pl.Series):
        return "polars" if type(value) is pl.DataFrame else "polars-series"
    if pa is None:
        return None
    if type(value) in (pa.Table, pa.RecordBatch, pa.ChunkedArray):
        return {pa.Table: "table", pa.RecordBatch: "batch", pa.ChunkedArray: "chunked"}[type(value)]
    return "array" if isinstance(value, pa.Array) else None


def _table(value: Any, trust: Trust = NO_KEYS) -> tuple[Any, bytes]:
    """The value as an Arrow table, and the header to be written with it. Raises Inexpressible or ImportError."""
    if importlib.util.find_spec("pyarrow") is None:
        raise ImportError("pyarrow is not installed")
    pa = module("pyarrow")

    kind = _kind(value)
    if kind == "pandas":
        return pandas.table(value, trust)
    header = pack({"kind": kind})
    if kind in ("polars", "polars-series"):
        return _polars_table(value), header
    if kind == "batch":
        return pa.Table.from_batches([value]), header
    return (value if kind == "table" else pa.table({"": value})), header


def _polars_table(value: Any) -> Any:
    pl = module("polars")

    whole: Any = value if isinstance(value, pl.DataFrame) else value.to_frame()
    if any(dtype.is_(pl.Object) for dtype in whole.dtypes):
        raise pandas.Inexpressible("a column of Python objects")
    again: Any = pl.from_arrow(whole.head(0).to_arrow())
    if again.schema != whole.schema or not whole.width:
        raise pandas.Inexpressible(f"the schema {whole.schema}")
    return whole.to_arrow()


def _from_polars(table: Any) -> Any:
    pl = module("polars")

    return pl.from_arrow(table)


def _batch(table: Any) -> Any:
    batches = table.combine_chunks().to_batches()
    if batches:
        return batches[0]
    pa = module("pyarrow")

    return pa.RecordBatch.from_pylist([], schema=table.schema)


_FROM_TABLE: dict[str, Callable[[Any], Any]] = {
    "polars": _from_polars,
    "polars-series": lambda table: _from_polars(table).to_series(),
    "table": lambda table: table,
    "batch": _batch,
    "chunked": lambda table: table.column(0),
    "array": lambda table: arrow.single(table.column(0)),
}


def _series(value: Any) -> list[Any]:
    return value.get_columns() if hasattr(value, "get_columns") else [value]


def _schema(value: Any) -> bytes:
    """What a polars or pyarrow value has besides its cells."""
    pl = loaded("polars")
    if pl is not None and isinstance(value, pl.DataFrame):
        return str(value.schema).encode()
    if pl is not None and isinstance(value, pl.Series):
        return frame([value.name, str(value.dtype)])
    return b""


def _preview(value: Any) -> dict[str, Any]:
    rows, columns, head = _HEADS["pandas" if pandas.is_frame(value) else _library(value)](value)
    listed = [{"name": shown(name), "dtype": str(dtype)} for name, dtype in columns[:_COLUMNS]]
    cells = [[shown(cell, longest=60) for cell in row[:_COLUMNS]] for row in head]
    return {"kind": "frame", "rows": rows, "width": len(columns), "columns": listed, "head": cells}


def _library(value: Any) -> str:
    return type(value).__module__.partition(".")[0]


def _pandas_head(value: Any) -> tuple[int, list[Any], list[Any]]:
    if value.ndim == 2:
        head = list(value.iloc[:_ROWS, :_COLUMNS].itertuples(index=False, name=None))
        return len(value), list(zip(value.columns, value.dtypes, strict=True)), head
    name = value.name if value.name is not None else ""
    return len(value), [(name, getattr(value, "dtype", "object"))], [[cell] for cell in value[:_ROWS]]


def _polars_head(value: Any) -> tuple[int, list[Any], list[Any]]:
    whole = value if hasattr(value, "rows") else value.to_frame()
    return whole.height, list(whole.schema.items()), whole.head(_ROWS).rows()


def _arrow_head(value: Any) -> tuple[int, list[Any], list[Any]]:
    if not hasattr(value, "schema"):
        return len(value), [("", value.type)], [[cell] for cell in value[:_ROWS].to_pylist()]
    head = value.slice(0, _ROWS)
    cells = [column.to_pylist() for column in head.columns]
    fields = [(field.name, field.type) for field in value.schema]
    return value.num_rows, fields, [list(row) for row in zip(*cells, strict=True)]


_HEADS: dict[str, Callable[[Any], tuple[int, list[Any], list[Any]]]] = {
    "pandas": _pandas_head,
    "polars": _polars_head,
    "pyarrow": _arrow_head,
}


def _export(value: Any, path: Path) -> Path:
    default = ".parquet" if importlib.util.find_spec("pyarrow") else ".csv"
    path = with_suffix(path, default, ".csv", ".parquet")
    parquet = path.suffix.lower() == ".parquet"
    library = _library(value)
    try:
        if library == "pandas":
            _export_pandas(value, path, parquet=parquet)
        elif library == "polars":
            whole = value if hasattr(value, "write_csv") else value.to_frame()
            whole.write_parquet(path) if parquet else whole.write_csv(path)
        else:
            _export_arrow(value, path, parquet=parquet)
    except (ValueError, TypeError) as error:
        remedy = "Write it as .csv instead." if parquet else "Load it in Python instead."
        raise OutputError(f"cannot write this frame to {path}: {error}", remedy=remedy) from error
    return path


def _export_pandas(value: Any, path: Path, *, parquet: bool) -> None:
    pd = module("pandas")

    whole: Any = value
    if value.ndim == 1:
        whole = value.to_frame(name="value" if value.name is None else str(value.name))
    if parquet:
        whole.to_parquet(path)
    else:
        whole.to_csv(path, index=type(whole.index) is not pd.RangeIndex and value is not getattr(whole, "index", None))


def _export_arrow(value: Any, path: Path, *, parquet: bool) -> None:
    pa = module("pyarrow")

    whole = value
    if isinstance(value, pa.RecordBatch):
        whole = pa.Table.from_batches([value])
    elif not isinstance(value, pa.Table):
        whole = pa.table({"value": value})
    if parquet:
        module("pyarrow.parquet").write_table(whole, path)
    else:
        module("pyarrow.csv").write_csv(whole, path)
