"""Frames of pandas, polars and pyarrow, and arrays of NumPy."""

from __future__ import annotations

# What pandas, scikit-learn and torch take and return is wider than what is known of their types.
# pyright: reportArgumentType=false, reportOptionalMemberAccess=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false
import datetime
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.errors import ArtifactDamagedError, ArtifactMissingError, OutputError
from penstock.model.value import Selection
from penstock.values import Values

DATES = pd.date_range("2020-01-01", periods=3, freq="D", name="day")
TEXT_OBJECTS = pd.Series(["a", None, "c"], dtype=object)

FRAMES = {
    "numbers": pd.DataFrame({"a": [1, 2, 3], "b": [1.5, np.nan, -0.0], "c": np.array([1, 2, 3], "uint8")}),
    "bools": pd.DataFrame({"a": [True, False, True]}),
    "text": pd.DataFrame({"a": ["x", None, "é"], "b": ["", "y", "z"]}),
    "text objects": pd.DataFrame({"a": TEXT_OBJECTS}),
    "dates": pd.DataFrame({"a": DATES, "b": DATES - DATES[0], "c": DATES.tz_localize("Europe/Paris"), "d": [DATES[0], pd.NaT, DATES[1]]}),
    "categories": pd.DataFrame({"a": pd.Categorical(["x", None, "y"], categories=["y", "x", "z"], ordered=True), "b": pd.Categorical([3, 1, 3])}),
    "masked": pd.DataFrame({"a": pd.array([1, None, 3], "Int64"), "b": pd.array([True, None, False], "boolean"), "c": pd.array([0.5, None, 1], "Float32")}),
    "periods": pd.DataFrame({"a": pd.period_range("2020", periods=3, freq="M"), "b": pd.interval_range(0, 3)}),
    "arrow": pd.DataFrame({"a": pd.array([[1], None, [2, 3]], pd.ArrowDtype(pa.list_(pa.int64()))), "b": pd.array(["x", None, "y"], pd.StringDtype("python"))}),
    "mixed objects": pd.DataFrame({"a": [1, "x", None], "b": [Decimal("1"), [1], {"k": (1,)}]}),
    "complex": pd.DataFrame({"a": [1 + 2j, 0, 1]}),
    "sparse": pd.DataFrame({"a": pd.arrays.SparseArray([0, 0, 1])}),
    "index": pd.DataFrame({"a": [1, 2, 3]}, index=pd.Index(["x", "y", "z"], name="key")),
    "number index": pd.DataFrame({"a": [1, 2, 3]}, index=[5, 3, 1]),
    "range": pd.DataFrame({"a": [1, 2, 3]}, index=pd.RangeIndex(10, 4, -2, name="r")),
    "day index": pd.DataFrame({"a": [1, 2, 3]}, index=DATES),
    "levels": pd.DataFrame({"a": [1, 2, 3]}, index=pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["x", None])),
    "category index": pd.DataFrame({"a": [1, 2, 3]}, index=pd.CategoricalIndex(["a", "b", "a"])),
    "mixed index": pd.DataFrame({"a": [1, 2, 3]}, index=pd.Index([1, "a", None], dtype=object)),
    "column levels": pd.DataFrame([[1, 2], [3, 4]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])),
    "number names": pd.DataFrame([[1, 2.5]], columns=[0, 1]),
    "odd names": pd.DataFrame([[1, 2, 3]], columns=pd.Index([("a", 1), None, datetime.date(2020, 1, 1)], dtype=object, name="n")),
    "same names": pd.DataFrame([[1, 2.5]], columns=["a", "a"]),
    "empty": pd.DataFrame(),
    "no rows": pd.DataFrame({"a": np.array([], "float32"), "b": np.array([], dtype=object)}),
    "no columns": pd.DataFrame(index=[1, 2, 3]),
}  # fmt: skip


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("limit", [0, 1_000_000])
def test_frames_come_back_exactly(blobs, tmp_path, name, limit):
    values = Values(blobs, workspace=tmp_path, inline_limit=limit)
    frame = FRAMES[name]
    artifact, _ = values.store(frame)
    assert (artifact.codec, artifact.type) == ("frame", "pandas.DataFrame")
    back = values.load(artifact)
    pd.testing.assert_frame_equal(back, frame, check_freq=True, check_column_type="exact", check_index_type="exact")
    assert list(back.dtypes) == list(frame.dtypes)
    assert type(back.index) is type(frame.index)
    assert type(back.columns) is type(frame.columns)
    assert values.store(back)[0].digest == artifact.digest
    assert values.store(frame.copy())[0].digest == artifact.digest
    json.dumps(values.preview(artifact))


