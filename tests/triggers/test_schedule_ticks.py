"""Ticks of every kind of schedule, what narrows them, and what is made up for."""

from __future__ import annotations

import sys
from itertools import islice

import pytest
from tests.triggers.timetables import at, due, said

from penstock.errors import DefinitionError
from penstock.model.schedule import Calendar, Cron, Every, Once, Recurrence, Schedule, Timetable, Together
from penstock.triggers import (
    GRACE,
    check_timetable,
    describe,
    last_tick,
    missed,
    next_tick,
    tick_key,
    ticks,
    ticks_back,
)
from penstock.triggers import timetables as module

HOUR = 3600.0
DAY = 24 * HOUR
WORKDAYS = (0, 1, 2, 3, 4)


def test_intervals_are_counted_from_the_anchor_on() -> None:
    schedule = Every(5400, at("2026-01-01T09:00"))
    assert due(schedule, "2025-06-01", 3) == ["01-01 09:00 +0000", "01-01 10:30 +0000", "01-01 12:00 +0000"]
    assert due(schedule, "2026-01-01T10:30", 1) == ["01-01 12:00 +0000"]
    assert last_tick(Timetable(schedule), "a", at("2026-01-01T09:00")) is None


def test_an_interval_of_part_of_a_second_never_drifts() -> None:
    timetable = Timetable(Every(0.1))
    start = at("2026-01-01")
    found = [tick.at for tick in islice(ticks(timetable, "a", start), 1000)]
    assert found == [round(start + number / 10, 6) for number in range(1, 1001)]


def test_given_moments_come_in_order_and_once() -> None:
    schedule = Once((at("2026-03-01"), at("2026-01-01"), at("2026-03-01")))
    assert due(schedule, "2025-01-01", 5) == ["01-01 00:00 +0000", "03-01 00:00 +0000"]
    assert due(schedule, "2026-03-01", 5) == []


def test_a_moment_of_several_schedules_counts_once() -> None:
    schedule = Together((Cron("0 */6 * * *"), Every(4 * HOUR), Once((at("2026-01-01T05:00"),))))
    hours = [each[6:11] for each in due(schedule, "2026-01-01", 8)]
    assert hours == ["04:00", "05:00", "06:00", "08:00", "12:00", "16:00", "18:00", "20:00"]


