"""One simulation, from its seed to what came of it."""

from __future__ import annotations

import traceback
from collections import Counter
from pathlib import Path
from random import Random
from typing import NamedTuple, cast

from penstock.model.request import AnswerGiven, CancelAsked
from penstock.model.run import Provenance, RunRecord, RunState
from penstock.ports import Blobs
from penstock.stores.sqlite import SqliteStore
from penstock.testing.simulation.checks import check_end
from penstock.testing.simulation.facts import Facts
from penstock.testing.simulation.faults import Faults, drawn
from penstock.testing.simulation.plans import Plan, approves
from penstock.testing.simulation.processes import Keeper, Process, Project
from penstock.testing.simulation.world import Happening, Violation, World
from penstock.values import Values

_PROVENANCE = Provenance(penstock="0", python="3.11", platform="any", machine={}, packages={}, configuration={})
_NOWHERE = Path("/nonexistent")
#: seconds of virtual time within which every run ends, once nothing goes wrong any more
_PATIENCE = 5_000.0


class Outcome(NamedTuple):
    """What came of a simulation."""

    seed: int
    #: the guarantee that does not hold, or what was raised; empty where all is well
    failure: str
    story: list[Happening]
    #: how often each kind of fault happened
    faults: Counter[str]
    #: of virtual time
    seconds: float

    def told(self) -> str:
        """The story as text."""
        return "\n".join(map(str, self.story))


def simulate(seed: int, faults: Faults | None = None, *, most_steps: int = 9) -> Outcome:
    """Play the simulation of a seed; `faults` stand in for those that the seed draws, and the pipeline has at most so many
    steps."""
    faults = drawn(seed) if faults is None else faults
    world = World(seed, faults)
    store = SqliteStore(Path(":memory:"))
    failure = ""
    try:
        _Simulation(world, Plan(seed, most_steps), store).play()
    except Violation as violation:
        failure = str(violation)
    except Exception as error:
        failure = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
    finally:
        store.close()
    return Outcome(seed, failure, world.story, world.mischief.done, world.now)


class _Simulation:
    """Runs of one pipeline, and the people around them."""

    def __init__(self, world: World, plan: Plan, store: SqliteStore) -> None:
        self._world = world
        self._plan = plan
        self._store = store
        self._project = Project(world, plan, store, _NOWHERE)
        self._project.asked = self._answer_later
        self._chance = Random(f"{world.seed}/people")

    def play(self) -> None:
        runs = self._chance.choice([1, 1, 1, 2])
        begun = [0.0, self._chance.choice([0.0, 0.5, 20.0])][:runs]
        for number, moment in enumerate(begun):
            self._world.at(moment, lambda number=number: self._begin(f"run-{number}"))
        facts = self._project.facts
        self._world.play(lambda: len(facts) == runs and all(map(_is_over, facts.values())), _PATIENCE)
        for each in facts.values():
            self._check(each)

    def _begin(self, run_id: str) -> None:
        """Somebody starts a run."""
        name = self._project.named("north")
        now = 1_800_000_000.0 + self._world.now
        run = RunRecord(
            run_id=run_id, pipeline="simulated", state=RunState.RUNNING, parameters={}, started_at=now, driver=name
        )
        self._store.create(run, self._plan.graph, _PROVENANCE)
        self._project.facts[run_id] = Facts(self._world, self._plan, run)
        self._world.tell("begins", run_id, name)
        Process(self._project, run, name, resuming=False)
        hosts = ["east", "west"][: self._chance.choice([1, 2])]
        for host in hosts:
            Keeper(self._project, run_id, host).begin(self._chance.uniform(0.1, 5.0))
        if self._world.strikes("cancelled", run_id):
            self._world.after(self._chance.choice([0.0, 1.0, 10.0, 60.0]), lambda: self._cancel(run_id))

    def _cancel(self, run_id: str) -> None:
        request = CancelAsked("enough", "ada", 0.0, now=self._chance.random() < 0.3)
        self._world.tell("is asked to end", run_id)
        self._store.ask(run_id, request)

    def _answer_later(self, run_id: str, names: list[str]) -> None:
        for name in names:
            seconds = self._chance.choice([0.0, 0.2, 3.0, 100.0]) * self._chance.uniform(0.5, 1.5)
            self._world.after(seconds, lambda name=name: self._answer(run_id, name, right=True))
            if self._world.strikes("answered twice", name):
                later = seconds + self._chance.choice([0.001, 1.0, 50.0])
                # nobody may change what was answered
                self._world.after(2 * later, lambda name=name: self._answer(run_id, name, right=False))

    def _answer(self, run_id: str, name: str, *, right: bool) -> None:
        if _is_over(self._project.facts[run_id]):
            return
        step = self._plan.known[f"task of {name.rpartition('/')[2]}"]
        self._world.tell("is answered", run_id, name, "" if right else "once more")
        self._store.ask(run_id, AnswerGiven(name, approves(step) == right, "ada", 1.8e9 + self._world.now))

    def _check(self, facts: Facts) -> None:
        done = self._world.mischief.done
        exact = not (self._plan.stops or done["cancelled"] or done["broken off as failed"])
        check_end(self._store, Values(cast(Blobs, None), workspace=_NOWHERE), self._plan, facts, exact=exact)


def _is_over(facts: Facts) -> bool:
    return facts.state not in (RunState.RUNNING, RunState.PAUSED)


def shrunk(outcome: Outcome) -> tuple[Faults, int, Outcome]:
    """The fewest kinds of faults, and the smallest pipeline, with which the simulation of a seed still fails."""
    faults, most = drawn(outcome.seed), 9
    for kind in sorted(faults.chances):
        fewer = faults.without(kind)
        again = simulate(outcome.seed, fewer, most_steps=most)
        if _alike(again, outcome):
            faults, outcome = fewer, again
    for fewer_steps in range(1, most):
        again = simulate(outcome.seed, faults, most_steps=fewer_steps)
        if _alike(again, outcome):
            return faults, fewer_steps, again
    return faults, most, outcome


def _alike(one: Outcome, other: Outcome) -> bool:
    """Whether two simulations have failed in the same way."""
    return one.failure.partition(":")[0] == other.failure.partition(":")[0]


__all__ = ["Outcome", "Violation", "shrunk", "simulate"]