def test_all_these_frames_have_different_digests(digest):
    assert len({digest(frame) for frame in FRAMES.values()}) == len(FRAMES)


def test_attributes_and_flags_come_back(trip, digest):
    frame = pd.DataFrame({"a": [1]})
    plain = digest(frame)
    frame.attrs["source"] = {"rows": 3}
    frame.flags.allows_duplicate_labels = False
    back = trip(frame)
    assert back.attrs == {"source": {"rows": 3}}
    assert back.flags.allows_duplicate_labels is False
    assert digest(frame) != plain


@pytest.mark.parametrize(
    "value",
    [
        pd.Series([1, 2], name="a"), pd.Series(["a", None], name=("x", 1)), pd.Series([1.5], index=["k"]), DATES,
        pd.Series([1, "a"], dtype=object), pd.RangeIndex(3), pd.Index([1, 2], name="n"), pd.Index(["a"]),
        pd.MultiIndex.from_product([["a", "b"], [1, 2]]), pd.Series([], dtype="float64"),
    ],
    ids=repr,
)  # fmt: skip
def test_series_and_indexes_come_back(trip, digest, value):
    back = trip(value)
    assert type(back) is type(value)
    if isinstance(value, pd.Series):
        pd.testing.assert_series_equal(back, value, check_index_type="exact")
    else:
        pd.testing.assert_index_equal(back, value, exact=True)
        assert getattr(back, "freq", None) == getattr(value, "freq", None)
    assert digest(back) == digest(value)


def test_equal_frames_have_one_digest_whatever_their_layout(digest):
    frame = pd.DataFrame(np.arange(600.0).reshape(100, 6), columns=list("abcdef"))
    one_by_one = pd.DataFrame({name: frame[name].to_numpy().copy() for name in frame}, copy=False)
    sliced = pd.concat([frame, frame], ignore_index=True).iloc[:100]
    strided = pd.DataFrame(np.asfortranarray(frame.to_numpy().repeat(2, axis=0))[::2], columns=list("abcdef"))
    assert {digest(other) for other in (frame, one_by_one, sliced, strided)} == {digest(frame)}
    text = pd.DataFrame({"t": ["a", None, "ccc"] * 5})
    glued = pd.concat([text.iloc[:7], text.iloc[7:]])
    glued.index = pd.RangeIndex(15)
    assert digest(glued) == digest(text)
    assert digest(pd.concat([text, text]).iloc[:15].reset_index(drop=True)) == digest(text)


def test_frames_that_differ_in_anything_have_different_digests(digest):
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    category = frame.astype({"b": "category"})
    others = [
        frame, frame[["b", "a"]], frame.astype({"a": "int32"}), frame.astype({"a": float}), frame.rename(columns={"a": "c"}),
        frame.set_axis([1, 2]), frame.set_axis(pd.Index([0, 1])), frame.rename_axis("i"), frame.rename_axis(columns="i"),
        frame.iloc[::-1], frame.astype({"b": object}), category, category.assign(b=category["b"].cat.add_categories(["z"])),
        category.assign(b=category["b"].cat.as_ordered()), frame.assign(b=["x", None]), frame.assign(b=["xy", ""]),
        frame["a"], frame[["a"]], pl.from_pandas(frame), pa.Table.from_pandas(frame),
    ]  # fmt: skip
    digests = [digest(other) for other in others]
    assert len(set(digests)) == len(others)