@pytest.mark.parametrize(
    ("rule", "after", "expected"),
    [
        ("FREQ=MONTHLY;BYDAY=-1FR", "2026-01-01", ["01-30 09:30", "02-27 09:30", "03-27 09:30"]),
        ("RRULE:FREQ=DAILY;COUNT=2", "2026-01-01", ["01-05 09:30", "01-06 09:30"]),
        ("FREQ=DAILY;UNTIL=20260106", "2026-01-01", ["01-05 09:30", "01-06 09:30"]),
        ("FREQ=DAILY;UNTIL=20260106T083000Z", "2026-01-01", ["01-05 09:30", "01-06 09:30"]),
        ("FREQ=DAILY;UNTIL=20260106T082959Z", "2026-01-01", ["01-05 09:30"]),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE", "2036-01-01", ["01-07 09:30", "01-09 09:30", "01-21 09:30"]),
        ("FREQ=MONTHLY;BYMONTHDAY=31", "2026-02-01", ["03-31 09:30", "05-31 09:30", "07-31 09:30"]),
        ("FREQ=YEARLY", "2040-02-01", ["01-05 09:30"]),
        ("FREQ=HOURLY;INTERVAL=5", "2026-01-05T10:00", ["01-05 14:30", "01-05 19:30", "01-06 00:30"]),
        ("FREQ=MINUTELY;INTERVAL=90;BYMONTH=6", "2031-12-01", ["06-01 00:30", "06-01 02:00"]),
        ("FREQ=YEARLY;BYEASTER=1", "2026-01-06", ["04-06 09:30", "03-29 09:30"]),
        (
            "RRULE:FREQ=DAILY\nEXDATE:20260106T093000,20260107T093000",
            "2026-01-05",
            ["01-05 09:30", "01-08 09:30"],
        ),
        ("FREQ=DAILY\nEXDATE;VALUE=DATE:20260106", "2026-01-05", ["01-05 09:30", "01-07 09:30"]),
        ("FREQ=DAILY\nEXDATE:20260106T083000Z", "2026-01-05", ["01-05 09:30", "01-07 09:30"]),
        ("RDATE:20260201T120000,20260110T120000", "2026-01-01", ["01-10 12:00", "02-01 12:00"]),
        ("RDATE;TZID=America/New_York:20260110T120000", "2026-01-01", ["01-10 18:00"]),
        ("FREQ=DAILY\nEXRULE:FREQ=WEEKLY;BYDAY=SA,SU", "2026-01-09", ["01-09 09:30", "01-12 09:30"]),
        ("RRULE:FREQ=DAILY;\n COUNT=1", "2026-01-01", ["01-05 09:30"]),
    ],
)
def test_a_recurrence_rule_is_due(rule: str, after: str, expected: list[str]) -> None:
    found = due(Recurrence(rule, "2026-01-05T09:30", "Europe/Berlin"), after, len(expected))
    assert [each[:11] for each in found] == expected


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        ("", "empty"),
        ("FREQ=FORTNIGHTLY", "its FREQ is one of YEARLY"),
        ("INTERVAL=2", "its FREQ is one of"),
        ("FREQ=DAILY;INTERVAL=0", "begin at 1"),
        ("FREQ=DAILY;BYWEEKEND=1", "BYWEEKEND"),
        ("FREQ=MONTHLY;BYDAY=1XX", "1XX"),
        ("FREQ=DAILY;UNTIL=tomorrow", "cannot be read"),
        ("FREQ=DAILY;COUNT=1000000", "up to 100 000"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never due"),
        ("FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "never due"),
        ("FREQ=DAILY;BYSETPOS=9", "never due"),
        ("FREQ=DAILY;UNTIL=20200101", "never due"),
        ("FREQ=DAILY;COUNT=1\nEXDATE:20260105T093000", "never due"),
        ("DTSTART:20260101T000000\nFREQ=DAILY", "no line DTSTART"),
        ("FREQ=DAILY\nEXDATE:soon", "EXDATE:SOON"),
        ("FREQ=HOURLY;INTERVAL=24;BYHOUR=3", "cannot be read"),
    ],
)
def test_a_wrong_rule_is_refused(rule: str, what: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        check_timetable(Timetable(Recurrence(rule, "2026-01-05T09:30", "Europe/Berlin")))
    assert what.lower() in refused.value.what.lower()
    assert refused.value.remedy


def test_a_rule_cannot_start_at_a_moment_with_a_zone() -> None:
    with pytest.raises(DefinitionError, match="cannot start at"):
        check_timetable(Timetable(Recurrence("FREQ=DAILY", "2026-01-05T09:30+01:00")))


@pytest.mark.parametrize(
    ("calendar", "expected"),
    [
        (Calendar(WORKDAYS), ["01-02", "01-05", "01-06", "01-07"]),
        (Calendar(WORKDAYS, otherwise="next"), ["01-02", "01-05", "01-06", "01-07"]),
        (Calendar(excluded=("2026-01-03", "2026-01-05")), ["01-02", "01-04", "01-06", "01-07"]),
        (Calendar(WORKDAYS, holidays=("DE-BY",)), ["01-02", "01-05", "01-07", "01-08"]),
        (Calendar(WORKDAYS, holidays=("DE",)), ["01-02", "01-05", "01-06", "01-07"]),
    ],
)
def test_a_calendar_leaves_days_out(calendar: Calendar, expected: list[str]) -> None:
    pytest.importorskip("holidays")
    found = due(Timetable(Cron("0 9 * * *"), calendar), "2026-01-01T10:00", 4)
    assert [each[:5] for each in found] == expected


@pytest.mark.parametrize(
    ("otherwise", "expected"),
    [
        ("skip", ["05-01 06:00", "07-01 06:00", "09-01 06:00"]),
        # 1 August is a Saturday, 1 November a Sunday
        ("next", ["05-01 06:00", "06-02 06:00", "07-01 06:00", "08-03 06:00", "09-01 06:00"]),
        ("previous", ["05-01 06:00", "05-29 06:00", "07-01 06:00", "07-31 06:00", "09-01 06:00"]),
    ],
)
def test_a_moment_on_another_day_is_dropped_or_moved(otherwise: str, expected: list[str]) -> None:
    calendar = Calendar(WORKDAYS, ("2026-06-01",), otherwise=otherwise)  # type: ignore[arg-type]
    timetable = Timetable(Cron("0 6 1 5-9 *"), calendar)
    assert [each[:11] for each in due(timetable, "2026-04-15", len(expected))] == expected
    last = last_tick(timetable, "a", at("2026-09-15"))
    assert last is not None
    assert said(last.at).startswith(expected[-1])
    assert said(last.interval[0]).startswith(expected[-2])


def test_moved_moments_that_meet_count_once() -> None:
    calendar = Calendar(WORKDAYS, otherwise="next")
    found = due(Timetable(Cron("0 6,18 * * *"), calendar), "2026-01-02T12:00", 4)
    assert found == ["01-02 18:00 +0000", "01-05 06:00 +0000", "01-05 18:00 +0000", "01-06 06:00 +0000"]


@pytest.mark.parametrize("otherwise", ["skip", "next", "previous"])
def test_a_calendar_is_kept_to_however_long_it_takes(otherwise: str) -> None:
    calendar = Calendar(WORKDAYS, otherwise=otherwise)  # type: ignore[arg-type]
    timetable = Timetable(Cron("0 2 1 1 *"), calendar, start=at("2026-01-01"), end=at("2226-01-01"))
    forwards = [tick.at for tick in ticks(timetable, "a", 0)]
    assert len(forwards) > 140
    assert [tick.at for tick in ticks_back(timetable, "a", at("2300-01-01"))] == forwards[::-1]


def test_a_calendar_has_days_of_its_own_zone() -> None:
    # Friday 22:00 in New York is Saturday in Berlin
    timetable = Timetable(Cron("0 22 * * *", "America/New_York"), Calendar(WORKDAYS, zone="Europe/Berlin"))
    assert due(timetable, "2026-01-07T23:00", 2) == ["01-08 22:00 -0500", "01-11 22:00 -0500"]


@pytest.mark.parametrize(
    ("calendar", "what"),
    [
        (Calendar(()), "no weekdays"),
        (Calendar((7,)), "no weekdays"),
        (Calendar(excluded=("24.12.2026",)), "cannot exclude '24.12.2026'"),
        (Calendar(holidays=("XX",)), "holidays of 'XX' are not known"),
        (Calendar(holidays=("DE-XX",)), "no part 'XX'"),
        (Calendar(zone="Europe/Berln"), "no time zone"),
        (Calendar((5, 6)), "never due"),
        (Calendar((5, 6), otherwise="skip", zone="Europe/Berlin"), "never due"),
    ],
)
def test_a_wrong_calendar_is_refused(calendar: Calendar, what: str) -> None:
    pytest.importorskip("holidays")
    with pytest.raises(DefinitionError, match=what):
        check_timetable(Timetable(Cron("0 9 * * MON-FRI"), calendar))


def test_holidays_without_their_library_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(DefinitionError, match="not installed") as refused:
        check_timetable(Timetable(Every(60), Calendar(holidays=("FR",), zone="Europe/Paris")))
    assert "penstock[calendars]" in (refused.value.remedy or "")


@pytest.mark.parametrize(
    ("timetable", "what"),
    [
        (Timetable(Every(0)), "too short"),
        (Timetable(Every(float("inf"))), "is none"),
        (Timetable(Every(60, 1e15)), "out of reach"),
        (Timetable(Once(())), "has none"),
        (Timetable(Together(())), "are none"),
        (Timetable(Every(60), jitter=-1), "a jitter of -1"),
        (Timetable(Every(60), start=100.0, end=100.0), "ends before"),
        (Timetable(Once((50.0,)), start=100.0), "never due"),
        (Timetable(Cron("0 0 1 1 *"), start=at("2026-01-02"), end=at("2026-12-31")), "never due"),
        (Timetable(Every(7 * DAY), Calendar((4,))), "never due"),
        (Timetable(Every(30), Calendar(WORKDAYS, otherwise="next")), "is not moved"),
    ],
)
def test_a_timetable_that_is_never_due_is_refused(timetable: Timetable, what: str) -> None:
    with pytest.raises(DefinitionError, match=what):
        check_timetable(timetable)


def test_nothing_is_due_before_the_start_nor_from_the_end_on() -> None:
    timetable = Timetable(Cron("@daily"), start=at("2026-01-02"), end=at("2026-01-05"))
    assert [each[:5] for each in due(timetable, "2025-01-01", 9)] == ["01-02", "01-03", "01-04"]
    assert last_tick(timetable, "a", at("2026-01-02")) is None
    last = last_tick(timetable, "a", at("2027-01-01"))
    assert last is not None
    assert last.at == at("2026-01-04")
    assert next_tick(timetable, "a", last.at) is None


def test_the_interval_is_from_the_tick_before() -> None:
    weekdays = Timetable(Cron("0 9 * * *"), Calendar(WORKDAYS), start=at("2026-01-05"), logical="start")
    first, second = islice(ticks(weekdays, "a", 0), 2)
    # Monday's is from Friday, before the start as well
    assert first.interval == (at("2026-01-02T09:00"), at("2026-01-05T09:00"))
    assert second.interval == (at("2026-01-05T09:00"), at("2026-01-06T09:00"))
    assert (second.at, second.logical_time) == (at("2026-01-06T09:00"), at("2026-01-05T09:00"))


def test_the_first_moment_of_all_has_an_empty_interval() -> None:
    tick = next_tick(Timetable(Once((100.0,))), "a", 0)
    assert tick is not None
    assert (tick.interval, tick.logical_time) == ((100.0, 100.0), 100.0)


def test_ticks_go_up_to_a_moment_and_with_it() -> None:
    found = ticks(Timetable(Cron("@hourly")), "a", at("2026-01-01"), at("2026-01-01T03:00"))
    assert [said(tick.at)[6:11] for tick in found] == ["01:00", "02:00", "03:00"]


def test_the_jitter_of_a_tick_is_always_the_same() -> None:
    timetable = Timetable(Cron("@hourly"), jitter=600)
    late = [tick.due - tick.at for tick in islice(ticks(timetable, "a", 0), 200)]
    assert late == [tick.due - tick.at for tick in islice(ticks(timetable, "a", 0), 200)]
    assert all(0 <= each < 600 for each in late)
    assert len(set(late)) == 200
    assert min(late) < 60 and max(late) > 540
    other = [tick.due - tick.at for tick in islice(ticks(timetable, "b", 0), 200)]
    assert other != late


def test_the_key_of_a_tick_is_its_time() -> None:
    assert tick_key(at("2026-03-29T01:00")) == "2026-03-29T01:00:00Z"
    assert tick_key(at("2026-03-29T01:00") + 0.25) == "2026-03-29T01:00:00.250000Z"


class TestMissed:
    """A trigger that is due every hour, and was last looked at at 00:00."""

    timetable = Timetable(Cron("@hourly"))
    cursor = at("2026-01-01T00:00")

    def fired(self, now: float, mode: str, **options: float) -> tuple[list[str], str]:
        found, cursor = missed(self.timetable, "a", self.cursor, now, mode, **options)  # type: ignore[arg-type]
        return [said(tick.at)[6:11] for tick in found], said(cursor)[6:11]

    @pytest.mark.parametrize(
        ("now", "mode", "expected"),
        [
            ("00:59", "latest", ([], "00:00")),
            ("01:00", "none", (["01:00"], "01:00")),
            ("01:00:09", "none", (["01:00"], "01:00")),
            ("01:00:11", "none", ([], "01:00")),
            ("01:00:11", "latest", (["01:00"], "01:00")),
            ("04:30", "all", (["01:00", "02:00", "03:00", "04:00"], "04:00")),
            ("04:30", "latest", (["04:00"], "04:00")),
            ("04:30", "none", ([], "04:00")),
            # one that was not missed takes the place of those that were
            ("04:00:05", "latest", (["04:00"], "04:00")),
            ("04:00:05", "none", (["04:00"], "04:00")),
        ],
    )
    def test_what_is_made_up_for(self, now: str, mode: str, expected: tuple[list[str], str]) -> None:
        assert self.fired(at(f"2026-01-01T{now}"), mode) == expected

    def test_a_clock_that_goes_back_fires_nothing_again(self) -> None:
        assert self.fired(at("2025-12-31T12:00"), "all") == ([], "00:00")
        assert self.fired(at("2025-12-31T12:00"), "latest") == ([], "00:00")

    def test_the_grace_may_be_another(self) -> None:
        assert self.fired(at("2026-01-01T01:05"), "none", grace=600) == (["01:00"], "01:00")
        assert GRACE == 10

    def test_all_come_in_several_goes(self) -> None:
        now, cursor, keys = at("2026-01-11"), self.cursor, []
        while True:
            found, cursor = missed(self.timetable, "a", cursor, now, "all", most=100)
            if not found:
                break
            assert len(found) <= 100
            keys.extend(tick_key(tick.at) for tick in found)
        assert len(keys) == len(set(keys)) == 240
        assert cursor == now

    def test_what_was_not_missed_fires_every_time(self) -> None:
        timetable, now = Timetable(Every(1)), at("2026-01-02")
        found, cursor = missed(timetable, "a", self.cursor, now, "none")
        assert [tick.at - now for tick in found] == list(range(-10, 1))
        assert cursor == now

    @pytest.mark.parametrize(
        "schedule",
        [
            Cron("* * * * * *", "Europe/Berlin"),
            Every(0.5),
            Recurrence("FREQ=SECONDLY", "1990-01-01T00:00:00", "Europe/Berlin"),
            Recurrence("FREQ=MINUTELY;BYMONTH=1", "1990-01-01T00:00:00", "Europe/Berlin"),
            Together((Cron("* * * * *"), Every(7))),
        ],
    )
    def test_years_of_absence_cost_nothing(self, schedule: Schedule, monkeypatch: pytest.MonkeyPatch) -> None:
        made = 0
        tick = module.Tick

        def counted(*fields: object) -> object:
            nonlocal made
            made += 1
            return tick(*fields)  # type: ignore[arg-type]

        monkeypatch.setattr(module, "Tick", counted)
        timetable = Timetable(schedule)
        now = at("2026-01-31T12:00")
        for mode in ("latest", "none", "all"):
            found, cursor = missed(timetable, "a", 0, now, mode, most=50)  # type: ignore[arg-type]
            assert len(found) <= 50
            assert cursor <= now
        assert made <= 150


@pytest.mark.parametrize(
    ("timetable", "words"),
    [
        (
            Timetable(Cron("0 2 * * *", "Europe/Berlin"), Calendar(WORKDAYS)),
            "every day at 02:00 Europe/Berlin, not on Saturdays and Sundays",
        ),
        (Timetable(Every(900), jitter=60), "every 15 min, up to 1 min later"),
        (
            Timetable(Every(90, at("2026-01-01T09:00")), start=at("2026-02-01"), end=at("2026-03-01")),
            "every 90 s from 2026-01-01 09:00 UTC on, from 2026-02-01 00:00 UTC on, until 2026-03-01 00:00 UTC",
        ),
        (Timetable(Once((at("2026-12-24T18:00"),))), "once, at 2026-12-24 18:00 UTC"),
        (Timetable(Once((0.0, 60.0))), "at 2 moments from 1970-01-01 00:00 UTC on"),
        (
            Timetable(Together((Cron("@daily"), Every(3600)))),
            "every day at 00:00 UTC; and every 1 h",
        ),
        (
            Timetable(Recurrence("FREQ=MONTHLY;BYDAY=-1FR,1MO", "2026-01-01T09:00", "Europe/Berlin")),
            "every month on the last Friday and the first Monday at 09:00 Europe/Berlin, from 2026-01-01T09:00 on",
        ),
        (
            Timetable(Recurrence("FREQ=YEARLY;BYMONTH=6;BYMONTHDAY=-1;COUNT=3", "2026-01-01T09:00")),
            "every year on the last day in June, 3 times in all, at 09:00 UTC, from 2026-01-01T09:00 on",
        ),
        (
            Timetable(Recurrence("FREQ=DAILY;BYSETPOS=1", "2026-01-01T09:00")),
            "by the rule FREQ=DAILY;BYSETPOS=1 UTC, from 2026-01-01T09:00 on",
        ),
        (
            Timetable(
                Cron("@daily"), Calendar(excluded=("2026-12-24",), holidays=("DE", "FR"), otherwise="next"), jitter=0
            ),
            "every day at 00:00 UTC, not on 2026-12-24, not on public holidays of DE and FR, but on the next day instead",
        ),
    ],
)
def test_a_timetable_in_words(timetable: Timetable, words: str) -> None:
    assert describe(timetable) == words
