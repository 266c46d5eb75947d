from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import (
    Any,
    Literal,
    Protocol,
)

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parameter_samples import (
    TEXTS,
    Access,
    Candidate,
    Level,
    Limits,
    Mode,
    Plain,
    Search,
    Settings,
    complaint,
    from_config,
    from_python,
    from_text,
    read,
    same,
)

from penstock.authoring.kinds.parameters import to_json
from penstock.errors import ParameterError


@pytest.mark.parametrize(("annotation", "text", "value"), TEXTS, ids=[f"{a}-{t}" for a, t, _ in TEXTS])
def test_text(annotation: Any, text: str, value: Any) -> None:
    assert same(from_text(annotation, text), value)
    assert same(read(annotation, environ={"PENSTOCK_PARAM_X": text}), value)


@pytest.mark.parametrize("text", ["true", "True", "yes", "on", "1"])
def test_words_for_true(text: str) -> None:
    assert from_text(bool, text) is True


@pytest.mark.parametrize("text", ["false", "FALSE", "no", "off", "0"])
def test_words_for_false(text: str) -> None:
    assert from_text(bool, text) is False


@pytest.mark.parametrize(
    ("annotation", "text", "expected"),
    [
        (int, "abc", "a whole number"),
        (int, "1.0", "a whole number"),
        (int, "true", "a whole number"),
        (int, "", "a whole number"),
        (float, "1,5", "a number"),
        (float, "1e999", "a number"),
        (bool, "2", "true or false"),
        (Path, "", "a path"),
        (date, "2026-13-01", "a date such as 2026-11-21"),
        (date, "2026-11-21T09:30", "a date such as 2026-11-21"),
        (datetime, "now", "a date and time such as 2026-11-21T09:30"),
        (timedelta, "90", "a duration such as 90s, 1h30m or PT1H30M"),
        (timedelta, "9999999999d", "a duration such as 90s, 1h30m or PT1H30M"),
        (Mode, "medium", "one of: fast, slow"),
        (Literal["a", 1, None], "b", "one of: a, 1, none"),
        (int | None, "x", "a whole number, or none"),
        (int | date, "x", "a whole number or a date such as 2026-11-21"),
        (list[list[int]], "1,2", "a list (list[list[int]])"),
        (tuple[int, str], "1", "a list of 2 (tuple[int, str])"),
        (dict[str, int], "a=1", "a mapping (dict[str, int])"),
        (list[int], "[" * 5000, "a list (list[int])"),
        (Candidate, "3", "a mapping (Candidate: depth, rate)"),
    ],
)
def test_text_that_is_something_else(annotation: Any, text: str, expected: str) -> None:
    line = complaint(from_text, annotation, text)
    assert line.startswith(f"x: expected {expected}; got ")
    assert line.endswith(f"(-p x={text})") or (len(text) > 60 and line.endswith("...)"))


@pytest.mark.parametrize(
    ("annotation", "data", "value"),
    [
        (float, 3, 3.0),
        (float, "inf", float("inf")),
        (int, 3, 3),
        (int | str, "3", "3"),
        (float | int, 3, 3),
        (float | int, 3.0, 3.0),
        (bool | int, True, True),
        (Literal[1, 2], 2, 2),
        (Path, "a/b", Path("a/b")),
        (date, "2026-11-21", date(2026, 11, 21)),
        (date, date(2026, 11, 21), date(2026, 11, 21)),
        (datetime, date(2026, 11, 21), datetime(2026, 11, 21)),
        (timedelta, "1h30m", timedelta(minutes=90)),
        (Level, 1, Level.LOW),
        (Access, 3, Access.READ | Access.WRITE),
        (str | None, None, None),
        (str | None, "none", "none"),
        (dict[str, date | None], {"a": "2026-11-21", "b": None}, {"a": date(2026, 11, 21), "b": None}),
        (Any, {"a": [1]}, {"a": [1]}),
        (Candidate | Limits, {"low": 1}, {"low": 1}),
    ],
)
def test_data(annotation: Any, data: Any, value: Any) -> None:
    assert same(from_config(annotation, data), value)