def test_the_frequency_of_an_index_counts(digest):
    regular = pd.date_range("2026-01-01", periods=3, freq="D")
    assert digest(pd.DataFrame({"a": [1, 2, 3]}, index=regular)) != digest(
        pd.DataFrame({"a": [1, 2, 3]}, index=pd.DatetimeIndex(list(regular)))
    )
    assert digest(regular) == digest(pd.date_range("2026-01-01", periods=3, freq="D"))


def test_a_loaded_frame_may_be_written_to_and_the_artifact_stays(values, blobs):
    frame = pd.DataFrame({"a": np.arange(5000.0), "b": np.arange(5000), "t": ["x"] * 5000})
    artifact, _ = values.store(frame)
    back = values.load(artifact)
    back.loc[0, "a"] = 99.0
    back.iloc[1, 1] = 77
    back.loc[2, "t"] = "changed"
    back["new"] = back["a"] * 2
    assert (back.loc[0, "a"], back.loc[1, "b"], back.loc[2, "t"]) == (99.0, 77, "changed")
    pd.testing.assert_frame_equal(values.load(artifact), frame)


def test_a_frame_that_is_handed_on_is_not_written_again(values, blobs, tmp_path):
    artifact, _ = values.store(pd.DataFrame({"a": np.arange(5000.0), "t": ["x"] * 5000}))
    other = Values(blobs, workspace=tmp_path)
    again, description = other.store(other.load(artifact))
    assert again == artifact
    assert description.preview["rows"] == 5000
    blobs.delete(artifact.blob)
    anew, _ = values.store(pd.DataFrame({"a": np.arange(5000.0), "t": ["x"] * 5000}))
    assert anew.digest == artifact.digest
    assert values.load(anew).shape == (5000, 2)


def test_numeric_columns_are_not_copied_on_the_way_back(values):
    artifact, _ = values.store(pd.DataFrame({"a": np.arange(100_000.0), "b": np.arange(100_000)}))
    back = values.load(artifact)
    for name in ("a", "b"):
        column = back[name].array.to_numpy()
        assert not column.flags.owndata
        assert column.flags.aligned


def test_a_frame_that_arrow_cannot_hold_is_pickled_and_the_preview_says_why(blobs, tmp_path):
    values = Values(blobs, workspace=tmp_path, inline_limit=0)
    _, description = values.store(FRAMES["mixed objects"])
    assert description.preview["stored_as"] == "pickle"
    assert "object" in description.preview["reason"]
    assert "stored_as" not in values.store(FRAMES["numbers"])[1].preview
    assert values.take_notices() == []


def test_frames_are_pickled_where_pyarrow_is_not_installed(blobs, tmp_path, monkeypatch):
    values = Values(blobs, workspace=tmp_path, inline_limit=0)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    artifact, description = values.store(FRAMES["numbers"])
    assert "pyarrow" in description.preview["reason"]
    pd.testing.assert_frame_equal(values.load(artifact), FRAMES["numbers"])


def test_the_preview_of_a_frame(values):
    preview = values.preview(values.store(pd.DataFrame({"a": range(100), "t": ["x" * 500] * 100}))[0])
    assert (preview["kind"], preview["rows"], preview["width"]) == ("frame", 100, 2)
    assert preview["columns"] == [{"name": "a", "dtype": "int64"}, {"name": "t", "dtype": "str"}]
    assert [row[0] for row in preview["head"]] == [0, 1, 2, 3, 4]
    assert len(preview["head"][0][1]) < 100


POLARS = pl.DataFrame(
    {"a": [1, None, 3], "b": ["x", None, "y"], "c": pl.Series(["u", "v", "u"], dtype=pl.Categorical), "d": [[1], [], None],
     "e": pl.Series(["p", "q", "p"], dtype=pl.Enum(["p", "q"])), "f": [datetime.date(2020, 1, 1)] * 3, "g": [{"k": 1}, {"k": None}, {"k": 3}],
     "h": [Decimal("1.5"), None, Decimal("2")], "i": [True, None, False], "j": [b"x", b"", None]}
)  # fmt: skip


