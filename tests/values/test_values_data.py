"""Plain data and records, alone and with other things inside."""

from __future__ import annotations

import dataclasses
import datetime
import json
import subprocess
import sys
from collections import OrderedDict, defaultdict, namedtuple
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.errors import NotFoundError, StoreError
from penstock.model.value import Artifact, Collection, Record, Selection
from penstock.values import Values


class Kind(Enum):
    SMALL = "small"


@dataclasses.dataclass
class Candidate:
    name: str
    score: float
    extra: Any = None

    @property
    def label(self) -> str:
        return f"{self.name}:{self.score}"


@dataclasses.dataclass(frozen=True, slots=True)
class Fixed:
    tags: tuple[str, ...]
    when: datetime.date


class Split(NamedTuple):
    train: Any
    test: Any


class Scores(TypedDict):
    train: float
    test: float


class Settings(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow", arbitrary_types_allowed=True)
    depth: int
    when: datetime.date
    frame: Any = None
    _cache: dict[str, int] = pydantic.PrivateAttr(default_factory=dict)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | st.dates(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=15,
)


def exact(value: Any) -> Any:
    if isinstance(value, dict):
        return dict, [(exact(key), exact(part)) for key, part in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [exact(part) for part in value]
    return type(value), repr(value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(plain)
def test_plain_data_comes_back_with_exact_types(values, value):
    artifact, _ = values.store(value)
    assert artifact.codec == "data"
    assert exact(values.load(artifact)) == exact(value)


def test_small_values_live_in_the_artifact_and_large_ones_in_blobs(values, blobs):
    small, nothing = values.store([1, 2, 3])
    large, description = values.store(list(range(10_000)))
    assert (small.blob, nothing) == (None, None)
    assert small.type == "list"
    assert large.payload is None
    assert list(blobs.addresses()) == [large.blob]
    assert large.size == blobs.size(large.blob)
    assert description.digest == large.digest
    assert description.preview["length"] == 10_000
    assert values.load(large) == list(range(10_000))


def test_the_digest_is_the_same_wherever_the_bytes_are_kept(blobs, tmp_path):
    inline = Values(blobs, workspace=tmp_path, inline_limit=1_000_000)
    apart = Values(blobs, workspace=tmp_path, inline_limit=0)
    frame = pd.DataFrame({"a": [1, 2]})
    for value in (3, [1, 2], {"a": (1,)}, np.arange(3), frame, [frame], Candidate("a", 1.0)):
        first, second = inline.store(value)[0], apart.store(value)[0]
        assert first.digest == second.digest
        assert first.payload is not None
        assert second.blob is not None


def test_equal_dictionaries_have_one_digest_and_keep_their_order(values, digest, trip):
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert list(trip({"b": 2, "a": 1})) == ["b", "a"]


@pytest.mark.parametrize(
    "record",
    [
        Candidate("a", 0.5),
        Candidate("a", 0.5, Fixed(("x", "y"), datetime.date(2020, 1, 1))),
        Fixed((), datetime.date(2020, 1, 1)),
        Split(1, [2]),
        Settings.model_validate({"depth": 3, "when": datetime.date(2020, 1, 1), "note": "extra"}),
        namedtuple("Pair", "a b")(1, 2),
        OrderedDict(a=Candidate("b", 1.0)),
        [Candidate("a", 1.0), (Split(1, 2), {"k": Fixed(("z",), datetime.date.min)})],
        {Fixed((), datetime.date.min): 1},
    ],
    ids=repr,
)
def test_records_are_themselves_again(trip, digest, record):
    back = trip(record)
    assert type(back) is type(record)
    assert back == record
    assert digest(back) == digest(record)


def test_a_record_keeps_what_was_set_beside_its_fields(trip):
    candidate = Candidate("a", 1.0)
    candidate.note = [1]  # pyright: ignore[reportAttributeAccessIssue]
    assert trip(candidate).note == [1]
    model = Settings(depth=1, when=datetime.date(2020, 1, 1))
    model._cache["a"] = 1
    back = trip(model)
    assert back._cache == {"a": 1}
    assert back.model_fields_set == {"depth", "when"}


def test_records_differ_by_class_and_by_field(digest):
    different = [Candidate("a", 1.0), Candidate("a", 2.0), Split("a", 1.0), ("a", 1.0), {"name": "a", "score": 1.0}]
    assert len({digest(value) for value in different}) == len(different)


def test_frames_and_arrays_inside_records_and_collections(trip, digest):
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    value = {"split": Split(frame, np.arange(3)), "best": [Candidate("x", 1.0, frame)], 3: (frame,), "n": 1}
    back = trip(value)
    pd.testing.assert_frame_equal(back["split"].train, frame)
    np.testing.assert_array_equal(back["split"].test, np.arange(3))
    pd.testing.assert_frame_equal(back["best"][0].extra, frame)
    assert type(back[3]) is tuple
    assert digest(back) == digest(value)
    assert digest({**value, "n": 2}) != digest(value)
    assert digest({**value, 3: (frame + 1,)}) != digest(value)
    model = trip(Settings(depth=1, when=datetime.date(2020, 1, 1), frame=frame))
    pd.testing.assert_frame_equal(model.frame, frame)


def test_a_class_of_the_main_module_travels_with_its_values(tmp_path):
    code = (
        "import dataclasses, enum, pathlib, sys\n"
        "from penstock.blobs.local import LocalBlobs\n"
        "from penstock.values import Values\n"
        "class Level(enum.Enum):\n    HIGH = 1\n"
        "@dataclasses.dataclass\nclass Point:\n    x: int\n    level: Level\n    def double(self):\n        return self.x * 2\n"
        "root = pathlib.Path(sys.argv[1])\n"
        "values = Values(LocalBlobs(root), workspace=root)\n"
        "artifact, _ = values.store(Point(4, Level.HIGH))\n"
        "assert type(values.load(artifact)) is Point\n"
        "import msgspec; sys.stdout.buffer.write(msgspec.msgpack.encode(artifact))"
    )
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=True)
    import msgspec

    artifact = msgspec.msgpack.decode(run.stdout, type=Artifact)
    from penstock.blobs.local import LocalBlobs

    point = Values(LocalBlobs(tmp_path), workspace=tmp_path).load(artifact)
    assert (point.double(), point.level.name, type(point).__qualname__) == (8, "HIGH", "Point")


def test_a_class_that_is_gone_is_named(values, monkeypatch):
    artifact, _ = values.store(Candidate("a", 1.0))
    monkeypatch.delattr(sys.modules[__name__], "Candidate")
    with pytest.raises(NotFoundError, match="Candidate"):
        values.load(artifact)


def test_previews_are_json_and_short(values):
    for value in (
        "x" * 10_000,
        list(range(1000)),
        {"a": b"1"},
        Candidate("a", 1.0, np.arange(3)),
        3,
        None,
        float("nan"),
    ):
        text = json.dumps(values.preview(values.store(value)[0]))
        assert '"kind"' in text
        assert len(text) < 3000
    assert values.preview(values.store({"a": 1})[0])["value"] == {"a": 1}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (3, 3), ("a", "a"), (None, None), ((1, 2), [1, 2]), ({"d": datetime.date(2020, 1, 2)}, {"d": "2020-01-02"}),
        (Decimal("1.50"), "1.50"), (UUID(int=1), str(UUID(int=1))), (Kind.SMALL, "small"), (np.float64(0.5), 0.5),
        (Candidate("a", 1.0), {"name": "a", "score": 1.0, "extra": None}), (float("inf"), "inf"), ({1: 2}, {"1": 2}),
        (Path("a/b"), "a/b"), ([{"p": Path("c")}], None), (Split(1, 2), {"train": 1, "test": 2}),
    ],
    ids=repr,
)  # fmt: skip
def test_plain_values_can_be_shown_in_documents(values, value, shown):
    found = values.plain(values.store(value)[0])
    assert found == ((shown is not None or value is None), shown)
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    "value", [b"bytes", np.arange(3), pd.DataFrame(), list(range(10_000)), [pd.DataFrame()]], ids=str
)
def test_others_cannot(values, value):
    assert values.plain(values.store(value)[0]) == (False, None)


