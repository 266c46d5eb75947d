"""Cron expressions: what they mean, and what is said of those that mean nothing."""

from __future__ import annotations

import pytest
from tests.triggers.timetables import due

from penstock.errors import DefinitionError
from penstock.model.schedule import Cron, Timetable
from penstock.triggers import check_timetable, describe


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("*/20 * * * *", ["01-30 12:20", "01-30 12:40", "01-30 13:00"]),
        ("5-10/5,50 3 * * *", ["01-31 03:05", "01-31 03:10", "01-31 03:50"]),
        ("15 */8 * * *", ["01-30 16:15", "01-31 00:15", "01-31 08:15"]),
        ("0 9 * * MON-FRI", ["02-02 09:00", "02-03 09:00", "02-04 09:00"]),
        ("0 9 * * 0", ["02-01 09:00", "02-08 09:00", "02-15 09:00"]),
        ("0 9 * * 7", ["02-01 09:00", "02-08 09:00", "02-15 09:00"]),
        ("0 0 1 jan,Jul *", ["07-01 00:00", "01-01 00:00", "07-01 00:00"]),
        ("0 0 L * *", ["01-31 00:00", "02-28 00:00", "03-31 00:00"]),
        ("0 0 LW * *", ["02-27 00:00", "03-31 00:00", "04-30 00:00"]),
        ("0 0 * * 5L", ["02-27 00:00", "03-27 00:00", "04-24 00:00"]),
        ("0 0 * * MON#2", ["02-09 00:00", "03-09 00:00", "04-13 00:00"]),
        ("0 0 ? * MON", ["02-02 00:00", "02-09 00:00", "02-16 00:00"]),
        ("0 0 13 * ?", ["02-13 00:00", "03-13 00:00", "04-13 00:00"]),
        # of a day and a weekday that are both given, either will do ...
        ("0 0 13 * FRI", ["02-06 00:00", "02-13 00:00", "02-20 00:00"]),
        # ... unless one of them begins with a star
        ("0 0 */2 * FRI", ["02-13 00:00", "02-27 00:00", "03-13 00:00"]),
        ("0 0 29 2 *", ["02-29 00:00", "02-29 00:00", "02-29 00:00"]),
        ("*/30 59 23 * * *", ["01-30 23:59", "01-30 23:59:30", "01-31 23:59"]),
        ("0 30 9 * * *", ["01-31 09:30", "02-01 09:30", "02-02 09:30"]),
        ("@hourly", ["01-30 13:00", "01-30 14:00", "01-30 15:00"]),
        ("@daily", ["01-31 00:00", "02-01 00:00", "02-02 00:00"]),
        ("@midnight", ["01-31 00:00", "02-01 00:00", "02-02 00:00"]),
        ("@weekly", ["02-01 00:00", "02-08 00:00", "02-15 00:00"]),
        ("@Monthly", ["02-01 00:00", "03-01 00:00", "04-01 00:00"]),
        ("@yearly", ["01-01 00:00", "01-01 00:00", "01-01 00:00"]),
        ("@annually", ["01-01 00:00", "01-01 00:00", "01-01 00:00"]),
    ],
)
def test_an_expression_is_due(expression: str, expected: list[str]) -> None:
    assert due(Cron(expression), "2026-01-30T12:00", 3) == [f"{each} +0000" for each in expected]


def test_what_is_due_on_a_rare_day_is_found_across_2100() -> None:
    assert due(Cron("0 0 29 2 *"), "2096-03-01", 1) == ["02-29 00:00 +0000"]


@pytest.mark.parametrize(
    ("expression", "what", "remedy"),
    [
        ("61 * * * *", "'61' is no minute", "0 to 59"),
        ("0 24 * * *", "'24' is no hour", "0 to 23"),
        ("0 22-2 * * *", "a range goes up", "9-17"),
        ("0 0 32 * *", "'32' is no day of the month", "1 to 31"),
        ("0 0 15W * *", "there is LW alone", "LW"),
        ("0 0 * 13 *", "'13' is no month", "JAN to DEC"),
        ("0 0 * * MOO", "'MOO' is no weekday", "SUN to SAT"),
        ("0 0 * * MON#6", "'MON#6' is no weekday", "MON#2"),
        ("75 0 0 * * *", "'75' is no second", "0 to 59"),
        ("*/0 * * * *", "a step of 0", "*/15"),
        ("1,,2 * * * *", "nothing beside a comma", "0,30"),
        ("* * * *", "has 4 fields", "30 2 * * MON-FRI"),
        ("", "has 0 fields", "five"),
        ("0 0 0 * * * 2026", "has 7 fields", "six"),
        ("@dayly", "no cron expression '@dayly'", "Did you mean @daily?"),
        ("@reboot", "no cron expression '@reboot'", "@hourly"),
        ("0 0 30 2 *", "never due", "L"),
        ("0 0 31 4,6,9,11 *", "never due", "L"),
    ],
)
def test_a_wrong_expression_is_refused_with_its_place(expression: str, what: str, remedy: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        check_timetable(Timetable(Cron(expression)), "pipeline.py:7")
    assert what in refused.value.what
    assert refused.value.remedy is not None
    assert remedy in refused.value.remedy
    assert refused.value.where == "pipeline.py:7"


@pytest.mark.parametrize(
    ("zone", "near"),
    [
        ("Europe/Berln", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("America/New York", "America/New_York"),
        ("US/Estern", "US/Eastern"),
    ],
)
def test_an_unknown_zone_is_refused_with_those_like_it(zone: str, near: str) -> None:
    with pytest.raises(DefinitionError, match="there is no time zone") as refused:
        check_timetable(Timetable(Cron("0 0 * * *", zone)))
    assert near in (refused.value.remedy or "")


@pytest.mark.parametrize("zone", ["", "America", "../etc", "Mars/Olympus", "UTC+1"])
def test_what_is_no_zone_at_all_is_refused(zone: str) -> None:
    with pytest.raises(DefinitionError, match="there is no time zone"):
        check_timetable(Timetable(Cron("0 0 * * *", zone)))


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0 2 * * *", "every day at 02:00 UTC"),
        ("0 2,14 * * *", "every day at 02:00 and 14:00 UTC"),
        ("0 9 * * MON-FRI", "on Monday through Friday at 09:00 UTC"),
        ("@monthly", "on the first day of every month at 00:00 UTC"),
        ("*/15 * * * *", "every 15th minute of every hour UTC"),
        ("0 0 * * 5L", "on the last Friday of the month at 00:00 UTC"),
        ("30 0 2 * * *", "every day at 02:00:30 UTC"),
    ],
)
def test_an_expression_in_words(expression: str, words: str) -> None:
    assert describe(Timetable(Cron(expression))) == words
