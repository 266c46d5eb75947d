"""Triggers under a seeded scheduler: several daemons on one store, of which each tick, event and request makes one run."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from random import Random
from typing import Literal

import msgspec

from penstock.model.firing import BACKFILLING, Backfill, BackfillState, Firing, FiringState
from penstock.model.occurrence import Count, Debounce, Occurrence, Pattern
from penstock.model.registration import Definition
from penstock.model.run import RunState
from penstock.model.schedule import Cron, Every, Timetable
from penstock.model.trigger import Cause, EventSource, Follows, Limits, SensorSource, Source, Trigger
from penstock.stores.sqlite import SqliteStore
from penstock.testing.simulation.daemons import KINDS, Drivers, Host, holds
from penstock.testing.simulation.faults import Faults
from penstock.testing.simulation.playing import Outcome
from penstock.testing.simulation.world import Violation, World
from penstock.triggers.conditions import event_key
from penstock.triggers.timetables import tick_key, ticks

#: seconds since the epoch when everything was registered
_BEGAN = 1_800_000_000.0
#: seconds of virtual time in which things happen, and within which all that they lead to has ended
_BUSY, _PATIENCE = 150.0, 3000.0
#: of a backfill
_RUNS, _AT_ONCE = 7, 2
#: what some of its runs take from others
_FOLLOWS = {
    4: Follows((("past-0", "past-1"),), ("a",)),
    5: Follows((("past-3", "past-3"),), ("a",)),
    6: Follows((("past-2", "past-2"), ("past-4", "past-5")), ("a",)),
}
_TRIES = 3


def drawn(seed: int) -> Faults:
    """The faults of a simulation: none, or several kinds."""
    chance = Random(f"{seed}/trigger faults")
    share = chance.choice([0.0, 0.15, 0.3, 0.6])
    chosen = [kind for kind in KINDS if chance.random() < share]
    return Faults({kind: chance.choice(KINDS[kind]) for kind in chosen}, chance.choice([5, 15, 40]), _BUSY + 50)


def simulate_triggers(seed: int, faults: Faults | None = None) -> Outcome:
    """Play the simulation of a seed."""
    world = World(seed, drawn(seed) if faults is None else faults)
    store = SqliteStore(Path(":memory:"))
    failure = ""
    try:
        _Simulation(world, store).play()
    except Violation as violation:
        failure = str(violation)
    except Exception as error:
        failure = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
    finally:
        store.close()
    return Outcome(seed, failure, world.story, world.mischief.done, world.now)


class _Simulation:
    """Triggers of all kinds, daemons that serve them, and what happens around them."""

    def __init__(self, world: World, store: SqliteStore) -> None:
        self._world = world
        self._store = store
        self._chance = Random(f"{world.seed}/triggers")
        self._triggers = {each.name: each for each in self._drawn_triggers()}
        self._drivers = Drivers(world, store, self._at_most)
        self._events: list[Occurrence] = []
        count = self._chance.choice([1, 2, 2, 3])
        names = ("north", "south", "west")[:count]
        self._hosts = [Host(world, store, self._drivers, self._rows, name) for name in names]

    def _drawn_triggers(self) -> Iterable[Trigger]:
        chance = self._chance
        every, other = chance.choice([7.0, 20.0, 33.0]), chance.choice([10.0, 25.0])
        upload = EventSource(Pattern("upload"))
        overlaps: list[Literal["queue", "skip", "cancel"]] = ["queue", "skip", "cancel"]
        overlap = chance.choice(overlaps)
        yield _trigger("all", _every(every), Limits(missed="all"))
        yield _trigger("latest", Timetable(Cron("* * * * *")), Limits(missed="latest"))
        yield _trigger("jittered", msgspec.structs.replace(_every(other), jitter=30.0), Limits(missed="all"))
        yield _trigger("limited", _every(other), Limits(missed="all", at_most=chance.choice([1, 2]), overlap=overlap))
        yield _trigger("following", _every(40.0), Limits(missed="all", after_success=True))
        yield _trigger("asked", _every(45.0), Limits(missed="all"), condition="holds")
        yield _trigger("each", upload)
        yield _trigger("three", EventSource(Count(Pattern("upload"), 3)))
        yield _trigger("quiet", EventSource(Debounce(Pattern("upload"), 15.0)))
        yield _trigger("rows", SensorSource("rows", every=10.0, timeout=20.0, longest=40.0))

    def play(self) -> None:
        self._register()
        for host in self._hosts:
            self._world.at(self._chance.uniform(0.0, 20.0), host.begin)
        for number in range(self._chance.randrange(4, 14)):
            self._world.at(self._chance.uniform(0.5, _BUSY), lambda number=number: self._emit(number))
        self._world.at(_BUSY + 60, self._retire)
        self._world.play(self._is_over, _PATIENCE)
        self._check()

    def _register(self) -> None:
        definitions = [
            Definition(
                kind="trigger",
                name=trigger.name,
                target=f"nowhere:{trigger.name}",
                digest=trigger.name.encode(),
                document=msgspec.to_builtins(trigger),
                registered_at=_BEGAN,
            )
            for trigger in self._triggers.values()
        ]
        self._store.agenda.register(definitions)
        backfill = Backfill(
            backfill_id="past", pipeline="p", total=_RUNS, at_most=_AT_ONCE, created_at=_BEGAN, on_failure="continue"
        )
        name = f"{BACKFILLING}past"
        firings = [
            Firing(
                run_id=f"past-{number}",
                trigger=name,
                key=str(number),
                pipeline="p",
                cause=Cause(trigger=name, key=str(number), follows=_FOLLOWS.get(number)),
                created_at=_BEGAN + number,
            )
            for number in range(_RUNS)
        ]
        self._store.agenda.begin_backfill(backfill, firings)

    def _retire(self) -> None:
        """Let nothing more become due, so that everything comes to its end."""
        for name in self._triggers:
            self._store.agenda.switch(name, enabled=False)
        self._world.tell("all triggers are switched off")

    def _emit(self, number: int) -> None:
        event = Occurrence(id=str(number), source="people", type="upload", at=_BEGAN + self._world.now)
        self._events.append(event)
        self._world.tell("is emitted", number)
        self._store.agenda.emit([event])
        if self._world.strikes("event twice", number):
            self._world.after(self._chance.uniform(0.0, 30.0), lambda: self._store.agenda.emit([event]))

    def _rows(self) -> int:
        """How many rows there are for the sensor by now."""
        return int(min(self._world.now, _BUSY) // 13)

    def _at_most(self, name: str) -> int | None:
        if name.startswith(BACKFILLING):
            return _AT_ONCE
        limits = self._triggers[name].limits
        return 1 if limits.after_success else limits.at_most

    def _is_over(self) -> bool:
        """Whether nothing is left to be done; what a failure holds up waits for people."""
        if self._world.now < _BUSY + 120:
            return False
        agenda = self._store.agenda
        if self._store.runs(state=RunState.RUNNING) or agenda.startless():
            return False
        queued = agenda.firings(states=[FiringState.QUEUED], limit=None)
        held = {"following"} if any("has to succeed" in firing.reason for firing in queued) else set[str]()
        return {firing.trigger for firing in queued} <= held

    # What has to hold.

    def _check(self) -> None:
        self._firings: dict[str, list[Firing]] = {}
        for firing in self._store.agenda.firings(limit=None):
            self._firings.setdefault(firing.trigger, []).append(firing)
        self._check_runs()
        for name in ("all", "jittered", "limited", "following", "asked"):
            self._check_ticks(name)
        self._check_events()
        self._check_limits()
        rows = {firing.key for firing in self._firings.get("rows", ())}
        _demand(rows == {f"row-{number}" for number in range(len(rows))}, "rows were lost", sorted(rows))
        seen = self._store.agenda.standings(["rows"])[0].cursor or 0
        _demand(len(rows) == seen, "the cursor of the sensor is not that of its runs", seen, len(rows))

    def _check_runs(self) -> None:
        """One run for each firing that was to have one, and none for any other."""
        runs = self._store.runs(limit=1_000_000)
        made = Counter((run.cause.trigger, run.cause.key) for run in runs if run.cause is not None)
        twice = [key for key, count in made.items() if count > 1]
        _demand(not twice, "two runs for one key", twice)
        with_run = {run.run_id for run in runs}
        for firing in (each for firings in self._firings.values() for each in firings):
            wanted = firing.state is FiringState.STARTED
            _demand((firing.run_id in with_run) == wanted, "a run, or none, against the firing", firing)
            lost = firing.state is FiringState.FAILED
            _demand(not lost or firing.tries >= _TRIES or "condition" in firing.reason, "given up early", firing)

    def _check_ticks(self, name: str) -> None:
        """Every tick once, up to one that is late enough."""
        keys = [firing.key for firing in self._firings.get(name, ())]
        source = self._triggers[name].source
        assert isinstance(source, Timetable)
        wanted = [tick_key(tick.at) for tick in islice(ticks(source, name, _BEGAN), len(keys))]
        _demand(sorted(keys) == sorted(wanted), f"ticks of {name} were lost", set(wanted) ^ set(keys))

    def _check_events(self) -> None:
        keys = sorted(firing.key for firing in self._firings.get("each", ()))
        wanted = sorted(event_key(event) for event in self._events)
        _demand(keys == wanted, "events were lost", wanted, keys)
        three = self._firings.get("three", ())
        _demand(len(three) == len(self._events) // 3, "not every three events fired", len(three), len(self._events))
        used = [event["id"] for firing in three for event in firing.cause.events["events"]]
        _demand(len(used) == len(set(used)), "an event was used twice", used)
        quiet = self._firings.get("quiet", ())
        _demand(bool(quiet) == bool(self._events), "a burst was lost", len(quiet))

    def _check_limits(self) -> None:
        for firing in self._firings.get("asked", ()):
            refused = firing.state is FiringState.SKIPPED
            gave_up = firing.state is FiringState.FAILED
            _demand(gave_up or refused != holds(firing.key), "a condition was not kept to", firing)
        following = sorted(self._firings.get("following", ()), key=lambda each: each.key)
        states = [self._store.find(each.run_id).state for each in following if each.state is FiringState.STARTED]
        _demand(all(state is RunState.SUCCEEDED for state in states[:-1]), "one followed a failure", states)
        backfill = self._store.agenda.backfill("past")
        _demand(backfill.state is BackfillState.FINISHED, "the backfill is not finished", backfill.state)
        self._check_order()

    def _check_order(self) -> None:
        """A run of the backfill begins once all that it takes from have succeeded, and not at all if one has not."""
        ended = {run.run_id: run for run in self._store.runs(limit=1_000_000) if run.run_id.startswith("past-")}
        for number, follows in _FOLLOWS.items():
            run = ended.get(f"past-{number}")
            before = [
                ended.get(f"past-{n}") for first, last in follows.runs for n in range(int(first[5:]), int(last[5:]) + 1)
            ]
            good = all(
                each is not None
                and each.state is RunState.SUCCEEDED
                and (run is None or (each.finished_at or 0.0) <= run.started_at)
                for each in before
            )
            firing = self._store.agenda.firing(f"past-{number}")
            _demand(good or firing.state is FiringState.SKIPPED, "a run began too soon, or at all", firing, before)
            _demand(not good or firing.state is not FiringState.SKIPPED, "a run was left out without a reason", firing)


def _trigger(name: str, source: Source, limits: Limits | None = None, condition: str = "") -> Trigger:
    return Trigger(name=name, source=source, pipeline="p", limits=limits or Limits(), condition=condition)


def _every(seconds: float) -> Timetable:
    return Timetable(Every(seconds, anchor=_BEGAN))


def _demand(holding: bool, what: str, *details: object) -> None:
    if not holding:
        raise Violation(f"{what}: {', '.join(map(str, details))}")


__all__ = ["drawn", "simulate_triggers"]
