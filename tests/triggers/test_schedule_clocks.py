"""Days on which clocks are changed: what they skip is made up for once, and what they show twice is due as often as meant."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.triggers.minute_by_minute import due as due_minute_by_minute
from tests.triggers.timetables import at, due

from penstock.model.schedule import Cron, Recurrence, Timetable
from penstock.triggers import last_tick, ticks
from penstock.triggers.zones import moment_of


@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"),
    [
        # an hour is skipped: at the first moment after the gap, and once however many there were
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["03-29 03:00 +0200", "03-30 02:30 +0200"]),
        ("0 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00", ["03-29 03:00 +0200", "03-30 02:00 +0200"]),
        ("*/20 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["03-29 03:00 +0200", "03-30 02:00 +0200"]),
        ("30 */2 * * *", "Europe/Berlin", "2026-03-29T00:45", ["03-29 03:00 +0200", "03-29 04:30 +0200"]),
        # what comes every hour loses nothing by it
        ("30 * * * *", "Europe/Berlin", "2026-03-29T01:00", ["03-29 01:30 +0100", "03-29 03:30 +0200"]),
        ("0,40 * * * *", "Europe/Berlin", "2026-03-29T01:00", ["03-29 01:40 +0100", "03-29 03:00 +0200"]),
        # an hour comes twice: fixed times the first time, others both times
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:00", ["10-25 02:30 +0200", "10-26 02:30 +0100"]),
        ("0,30 2 * * *", "Europe/Berlin", "2026-10-25T02:00", ["10-25 02:30 +0200", "10-26 02:00 +0100"]),
        ("30 * * * *", "Europe/Berlin", "2026-10-25T02:00", ["10-25 02:30 +0200", "10-25 02:30 +0100"]),
        ("*/30 2 * * *", "Europe/Berlin", "2026-10-25T02:00", ["10-25 02:30 +0200", "10-25 02:00 +0100"]),
        ("0 3 * * *", "Europe/Berlin", "2026-10-25T02:00", ["10-25 03:00 +0100", "10-26 03:00 +0100"]),
        # half an hour
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00", ["10-04 02:30 +1100", "10-05 02:15 +1100"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-05T00:00", ["04-05 01:45 +1100", "04-06 01:45 +1030"]),
        ("45 * * * *", "Australia/Lord_Howe", "2026-04-05T01:00", ["04-05 01:45 +1100", "04-05 01:45 +1030"]),
        # a whole day
        ("0 2 * * *", "Pacific/Apia", "2011-12-29T12:00", ["12-31 00:00 +1400", "12-31 02:00 +1400"]),
        ("0 2 30 12 *", "Pacific/Apia", "2011-12-01T12:00", ["12-31 00:00 +1400", "12-30 02:00 +1400"]),
        ("0 * * * *", "Pacific/Apia", "2011-12-29T22:00", ["12-29 23:00 -1000", "12-31 00:00 +1400"]),
        # two hours
        ("0 1 * * *", "Antarctica/Troll", "2026-03-28T12:00", ["03-29 03:00 +0200", "03-30 01:00 +0200"]),
        ("30 1 * * *", "Antarctica/Troll", "2026-10-25T00:00", ["10-25 01:30 +0200", "10-26 01:30 +0000"]),
        # summer time that pauses in Ramadan
        ("30 2 * * *", "Africa/Casablanca", "2026-02-15T00:00", ["02-15 02:30 +0100", "02-16 02:30 +0000"]),
        ("30 2 * * *", "Africa/Casablanca", "2026-03-21T12:00", ["03-22 03:00 +0100", "03-23 02:30 +0100"]),
        # never changed, and not by full hours from UTC
        ("0 0 * * *", "Asia/Kathmandu", "2026-03-28T12:00", ["03-29 00:00 +0545", "03-30 00:00 +0545"]),
        # at midnight
        ("0 0 * * *", "America/Havana", "2026-03-07T12:00", ["03-08 01:00 -0400", "03-09 00:00 -0400"]),
        ("0 0 * * *", "America/Havana", "2026-10-31T12:00", ["11-01 00:00 -0400", "11-02 00:00 -0500"]),
        ("30 0 * * SUN", "America/Asuncion", "2023-09-30T12:00", ["10-01 01:00 -0300", "10-08 00:30 -0300"]),
        ("30 23 * * *", "America/Asuncion", "2024-03-23T12:00", ["03-23 23:30 -0300", "03-24 23:30 -0400"]),
    ],
)
def test_clocks_that_are_changed(expression: str, zone: str, after: str, expected: list[str]) -> None:
    assert due(Cron(expression, zone), after, len(expected)) == expected


@pytest.mark.parametrize(
    ("rule", "after", "expected"),
    [
        ("FREQ=DAILY", "2026-03-28T12:00", ["03-29 03:00 +0200", "03-30 02:30 +0200"]),
        ("FREQ=DAILY", "2026-10-25T00:00", ["10-25 02:30 +0200", "10-26 02:30 +0100"]),
        ("FREQ=HOURLY", "2026-03-29T01:00", ["03-29 01:30 +0100", "03-29 03:30 +0200"]),
        ("FREQ=HOURLY", "2026-10-25T02:00", ["10-25 02:30 +0200", "10-25 02:30 +0100"]),
        ("FREQ=HOURLY;BYHOUR=2", "2026-03-28T12:00", ["03-29 03:00 +0200", "03-30 02:30 +0200"]),
    ],
)
def test_recurrence_rules_keep_to_the_same(rule: str, after: str, expected: list[str]) -> None:
    assert due(Recurrence(rule, "2026-01-01T02:30", "Europe/Berlin"), after, 2) == expected


#: zones, with days around which their clocks were changed or are going to be
CHANGES = [
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("Pacific/Apia", "2011-12-30"),
    ("Antarctica/Troll", "2026-03-29"),
    ("Antarctica/Troll", "2026-10-25"),
    ("Africa/Casablanca", "2026-02-15"),
    ("America/Havana", "2026-03-08"),
    ("America/Havana", "2026-11-01"),
    ("America/Asuncion", "2024-03-24"),
    ("Asia/Gaza", "2026-03-28"),
]
MINUTES = st.sampled_from(["0", "30", "*/20", "15,45", "*", "7-50/9", "59"])
HOURS = st.sampled_from(["*", "2", "0", "1", "23", "*/2", "1-3", "0,2", "0-23", "*/5"])
DAYS = st.sampled_from(["*", "29", "1,30", "*/2", "24-31"])
WEEKDAYS = st.sampled_from(["*", "0", "1-5", "6,7", "*/2"])


EXPRESSIONS = st.tuples(MINUTES, HOURS, DAYS, st.just("*"), WEEKDAYS).map(" ".join)


@settings(max_examples=12, deadline=None)
@given(EXPRESSIONS, st.sampled_from(CHANGES))
def test_around_a_change_the_clock_looked_at_each_minute_says_the_same(
    expression: str, change: tuple[str, str]
) -> None:
    agree(expression, *change)


@pytest.mark.slow
@settings(max_examples=120, deadline=None)
@given(EXPRESSIONS, st.sampled_from(CHANGES))
def test_around_many_changes_the_clock_looked_at_each_minute_says_the_same(
    expression: str, change: tuple[str, str]
) -> None:
    agree(expression, *change)


def agree(expression: str, zone: str, date: str) -> None:
    start, end = at(date, zone) - 30 * 3600, at(date, zone) + 50 * 3600
    expected = due_minute_by_minute(expression, zone, start, end)

    timetable = Timetable(Cron(expression, zone))
    assert [tick.at for tick in ticks(timetable, "a", start - 1, end - 1)] == expected
    backwards: list[float] = []
    tick = last_tick(timetable, "a", end)
    while tick is not None and tick.at >= start:
        backwards.append(tick.at)
        tick = last_tick(timetable, "a", tick.at)
    assert backwards == expected[::-1]


def test_a_time_of_a_zone_as_a_moment() -> None:
    walls = [(43200, 0), (2 * 3600 + 1800, 20541), (2 * 3600 + 1800, 20751)]
    found = [moment_of("Europe/Berlin", day * 86400 + time) for time, day in walls]
    assert found == [at("1970-01-01T12:00", "Europe/Berlin"), at("2026-03-29T01:00"), at("2026-10-25T00:30")]
