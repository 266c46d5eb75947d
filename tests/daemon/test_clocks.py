"""Sensors that follow the clock, as a daemon asks them."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from tests.daemon.test_daemon import START, Stage

from penstock.daemon.inquiries import Answer, Request
from penstock.model.firing import Advance, Standing
from penstock.model.trigger import ClockSource, Trigger
from penstock.registering.accounts import source_words
from penstock.registering.switching import switch


@pytest.fixture
def stage() -> Generator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


def test_what_follows_the_clock_is_asked_when_it_says_and_counts_from_when_it_is_switched_on(stage: Stage) -> None:
    stage.register("c", ClockSource("c", every=100.0, timeout=10.0, zone="Europe/Berlin"))
    stage.go(1.0)
    assert [each.cursor for each in stage.asked] == [{"since": START}]
    due = Request(key="k", logical_time=START, interval=(START, START + 1.0), zone="Europe/Berlin")
    for again, then in ((START + 7.0, 7.0), (START + 1e6, 107.0)):
        cursor = {"since": START, "next_at": again}
        stage.given = [Answer(id=stage.asked[-1].id, requests=(due,), cursor=cursor, moved=True, again=again)]
        count = len(stage.asked)
        while len(stage.asked) == count:
            stage.go(0.5)
        assert stage.time - START == pytest.approx(then, abs=1.0)
        assert stage.asked[-1].cursor == cursor
    [fired] = stage.fired("c")
    assert (fired.cause.logical_time, fired.cause.interval) == (START, (START, START + 1.0))
    assert fired.cause.zone == "Europe/Berlin"
    trigger = Trigger(name="c", source=ClockSource("c"), pipeline="p")
    assert source_words(trigger) == "when c says"
    switch(stage.store.agenda, ["c"], stage.time, enabled=False)
    switch(stage.store.agenda, ["c"], stage.time, enabled=True)
    assert stage.store.agenda.standings(["c"])[0].cursor == {"since": stage.time, "next_at": START + 1e6}


def test_what_follows_the_clock_goes_on_from_when_it_came_back(stage: Stage) -> None:
    stage.register("c", ClockSource("c"))
    stage.store.agenda.advance([Advance(standing=Standing(trigger="c", cursor=START + 50.0))])
    stage.go(1.0)
    assert [each.cursor for each in stage.asked] == [{"since": START + 50.0}]
