"""Digests of plain data tell everything apart that differs, and nothing that is equal."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections import OrderedDict, defaultdict, deque
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path, PurePosixPath
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import NotFoundError
from penstock.fingerprint.framing import NotPlain, digest, digest_of, frame, locate, pack, reference, unpack


class Colour(Enum):
    RED = 1
    BLUE = 2


class Size(IntEnum):
    RED = 1


DISTINCT = [
    None, True, False, 0, 1, -1, 1.0, 0.0, -0.0, "1", "", b"1", b"", bytearray(b"1"), 2**64, -(2**64), 2**63, 1 + 0j,
    Decimal("1"), Decimal("1.0"), float("nan"), float("inf"), float("-inf"), "nan",
    [], (), {}, set(), frozenset(), [1], (1,), {1}, frozenset({1}), {1: None}, {"1": None}, {True: 0, 2: 0}, deque([1]),
    deque([1], maxlen=1), ["a-b", "c"], ["a", "b-c"], ["a", ["b"]], [["a"], "b"], [["a", "b"]], [None], [[]], [()],
    "a\ud800", range(1), range(2), OrderedDict(a=1, b=2), OrderedDict(b=2, a=1), {"a": 1, "b": 2}, {"a": 1, "b": "2"},
    date(2020, 1, 1), datetime(2020, 1, 1), datetime(2020, 1, 1, tzinfo=UTC), "2020-01-01",
    datetime(2020, 1, 1, tzinfo=ZoneInfo("UTC")), datetime(2020, 1, 1, tzinfo=timezone(timedelta(0), "GMT")),
    datetime(2020, 10, 25, 2, fold=0), datetime(2020, 10, 25, 2, fold=1), time(0), time(0, tzinfo=UTC), timedelta(1),
    timedelta(seconds=1), timedelta(microseconds=1), UUID(int=1), Path("1"), PurePosixPath("1"), Colour.RED, Colour.BLUE,
    Size.RED,
]  # fmt: skip


def test_all_of_these_have_different_digests():
    digests = [digest_of(value) for value in DISTINCT]
    same = [
        (DISTINCT[i], DISTINCT[j])
        for i, j in itertools.combinations(range(len(digests)), 2)
        if digests[i] == digests[j]
    ]
    assert same == []
    assert {len(found) for found in digests} == {32}


def test_they_differ_inside_collections_too():
    digests = {digest_of([value, {"key": value}]) for value in DISTINCT}
    assert len(digests) == len(DISTINCT)


@pytest.mark.parametrize("value", DISTINCT, ids=repr)
def test_each_comes_back_with_its_type(value):
    back = unpack(pack(value))
    assert type(back) is type(value)
    assert repr(back) == repr(value)


def test_the_order_of_a_dictionary_does_not_count_but_is_kept():
    first, second = {"a": 1, "b": {2: 3, "x": 4}}, {"b": {"x": 4, 2: 3}, "a": 1}
    assert digest_of(first) == digest_of(second)
    assert list(unpack(pack(second))) == ["b", "a"]
    assert list(unpack(pack(second))["b"]) == ["x", 2]


def test_a_list_is_told_from_what_it_flattens_to():
    assert digest_of([1, [2, 3]]) != digest_of([1, 2, 3])
    assert digest_of([[1, 2], 3]) != digest_of([1, [2, 3]])


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize("value", [defaultdict(list), Text("a"), object(), [Text("a")], {"a": {Text("b"): 1}}, len])
def test_what_is_not_plain_is_refused_and_named(value):
    with pytest.raises(NotPlain) as caught:
        frame(value)
    assert type(caught.value.value).__name__ in str(caught.value)


def test_a_list_that_contains_itself_is_refused():
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(NotPlain):
        frame(loop)


def test_a_collection_is_looked_at_element_by_element_when_one_does_not_fit():
    value = {"a": [1, 2**70], "\ud800": ("b", {"c": -(2**65)})}
    assert unpack(pack(value)) == value
    assert digest_of(value) != digest_of({**value, "a": [1, 2**70 + 1]})


def test_digests_combine_under_a_tag():
    parts = b"a" * 32, b"b" * 32
    assert len(digest("x", *parts)) == 32
    different = {digest("x", *parts), digest("y", *parts), digest("x", *parts[::-1]), digest("x", b"".join(parts))}
    assert len(different) == 4
    assert digest("x") != digest("x", b"")


def test_digests_are_the_same_in_every_process():
    code = (
        "from penstock.fingerprint.framing import digest_of\n"
        "print(digest_of({'a': {'x', 'y', 'z'}, 'b': frozenset(range(9)), 3: [None, 1.5]}).hex())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
    assert len(found.pop().strip()) == 64


def test_classes_are_located_by_name():
    assert locate(reference(OrderedDict)) is OrderedDict
    with pytest.raises(NotFoundError, match="gone"):
        locate("collections:gone")


def test_an_enum_that_cannot_be_imported_travels_with_its_class():
    class Local(Enum):
        A = "a"

    assert unpack(pack(Local.A)) == Local.A
    assert digest_of(Local.A) == digest_of(Local("a"))


atoms = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()) | st.binary()
    | st.dates() | st.datetimes() | st.timedeltas() | st.decimals(allow_nan=False) | st.uuids() | st.times()
    | st.datetimes(timezones=st.just(UTC)) | st.complex_numbers(allow_nan=False) | st.sampled_from(Colour)
)  # fmt: skip
keys = st.text() | st.integers() | st.tuples(st.integers(), st.text()) | st.dates()
plain = st.recursive(
    atoms,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(keys, inner)
        | st.sets(st.integers() | st.text())
        | st.frozensets(keys)
    ),
    max_leaves=20,
)


def exact(value: object) -> object:
    """A form of the value that is equal only if all types inside are."""
    if isinstance(value, dict):
        return dict, [(exact(key), exact(part)) for key, part in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [exact(part) for part in value]
    if isinstance(value, (set, frozenset)):
        return type(value), sorted(repr(exact(part)) for part in value)
    return type(value), repr(value)


@given(plain)
def test_any_plain_value_comes_back_as_it_was(value):
    assert exact(unpack(pack(value))) == exact(value)


@given(plain, plain)
def test_two_values_have_one_digest_only_if_they_are_the_same(one, other):
    same = frame(one) == frame(other)
    if same:
        assert one == other
    assert (digest_of(one) == digest_of(other)) is same
    assert digest_of(unpack(pack(one))) == digest_of(one)
