"""What a daemon does about triggers, with a clock that is set by hand and nothing that takes time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from penstock.daemon.heart import Heart
from penstock.daemon.inquiries import Answer, Inquiry, Request
from penstock.daemon.launcher import Ended
from penstock.daemon.loop import Daemon, Settings
from penstock.daemon.notices import Notice
from penstock.model.asset import PartitionChange, PartitionState
from penstock.model.firing import Advance, Backfill, BackfillState, Firing, FiringState, Standing
from penstock.model.occurrence import Occurrence, Pattern
from penstock.model.registration import Definition
from penstock.model.run import RunRecord, RunState
from penstock.model.schedule import Cron, Every, Once, Timetable
from penstock.model.trigger import Cause, EventSource, Follows, Limits, SensorSource, Source, Trigger, WatchSource
from penstock.registering import daemons
from penstock.registering.switching import switch
from penstock.runtime.surroundings.processes import driver_name, this_process
from penstock.stores.sqlite import SqliteStore
from penstock.testing.records import graph, provenance, turn
from penstock.triggers.timetables import tick_key

START = 1_800_000_000.0


class Stage:
    """A daemon in a world that stands still: its store, its clock, what it started, and what it asks."""

    name = "stage:1"

    def __init__(self, max_runs: int | None = None) -> None:
        self.store = SqliteStore(Path(":memory:"))
        self.time = START
        self.started: list[str] = []
        self.resumed: list[str] = []
        self.over: list[Ended] = []
        self.asked: list[Inquiry] = []
        self.given: list[Answer] = []
        self.notices: list[Notice] = []
        self.daemon = Daemon(self.store, self, self, self, self.notices.append, settings=Settings(max_runs=max_runs))
        self._turns = self.daemon.turns()

    # The clock, the launcher and the inquirer.

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def fire(self, run_id: str) -> None:
        self.started.append(run_id)

    def resume(self, run: RunRecord) -> None:
        self.resumed.append(run.run_id)

    def drives(self, run_id: str) -> bool:
        return run_id in self.started

    def ended(self) -> list[Ended]:
        over, self.over = self.over, []
        return over

    def room(self) -> int:
        return 4

    def ask(self, inquiry: Inquiry) -> None:
        self.asked.append(inquiry)

    def answers(self) -> list[Answer]:
        given, self.given = self.given, []
        return given

    def wait(self, seconds: float) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.store.close()

    # What tests do.

    def register(self, name: str, source: Source, **more: Any) -> None:
        trigger = Trigger(name=name, source=source, pipeline="p", **more)
        self.define(name, msgspec.to_builtins(trigger))

    def define(self, name: str, document: Any) -> None:
        digest = msgspec.json.encode(document)
        definition = Definition(
            kind="trigger",
            name=name,
            target=f"m:{name}",
            digest=digest,
            document=document,
            registered_at=self.time,
            origin="here",
        )
        self.store.agenda.register([definition])

    def go(self, seconds: float = 0.0) -> None:
        """Let time pass, and the daemon do all that there is to do then."""
        self.time += seconds
        while next(self._turns) == 0.0:
            pass

    def fired(self, name: str) -> list[Firing]:
        return self.store.agenda.firings(trigger=name, limit=None)[::-1]

    def make(self, run_id: str, end: RunState | None = RunState.SUCCEEDED) -> None:
        """Make the run of a firing, and end it."""
        firing = self.store.agenda.firing(run_id)
        run = RunRecord(
            run_id=run_id,
            pipeline="p",
            state=RunState.RUNNING,
            parameters={},
            started_at=self.time,
            driver="elsewhere:1",
            cause=firing.cause,
        )
        self.store.create(run, graph(1), provenance())
        if end is not None:
            self.store.commit(run_id, turn(end=end))


@pytest.fixture
def stage() -> Generator[Stage]:
    made = Stage()
    yield made
    made.close()


def every(seconds: float) -> Timetable:
    return Timetable(Every(seconds, anchor=START))


@pytest.mark.parametrize(("missed", "count"), [("all", 60), ("latest", 1), ("none", 0)])
def test_what_was_missed_is_made_up_for_as_the_trigger_says(stage: Stage, missed: Any, count: int) -> None:
    stage.register("t", every(60.0), limits=Limits(missed=missed))
    stage.go(3630.0)
    assert len(stage.fired("t")) == count
    # going back and forth with the clock fires nothing twice
    stage.go(-1800.0)
    stage.go(1800.0)
    assert len(stage.fired("t")) == count
    stage.go(35.0)
    assert len(stage.fired("t")) == count + 1


def test_what_is_switched_off_is_not_made_up_for(stage: Stage) -> None:
    stage.register("t", every(60.0), limits=Limits(missed="all"))
    stage.register("e", EventSource(Pattern("upload")))
    stage.go(60.0)
    for name in ("t", "e"):
        stage.store.agenda.switch(name, enabled=False)
    stage.store.agenda.emit([Occurrence(id="1", source="s", type="upload", at=stage.time)])
    stage.go(600.0)
    for name in ("t", "e"):
        stage.store.agenda.switch(name, enabled=True)
    stage.go(5.0)
    assert [len(stage.fired(name)) for name in ("t", "e")] == [1, 0]
    stage.store.agenda.emit([Occurrence(id="2", source="s", type="upload", at=stage.time)])
    stage.go(60.0)
    assert [len(stage.fired(name)) for name in ("t", "e")] == [2, 1]


@pytest.mark.parametrize("missed", ["latest", "all"])
def test_a_schedule_that_is_switched_on_counts_from_then_where_no_daemon_was_there(
    stage: Stage, missed: Literal["latest", "all"]
) -> None:
    stage.register("t", every(60.0), limits=Limits(missed=missed))
    stage.go(60.0)
    switch(stage.store.agenda, ["t"], stage.time, enabled=False)
    stage.time += 600.0
    switch(stage.store.agenda, ["t"], stage.time, enabled=True)
    stage.time += 100.0
    # on already: it is left as it is
    switch(stage.store.agenda, ["t"], stage.time, enabled=True)
    stage.go()
    assert [each.key for each in stage.fired("t")] == [tick_key(START + 60.0), tick_key(START + 720.0)]


def test_another_schedule_makes_up_for_nothing_that_the_old_one_missed(stage: Stage) -> None:
    stage.register("t", Timetable(Cron("0 * * * *")), limits=Limits(missed="all"))
    stage.go(2 * 3600.0)
    before = len(stage.fired("t"))
    assert before == 2
    stage.time += 1800.0
    stage.register("t", Timetable(Cron("*/10 * * * *")), limits=Limits(missed="all"))
    stage.go(600.0)
    assert len(stage.fired("t")) == before + 1
    # other parameters are no other schedule: what was missed meanwhile is made up for
    stage.time += 1200.0
    stage.register("t", Timetable(Cron("*/10 * * * *")), limits=Limits(missed="all"), parameters={"a": 1})
    stage.go()
    assert len(stage.fired("t")) == before + 3


def test_what_comes_back_makes_up_for_nothing_that_it_was_gone_for(stage: Stage) -> None:
    """Neither as it was, nor as another version."""
    agenda = stage.store.agenda
    sources = {"t": every(60.0), "e": EventSource(Pattern("upload")), "s": SensorSource("s")}
    for more in ({}, {"parameters": {"a": 1}}):
        for name, source in sources.items():
            stage.register(name, source, limits=Limits(missed="all"), **more)
        stage.go(60.0)
        before = [len(stage.fired(name)) for name in sources]
        stage.given = [Answer(id=stage.asked[-1].id, cursor=7, moved=True)]
        stage.go()
        agenda.register([], origins=["here"])
        stage.go(1.0)
        agenda.emit([Occurrence(id=str(stage.time), source="s", type="upload", at=stage.time)])
        stage.go(600.0)
        for name, source in sources.items():
            stage.register(name, source, limits=Limits(missed="all"), **more)
        stage.go(1.0)
        assert [len(stage.fired(name)) for name in sources] == before
        assert agenda.standings(["s"])[0].cursor == 7
        agenda.emit([Occurrence(id=str(stage.time), source="s", type="upload", at=stage.time)])
        stage.go(60.0)
        assert [len(stage.fired(name)) for name in sources] == [before[0] + 1, before[1] + 1, before[2]]
        agenda.register([], origins=["here"])
        stage.go(600.0)


def test_a_trigger_that_cannot_be_read_does_not_stop_the_others(stage: Stage) -> None:
    stage.define("broken", {"name": "broken", "source": {"type": "a comet"}})
    stage.register("empty", Timetable(Once((START + 5.0,))), parameters={"x": "{event.data.path}"})
    stage.register("fine", every(60.0))
    stage.go(60.0)
    assert len(stage.fired("fine")) == 1
    assert any("broken cannot be read" in each.text for each in stage.notices)
    assert [each.state for each in stage.fired("empty")] == [FiringState.FAILED]
    assert "event" in stage.fired("empty")[0].reason


def test_a_sensor_that_fails_is_asked_ever_more_seldom(stage: Stage) -> None:
    stage.register("s", SensorSource("s", every=10.0, longest=60.0))
    asked: list[float] = []
    for _ in range(400):
        stage.go(1.0)
        if len(stage.asked) > len(asked):
            asked.append(stage.time)
            stage.given = [Answer(id=stage.asked[-1].id, error="no")]
    gaps = [round(later - earlier) for earlier, later in pairwise(asked)]
    assert gaps[:5] == [21, 41, 61, 61, 61]
    standing = stage.store.agenda.standings(["s"])[0]
    assert (standing.note, standing.failures) == ("no", len(asked))
    while len(stage.asked) == len(asked):
        stage.go(1.0)
    stage.given = [Answer(id=stage.asked[-1].id, requests=(Request(key="k"),), cursor={"at": 3}, moved=True)]
    stage.go(1.0)
    standing = stage.store.agenda.standings(["s"])[0]
    assert (standing.cursor, standing.failures, len(stage.fired("s"))) == ({"at": 3}, 0, 1)


def test_what_a_watch_finds_is_recorded_with_its_cursor(stage: Stage) -> None:
    watch = WatchSource("files", "in/*.csv")
    stage.register("w", watch, parameters={"path": "{event.data.path}", "at": "{logical_time:%Y}"})
    stage.go()
    (inquiry,) = stage.asked
    assert (inquiry.watch, inquiry.cursor) == (watch, None)
    found = [Occurrence(id=name, source="f", type="file", at=START, data={"path": name}) for name in ("a", "b")]
    stage.given = [Answer(id=inquiry.id, occurrences=tuple(found), cursor=[1, 2], moved=True)]
    stage.go(1.0)
    assert [(each.key, each.parameters) for each in stage.fired("w")] == [
        ("a", {"path": "a", "at": "2027"}),
        ("b", {"path": "b", "at": "2027"}),
    ]
    stage.go(6.0)
    assert stage.asked[-1].cursor == [1, 2]
    # who answers late, after somebody else was asked, is not listened to
    stage.store.agenda.switch("w", enabled=False)
    stage.given = [Answer(id=inquiry.id, occurrences=(Occurrence(id="c", source="f", type="file", at=START),))]
    stage.go(1.0)
    assert len(stage.fired("w")) == 2


def test_a_process_that_ends_without_a_run_is_tried_three_times(stage: Stage) -> None:
    stage.register("t", Timetable(Once((START + 1.0,))))
    stage.go(2.0)
    for number in range(1, 4):
        assert len(stage.started) == number
        stage.over = [Ended(stage.started[-1], 1, "no module named torch")]
        stage.go(1.0)
        stage.go(20.0)
    (firing,) = stage.fired("t")
    assert (firing.state, firing.reason, firing.tries) == (FiringState.FAILED, "no module named torch", 3)


def test_the_oldest_run_makes_room_for_a_new_one(stage: Stage) -> None:
    stage.register("t", every(60.0), limits=Limits(missed="all", at_most=1, overlap="cancel"))
    stage.go(60.0)
    (first,) = stage.started
    stage.make(first, None)
    stage.go(60.0)
    stage.go(60.0)
    assert stage.started == [first]
    assert len(stage.store.requests(first)) == 1
    stage.store.commit(first, turn(end=RunState.CANCELLED))
    stage.go(1.0)
    states = [each.state for each in stage.fired("t")]
    assert states == [FiringState.STARTED, FiringState.SKIPPED, FiringState.STARTED]


def test_no_more_runs_are_started_than_may_be() -> None:
    stage = Stage(max_runs=2)
    stage.register("t", every(10.0), limits=Limits(missed="all"))
    stage.go(50.0)
    assert len(stage.started) == 2
    stage.make(stage.started[0])
    stage.go(1.0)
    assert len(stage.started) == 3
    stage.close()


def test_overlap_is_seen_to_while_no_more_runs_may_be() -> None:
    stage = Stage(max_runs=1)
    stage.register("t", every(10.0), limits=Limits(missed="all", at_most=1, overlap="skip"))
    stage.register("u", every(10.0), priority=-1)
    for _ in range(4):
        stage.go(10.0)
    states = [each.state for each in stage.fired("t")]
    assert states == [FiringState.STARTED, FiringState.SKIPPED, FiringState.SKIPPED, FiringState.SKIPPED]
    full = "1 runs of triggers are under way (--max-runs 1)"
    assert [each.reason for each in stage.fired("u")] == [full, "", "", ""]
    assert [each.text for each in stage.notices if full in each.text] == [f"u and all others wait: {full}"]
    stage.close()


@pytest.mark.parametrize(("missed", "waiting"), [("latest", 1), ("none", 1), ("all", 4)])
def test_a_newer_tick_takes_the_place_of_one_that_waits(stage: Stage, missed: Any, waiting: int) -> None:
    stage.register("t", every(10.0), limits=Limits(missed=missed, at_most=1))
    for _ in range(5):
        stage.go(10.0)
        # what one look finds, the next one takes to be old
        stage.go(0.5)
    first, *others = stage.fired("t")
    assert first.state is FiringState.STARTED
    assert [each.state for each in others].count(FiringState.QUEUED) == waiting
    assert others[-1].state is FiringState.QUEUED
    assert {each.reason for each in others if each.state is FiringState.SKIPPED} <= {"a newer tick is due"}


def test_a_condition_that_fails_builds_no_queue_and_is_asked_ever_more_seldom(stage: Stage) -> None:
    stage.register("t", every(10.0), condition="ready")
    asked: list[float] = []
    for _ in range(600):
        stage.go(1.0)
        if len(stage.asked) > len(asked):
            asked.append(stage.time)
            stage.given = [Answer(id=stage.asked[-1].id, error="no")]
    assert len(asked) < 12
    queued = [each for each in stage.fired("t") if each.state is FiringState.QUEUED]
    assert len(queued) <= 2
    while len(stage.asked) == len(asked):
        stage.go(1.0)
    stage.given = [Answer(id=stage.asked[-1].id, holds=True)]
    stage.go(1.0)
    stage.go(1.0)
    assert len(stage.started) == 1


def test_what_a_sensor_names_again_is_not_told_again(stage: Stage) -> None:
    stage.register("s", SensorSource("s", every=10.0))
    for at in (0.0, 20.0):
        stage.go(at)
        stage.given = [Answer(id=stage.asked[-1].id, requests=(Request(key="k1"),), moved=True, printed="two\nlines")]
        stage.go(1.0)
    assert [each.text for each in stage.notices if each.what == "fired"] == ["s fired for k1"]
    assert [each.text for each in stage.notices if each.what == "printed"] == ["s: two", "s: lines"] * 2
    [standing] = stage.store.agenda.standings(["s"])
    assert (standing.fired_at, standing.note, standing.asker) == (START + 1.0, "there was nothing new", "")


def test_a_failure_is_told_again_when_it_is_another_one_and_once_an_hour(stage: Stage) -> None:
    stage.register("s", SensorSource("s", every=10.0, longest=60.0))
    asked = 0
    for _ in range(4000):
        stage.go(1.0)
        if len(stage.asked) > asked:
            asked = len(stage.asked)
            stage.given = [Answer(id=stage.asked[-1].id, error="no" if asked < 4 else "never")]
    told = [each.text for each in stage.notices if each.what == "trouble"]
    assert told == ["s failed: no", "s failed: never", "s failed: never"]


def test_what_a_daemon_that_is_gone_has_asked_is_asked_at_once(stage: Stage) -> None:
    ended = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = driver_name(ended.pid)
    for each in ("mine", "theirs"):
        stage.register(each, SensorSource(each, timeout=1800.0))
    leases = [
        Advance(standing=Standing(trigger=trigger, next_at=START + 1815.0, looked_at=START, asker=asker))
        for trigger, asker in (("mine", name), ("theirs", "elsewhere:1"))
    ]
    assert stage.store.agenda.advance(leases) == [True, True]
    stage.go(10.0)
    assert stage.asked == []
    ended.communicate(b"\n")
    stage.go(10.0)
    assert [each.function for each in stage.asked] == ["mine"]
    assert stage.store.agenda.standings(["mine"])[0].asker == stage.name


def test_a_daemon_that_is_stopped_gives_back_what_it_asks(stage: Stage) -> None:
    stage.register("s", SensorSource("s", timeout=1800.0))
    stage.go()
    assert stage.store.agenda.standings(["s"])[0].asker == stage.name
    stage.daemon.give_back()
    [standing] = stage.store.agenda.standings(["s"])
    assert (standing.asker, standing.next_at) == ("", START)


def test_a_daemon_says_that_it_is_there(stage: Stage) -> None:
    heart = Heart(stage.store.agenda, stage, this_process())
    assert daemons.serving(daemons.standing(stage.store.agenda), START) == []
    heart.step(START)
    known = daemons.standing(stage.store.agenda)
    assert [(each.process, each.since) for each in daemons.serving(known, START)] == [(this_process(), START)]
    # nobody has heard of it for so long
    assert daemons.serving(known, START + 120.0) == []
    heart.stop()
    assert daemons.serving(daemons.standing(stage.store.agenda), START) == []


def test_a_backfill_pauses_for_a_failure_and_goes_on_when_people_say_so(stage: Stage) -> None:
    backfill = Backfill(backfill_id="b", pipeline="p", total=3, created_at=START, on_failure="pause")
    firings = [
        Firing(
            run_id=f"r{number}",
            trigger="backfill:b",
            key=str(number),
            pipeline="p",
            cause=Cause(backfill="b", key=str(number)),
            created_at=START + number,
        )
        for number in range(3)
    ]
    agenda = stage.store.agenda
    agenda.begin_backfill(backfill, firings)
    stage.go()
    assert stage.started == ["r0"]
    stage.make("r0", RunState.FAILED)
    stage.go(3.0)
    assert agenda.backfill("b").state is BackfillState.PAUSED
    agenda.move_backfill("b", BackfillState.RUNNING, stage.time)
    for run_id in ("r1", "r2"):
        stage.go(3.0)
        assert stage.started[-1] == run_id
        stage.make(run_id)
    stage.go(3.0)
    assert agenda.backfill("b").state is BackfillState.FINISHED


def _backfill(stage: Stage, *follows: Follows | None, at_most: int = 4) -> None:
    """Begin a backfill with the runs r0, r1, ..., each of which takes what others make."""
    backfill = Backfill(backfill_id="b", assets="a", total=len(follows), at_most=at_most, created_at=START)
    firings = [
        Firing(
            run_id=f"r{number}",
            trigger="backfill:b",
            key=f"{number} of {chr(97 + number)}",
            assets=chr(97 + number),
            cause=Cause(backfill="b", trigger="backfill:b", key=str(number), follows=each),
            created_at=START,
        )
        for number, each in enumerate(follows)
    ]
    stage.store.agenda.begin_backfill(backfill, firings)


def test_a_run_of_a_backfill_waits_for_those_that_it_takes_from_and_no_other_waits_for_it(stage: Stage) -> None:
    both, last = Follows((("r0", "r1"),), ("a", "b")), Follows((("r0", "r0"), ("r2", "r3")), ("c", "d"))
    _backfill(stage, None, None, both, None, last)
    stage.go()
    assert stage.started == ["r0", "r1", "r3"]
    stage.make("r0")
    stage.make("r3", None)
    stage.go(3.0)
    assert stage.store.agenda.firing("r2").reason == "what it is made from is not made yet"
    stage.make("r1")
    stage.go(3.0)
    assert stage.started[3:] == ["r2"]
    stage.make("r2")
    stage.go(3.0)
    stage.store.commit("r3", turn(end=RunState.SUCCEEDED))
    assert stage.started[4:] == []
    stage.go(3.0)
    assert stage.started[4:] == ["r4"]


def test_what_takes_what_has_failed_is_not_made_and_says_why(stage: Stage) -> None:
    after = [Follows(((f"r{number}", f"r{number}"),), ("a", "b", "c")) for number in range(3)]
    _backfill(stage, None, after[0], after[1], None, at_most=1)
    stage.go()
    stage.make("r0", RunState.FAILED)
    stage.go(3.0)
    assert stage.started == ["r0", "r3"]
    for run_id in ("r1", "r2"):
        firing = stage.store.agenda.firing(run_id)
        assert (firing.state, firing.reason) == (FiringState.SKIPPED, "0 of a was not made: run r0 failed")
    stage.make("r3")
    stage.go(3.0)
    assert stage.store.agenda.backfill("b").state is BackfillState.FINISHED


def test_a_run_that_failed_after_it_had_made_what_another_takes_holds_nothing_up(stage: Stage) -> None:
    _backfill(stage, None, Follows((("r0", "r0"),), ("a",)))
    stage.go()
    stage.make("r0", None)
    made = PartitionChange("a", "", PartitionState.MATERIALIZED, "r0", START)
    stage.store.commit("r0", turn(partitions=[made], end=RunState.FAILED))
    stage.go(3.0)
    assert stage.started == ["r0", "r1"]


def test_an_answered_question_is_no_reason_to_go_on_with_a_run_that_lives(stage: Stage) -> None:
    stage.register("t", Timetable(Once((START + 1.0,))))
    stage.go(2.0)
    stage.make(stage.started[0], None)
    for _ in range(12):
        stage.go(5.0)
        stage.store.beat(stage.started[0], 1, stage.time)
    assert stage.resumed == []
    stage.started.clear()
    for _ in range(12):
        stage.go(5.0)
    assert len(stage.resumed) >= 1