@pytest.mark.parametrize(
    ("annotation", "data", "line"),
    [
        (int, "3", "x: expected a whole number; got the text '3' (conf.yaml: x)"),
        (int, 1.0, "x: expected a whole number; got the number 1.0 (conf.yaml: x)"),
        (int, True, "x: expected a whole number; got true (conf.yaml: x)"),
        (float, True, "x: expected a number; got true (conf.yaml: x)"),
        (float, "1.5", "x: expected a number; got the text '1.5' (conf.yaml: x)"),
        (float, 2**63 + 1, "x: expected a number; got the number 9223372036854775809 (conf.yaml: x)"),
        (bool, 1, "x: expected true or false; got the number 1 (conf.yaml: x)"),
        (int | None, "none", "x: expected a whole number, or none; got the text 'none' (conf.yaml: x)"),
        (int, None, "x: expected a whole number; got null (conf.yaml: x)"),
        (str, 3, "x: expected text; got the number 3 (write it in quotes) (conf.yaml: x)"),
        (Literal["on"], True, "x: expected one of: on; got true (write it in quotes) (conf.yaml: x)"),
        (Literal[1], True, "x: expected one of: 1; got true (write it in quotes) (conf.yaml: x)"),
        (list[int], "1,2", "x: expected a list (list[int]); got the text '1,2' (conf.yaml: x)"),
        (dict[str, int], [1], "x: expected a mapping (dict[str, int]); got the list [1] (conf.yaml: x)"),
        (set[int], {"a": 1}, "x: expected a list (set[int]); got the mapping {'a': 1} (conf.yaml: x)"),
        (date, 5, "x: expected a date such as 2026-11-21; got the number 5 (conf.yaml: x)"),
        (
            dict[int, int],
            {"1": 1, "01": 2},
            "x: two of the keys are the same; got the mapping {'1': 1, '01': 2} (conf.yaml: x)",
        ),
        (dict[int, int], {"a": 1}, "x, key 'a': expected a whole number; got 'a' (conf.yaml: x)"),
        (Candidate, {"depth": -1}, "x: Candidate refuses it: depth must not be negative (conf.yaml: x)"),
        (
            Plain,
            "y",
            "x: expected an object of class Plain; got the text 'y' (only Python code can give one) (conf.yaml: x)",
        ),
    ],
)
def test_data_that_is_something_else(annotation: Any, data: Any, line: str) -> None:
    assert complaint(from_config, annotation, data) == line


def test_numbers_of_numpy_count_as_numbers() -> None:
    import numpy as np

    assert same(from_python(int, np.int64(3)), 3)
    assert same(from_python(float, np.float32(0.5)), 0.5)
    assert "expected a whole number" in complaint(from_python, int, np.float64(3.0))


def test_objects_of_the_type_stay_what_they_are() -> None:
    search, settings_, plain = Search([Candidate(1)]), Settings(rate=1), Plain()
    assert from_python(Search, search) is search
    assert from_python(Settings, settings_) is settings_
    assert from_python(Plain, plain) is plain
    assert from_python(list[Candidate], search.candidates)[0] is search.candidates[0]
    assert from_python(str | date, "2026-11-21") == "2026-11-21"
    assert from_python(str | date, date(2026, 11, 21)) == date(2026, 11, 21)
    assert from_python(Path | str, "a") == "a"
    assert from_python(str | Mode, "fast") == "fast"


def test_python_may_give_data() -> None:
    assert from_python(Search, {"candidates": [{"depth": 2}], "mode": "slow"}) == Search([Candidate(2)], Mode.SLOW)
    assert from_python(Path, "a") == Path("a")
    assert from_python(float, 1) == 1.0
    assert "got '3' (str)" in complaint(from_python, int, "3")
    assert "got datetime.datetime(" in complaint(from_python, date, datetime(2026, 11, 21))


class Scorer(Protocol):
    def score(self) -> float: ...


def test_types_of_which_only_python_has_values() -> None:
    assert from_python(Callable[[int], int], abs) is abs
    assert from_python(type[Plain], Plain) is Plain
    plain = Plain()
    assert from_python(Scorer, plain) is plain
    assert "expected an object of class Callable" in complaint(from_python, Callable[[int], int], 3)


def test_a_list_that_is_given_is_not_shared() -> None:
    mine = [1, 2]
    assert from_python(list[int], mine) is not mine


def test_a_typed_dict_knows_its_optional_fields_where_annotations_are_strings() -> None:
    assert from_config(Limits, {"low": 1, "high": 2}) == {"low": 1, "high": 2.0}
    assert complaint(from_config, Limits, {"high": 2.0}) == "x.low: missing; it takes a whole number (conf.yaml: x)"


def test_pydantic_decides_about_its_models_and_says_where() -> None:
    with pytest.raises(ParameterError) as caught:
        from_config(Settings, {"folder": 3, "when": "x"})
    message = str(caught.value)
    assert "3 problems with the parameters of pipe" in message
    assert "x.rate: field required (conf.yaml: x)" in message
    assert "x.folder: input is not a valid path" in message
    assert "x.when: " in message


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([annotation for annotation, *_ in TEXTS]),
    st.text(max_size=12) | st.text('[]{},:"ab1 -', max_size=8),
)
def test_any_text_is_refused_or_read_as_what_reads_back(annotation: Any, content: str) -> None:
    try:
        value = from_text(annotation, content)
    except ParameterError as error:
        assert "with the parameters of pipe" in str(error)
    else:
        # not a number is not even the same as itself
        assert value != value or same(from_config(annotation, json.loads(json.dumps(to_json(value)))), value)