def test_data_is_exported_as_json_text_or_bytes(values, tmp_path):
    def export(value: object, name: str) -> Path:
        return values.export(values.store(value)[0], tmp_path / name)

    assert json.loads(export({"a": (1, datetime.date(2020, 1, 1))}, "x").read_text()) == {"a": [1, "2020-01-01"]}
    assert export([1], "y.json").name == "y.json"
    assert export("text", "z.md").read_text() == "text"
    assert export(b"abc", "b").read_bytes() == b"abc"
    assert json.loads(export(Candidate("a", 1.0), "c").read_text())["name"] == "a"
    assert export(3, ".").parent == tmp_path
    parts = export({"frame": pd.DataFrame({"a": [1]}), "n": 1, "deep": [np.arange(2)]}, "parts")
    assert sorted(str(file.relative_to(parts)) for file in parts.rglob("*.*")) == [
        "deep/0.npy", "frame.parquet", "n.json",
    ]  # fmt: skip


def artifact_of(values: Values, value: object) -> Artifact:
    return values.store(value)[0]


def test_collections_and_records_are_put_together(values):
    one, two = artifact_of(values, 1), artifact_of(values, [2])
    assert values.load(Collection("list", (one, two))) == [1, [2]]
    assert values.load(Collection("tuple", (one, two))) == (1, [2])
    assert values.load(Collection("dict", (one, two), ("a", "b"))) == {"a": 1, "b": [2]}
    names = f"{__name__}:"
    assert values.load(Record(names + "Split", ("train", "test"), (one, two))) == Split(1, [2])
    assert values.load(Record(names + "Candidate", ("name", "score", "extra"), (one, two, one))) == Candidate(1, [2], 1)  # pyright: ignore[reportArgumentType]
    assert values.load(Record(names + "Scores", ("train", "test"), (one, two))) == {"train": 1, "test": [2]}


