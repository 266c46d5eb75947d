"""What holds of every timetable, whatever it is of."""

from __future__ import annotations

import heapq
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.triggers.timetables import at

from penstock.errors import DefinitionError
from penstock.model.schedule import Calendar, Cron, Every, Once, Recurrence, Schedule, Timetable, Together
from penstock.triggers import check_timetable, last_tick, missed, next_tick, ticks, ticks_back

ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Havana", "Africa/Casablanca"])
CRONS = st.builds(
    Cron,
    st.tuples(
        st.sampled_from(["0", "*/15", "7,37", "*"]),
        st.sampled_from(["*", "2", "0", "*/6", "9-17"]),
        st.sampled_from(["*", "1", "L", "LW", "*/3", "13"]),
        st.sampled_from(["*", "2", "3,10", "*/4"]),
        st.sampled_from(["*", "MON-FRI", "0", "5L", "MON#1"]),
    ).map(" ".join),
    ZONES,
)
INTERVALS = st.builds(
    Every, st.sampled_from([0.5, 1.0, 7.0, 900.0, 86400.0, 1e6]), st.floats(at("2020-01-01"), at("2027-01-01"))
)
RULES = st.builds(
    Recurrence,
    st.sampled_from(
        [
            "FREQ=DAILY;INTERVAL=3",
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU",
            "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
            "FREQ=MONTHLY;BYMONTHDAY=-1,15;BYHOUR=2,14",
            "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO",
            "FREQ=YEARLY;INTERVAL=3;BYMONTH=2;BYMONTHDAY=29",
            "FREQ=HOURLY;INTERVAL=7;BYDAY=SA",
            "FREQ=MINUTELY;INTERVAL=45;BYHOUR=1,2,3",
            "FREQ=DAILY;COUNT=500\nEXRULE:FREQ=WEEKLY;BYDAY=WE\nRDATE:20260705T040000",
        ]
    ),
    st.sampled_from(["2024-02-29T02:30", "2025-03-30T01:15:30", "2026-10-25T02:15"]),
    ZONES,
)
MOMENTS = st.lists(st.floats(at("2025-01-01"), at("2030-01-01")), min_size=1, max_size=5)
SCHEDULES: st.SearchStrategy[Schedule] = st.one_of(CRONS, INTERVALS, RULES, st.builds(Once, MOMENTS.map(tuple)))
CALENDARS = st.builds(
    Calendar,
    st.sampled_from([(0, 1, 2, 3, 4), (0, 1, 2, 3, 4, 5, 6), (5, 6), (2,)]),
    st.just(("2026-03-29", "2026-10-26", "2026-12-25")),
    st.just(()),
    ZONES,
    st.sampled_from(["skip", "next", "previous"]),
)


def understood(timetable: Timetable) -> bool:
    """Not one that is never due, or due too often to be moved."""
    try:
        check_timetable(timetable)
    except DefinitionError:
        return False
    return True


TIMETABLES = st.builds(
    Timetable,
    st.one_of(SCHEDULES, st.builds(Together, st.lists(SCHEDULES, min_size=1, max_size=3).map(tuple))),
    st.none() | CALENDARS,
    st.sampled_from([0.0, 30.0, 4000.0]),
    st.none() | st.just(at("2026-02-15")),
).filter(understood)
AFTER = st.integers(int(at("2026-01-01")), int(at("2027-01-01")))


@settings(max_examples=60, deadline=None)
@given(TIMETABLES, AFTER)
def test_a_timetable_is_the_same_read_forwards_and_backwards(timetable: Timetable, after: int) -> None:
    forwards = list(islice(ticks(timetable, "a", after), 40))
    moments = [tick.at for tick in forwards]
    assert moments == sorted(set(moments))
    assert all(moment > after for moment in moments)
    for tick in forwards:
        assert tick.interval[1] == tick.at == tick.logical_time
        assert tick.interval[0] <= tick.at
        assert 0 <= tick.due - tick.at < max(timetable.jitter, 1e-9)
    assert all(later.interval[0] == earlier.at for earlier, later in pairwise(forwards))
    if forwards:
        backwards = list(islice(ticks_back(timetable, "a", moments[-1]), len(moments) - 1))
        assert backwards == forwards[-2::-1]
        assert last_tick(timetable, "a", moments[0] + 1e-3) == forwards[0]
        last = last_tick(timetable, "a", moments[0])
        assert last is None or last.at <= after
        assert next_tick(timetable, "a", moments[0]) == next(iter(forwards[1:]), None)


@settings(max_examples=25, deadline=None)
@given(st.lists(SCHEDULES, min_size=1, max_size=4), AFTER)
def test_schedules_together_are_their_union(schedules: list[Schedule], after: int) -> None:
    parts = [[tick.at for tick in islice(ticks(Timetable(each), "a", after), 30)] for each in schedules]
    together = Timetable(Together(tuple(schedules)))
    expected = sorted(set(heapq.merge(*parts)))[:30]
    assert [tick.at for tick in islice(ticks(together, "a", after), len(expected))] == expected


@settings(max_examples=25, deadline=None)
@given(TIMETABLES, AFTER, st.integers(0, 10**6), st.sampled_from(["all", "latest", "none"]))
def test_no_tick_fires_twice_whatever_is_missed(timetable: Timetable, start: int, away: int, mode: str) -> None:
    fired: list[float] = []
    cursor: float = start
    for now in (start + 5, start + 5 + away, start + 6 + away, start + 60 + away):
        found, moved = missed(timetable, "a", cursor, now, mode, most=30)  # type: ignore[arg-type]
        assert moved >= cursor
        assert all(cursor < tick.at <= moved for tick in found)
        fired.extend(tick.at for tick in found)
        cursor = moved
    assert fired == sorted(set(fired))


TEXT = st.text(st.sampled_from("0123456789*/,-L#W@? MONJAFRIdaily"), max_size=20)


@settings(max_examples=150, deadline=None)
@given(TEXT)
def test_any_text_is_read_or_refused(text: str) -> None:
    timetable = Timetable(Cron(text))
    try:
        check_timetable(timetable)
    except DefinitionError as error:
        assert error.remedy
    else:
        assert next_tick(timetable, "a", 0) is not None


@pytest.mark.parametrize("rule", ["FREQ", "=", ";;", "FREQ=DAILY;BYDAY=", "RDATE:", "FREQ=DAILY;INTERVAL=x", "::"])
def test_what_is_hardly_a_rule_is_refused(rule: str) -> None:
    with pytest.raises(DefinitionError):
        check_timetable(Timetable(Recurrence(rule, "2026-01-01T00:00")))
