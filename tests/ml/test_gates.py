"""Gates on metrics."""

from __future__ import annotations

import math

import pytest

from penstock.ml import gate


def test_a_gate_is_open_when_all_conditions_hold() -> None:
    decision = gate({"accuracy": 0.95, "loss": 0.2}, {"accuracy": ">= 0.9", "loss": "< 0.3"})
    assert decision.passed
    assert decision.reasons == ("accuracy is 0.95, at least 0.9", "loss is 0.2, less than 0.3")


def test_one_broken_condition_closes_the_gate_and_is_named_first() -> None:
    decision = gate({"accuracy": 0.95, "loss": 0.2}, {"accuracy": ">= 0.9", "loss": "<= 0.1"})
    assert not decision.passed
    assert decision.reasons == ("loss is 0.2, more than 0.1", "accuracy is 0.95, at least 0.9")


@pytest.mark.parametrize(
    ("condition", "passed"),
    [
        (">= 0.5", True),
        ("> 0.5", False),
        ("<= 0.5", True),
        ("< 0.5", False),
        (">=0.5", True),
        ("  < 1e3 ", True),
        ("> -1", True),
    ],
)
def test_comparisons(condition: str, passed: bool) -> None:
    assert gate({"metric": 0.5}, {"metric": condition}).passed is passed


@pytest.mark.parametrize("condition", [">= 0", "> 0", "<= 0", "< 0"])
def test_not_a_number_meets_no_condition(condition: str) -> None:
    assert not gate({"metric": math.nan}, {"metric": condition}).passed


def test_reasons_show_values_that_round_to_the_limit_apart_from_it() -> None:
    (reason,) = gate({"accuracy": 0.899996}, {"accuracy": ">= 0.9"}).reasons
    assert reason == "accuracy is 0.899996, less than 0.9"


@pytest.mark.parametrize("condition", ["0.9", "= 0.9", ">= much", "=> 1", ""])
def test_a_condition_that_cannot_be_read_is_refused(condition: str) -> None:
    with pytest.raises(ValueError, match="the condition on 'accuracy'"):
        gate({"accuracy": 0.9}, {"accuracy": condition})


def test_a_metric_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"no metric 'acuracy' to compare; the metrics are: 'accuracy', 'f1'"):
        gate({"accuracy": 0.9, "f1": 0.8}, {"acuracy": ">= 0.9"})
