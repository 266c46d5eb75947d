"""Mappings: which partitions of one asset a partition of another is made from, and the other way round."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import (
    NotFoundError,
    all_partitions,
    by_time,
    daily,
    dimensions,
    hourly,
    last,
    monthly,
    same,
    static,
    weekly,
)
from penstock.model.partition import Chosen, Mapping, Partitions
from penstock.triggers import mappings
from penstock.triggers.mappings import Known, downstream_keys, upstream_keys
from penstock.triggers.partitions import keys

NOW = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
DAYS, WEEKS, MONTHS, HOURS = daily("2026-01-01"), weekly("2026-01-01"), monthly("2026-01-01"), hourly("2026-01-01")
REGIONS = static(["eu", "us"])
BOTH = dimensions(day=DAYS, region=REGIONS)


def none(_: str) -> Sequence[str]:
    return []


def day_before(key: str) -> str:
    return f"before {key}"


KNOWN = Known(NOW, none, {"mine:day_before": day_before}.__getitem__)


def up(mapping: Mapping | None, key: str, above: Partitions | None, below: Partitions | None) -> str | list[str] | None:
    found = upstream_keys(mapping, key, above, below, KNOWN)
    return found if found is None or isinstance(found, str) else list(found)


def test_where_none_is_said_it_follows_from_the_partitions() -> None:
    assert up(None, "", None, None) is None
    assert up(None, "2026-01-02", None, DAYS) is None
    assert up(None, "2026-01-02", DAYS, DAYS) == "2026-01-02"
    assert up(None, "2026-01-02", daily("2025-01-01"), DAYS) == "2026-01-02"
    assert len(up(None, "", DAYS, None) or "") == 59
    assert up(None, "2026-01-05", DAYS, WEEKS) == [f"2026-01-{day:02d}" for day in range(5, 12)]
    assert len(up(None, "2026-01-02", HOURS, DAYS) or "") == 24
    assert up(None, "2026-01-31", MONTHS, DAYS) == "2026-01"
    assert up(None, "2026-01-02", REGIONS, DAYS) == ["eu", "us"]


def test_dimensions_go_by_what_both_have() -> None:
    assert up(None, "2026-01-02|eu", DAYS, BOTH) == "2026-01-02"
    assert up(None, "2026-01-02|eu", REGIONS, BOTH) == "eu"
    assert up(None, "2026-01-02", BOTH, DAYS) == ["2026-01-02|eu", "2026-01-02|us"]
    assert up(None, "2026-01-02|eu", BOTH, BOTH) == "2026-01-02|eu"
    assert up(last(2), "2026-01-02|eu", BOTH, BOTH) == ["2026-01-01|eu", "2026-01-02|eu"]
    assert len(up(None, "eu|2026-01-05", BOTH, dimensions(week=WEEKS, region=REGIONS)) or "") == 7


def test_last_takes_those_before() -> None:
    assert up(last(3), "2026-01-05", DAYS, DAYS) == ["2026-01-03", "2026-01-04", "2026-01-05"]
    assert up(last(2, offset=1), "2026-01-05", DAYS, DAYS) == ["2026-01-03", "2026-01-04"]
    assert up(last(3), "2026-01-01", DAYS, DAYS) == ["2026-01-01"]
    assert up(last(1, offset=1), "2026-01-01", DAYS, DAYS) == []
    assert up(last(2), "us", REGIONS, REGIONS) == ["eu", "us"]


def test_a_function_and_all_are_taken_at_their_word() -> None:
    assert up(Chosen("mine:day_before"), "2026-01-05", DAYS, DAYS) == "before 2026-01-05"
    assert up(all_partitions(), "2026-01-05", REGIONS, DAYS) == ["eu", "us"]
    assert mappings.usual(DAYS, WEEKS) == by_time()
    assert mappings.usual(DAYS, DAYS) == same()


def test_what_lies_before_the_first_cannot_be_named() -> None:
    with pytest.raises(NotFoundError, match="the first is 2026-02"):
        up(None, "2026-01-05", monthly("2026-02-01"), DAYS)
    assert up(None, "2026-01-05", daily("2026-01-10"), WEEKS) == ["2026-01-10", "2026-01-11"]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([None, same(), by_time(), all_partitions(), last(3), last(2, offset=2)]),
    st.sampled_from(
        [
            (DAYS, DAYS),
            (DAYS, WEEKS),
            (hourly("2026-02-27"), daily("2026-02-26")),
            (MONTHS, DAYS),
            (DAYS, MONTHS),
            (DAYS, BOTH),
            (BOTH, DAYS),
        ]
    ),
    st.data(),
)
def test_downstream_is_the_inverse_of_upstream(
    mapping: Mapping | None, pair: tuple[Partitions, Partitions], data: st.DataObject
) -> None:
    above, below = pair
    key = data.draw(st.sampled_from(list(keys(above, NOW, none))))

    def is_made_from(each: str) -> bool:
        try:
            found = up(mapping, each, above, below)
        except NotFoundError:
            return False
        return key == found if isinstance(found, str) else key in (found or [])

    expected = [each for each in keys(below, NOW, none) if is_made_from(each)]
    assert list(downstream_keys(mapping, key, above, below, KNOWN)) == expected


def test_a_function_that_names_what_is_no_partition_is_named() -> None:
    with pytest.raises(NotFoundError, match="mine:day_before names 'before eu' for 'eu'"):
        up(Chosen("mine:day_before"), "eu", static(["eu", "us"]), static(["eu"]))
