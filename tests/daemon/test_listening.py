"""Sensors that look through events, with a clock that is set by hand."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from test_daemon import START, Stage

from penstock.daemon.inquiries import Answer
from penstock.model.occurrence import Occurrence, Pattern
from penstock.model.trigger import ListenerSource, SensorSource, Trigger
from penstock.registering.accounts import source_words
from penstock.registering.switching import switch


@pytest.fixture
def stage() -> Generator[Stage]:
    made = Stage()
    yield made
    made.close()


def test_a_sensor_that_looks_through_events_is_asked_when_they_come(stage: Stage) -> None:
    stage.register("s", ListenerSource("s", every=100.0, patterns=(Pattern("upload", subject="a*"),)))

    def happens(*subjects: str) -> None:
        happened = [
            Occurrence(id=f"{stage.time} {each}", source="x", type="upload", subject=each, at=stage.time)
            for each in subjects
        ]
        stage.store.agenda.emit(happened)
        stage.go(1.0)
        stage.go(0.1)

    def answered(**answer: Any) -> None:
        stage.given = [Answer(id=stage.asked[-1].id, **answer)]
        stage.go(1.0)
        stage.go(0.1)

    stage.go()
    assert [each.cursor for each in stage.asked] == [{"since": START}]
    answered(cursor={"seen": 0}, moved=True)
    happens("b")
    assert len(stage.asked) == 1
    happens("a", "ab")
    assert [each.cursor for each in stage.asked[1:]] == [{"seen": 0}]
    # what comes while it is asked, it may not have seen
    happens("a")
    assert len(stage.asked) == 2
    answered(cursor={"seen": 2}, moved=True)
    assert [each.cursor for each in stage.asked[2:]] == [{"seen": 2}]
    answered(cursor={"seen": 3}, moved=True)
    # what has happened while nobody listened
    stage.register("other", SensorSource("other", every=1e9))
    stage.go(1.0)
    assert [each.cursor for each in stage.asked[3:] if each.target == "m:s"] == [{"seen": 3}]
    count = len(stage.asked)
    stage.given = [Answer(id="sensor s", error="no")]
    happens("a")
    assert len(stage.asked) == count
    stage.go(201.0)
    assert len(stage.asked) == count + 1
    # while it is switched off, nothing that happens is for it
    switch(stage.store.agenda, ["s"], stage.time, enabled=False)
    switch(stage.store.agenda, ["s"], stage.time, enabled=True)
    assert stage.store.agenda.standings(["s"])[0].cursor == {"seen": 3, "since": stage.time}


def test_what_it_looks_for_is_told() -> None:
    trigger = Trigger(name="s", source=ListenerSource("s", patterns=(Pattern("upload", subject="a*"),)), pipeline="p")
    assert source_words(trigger) == "what comes of an event upload about a*"
