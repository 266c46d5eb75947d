from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import (
    Any,
    Literal,
)
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parameter_samples import (
    Access,
    Candidate,
    Colour,
    Level,
    Limits,
    Mode,
    Plain,
    Search,
    Settings,
    Shape,
    Span,
    from_config,
    from_python,
    from_text,
    same,
)

from penstock.authoring.kinds.parameters import to_json


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Path("a/b"), "a/b"),
        (timedelta(hours=1, minutes=30), "PT5400S"),
        (date(2026, 11, 21), "2026-11-21"),
        (datetime(2026, 11, 21, 9, 30, tzinfo=UTC), "2026-11-21T09:30:00+00:00"),
        (Mode.FAST, "fast"),
        (Level.HIGH, 2),
        (Colour.ODD, "ODD"),
        (Shape.WIDE, "WIDE"),
        (float("nan"), "nan"),
        ({Mode.FAST: {3, 1, 2}, None: (True,), 1: b"x"}, {"fast": [1, 2, 3], "none": [True], "1": "b'x'"}),
        (Span(date(2026, 1, 1), date(2026, 1, 2)), {"start": "2026-01-01", "end": "2026-01-02", "step": "P1D"}),
        (Settings(rate=1), {"rate": 1.0, "folder": "here", "when": None}),
        (Plain(), "Plain()"),
    ],
)
def test_json_form(value: Any, written: Any) -> None:
    assert to_json(value) == written
    assert json.loads(json.dumps(to_json(value))) == written


text = st.text(max_size=8)


candidates = st.builds(Candidate, st.integers(0, 2**70), st.floats(allow_nan=False))


searches = st.builds(
    Search,
    st.lists(candidates, max_size=3),
    st.sampled_from(Mode),
    st.none() | st.dates(),
    st.sets(text, max_size=3),
    st.none() | st.builds(Search, st.lists(candidates, max_size=1)),
)


ROUND_TRIPS: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(),
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
    str: text,
    Path: st.lists(st.text("abc.", min_size=1), min_size=1, max_size=3).map(lambda parts: Path(*parts)),
    date: st.dates(),
    datetime: st.datetimes() | st.datetimes(timezones=st.just(UTC)),
    time: st.times(),
    timedelta: st.timedeltas(),
    UUID: st.uuids(),
    Decimal: st.decimals(allow_nan=False),
    Mode: st.sampled_from(Mode),
    Level: st.sampled_from(Level),
    Colour: st.sampled_from(Colour),
    Shape: st.sampled_from(Shape),
    Access: st.sampled_from([Access.READ, Access.WRITE, Access.READ | Access.WRITE]),
    Literal["a", 1, True, None, Level.HIGH]: st.sampled_from(["a", 1, True, None]),
    int | None: st.none() | st.integers(),
    str | None: st.none() | text,
    int | float | bool | str: st.integers() | st.booleans() | text | st.floats(allow_nan=False, allow_infinity=False),
    date | timedelta | Path: st.dates() | st.timedeltas(),
    list[Path]: st.lists(st.just(Path("a/b"))),
    set[date]: st.sets(st.dates(), max_size=4),
    frozenset[int | None]: st.frozensets(st.integers() | st.none(), max_size=4),
    tuple[int, ...]: st.lists(st.integers(), max_size=4).map(tuple),
    tuple[str, float | None]: st.tuples(text, st.none() | st.floats(allow_nan=False)),
    list[tuple[int, str]]: st.lists(st.tuples(st.integers(), text), max_size=3),
    dict[str, date | None]: st.dictionaries(text, st.none() | st.dates(), max_size=3),
    dict[int, list[bool]]: st.dictionaries(st.integers(), st.lists(st.booleans(), max_size=2), max_size=3),
    dict[Mode, float]: st.dictionaries(st.sampled_from(Mode), st.floats(allow_nan=False)),
    dict[bool | int, timedelta]: st.dictionaries(st.booleans() | st.integers(2), st.timedeltas(), max_size=3),
    Search: searches,
    Span: st.builds(Span, st.dates(), st.dates(), st.timedeltas()),
    Limits: st.fixed_dictionaries({"low": st.integers()}, optional={"high": st.floats(allow_nan=False)}),
    Settings: st.builds(
        Settings, rate=st.floats(allow_nan=False), folder=st.just(Path("f")), when=st.none() | st.dates()
    ),
    Any: st.recursive(st.none() | st.booleans() | st.integers() | text, lambda inside: st.lists(inside, max_size=3)),
}


@pytest.mark.parametrize("annotation", list(ROUND_TRIPS), ids=str)
def test_the_json_form_reads_back_as_the_same_value(annotation: Any) -> None:
    @settings(max_examples=40, deadline=None)
    @given(ROUND_TRIPS[annotation])
    def check(value: Any) -> None:
        data = json.loads(json.dumps(to_json(value)))
        assert same(from_config(annotation, data), value)
        assert same(from_python(annotation, value), value)

    check()


@pytest.mark.parametrize("annotation", [int, float, date, datetime, time, timedelta, UUID, Decimal], ids=str)
def test_the_json_form_of_a_leaf_is_a_text_form_too(annotation: Any) -> None:
    @settings(max_examples=40, deadline=None)
    @given(ROUND_TRIPS[annotation])
    def check(value: Any) -> None:
        assert same(from_text(annotation, str(to_json(value))), value)

    check()