def test_digests_of_composed_arguments(values):
    one, two = artifact_of(values, 1), artifact_of(values, 2)
    arguments = [
        one, two, Collection("list", (one, two)), Collection("list", (two, one)), Collection("tuple", (one, two)),
        Collection("list", (Collection("list", (one,)), two)), Collection("dict", (one, two), ("a", "b")),
        Collection("dict", (one, two), ("b", "a")), Record("m:C", ("a", "b"), (one, two)), Record("m:D", ("a", "b"), (one, two)),
    ]  # fmt: skip
    digests = [values.digest(argument) for argument in arguments]
    assert len(set(digests)) == len(arguments)
    assert {len(found) for found in digests} == {32}
    assert values.digest(Collection("dict", (two, one), ("b", "a"))) == values.digest(arguments[6])


def test_a_part_is_had_without_loading_the_rest(values, blobs):
    big = np.arange(10_000)
    artifact = artifact_of(values, {"keep": big, "drop": np.ones(10_000), "n": [1, {"x": 2}]})
    dropped = values.store(np.ones(10_000))[0].blob
    blobs.delete(dropped)
    np.testing.assert_array_equal(values.load(Selection(artifact, "keep")), big)
    assert values.load(Selection(Selection(Selection(artifact, "n"), 1), "x")) == 2
    with pytest.raises(StoreError):
        values.load(artifact)
    composed = Collection("list", (artifact, artifact_of(values, 5)))
    assert values.load(Selection(composed, 1)) == 5
    assert values.load(Selection(Selection(Selection(composed, 0), "keep"), 7)) == 7
    record = Record("nowhere:Gone", ("a", "b"), (artifact, artifact_of(values, 6)))
    assert values.load(Selection(record, "b", attribute=True)) == 6
    assert values.load(Selection(record, 1)) == 6


