"""Amounts as people read them."""

from __future__ import annotations

import pytest

from penstock.model.amounts import size, span


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (99_950, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (3e9, "3.0 GB"),
        (10**15, "1000 TB"),
    ],
)
def test_a_number_of_bytes_has_three_digits_at_most_and_a_unit(count: float, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.5, "0.5 s"), (90, "90 s"), (60, "1 min"), (5400, "90 min"), (43_200, "12 h"), (604_800, "7 d")],
)
def test_a_length_of_time_is_told_without_loss(seconds: float, text: str) -> None:
    assert span(seconds) == text
