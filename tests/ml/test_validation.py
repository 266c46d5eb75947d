"""Rules for the columns of a frame."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from penstock.ml import Column, InvalidDataError, ValidationReport, check_frame

RULES = {
    "age": Column(dtype="integer", minimum=0, maximum=120),
    "height": Column(dtype="float", minimum=0.3, maximum=2.8, missing=0.25),
    "group": Column(dtype="text", allowed=("a", "b"), least_share=0.25),
}


def people(**changes: Any) -> pd.DataFrame:
    columns = {"age": [30, 40, 50, 60], "height": [1.5, 1.6, 1.7, 1.8], "group": ["a", "a", "a", "b"]}
    return pd.DataFrame(columns | changes)


def problems(frame: Any, rules: dict[str, Column] = RULES, **options: Any) -> list[str]:
    with pytest.raises(InvalidDataError) as caught:
        check_frame(frame, rules, **options)
    return [str(violation) for violation in caught.value.report.violations]


def test_a_good_frame_gives_a_report() -> None:
    report = check_frame(people(height=[1.5, None, 1.7, 1.8]), RULES)
    assert report == ValidationReport(rows=4, columns=3, missing=1, counts={"group": {"a": 3, "b": 1}})
    assert report.passed


def test_every_violation_is_listed_with_its_column() -> None:
    frame = people(age=[30, -1, 130, 140], group=["a", "x", "a", "b"])
    with pytest.raises(InvalidDataError) as caught:
        check_frame(frame, RULES)
    assert str(caught.value) == (
        "the data breaks 3 rules:\n"
        "  - column 'age' has 1 of 4 values that are below 0: the first is -1, in row 1\n"
        "  - column 'age' has 2 of 4 values that are above 120: the first is 130, in row 2\n"
        "  - column 'group' has 1 of 4 values that are none of 'a', 'b': the first is 'x', in row 1"
    )


def test_columns_that_are_missing_unexpected_or_doubled() -> None:
    frame = people().drop(columns="age").assign(weight=1.0)
    assert problems(frame) == ["column 'age' is not there", "column 'weight' is there, but no rule mentions it"]
    assert problems(frame, extra=True) == ["column 'age' is not there"]
    doubled = pd.concat([people(), people()[["age"]]], axis=1)
    assert problems(doubled) == ["column 'age' is there more than once"]


def test_too_few_rows() -> None:
    assert problems(people(), least_rows=5) == ["there are 4 rows, fewer than 5"]
    assert "there are 0 rows, fewer than 1" in problems(people()[:0])


def test_the_share_of_missing_values_is_limited() -> None:
    assert problems(people(height=[1.5, None, None, 1.8])) == [
        "column 'height' has no value in 50.0% of its rows; at most 25.0% may be missing"
    ]
    assert problems(people(group=["a", None, "a", "b"])) == [
        "column 'group' has no value in 25.0% of its rows; at most 0.0% may be missing"
    ]


def test_the_balance_of_classes() -> None:
    assert problems(people(group=["a"] * 4)) == [
        "column 'group' is 'b' in only 0.0% of its rows; at least 25.0% are needed"
    ]


@pytest.mark.parametrize(
    ("dtype", "values", "fits"),
    [
        ("number", [1, 2], True),
        ("number", [1.0, 2.0], True),
        ("number", [True, False], False),
        ("number", ["1", "2"], False),
        ("integer", [1, 2], True),
        ("integer", [1.0, 2.0], False),
        ("float", [1.0, 2.0], True),
        ("text", ["1", "2"], True),
        ("text", [1, "2"], False),
        ("boolean", [True, False], True),
        ("boolean", [0, 1], False),
        ("datetime", pd.to_datetime(["2026-01-01", "2026-01-02"]), True),
        ("datetime", ["2026-01-01", "2026-01-02"], False),
        ("float32", np.array([1, 2], dtype="float32"), True),
        ("float32", [1.0, 2.0], False),
        ("category", pd.Categorical(["a", "b"]), True),
    ],
)
def test_dtypes(dtype: str, values: Any, fits: bool) -> None:
    frame = pd.DataFrame({"x": values})
    rules = {"x": Column(dtype=dtype)}
    if fits:
        assert check_frame(frame, rules).passed
    else:
        assert problems(frame, rules) == [f"column 'x' has dtype {frame['x'].dtype}, not {dtype}"]


def test_dates_have_ranges_too() -> None:
    frame = pd.DataFrame({"day": pd.to_datetime(["2026-01-01", "2027-01-01"])})
    (problem,) = problems(frame, {"day": Column(dtype="datetime", maximum=pd.Timestamp("2026-12-31"))})
    assert "1 of 2 values that are above 2026-12-31" in problem


def test_infinity_is_above_every_limit() -> None:
    (problem,) = problems(people(height=[1.5, 1.6, np.inf, 1.8]))
    assert "above 2.8" in problem


def test_the_error_survives_the_way_between_processes() -> None:
    with pytest.raises(InvalidDataError) as caught:
        check_frame(people(age=[30, -1, 50, 60]), RULES)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    assert copy.report == caught.value.report