def test_attributes_of_records_and_of_opaque_values(values):
    frame = pd.DataFrame({"a": [1, 2]})
    candidate = artifact_of(values, Candidate("x", 1.0, frame))
    assert values.load(Selection(candidate, "name", attribute=True)) == "x"
    assert values.load(Selection(candidate, "label", attribute=True)) == "x:1.0"
    pd.testing.assert_frame_equal(values.load(Selection(candidate, "extra", attribute=True)), frame)
    assert values.load(Selection(Selection(candidate, "extra", attribute=True), "shape", attribute=True)) == (2, 1)
    assert list(values.load(Selection(artifact_of(values, frame), "a"))) == [1, 2]
    whole = Record(f"{__name__}:Candidate", ("name", "score", "extra"), tuple(artifact_of(values, v) for v in "abc"))
    assert values.load(Selection(whole, "label", attribute=True)) == "a:b"
    for selection in (Selection(artifact_of(values, {"a": 1}), "b"), Selection(artifact_of(values, [1]), 4)):
        with pytest.raises(LookupError):
            values.load(selection)


def test_the_digest_of_a_part_depends_on_that_part_alone(values):
    frame = pd.DataFrame({"a": [1, 2]})
    first = artifact_of(values, {"frame": frame, "n": 1, "list": [1, frame]})
    second = artifact_of(values, {"frame": frame, "n": 2, "list": [1, frame]})
    for key in ("frame", "list"):
        assert values.digest(Selection(first, key)) == values.digest(Selection(second, key))
    assert values.digest(Selection(first, "frame")) == artifact_of(values, frame).digest
    assert values.digest(Selection(first, "list")) == artifact_of(values, [1, frame]).digest
    assert values.digest(Selection(first, "n")) == artifact_of(values, 1).digest
    assert values.digest(Selection(first, "n")) != values.digest(Selection(second, "n"))
    opaque = artifact_of(values, frame)
    assert values.digest(Selection(opaque, "a")) != values.digest(Selection(opaque, "a", attribute=True))


def test_a_list_of_things_stored_apart_is_split_without_loading(values, blobs):
    parts = [np.arange(10_000), np.ones(10_000), Candidate("a", 1.0, np.zeros(10_000))]
    artifact = artifact_of(values, parts)
    for address in list(blobs.addresses()):
        if address != artifact.blob:
            blobs.delete(address)
    elements = values.split(artifact)
    assert [values.digest(element) for element in elements] == [artifact_of(values, part).digest for part in parts]
    assert values.split(Selection(artifact_of(values, {"parts": parts}), "parts")) == elements
    one = artifact_of(values, 1)
    assert values.split(Collection("list", (one, one))) == [one, one]
    for argument in (
        one,
        artifact_of(values, [1, 2]),
        Collection("dict", (one,), ("a",)),
        artifact_of(values, {"a": parts[0]}),
    ):
        assert values.split(argument) is None


def test_all_blobs_of_an_artifact_are_known(values, blobs, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.txt").write_text("a")
    value = {"deep": [{"frame": pd.DataFrame({"a": np.arange(10_000)})}], "folder": tmp_path / "out"}
    artifact, _ = values.store(value, output=True)
    assert set(values.addresses(artifact)) == set(blobs.addresses())
    assert len(set(blobs.addresses())) == 2
    assert list(values.addresses(artifact_of(values, 1))) == []


def test_what_contains_itself_still_comes_back(values):
    loop: list[Any] = [1, object]
    loop.append(loop)
    back = values.load(values.store(loop)[0])
    assert back[2] is back
    assert any("list" in notice for notice in values.take_notices())


def test_a_collection_of_another_class_stays_of_that_class(trip, digest):
    value = defaultdict(list, a=[1])
    assert type(trip(value)) is defaultdict
    assert trip(value)["missing"] == []
    assert digest(value) == digest(defaultdict(list, a=[1]))
    assert digest(value) != digest({"a": [1]})
