"""Years of ticks in zones with odd rules, beside those of other libraries.

They differ on days on which clocks are changed, each by a rule of its own:

- croniter is due both times when a fixed time comes twice. Otherwise it agrees.
- APScheduler 3 is due both times as well; a time that is skipped it moves by the length of the gap (02:30 to 03:30), or leaves
  it out; and it leaves out what would be due next after a gap, if that is earlier in the day than the gap's end. Its weekdays
  by number begin with Monday as 0, so they are given by name here.
- cronsim, which is as cron in Debian, leaves out what is skipped if the minute or the hour begins with a star; where clocks
  are changed by half an hour, it leaves out what comes within an hour of that.
- recurring-ical-events moves a time that is skipped by the length of the gap, as RFC 5545 has it for a single date. (For
  rules, RFC 5545 would leave it out.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.triggers.timetables import at

from penstock.model.schedule import Cron, Recurrence, Timetable
from penstock.triggers import ticks

pytestmark = pytest.mark.slow

HOUR = 3600.0
DAY = 24 * HOUR
#: zone -> two years in which much happens
ZONES = {
    "Europe/Berlin": "2025-01-01",
    "Australia/Lord_Howe": "2025-01-01",
    "Antarctica/Troll": "2025-01-01",
    "Africa/Casablanca": "2025-01-01",
    "America/Havana": "2025-01-01",
    "America/Asuncion": "2023-01-01",
    "Pacific/Apia": "2011-01-01",
    "Asia/Kathmandu": "2025-01-01",
    "Asia/Gaza": "2024-01-01",
}
EXPRESSIONS = [
    "30 2 * * *",
    "0 0 * * *",
    "15 1 * * *",
    "0 9 * * MON-FRI",
    "*/30 * * JAN-APR,SEP-DEC SUN",
    "0 */2 * * *",
    "30 * * * FRI,SUN",
    "*/20 2 * * *",
    "0 0 1 * *",
    "59 23 * * SUN",
    "10,50 0-3 * JAN-APR,SEP-NOV *",
]
CASES = [(zone, expression) for zone in ZONES for expression in EXPRESSIONS]


class Years:
    """What is due in two years by us and by another, and when the clocks were changed."""

    def __init__(self, zone: str, expression: str, theirs: Callable[[str, datetime], Iterator[float]]) -> None:
        self.zone = ZoneInfo(zone)
        start = at(ZONES[zone], zone)
        self.end = start + 731 * DAY
        self.all = [tick.at for tick in ticks(Timetable(Cron(expression, zone)), "a", start, self.end)]
        found = list(takewhile(self.end.__ge__, theirs(expression, datetime.fromtimestamp(start, self.zone))))
        assert found == sorted(set(found))
        self.ours_alone, self.theirs_alone = sorted(set(self.all) - set(found)), sorted(set(found) - set(self.all))
        self.forward, self.back = self._changes(start)
        # they do agree but for a few
        assert len(self.ours_alone) + len(self.theirs_alone) <= 4 * len(self.forward + self.back)
        assert len(self.all) > 20

    def _changes(self, start: float) -> tuple[list[float], list[float]]:
        """The moments at which clocks were put forward, and back."""
        forward, back = [], []
        for moment in range(int(start), int(self.end), 1800):
            change = self._offset(moment) - self._offset(moment - 1800)
            if change:
                (forward if change > timedelta(0) else back).append(float(moment))
        return forward, back

    def _offset(self, moment: float) -> timedelta:
        offset = datetime.fromtimestamp(moment, self.zone).utcoffset()
        assert offset is not None
        return offset

    def comes_again(self, moment: float) -> bool:
        """Whether the clocks show the time of a moment for the second time."""
        return datetime.fromtimestamp(moment, self.zone).fold == 1

    def following(self, change: float) -> list[float]:
        """The first two of ours from a change on, and all others within a day of the first."""
        later = [moment for moment in self.all if moment >= change]
        return later[:2] + [moment for moment in later if moment < later[0] + DAY]


@pytest.mark.parametrize(("zone", "expression"), CASES)
def test_croniter(zone: str, expression: str) -> None:
    from croniter import croniter

    def theirs(expression: str, start: datetime) -> Iterator[float]:
        found = croniter(expression, start, ret_type=float)
        while True:
            yield found.get_next(float)

    years = Years(zone, expression, theirs)
    assert years.ours_alone == []
    assert all(years.comes_again(moment) for moment in years.theirs_alone)
    if expression.startswith("*") or expression.split()[1].startswith("*"):
        assert years.theirs_alone == []


@pytest.mark.parametrize(("zone", "expression"), CASES)
def test_apscheduler(zone: str, expression: str) -> None:
    from apscheduler.triggers.cron import CronTrigger

    def theirs(expression: str, start: datetime) -> Iterator[float]:
        trigger = CronTrigger.from_crontab(expression, timezone=start.tzinfo)
        previous, now = None, start + timedelta(microseconds=1)
        while (found := trigger.get_next_fire_time(previous, now)) is not None:
            yield found.timestamp()
            previous = now = found

    years = Years(zone, expression, theirs)
    left_out = {moment for change in years.forward for moment in years.following(change)}
    assert set(years.ours_alone) <= left_out
    for moment in years.theirs_alone:
        assert years.comes_again(moment) or any(change <= moment < change + DAY for change in years.forward)


@pytest.mark.parametrize(("zone", "expression"), CASES)
def test_cronsim(zone: str, expression: str) -> None:
    from cronsim import CronSim

    def theirs(expression: str, start: datetime) -> Iterator[float]:
        return (found.timestamp() for found in CronSim(expression, start))

    years = Years(zone, expression, theirs)
    assert years.theirs_alone == []
    if zone == "Australia/Lord_Howe":
        changes = years.forward + years.back
        assert all(any(abs(moment - change) <= HOUR for change in changes) for moment in years.ours_alone)
    else:
        assert set(years.ours_alone) <= set(years.forward)
        assert not years.ours_alone or "*" in expression.split()[0] + expression.split()[1]


@pytest.mark.parametrize("expression", ["*/17 * * * * *", "5,35 */9 * * * *", "0 0 */7 * * *", "30 0 9 L * *"])
def test_six_fields_beside_croniter(expression: str) -> None:
    from croniter import croniter

    start = datetime(2026, 10, 24, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    found = croniter(expression, start, ret_type=float, second_at_beginning=True)
    expected = [found.get_next(float) for _ in range(1000)]
    ours = ticks(Timetable(Cron(expression, "Europe/Berlin")), "a", start.timestamp())
    assert [tick.at for tick in islice(ours, 1000)] == expected


RULES = [
    "FREQ=DAILY",
    "FREQ=DAILY;INTERVAL=17",
    "FREQ=DAILY;BYMONTH=1,7;BYHOUR=0,2,23",
    "FREQ=WEEKLY;INTERVAL=3;BYDAY=MO,SU;WKST=SU",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=MO",
    "FREQ=MONTHLY",
    "FREQ=MONTHLY;INTERVAL=5;BYDAY=-1FR,2TU",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1,1",
    "FREQ=MONTHLY;BYMONTHDAY=-2,30",
    "FREQ=YEARLY",
    "FREQ=YEARLY;BYWEEKNO=1,53;BYDAY=TH",
    "FREQ=YEARLY;BYYEARDAY=1,-1,100",
    "FREQ=YEARLY;INTERVAL=2;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
    "FREQ=DAILY;COUNT=700",
    "FREQ=WEEKLY;UNTIL=20290101T000000",
]
FAST_RULES = [
    "FREQ=HOURLY;INTERVAL=11",
    "FREQ=HOURLY;INTERVAL=5;BYDAY=TU",
    "FREQ=MINUTELY;INTERVAL=95;BYHOUR=8,9",
    "FREQ=SECONDLY;INTERVAL=7777",
    "FREQ=MINUTELY;BYMONTHDAY=31;BYHOUR=12",
]
STARTS = ["2020-02-29T02:30:00", "2021-12-31T23:59:59", "2024-03-31T02:15:00"]


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("rule", RULES + FAST_RULES)
def test_a_rule_cut_into_blocks_is_the_rule_read_from_the_start(rule: str, start: str) -> None:
    from dateutil.rrule import rrulestr

    begin = datetime.fromisoformat(start)
    whole = list(islice(rrulestr(rule, dtstart=begin), 1000))
    expected = [moment.replace(tzinfo=UTC).timestamp() for moment in whole if moment.year < 2300]
    assert len(expected) > 20
    timetable = Timetable(Recurrence(rule, start))
    assert [tick.at for tick in islice(ticks(timetable, "a", 0), len(expected))] == expected
    for place in range(1, len(expected), 131):
        middle = next(ticks(timetable, "a", expected[place] - 1))
        assert middle.interval == (expected[place - 1], expected[place])


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Havana"])
@pytest.mark.parametrize("rule", [rule for rule in RULES if "UNTIL" not in rule])
def test_recurring_ical_events(rule: str, zone: str) -> None:
    import recurring_ical_events
    from icalendar import Calendar, Event, vRecur

    there = ZoneInfo(zone)
    first = next(ticks(Timetable(Recurrence(rule, STARTS[0], zone)), "a", 0)).at
    begin = datetime.fromtimestamp(first, there)
    event, calendar = Event(), Calendar()
    event.add("uid", "a")
    event.add("dtstart", begin)
    event.add("rrule", vRecur.from_ical(rule))
    calendar.add_component(event)
    start = begin.replace(tzinfo=None).isoformat()
    until = at("2026-01-01", zone)

    found: list[Any] = list(recurring_ical_events.of(calendar).between(begin, datetime.fromtimestamp(until, there)))
    theirs = sorted(each["DTSTART"].dt.timestamp() for each in found)
    ours = [tick.at for tick in ticks(Timetable(Recurrence(rule, start, zone)), "a", 0, until - 1)]
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine == other or (0 < other - mine < HOUR and _begins_after_a_gap(mine, there))


def _begins_after_a_gap(moment: float, zone: ZoneInfo) -> bool:
    before, then = (datetime.fromtimestamp(each, zone).utcoffset() for each in (moment - 1, moment))
    assert before is not None
    assert then is not None
    return then > before