@pytest.mark.parametrize(
    "value", [POLARS, POLARS.head(0), POLARS[1:], POLARS["c"], POLARS["a"].rename("z"), pl.DataFrame()], ids=str
)
def test_polars_frames_come_back(trip, digest, value):
    from polars.testing import assert_frame_equal, assert_series_equal

    back = trip(value)
    (assert_frame_equal if isinstance(value, pl.DataFrame) else assert_series_equal)(back, value)
    assert digest(back) == digest(value)


def test_polars_frames_of_objects_are_refused_as_polars_itself_does(values):
    with pytest.raises(OutputError, match=r"polars\.DataFrame"):
        values.store(pl.DataFrame({"a": pl.Series([{1}, {2}], dtype=pl.Object)}))


def test_polars_layout_does_not_count(digest):
    glued = pl.concat([POLARS[:1], POLARS[1:]], rechunk=False)
    assert digest(glued) == digest(POLARS)
    assert digest(pl.concat([POLARS, POLARS])[3:]) == digest(POLARS)
    assert digest(POLARS[::-1]) != digest(POLARS)
    assert digest(POLARS.with_columns(a=pl.Series([1, 0, 3]))) != digest(POLARS)


TABLE = pa.table(
    {"a": [1, None, 3], "b": ["x", None, "yy"], "c": [[1, 2], None, []], "d": [{"k": 1}, None, {"k": 3}], "e": [True, False, None],
     "f": pa.array(["u", "v", "u"]).dictionary_encode(), "g": pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int64())),
     "h": pa.nulls(3), "i": pa.array([1.5, None, 2.5], pa.float32()), "j": pa.array([Decimal("1.5"), None, Decimal("2.5")])}
).replace_schema_metadata({"who": "me"})  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [TABLE, TABLE.slice(1), TABLE.slice(0, 0), TABLE.to_batches()[0], pa.table({}), TABLE["b"], pa.array([1, None])],
    ids=lambda v: type(v).__name__,
)
def test_arrow_tables_come_back_with_their_metadata(trip, digest, value):
    back = trip(value)
    assert type(back) is type(value)
    assert back.equals(value)
    if hasattr(value, "schema"):
        assert back.schema.equals(value.schema, check_metadata=True)
    assert digest(back) == digest(value)


def test_arrow_layout_does_not_count(digest):
    doubled = pa.concat_tables([TABLE, TABLE])
    assert digest(doubled.slice(3)) == digest(TABLE)
    assert digest(pa.concat_tables([TABLE.slice(0, 1), TABLE.slice(1)])) == digest(TABLE)
    assert digest(TABLE.slice(1).combine_chunks()) == digest(TABLE.slice(1))
    assert digest(TABLE.take([2, 1, 0])) != digest(TABLE)
    hidden = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(np.array([1, 7]))])
    assert hidden.equals(pa.array([1, None]))
    assert digest(hidden) == digest(pa.array([1, None]))
    for name in TABLE.column_names:
        shortened = TABLE.set_column(
            TABLE.column_names.index(name),
            name,
            pa.concat_arrays([TABLE[name].slice(1).combine_chunks(), TABLE[name].slice(0, 1).combine_chunks()]),
        )
        assert (digest(shortened) == digest(TABLE)) is shortened.equals(TABLE)


ARRAYS = [
    np.arange(6), np.arange(6).reshape(2, 3), np.arange(6.0), np.arange(6, dtype=">i4"), np.array(3), np.zeros((0, 3)), np.zeros((3, 0)),
    np.array(["a", "bc"]), np.array([b"a"]), np.array([True]), np.array([1 + 2j]), np.array(["2020-01-01", "NaT"], "M8[D]"), np.array([1], "m8[s]"),
    np.array([(1, 2.5)], [("a", "i4"), ("b", "f8")]), np.asfortranarray(np.arange(6).reshape(2, 3) * 2), np.arange(3, dtype="f2"), np.array("", "U0"),
    np.array([1, "a", None], dtype=object), np.ma.masked_array([1, 2], [True, False]), np.arange(4)[::2] * 7,
]  # fmt: skip


