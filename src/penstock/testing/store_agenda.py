"""What a store has to do with what is to be started: definitions, triggers, firings, events, backfills."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from penstock.errors import NotFoundError, StoreError
from penstock.model.firing import Advance, Backfill, BackfillState, Firing, FiringState, Standing
from penstock.model.occurrence import Occurrence
from penstock.model.registration import Definition, Kind
from penstock.model.run import RunState
from penstock.model.trigger import Cause
from penstock.ports import Store
from penstock.ports.agenda import Agenda, Progress, Registered
from penstock.testing.records import TEXT, fingerprint, graph, provenance, run_record, turn
from penstock.testing.store_case import StoreCase

#: a time after everything that a test does
LATER = 4_000_000_000.0


def definition(name: str, seed: int = 1, kind: Kind = "trigger", **changes: Any) -> Definition:
    """A definition that has just been loaded; its digest differs for each seed."""
    return replace(Definition(kind=kind, name=name, target=f"flows.py:{name}", digest=fingerprint(seed)), **changes)


def firing(key: str = "1", trigger: str = "nightly", **changes: Any) -> Firing:
    """A firing that waits to be started; its run goes by the names of its trigger and key."""
    cause = Cause(trigger=trigger, key=key, logical_time=1_700_000_000.25, interval=(1.5, 2.5), zone="Europe/Berlin")
    made = Firing(run_id=f"{trigger}-{key}", trigger=trigger, key=key, cause=cause, created_at=1_700_000_000.5)
    return replace(made, **changes)


def fire(agenda: Agenda, *firings: Firing, trigger: str = "nightly") -> None:
    """Move a trigger on, with firings."""
    seen = next(iter(agenda.standings([trigger])), Standing(trigger=trigger))
    assert agenda.advance([Advance(standing=seen, firings=firings)]) == [True]


def start(store: Store, made: Firing, state: RunState = RunState.RUNNING, **changes: Any) -> None:
    """Record a run of a firing."""
    store.create(run_record(made.run_id, cause=made.cause, state=state, **changes), graph(), provenance())


def occurrence(id: str, **changes: Any) -> Occurrence:
    """Something that happened."""
    return replace(Occurrence(id=id, source="lab", type="upload.done", at=1_700_000_000.0), **changes)


class AgendaCase(StoreCase):
    """A store, and another one of the same place."""

    @pytest.fixture
    def agenda(self, store: Store) -> Agenda:
        return store.agenda

    @pytest.fixture
    def other(self, store: Store, tmp_path: Path) -> Iterator[Store]:
        other = self.make_store(tmp_path)
        yield other
        other.close()


class RegistrationConformance(AgendaCase):
    """Tests of what is known by name."""

    def test_a_definition_comes_back_as_it_was_registered(self, agenda: Agenda, other: Store) -> None:
        full = definition(
            TEXT,
            kind="pipeline",
            target=TEXT,
            parts={"fit": fingerprint(2), TEXT: b""},
            document={TEXT: [None, 2**70, 0.5, math.inf], "": {}},
            registered_at=1_700_000_000.25,
            registered_by=TEXT,
            origin=TEXT,
        )
        bare = definition("bare", kind="asset")
        kept = [replace(full, version=1), replace(bare, version=1)]
        assert agenda.register([full, bare]) == [Registered(each, None, True) for each in kept]
        for each in (agenda, other.agenda):
            assert each.definitions() == [kept[1], kept[0]]
            assert each.definitions("pipeline") == [kept[0]]
            assert each.definitions("trigger") == []
            assert each.definition("pipeline", TEXT) == kept[0]
            assert each.definition("asset", "bare", 1) == kept[1]
        assert agenda.register([]) == []

    def test_only_another_digest_makes_another_version(self, agenda: Agenda) -> None:
        first = definition("train", registered_at=1.0, registered_by="ada")
        [registered] = agenda.register([first])
        moved = definition("train", target="other.py:train", document=[1], origin="other.py", registered_at=2.0)
        kept = replace(registered.definition, target="other.py:train", document=[1], origin="other.py")
        assert agenda.register([moved]) == [Registered(kept, None, False)]
        second = definition("train", 2, registered_at=3.0)
        newest = replace(second, version=2)
        assert agenda.register([second]) == [Registered(newest, kept, True)]
        assert agenda.register([first])[0].definition.version == 3
        assert [each.version for each in agenda.versions("trigger", "train")] == [3, 2, 1]
        assert agenda.definition("trigger", "train", 2) == newest
        assert [each.version for each in agenda.definitions()] == [3]
        assert agenda.versions("pipeline", "train") == []

    def test_what_an_origin_no_longer_has_is_retired(self, agenda: Agenda) -> None:
        a, b, elsewhere = definition("a", origin="x.py"), definition("b", origin="x.py"), definition("c", origin="y.py")
        agenda.register([a, b, elsewhere])
        agenda.register([a], origins=["x.py"])
        assert [each.name for each in agenda.definitions()] == ["a", "c"]
        assert [each.retired for each in agenda.definitions(retired=True)] == [False, True, False]
        assert agenda.definition("trigger", "b").retired
        agenda.register([], origins=["y.py", "z.py"])
        assert [each.name for each in agenda.definitions()] == ["a"]
        [again] = agenda.register([b])
        assert (again.new, again.definition.version, again.definition.retired) == (False, 1, False)
        assert [each.name for each in agenda.definitions()] == ["a", "b"]

    def test_triggers_get_a_standing_once(self, agenda: Agenda) -> None:
        agenda.register(
            [definition("on"), definition("off", document={"enabled": False}), definition("p", 1, "pipeline")]
        )
        assert agenda.standings() == [Standing(trigger="off", enabled=False), Standing(trigger="on")]
        agenda.switch("off", enabled=True)
        agenda.register([definition("off", 2, document={"enabled": False})])
        assert [each.enabled for each in agenda.standings(["off"])] == [True]

    def test_the_generation_says_when_something_changed(self, agenda: Agenda, other: Store) -> None:
        seen = [agenda.generation()]

        def changed() -> bool:
            seen.append(other.agenda.generation())
            return seen[-1] not in seen[:-1]

        agenda.register([definition("a", origin="x.py")])
        assert changed()
        agenda.register([definition("a", target="other.py:a", origin="x.py")])
        assert changed()
        agenda.switch("a", enabled=False)
        assert changed()
        agenda.switch("a", enabled=False)
        assert not changed()
        fire(agenda, trigger="a")
        assert not changed()
        agenda.register([], origins=["x.py"])
        assert changed()

    def test_what_is_not_known_is_told_with_what_is_near(self, agenda: Agenda) -> None:
        with pytest.raises(NotFoundError, match="there is no pipeline 'train'"):
            agenda.definition("pipeline", "train")
        agenda.register([definition("train", kind="pipeline"), definition("report", kind="pipeline")])
        with pytest.raises(NotFoundError) as caught:
            agenda.definition("pipeline", "trian")
        assert "train" in str(caught.value.remedy)
        with pytest.raises(NotFoundError, match="no version 2"):
            agenda.definition("pipeline", "train", 2)
        with pytest.raises(NotFoundError, match="there is no trigger 'train'"):
            agenda.switch("train", enabled=True)


class StandingConformance(AgendaCase):
    """Tests of triggers that move on, with their firings."""

    def test_a_standing_moves_on_once_from_where_it_was_seen(self, agenda: Agenda, other: Store) -> None:
        full = Standing(
            trigger=TEXT,
            cursor={"at": 1.5, TEXT: [None, 2**70]},
            next_at=1.25,
            looked_at=2.5,
            fired_at=3.5,
            note=TEXT,
            failures=3,
            asker=TEXT,
        )
        assert agenda.advance([Advance(standing=full)]) == [True]
        assert other.agenda.advance([Advance(standing=full)]) == [False]
        assert agenda.standings() == other.agenda.standings([TEXT, "none"]) == [replace(full, revision=1)]
        assert other.agenda.advance([Advance(standing=Standing(trigger=TEXT, revision=1, enabled=False))]) == [True]
        assert agenda.standings() == [Standing(trigger=TEXT, revision=2, enabled=False)]
        assert agenda.advance([Advance(standing=Standing(trigger="new", revision=7))]) == [False]
        assert agenda.advance([]) == []

    def test_who_has_not_seen_that_a_trigger_was_switched_off_is_refused(self, agenda: Agenda, other: Store) -> None:
        fire(agenda)
        [seen] = agenda.standings()
        off = other.agenda.switch("nightly", enabled=False)
        assert (off.enabled, off.revision > seen.revision) == (False, True)
        assert other.agenda.switch("nightly", enabled=False) == off
        assert agenda.advance([Advance(standing=seen, firings=(firing(),))]) == [False]
        assert agenda.firings() == []
        assert agenda.standings() == [off]

    def test_firings_are_recorded_with_the_standings_or_not_at_all(self, agenda: Agenda) -> None:
        fire(agenda, firing("1"))
        advances = [
            Advance(standing=Standing(trigger="nightly"), firings=(firing("2"),)),
            Advance(standing=Standing(trigger="hourly"), firings=(firing("1", "hourly"), firing("2", "hourly"))),
            Advance(standing=Standing(trigger="hourly", revision=1), firings=(firing("3", "hourly"),)),
        ]
        assert agenda.advance(advances) == [False, True, True]
        assert {each.run_id for each in agenda.firings()} == {"nightly-1", "hourly-1", "hourly-2", "hourly-3"}
        stolen = Advance(standing=Standing(trigger="thief"), firings=(firing("9", "thief", run_id="nightly-1"),))
        with pytest.raises(StoreError):
            agenda.advance([stolen])
        assert agenda.standings(["thief"]) == []

    def test_a_key_fires_once(self, agenda: Agenda) -> None:
        fire(agenda, firing("1"))
        fire(agenda, firing("1", run_id="another"), firing("2"))
        assert [each.run_id for each in agenda.firings()] == ["nightly-2", "nightly-1"]
        with pytest.raises(NotFoundError):
            agenda.firing("another")


class OccurrenceConformance(AgendaCase):
    """Tests of what happens outside of runs."""

    def test_events_come_in_order_and_once(self, agenda: Agenda, other: Store) -> None:
        full = occurrence(TEXT, source=TEXT, type=TEXT, at=1.25, subject=TEXT, data={TEXT: [None, 2**70, {}]})
        assert (agenda.occurrences(), agenda.last_occurrence()) == ([], 0)
        assert agenda.emit([occurrence("b"), full, occurrence("a"), occurrence("b", at=9.0)]) == 3
        assert other.agenda.emit([occurrence("a"), occurrence("a", source="else"), occurrence("c")]) == 2
        assert agenda.emit([]) == 0
        found = other.agenda.occurrences()
        assert [each for _, each in found] == [
            occurrence("b"),
            full,
            occurrence("a"),
            occurrence("a", source="else"),
            occurrence("c"),
        ]
        numbers = [number for number, _ in found]
        assert numbers == sorted(set(numbers))
        assert numbers[0] > 0
        assert agenda.last_occurrence() == numbers[-1]
        assert agenda.occurrences(numbers[2]) == found[3:]
        assert agenda.occurrences(numbers[0], 2) == found[1:3]
        assert agenda.occurrences(type=TEXT) == found[1:2]
        assert agenda.occurrences(numbers[1], type="upload.done", limit=1) == found[2:3]

    def test_a_turn_says_what_others_are_to_hear_of(self, store: Store, agenda: Agenda, run_id: str) -> None:
        store.commit(run_id, turn(0, occurrences=[occurrence("1"), occurrence("2")]))
        with pytest.raises(StoreError):
            store.commit(run_id, turn(0, occurrences=[occurrence("3")]))
        store.commit(run_id, turn(1, occurrences=[occurrence("2"), occurrence("4")], end=RunState.SUCCEEDED))
        assert [each.id for _, each in agenda.occurrences()] == ["1", "2", "4"]

    def test_old_events_can_be_forgotten_but_the_latest(self, agenda: Agenda) -> None:
        agenda.emit([occurrence(str(at), at=float(at)) for at in range(6)])
        [*_, last] = agenda.occurrences()
        third = agenda.occurrences()[2][0]
        assert agenda.forget_occurrences(5.0, up_to=third, dry=True) == 3
        assert agenda.forget_occurrences(5.0, up_to=third) == 3
        assert [each.id for _, each in agenda.occurrences()] == ["3", "4", "5"]
        assert agenda.forget_occurrences(LATER) == 2
        assert agenda.occurrences() == [last]
        agenda.emit([occurrence("new")])
        assert agenda.last_occurrence() > last[0]


class BackfillConformance(AgendaCase):
    """Tests of backfills."""

    @staticmethod
    def made(name: str, total: int = 3, **changes: Any) -> tuple[Backfill, list[Firing]]:
        """A backfill, and its firings."""
        backfill = Backfill(backfill_id=name, total=total, created_at=1_700_000_000.25)
        return replace(backfill, **changes), [firing(str(key), f"backfill:{name}") for key in range(total)]

    def test_a_backfill_is_recorded_with_its_firings(self, agenda: Agenda, other: Store) -> None:
        full, firings = self.made(
            "2026-a",
            pipeline=TEXT,
            assets=TEXT,
            at_most=4,
            request={TEXT: [2**70]},
            priority=3,
            tags=("b", TEXT),
            on_failure="pause",
            created_by=TEXT,
        )
        agenda.begin_backfill(full, iter(firings))
        assert other.agenda.backfill("2026-a") == full
        queued = other.agenda.firings(trigger="backfill:2026-a", states=[FiringState.QUEUED])
        assert [each.key for each in queued] == ["0", "1", "2"]
        with pytest.raises(StoreError):
            agenda.begin_backfill(full, [])
        bad, _ = self.made("2026-b")
        with pytest.raises(StoreError):
            agenda.begin_backfill(bad, [firing("x", "y", run_id=firings[0].run_id)])
        assert agenda.backfills() == [full]

    def test_backfills_are_found_by_the_start_of_their_ids(self, agenda: Agenda) -> None:
        for name in ("latest", "", "2026"):
            with pytest.raises(NotFoundError):
                agenda.backfill(name)
        for name in ("2026-aa", "2026-ab", "2025-a"):
            agenda.begin_backfill(*self.made(name))
        assert agenda.backfill("2026-ab").backfill_id == "2026-ab"
        assert agenda.backfill("2025").backfill_id == "2025-a"
        assert agenda.backfill("latest").backfill_id == "2025-a"
        with pytest.raises(NotFoundError, match="several") as caught:
            agenda.backfill("2026")
        assert "2026-aa" in str(caught.value.remedy)
        with pytest.raises(NotFoundError) as caught:
            agenda.backfill("2027")
        assert "2025-a" in str(caught.value.remedy)
        assert [each.backfill_id for each in agenda.backfills(limit=2)] == ["2025-a", "2026-ab"]

    def test_a_backfill_is_paused_resumed_and_finished(self, agenda: Agenda) -> None:
        backfill, firings = self.made("a")
        agenda.begin_backfill(backfill, firings)
        paused = agenda.move_backfill("a", BackfillState.PAUSED, 5.0)
        assert paused == replace(backfill, state=BackfillState.PAUSED) == agenda.backfill("a")
        assert agenda.move_backfill("a", BackfillState.RUNNING, 6.0) == backfill
        finished = agenda.move_backfill("a", BackfillState.FINISHED, 7.0)
        assert (finished.state, finished.finished_at) == (BackfillState.FINISHED, 7.0)
        assert agenda.backfills(states=[BackfillState.FINISHED, BackfillState.PAUSED]) == [finished]
        assert agenda.backfills(states=[BackfillState.RUNNING]) == []
        with pytest.raises(StoreError, match="finished"):
            agenda.move_backfill("a", BackfillState.RUNNING, 8.0)
        with pytest.raises(NotFoundError):
            agenda.move_backfill("none", BackfillState.RUNNING, 8.0)

    def test_what_is_queued_of_a_backfill_that_is_cancelled_is_cancelled(self, agenda: Agenda) -> None:
        agenda.begin_backfill(*self.made("a"))
        agenda.begin_backfill(*self.made("b"))
        agenda.claim("backfill:a-1", "me", 1.0)
        cancelled = agenda.move_backfill("a", BackfillState.CANCELLED, 9.0)
        assert (cancelled.state, cancelled.finished_at) == (BackfillState.CANCELLED, 9.0)
        assert agenda.progress("backfill:a") == Progress(running=1, cancelled=2)
        assert agenda.progress("backfill:b") == Progress(queued=3)
        assert agenda.settle("backfill:a-1", FiringState.CANCELLED)


__all__ = [
    "LATER",
    "AgendaCase",
    "BackfillConformance",
    "OccurrenceConformance",
    "RegistrationConformance",
    "StandingConformance",
    "definition",
    "fire",
    "firing",
    "occurrence",
    "start",
]
