"""What a store has to do where several want to start the same things, or make the same partitions, at once."""

from __future__ import annotations

import multiprocessing
import threading
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from penstock.model.firing import Advance, Standing
from penstock.ports import Store
from penstock.testing.records import graph, provenance, run_record, turn
from penstock.testing.store_agenda import LATER, AgendaCase, firing, occurrence
from penstock.testing.store_catalog import RUNNING, change, version

#: how many triggers there are in a race, and how often each moves on
TRIGGERS, STEPS = 5, 8
#: how many things each of several processes says
EVENTS = 80


class RaceConformance(AgendaCase):
    """Tests of processes, or threads with a store each, that get in each other's way."""

    def test_of_several_processes_one_moves_each_trigger_on(self, store: Store, tmp_path: Path) -> None:
        spawn = multiprocessing.get_context("spawn")
        barrier, told = spawn.Barrier(2), spawn.Queue()
        racers = [spawn.Process(target=race, args=(type(self), tmp_path, name, barrier, told)) for name in ("a", "b")]
        for racer in racers:
            racer.start()
        won = [told.get(timeout=60) for _ in racers]
        for racer in racers:
            racer.join(60)
        assert [racer.exitcode for racer in racers] == [0, 0]
        # each step of each trigger was made by one of them
        assert sum(won) == TRIGGERS * STEPS
        standings = store.agenda.standings()
        assert [(each.revision, each.cursor) for each in standings] == [(STEPS, STEPS)] * TRIGGERS
        firings = store.agenda.firings(limit=None)
        assert {(each.trigger, each.key) for each in firings} == {
            (f"t{place}", str(step)) for place in range(TRIGGERS) for step in range(STEPS)
        }
        assert {each.starter for each in firings} <= {"a", "b"}
        assert sum(each.tries for each in firings) == len(firings)

    def test_no_event_appears_behind_one_that_was_seen(self, store: Store, tmp_path: Path) -> None:
        names = ("a", "b", "c")
        for name in names:
            store.create(run_record(name), graph(), provenance())
        ended: list[str] = []

        def announce(name: str) -> None:
            own = self.make_store(tmp_path)
            for number in range(0, EVENTS, 4):
                happened = [occurrence(f"{name}{number + place}") for place in range(4)]
                own.commit(name, turn(number // 4, occurrences=happened[:3]))
                own.agenda.emit(happened[3:])
            own.close()
            ended.append(name)

        threads = [threading.Thread(target=announce, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        heard: list[str] = []
        after, over = 0, False
        while not over:
            over = not any(thread.is_alive() for thread in threads)
            found = store.agenda.occurrences(after)
            heard += [each.id for _, each in found]
            after = max((number for number, _ in found), default=after)
        assert sorted(ended) == list(names)
        # what is read on from the last number that was seen misses none
        assert sorted(heard) == sorted(f"{name}{number}" for name in names for number in range(EVENTS))
        for name in names:
            own = [each for each in heard if each.startswith(name)]
            assert own == [f"{name}{number}" for number in range(EVENTS)]

    def test_of_runs_that_make_one_partition_at_once_the_versions_follow_each_other(
        self, store: Store, tmp_path: Path
    ) -> None:
        names = ("a", "b", "c")
        for name in names:
            store.create(run_record(name), graph(), provenance())
        failed: list[BaseException] = []

        def make(name: str) -> None:
            own = self.make_store(tmp_path)
            try:
                for number in range(10):
                    seed = 100 * names.index(name) + number
                    parts = ("p", "q") if number % 2 else ("q", "p")
                    both = [version(seed, part, run_id=name) for part in parts]
                    going = [change(RUNNING, part, run_id=name) for part in reversed(parts)]
                    own.commit(name, turn(number, materializations=both, partitions=going))
            except BaseException as error:
                failed.append(error)
            finally:
                own.close()

        threads = [threading.Thread(target=make, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert failed == []
        for part in ("p", "q"):
            history = store.catalog.history("features", part, limit=100)
            assert [each.version for each in history] == list(range(30, 0, -1))
            assert len({each.digest for each in history}) == 30
            assert store.catalog.latest_of("features", [part]) == {part: history[0]}


def race(case: type[AgendaCase], folder: Path, name: str, barrier: Any, told: Any) -> None:
    """Move triggers on, step by step, while another process does the same, and take what fires; say how many steps were
    made here."""
    store = case().make_store(folder)
    agenda, won = store.agenda, 0
    barrier.wait(60)
    while True:
        seen = {each.trigger: each for each in agenda.standings()}
        now = [seen.get(f"t{place}", Standing(trigger=f"t{place}", cursor=0)) for place in range(TRIGGERS)]
        due = [each for each in now if each.cursor < STEPS]
        if not due:
            break
        advances = [
            Advance(
                standing=replace(each, cursor=each.cursor + 1),
                firings=(firing(str(each.cursor), each.trigger, run_id=f"{name}-{each.trigger}-{each.cursor}"),),
            )
            for each in due
        ]
        won += sum(agenda.advance(advances))
        for queued in agenda.queue(LATER):
            agenda.claim(queued.run_id, name, 1.0)
    store.close()
    told.put(won)


__all__ = ["RaceConformance"]
