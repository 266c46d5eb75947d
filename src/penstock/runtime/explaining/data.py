"""In what two frames differ: rows, columns, types, and how the values are distributed."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from typing import Any

import msgspec

from penstock.errors import PenstockError
from penstock.model.value import Argument, Artifact
from penstock.runtime.explaining.tasks import Touched
from penstock.values import Values

#: bytes of a frame from which it is not loaded to be compared
_LARGEST = 1 << 30
#: bytes of all frames that are loaded to compare two runs, and how many of them
_BUDGET, _FRAMES = 1 << 31, 50
#: columns that are told of
_COLUMNS = 50
#: different texts of a column of which the most frequent are told
_TOP = 3


class ColumnDifference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A column that is not the same in two frames."""

    name: str
    #: its type; empty where the frame has no such column
    type_before: str = ""
    type_after: str = ""
    #: statistic -> (before, after): `nulls`, `distinct`, `mean`, `std`, `min`, `median`, `max`, `most frequent`
    statistics: dict[str, tuple[Any, Any]] = {}
    #: the greatest distance between the two cumulative distributions, from 0 to 1 (Kolmogorov and Smirnov); of numbers
    shift: float | None = None


class DataDifference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Two frames that differ."""

    #: the node or the item that made them, with the output where there are several: `split.train`
    id: str
    rows: tuple[int, int]
    #: those that are different, the one with the greatest shift first
    columns: tuple[ColumnDifference, ...] = ()
    #: how many columns are the same
    same: int = 0
    #: how many differ just as they do in a frame that was told of before
    told: int = 0


class DataComparison:
    """Compares the frames of two runs, as many as can be loaded in good time. To be asked in the order of the graph: what
    tasks only pass on is told once."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._left = _BUDGET
        self._frames = _FRAMES
        self._told: set[bytes] = set()

    def of(self, touched: Touched) -> Iterator[DataDifference]:
        """In what the outputs of a task differ that are frames, and can be loaded."""
        several = len(touched.changed) > 1 or any(name != "result" for name, _, _ in touched.changed)
        for name, before, after in touched.changed:
            size = _size(before) + _size(after)
            if not (_is_frame(before) and _is_frame(after)) or size > self._left or not self._frames:
                continue
            self._left -= size
            self._frames -= 1
            called = f"{touched.difference.id}.{name}" if several else touched.difference.id
            if (found := data_difference(called, before, after, self._values)) is not None:
                yield self._without_told(found)

    def _without_told(self, found: DataDifference) -> DataDifference:
        new: list[ColumnDifference] = []
        for column in found.columns:
            key = msgspec.json.encode(column)
            if key not in self._told:
                self._told.add(key)
                new.append(column)
        return msgspec.structs.replace(found, columns=tuple(new), told=len(found.columns) - len(new))


def _is_frame(argument: Argument) -> bool:
    return isinstance(argument, Artifact) and argument.codec == "frame"


def data_difference(name: str, before: Argument, after: Argument, values: Values) -> DataDifference | None:
    """In what two values differ, where both are frames that can be loaded; else None."""
    if not (_is_frame(before) and _is_frame(after)) or importlib.util.find_spec("pyarrow") is None:
        return None
    if max(_size(before), _size(after)) > _LARGEST or values.digest(before) == values.digest(after):
        return None
    try:
        old, new = _table(values.load(before)), _table(values.load(after))
    except (PenstockError, ImportError, ValueError, TypeError):
        # its data are gone, or Arrow cannot express it
        return None
    names = list(dict.fromkeys([*old.column_names, *new.column_names]))
    found = [each for each in (_column(name, old, new) for name in names) if each is not None]
    found.sort(key=lambda each: -(each.shift or 0.0))
    return DataDifference(
        id=name, rows=(old.num_rows, new.num_rows), columns=tuple(found[:_COLUMNS]), same=len(names) - len(found)
    )


def _size(argument: Argument) -> int:
    return argument.size if isinstance(argument, Artifact) else 0


def _table(value: Any) -> Any:
    """A frame of any of the libraries as an Arrow table with unique names of columns, without its index."""
    pa = importlib.import_module("pyarrow")
    if isinstance(value, pa.Table):
        table = value
    elif isinstance(value, pa.RecordBatch):
        table = pa.Table.from_batches([value])
    elif isinstance(value, (pa.Array, pa.ChunkedArray)):
        table = pa.table({"values": value})
    elif type(value).__module__.startswith("polars"):
        table = (value if hasattr(value, "columns") else value.to_frame()).to_arrow()
    else:
        whole = value if value.ndim == 2 else value.to_frame(str(value.name))
        table = pa.Table.from_pandas(
            whole.set_axis([str(each) for each in whole.columns], axis=1), preserve_index=False
        )
    return table


def _column(name: str, old: Any, new: Any) -> ColumnDifference | None:
    before = old.column(name) if name in old.column_names else None
    after = new.column(name) if name in new.column_names else None
    if before is None or after is None:
        return ColumnDifference(
            name=name,
            type_before="" if before is None else str(before.type),
            type_after="" if after is None else str(after.type),
        )
    if before.type == after.type and before.equals(after):
        return None
    was, now = _statistics(before), _statistics(after)
    changed = {key: (was.get(key), now.get(key)) for key in {**was, **now} if was.get(key) != now.get(key)}
    return ColumnDifference(
        name=name,
        type_before=str(before.type),
        type_after=str(after.type),
        statistics=changed,
        shift=_shift(before, after),
    )


def _statistics(column: Any) -> dict[str, Any]:
    pc, types = importlib.import_module("pyarrow.compute"), importlib.import_module("pyarrow.types")
    found: dict[str, Any] = {"nulls": column.null_count}
    if _is_number(column.type):
        numbers = column.cast("float64", safe=False)
        extent = pc.min_max(numbers).as_py()
        found |= {"mean": pc.mean(numbers).as_py(), "std": pc.stddev(numbers).as_py()}
        found |= {"min": extent["min"], "median": pc.approximate_median(numbers).as_py(), "max": extent["max"]}
        return found
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if types.is_string(column.type) or types.is_large_string(column.type) or types.is_boolean(column.type):
        counts = sorted(pc.value_counts(column).to_pylist(), key=lambda each: (-each["counts"], str(each["values"])))
        found["distinct"] = len(counts)
        found["most frequent"] = ", ".join(f"{each['values']} ({each['counts']})" for each in counts[:_TOP])
    return found


def _is_number(kind: Any) -> bool:
    types = importlib.import_module("pyarrow.types")
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _shift(before: Any, after: Any) -> float | None:
    """The statistic of Kolmogorov and Smirnov for two samples; None where there are no numbers to compare."""
    if not (_is_number(before.type) and _is_number(after.type)) or importlib.util.find_spec("numpy") is None:
        return None
    np = importlib.import_module("numpy")
    samples = [np.sort(each.drop_null().cast("float64", safe=False).to_numpy()) for each in (before, after)]
    old, new = (sample[~np.isnan(sample)] for sample in samples)
    if not len(old) or not len(new):
        return None
    points = np.concatenate([old, new])
    cumulative = [np.searchsorted(sample, points, side="right") / len(sample) for sample in (old, new)]
    return float(np.max(np.abs(cumulative[0] - cumulative[1])))


__all__ = ["ColumnDifference", "DataComparison", "DataDifference", "data_difference"]