@pytest.mark.parametrize("limit", [0, 1_000_000])
def test_arrays_come_back_writable(blobs, tmp_path, limit):
    values = Values(blobs, workspace=tmp_path, inline_limit=limit)
    for array in ARRAYS:
        artifact, _ = values.store(array)
        back = values.load(artifact)
        assert (type(back), back.dtype, back.shape) == (type(array), array.dtype, array.shape)
        np.testing.assert_array_equal(back, array)
        assert back.flags.writeable
        assert values.store(back)[0].digest == artifact.digest
        json.dumps(values.preview(artifact))


def test_arrays_have_different_digests_and_layout_does_not_count(digest):
    assert len({digest(array) for array in ARRAYS}) == len(ARRAYS)
    array = np.arange(12.0).reshape(3, 4)
    wide = np.arange(24.0).reshape(3, 8)
    wide[:, ::2] = array
    assert digest(np.asfortranarray(array)) == digest(wide[:, ::2]) == digest(array)
    assert digest(array.T) != digest(array)


def test_a_written_array_does_not_change_its_artifact(values):
    artifact, _ = values.store(np.arange(10_000))
    back = values.load(artifact)
    back[:] = 0
    assert values.load(artifact)[5] == 5


@pytest.mark.parametrize(
    "scalar",
    [
        np.float32(0.1),
        np.int64(3),
        np.bool_(True),
        np.str_("a"),
        np.datetime64("2020-01-01"),
        np.complex64(1j),
        np.float64(0.5),
    ],
    ids=repr,
)
def test_scalars_keep_their_width(trip, digest, scalar):
    back = trip(scalar)
    assert type(back) is type(scalar)
    assert back == scalar
    assert digest(scalar) != digest(scalar.item())


def test_frames_and_arrays_are_exported(values, tmp_path):
    def export(value: object, name: str) -> Path:
        return values.export(values.store(value)[0], tmp_path / name)

    frame = FRAMES["index"]
    pd.testing.assert_frame_equal(pd.read_parquet(export(frame, "x")), frame)
    assert export(frame, "x.csv").read_text().splitlines()[:2] == ["key,a", "x,1"]
    assert export(FRAMES["numbers"], "n.csv").read_text().startswith("a,b,c\n")
    assert export(pd.Series([1, 2], name="s"), "s").suffix == ".parquet"
    assert export(DATES, "d.csv").exists()
    assert pl.read_parquet(export(POLARS.select("a", "b"), "p")).equals(POLARS.select("a", "b"))
    assert pl.read_csv(export(POLARS.select("a"), "p.csv")).height == 3
    assert pq.read_table(export(TABLE, "t")).num_rows == 3
    assert export(TABLE.select(["a"]).to_batches()[0], "t.csv").read_text().startswith('"a"')
    np.testing.assert_array_equal(np.load(export(np.arange(3), "a")), np.arange(3))
    assert export(np.arange(3), "a.csv").read_text().split() == ["0", "1", "2"]
    assert json.loads(export(np.float32(0.5), "f").read_text()) == 0.5
    folder = values.export(values.store(frame)[0], tmp_path)
    assert folder == tmp_path / "dataframe.parquet"
    with pytest.raises(OutputError, match=r"\.xlsx"):
        export(frame, "x.xlsx")
    with pytest.raises(OutputError, match="csv"):
        export(FRAMES["mixed objects"], "m.parquet")


def test_missing_and_damaged_bytes_are_reported(values, blobs, tmp_path):
    artifact, _ = values.store(np.arange(10_000))
    name = artifact.blob.hex()
    file = tmp_path / "blobs" / name[:2] / name[2:4] / name
    data = bytearray(file.read_bytes())
    data[5000] ^= 1
    file.chmod(0o644)
    file.write_bytes(data)
    with pytest.raises(ArtifactDamagedError, match=name):
        values.load(artifact)
    blobs.delete(artifact.blob)
    for argument in (artifact, Selection(artifact, 3)):
        with pytest.raises(ArtifactMissingError, match=name):
            values.load(argument)
