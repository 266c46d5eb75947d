"""Partitions: keys, counts, and the time that each of them stands for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import DefinitionError, NotFoundError, daily, dimensions, dynamic, hourly, monthly, static, weekly
from penstock import partitioned_by_cron as by_cron
from penstock.model.partition import Partitions, TimePartitions
from penstock.triggers import partitions as p


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def none(_: str) -> Sequence[str]:
    return []


def keys(of: Partitions, now: str, zone: str = "UTC") -> list[str]:
    return list(p.keys(of, at(now, zone), none))


def test_a_partition_of_time_is_there_once_it_is_over() -> None:
    assert keys(daily("2026-01-01"), "2026-01-03T23:59") == ["2026-01-01", "2026-01-02"]
    assert keys(daily("2026-01-01"), "2026-01-04T00:00")[-1] == "2026-01-03"
    assert keys(daily("2026-01-01", ahead=2), "2026-01-03T12:00")[-1] == "2026-01-04"
    assert keys(daily("2026-01-01", end="2026-01-03"), "2026-05-01") == ["2026-01-01", "2026-01-02"]
    assert keys(daily("2026-01-05"), "2026-01-01") == []


def test_units_start_at_their_beginnings_and_offsets() -> None:
    # 1 January 2026 is a Thursday
    assert keys(weekly("2026-01-01"), "2026-01-20") == ["2026-01-05", "2026-01-12"]
    assert keys(weekly("2026-01-01", offset="6d"), "2026-01-20") == ["2026-01-04", "2026-01-11"]
    assert keys(monthly("2025-12-15"), "2026-03-01") == ["2026-01", "2026-02"]
    assert keys(hourly("2026-01-01T05:30"), "2026-01-01T08:30") == ["2026-01-01T06:00", "2026-01-01T07:00"]
    assert keys(hourly("2026-01-01", offset="15min"), "2026-01-01T02:15")[-1] == "2026-01-01T01:15"
    assert keys(by_cron("0 6,18 * * *", "2026-01-01"), "2026-01-02T06:00") == ["2026-01-01T06:00", "2026-01-01T18:00"]
    of = daily("2026-01-01", zone="Europe/Berlin", offset="6h")
    assert p.window(of, "2026-01-01") == (
        at("2026-01-01T06:00", "Europe/Berlin"),
        at("2026-01-02T06:00", "Europe/Berlin"),
    )


def test_hours_that_come_twice_or_not_at_all_are_told_apart() -> None:
    autumn = keys(hourly("2026-10-25T01:00", zone="Europe/Berlin"), "2026-10-25T04:00", "Europe/Berlin")
    assert autumn == ["2026-10-25T01:00", "2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00", "2026-10-25T03:00"]
    spring = keys(hourly("2026-03-29T01:00", zone="Europe/Berlin"), "2026-03-29T04:00", "Europe/Berlin")
    assert spring == ["2026-03-29T01:00", "2026-03-29T03:00"]
    of = hourly("2026-10-25T01:00", zone="Europe/Berlin")
    assert not p.contains(of, "2026-10-25T02:00", at("2026-11-01"), none)


def test_a_day_that_a_zone_leaves_out_is_none() -> None:
    of = daily("2011-12-28", zone="Pacific/Apia")
    now = at("2012-01-02", "Pacific/Apia")
    assert p.keys(of, now, none) == ["2011-12-28", "2011-12-29", "2011-12-31", "2012-01-01"]
    assert p.count(of, now, none) == 4
    assert not p.contains(of, "2011-12-30", now, none)


def test_keys_have_the_format_that_is_said() -> None:
    of = daily("2026-01-01", format="%Y%m%d")
    assert keys(of, "2026-01-03") == ["20260101", "20260102"]
    assert p.window(of, "20260102")[0] == at("2026-01-02")
    with pytest.raises(DefinitionError, match="does not tell partitions from each other"):
        daily("2026-01-01", format="%Y-%m")


def test_several_dimensions_are_every_combination() -> None:
    of = dimensions(region=static(["eu", "us"]), day=daily("2026-01-01"))
    now = at("2026-01-03")
    assert p.keys(of, now, none) == ["2026-01-01|eu", "2026-01-01|us", "2026-01-02|eu", "2026-01-02|us"]
    assert p.count(of, now, none) == 4
    assert p.expanded(of, "2026-01-01..2026-01-02|us", now, none) == ["2026-01-01|us", "2026-01-02|us"]
    assert p.expanded(of, "*|eu", now, none) == ["2026-01-01|eu", "2026-01-02|eu"]
    assert p.window_of(of, "2026-01-02|us") == ("UTC", (at("2026-01-02"), at("2026-01-03")))
    assert not p.contains(of, "2026-01-01", now, none)


def test_ranges_have_both_ends() -> None:
    of, now = daily("2026-01-01"), at("2026-02-01")
    assert p.expanded(of, "2026-01-02..2026-01-04", now, none) == ["2026-01-02", "2026-01-03", "2026-01-04"]
    assert len(p.expanded(of, "2026-01-30..", now, none)) == 2
    assert p.expanded(static(["a", "b", "c"]), "..b", now, none) == ["a", "b"]
    with pytest.raises(NotFoundError, match="not over yet") as caught:
        p.expanded(of, "2026-01-30..2026-02-01", now, none)
    assert caught.value.remedy == "There are 31, from 2026-01-01 to 2026-01-31."
    with pytest.raises(NotFoundError, match=r"no partition"):
        p.expanded(of, "2025-12-31", now, none)


def test_dynamic_partitions_are_looked_up_by_their_name() -> None:
    of = dynamic("customers")
    known = {"customers": ["acme", "globex"]}
    assert p.keys(of, 0.0, known.__getitem__) == ["acme", "globex"]
    assert p.contains(of, "acme", 0.0, known.__getitem__)
    with pytest.raises(NotFoundError) as caught:
        p.expanded(of, "acm", 0.0, known.__getitem__)
    assert caught.value.remedy == "Did you mean acme?"


@pytest.mark.parametrize(
    ("define", "what"),
    [
        (lambda: daily("2026-13-01"), "start must be"),
        (lambda: daily("2026-01-01", zone="Europe/Berln"), "no time zone"),
        (lambda: daily("2026-01-01", offset="25h"), "offset of 1500 minutes"),
        (lambda: daily("2026-01-02", end="2026-01-01"), "no partition begins"),
        (lambda: daily("2026-01-01", ahead=-1), "ahead is -1"),
        (lambda: daily(datetime(2026, 1, 1, tzinfo=UTC)), "start must be"),
        (lambda: by_cron("0 0 31 2 *", "2026-01-01"), "never due"),
        (lambda: static([]), "need a key"),
        (lambda: static(["a", "a"]), "there twice"),
        (lambda: static(["a..b"]), "cannot have the key"),
        (lambda: dynamic(""), "need a name"),
        (lambda: dimensions(day=daily("2026-01-01")), "two or more"),
        (lambda: dimensions(a=static(["x|y"]), b=static(["z"])), "has a '|' in it"),
    ],
)
def test_what_cannot_be_is_said_where_it_is_defined(define: object, what: str) -> None:
    assert callable(define)
    with pytest.raises(DefinitionError, match=what.replace("|", r"\|")) as caught:
        define()
    assert caught.value.where is not None and "test_partitions.py" in caught.value.where


ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/Havana",
    "Asia/Kathmandu",
]


@st.composite
def times(draw: st.DrawFn) -> TimePartitions:
    zone = draw(st.sampled_from(ZONES))
    start = draw(st.datetimes(datetime(2009, 1, 1), datetime(2012, 6, 1))).replace(microsecond=0, second=0)
    unit = draw(st.sampled_from(["hour", "day", "week", "month", "cron"]))
    if unit == "cron":
        expression = draw(st.sampled_from(["0 2 * * *", "30 */6 * * *", "0 0 * * MON", "15 1,13 1,15 * *"]))
        return by_cron(expression, start, zone=zone)
    most = {"hour": 59, "day": 1439, "week": 10_000, "month": 40_000}[unit]
    offset = draw(st.integers(0, most))
    return {"hour": hourly, "day": daily, "week": weekly, "month": monthly}[unit](start, zone=zone, offset=offset * 60)


@settings(deadline=None)
@given(times(), st.integers(0, 400 * 86_400))
def test_there_are_no_gaps_and_no_overlaps_and_the_key_of_a_moment_is_that_of_its_window(
    of: TimePartitions, seconds: int
) -> None:
    moment = at("2012-07-01") + seconds
    key = p.key_of(of, moment)
    assert key is not None
    start, end = p.window(of, key)
    assert start <= moment < end
    assert p.key_of(of, start) == key and p.key_of(of, end - 1) == key
    following = p.key_of(of, end)
    assert following is not None and following != key
    assert p.window(of, following)[0] == end


@settings(max_examples=60, deadline=None)
@given(times(), st.integers(1, 60))
def test_what_is_listed_is_what_is_counted_and_contained(of: TimePartitions, days: int) -> None:
    line = p.line_of(of)
    now = line.start(line.first) + days * 86_400
    listed = p.keys(of, now, none)
    assert len(listed) == len(set(listed)) == p.count(of, now, none)
    windows = [p.window(of, key) for key in listed]
    assert all(one[1] == other[0] for one, other in pairwise(windows))
    assert all(end <= now for _, end in windows[-3:]) and all(p.contains(of, key, now, none) for key in listed[-5:])
    assert p.latest(of, 3, now, none) == listed[-3:]
    if listed:
        assert p.between(of, listed[0], listed[-1], now, none) == listed


@pytest.mark.parametrize("key", ["latest", "missing", "x,y", "a..b", "*", " a", ""])
def test_a_key_that_cannot_be_named_is_refused(key: str) -> None:
    with pytest.raises(DefinitionError, match="cannot have the key"):
        p.check_key(key)


def test_a_key_that_is_not_there_names_what_was_meant() -> None:
    def remedy(of: Partitions, text: str, *known: str) -> str | None:
        with pytest.raises(NotFoundError) as caught:
            p.expanded(of, text, at("2026-12-01"), lambda _: known)
        return caught.value.remedy

    assert remedy(daily("2026-01-01"), "2026-02-03..2026-02-01") == "Write 2026-02-01..2026-02-03."
    assert remedy(static(["a", "b"]), "b..a") == "Write a..b."
    assert "penstock assets partitions ASSET --add eu" in str(remedy(dynamic("regions"), "eu"))
    many = dimensions(day=daily("2026-01-01"), region=static(["eu"]))
    assert remedy(many, "eu|2026-01-05") == "Did you mean 2026-01-05|eu?"
    hours = hourly("2026-10-01", zone="Europe/Berlin")
    assert remedy(hours, "2026-10-25T02:00") == "Say which: 2026-10-25T02:00+02:00 or 2026-10-25T02:00+01:00."
    with pytest.raises(DefinitionError, match="cannot have the key"):
        p.check_key("a|b", dimension=True)
