"""Workers that take virtual time, and tell what becomes of attempts late, twice, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from penstock.model.event import Fault
from penstock.model.value import Collection
from penstock.model.work import AnyReport, Declined, Done, Erred, Job, NotYet, Unstarted, Usage, Work, Yield
from penstock.testing.simulation.facts import Cell, Facts
from penstock.testing.simulation.plans import (
    Plan,
    Step,
    failures_of,
    is_skipped,
    refusals_of,
    result_of,
    spare_of,
    yields_of,
)
from penstock.testing.simulation.world import HostClock, World
from penstock.values import Values

_LOST = Fault("penstock.WorkerLostError", "the worker is gone", infrastructure=True)
_STOPPED = Fault("penstock.CancelledError", "it was stopped")
_FAILED = Fault("ValueError", "no luck", kinds=("builtins.ValueError",))


#: seconds between two things of which one follows the other
_INSTANT = 1e-6


class Workers:
    """An executor. Its reports are put before the driver by `delivered`, which may also pass them on to another one."""

    def __init__(
        self,
        world: World,
        plan: Plan,
        facts: Facts,
        values: Values,
        clock: HostClock,
        chance: Random,
        token: Callable[[], int],
        arrived: Callable[[], object],
    ) -> None:
        self.world = world
        self.plan = plan
        self.facts = facts
        self.values = values
        self.clock = clock
        self.chance = chance
        self._token = token
        self._arrived = arrived
        self._slots = chance.randint(1, 4)
        self._works: dict[int, Work] = {}
        #: attempts under way, by their jobs' work and item
        self.busy: dict[tuple[int, int], Attempt] = {}
        self._reports: list[AnyReport] = []
        #: takes reports in the place of the driver once that is gone
        self.heir: Callable[[AnyReport, Cell, int], object] | None = None

    # What the driver sees.

    def define(self, work: Work) -> None:
        self._works[work.number] = work

    def room(self, *, shared: bool = False) -> int:
        return self._slots - len(self.busy)

    def submit(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            work = self._works[job.work]
            cell = job.cell or (work.node, job.item)
            self.facts.submitted(cell, job.attempt, self._token())
            attempt = self.busy[job.work, job.item] = Attempt(self, work, job, cell)
            attempt.begin()

    def poll(self, timeout: float | None) -> list[AnyReport]:
        reports, self._reports = self._reports, []
        return reports

    def stop(self, job: Job) -> None:
        attempt = self.busy.get((job.work, job.item))
        if attempt is not None and attempt.job.attempt == job.attempt:
            attempt.stop()

    def interrupt(self) -> None:
        pass

    def close(self, *, kill: bool = False) -> None:
        pass

    # What workers do.

    @property
    def has_reports(self) -> bool:
        return bool(self._reports)

    def deliver(self, report: AnyReport, cell: Cell) -> None:
        """Put a report before the driver, or, where that is gone, before one that has followed it."""
        if self.heir is not None:
            self.heir(report, cell, report.attempt)
            return
        self.world.tell("reported", type(report).__name__, *cell, f"#{report.attempt}")
        self._reports.append(report)
        self._arrived()

    def take(self, report: AnyReport) -> None:
        """Take a report of workers of an earlier driver."""
        self._reports.append(report)
        self._arrived()


class Attempt:
    """One attempt at a worker."""

    def __init__(self, workers: Workers, work: Work, job: Job, cell: Cell) -> None:
        self._workers = workers
        self._world: World = workers.world
        self._work = work
        self.job = job
        self._cell = cell
        self._over = False
        #: when the latest of its reports arrives: those of one attempt stay in order
        self._told_at = 0.0

    def begin(self) -> None:
        world, chance = self._world, self._workers.chance
        if world.strikes("attempt comes back unstarted", *self._cell):
            world.after(chance.uniform(0.001, 0.2), lambda: self._end(Unstarted(*self._key)))
        elif world.strikes("worker lost", *self._cell):
            world.after(chance.uniform(0.001, 5.0), self._lose)
        else:
            seconds = chance.choice([0.01, 0.3, 3.0, 30.0]) * chance.uniform(0.5, 1.5)
            self._began_at = self._workers.clock.now()
            self._go(seconds)

    @property
    def _key(self) -> tuple[int, int, int]:
        return self.job.work, self.job.item, self.job.attempt

    def _go(self, seconds: float) -> None:
        inputs = {
            name: self._workers.values.load(each) for name, each in {**self._work.inputs, **self.job.inputs}.items()
        }
        step = self._step()
        made: list[Any] = []
        # as many as are there before a flaky one fails
        if self._work.yields:
            made = yields_of(step, inputs)
            for number in range(len(made)):
                self._world.after(
                    seconds * (number + 1) / (len(made) + 1), lambda number=number: self._yield(made, number)
                )
        self._world.after(seconds, lambda: self._finish(step, inputs, seconds, made))

    def _step(self) -> Step:
        name = self._cell[0].rpartition("/")[2]
        return self._workers.plan.known[f"task of {name}"]

    def _yield(self, made: list[int], number: int) -> None:
        if not self._over:
            output = self._workers.values.store(made[number], output=True)[0]
            self._tell(Yield(*self._key, number, output))

    def _finish(self, step: Step, inputs: dict[str, Any], seconds: float, made: list[Any]) -> None:
        if self._over:
            return
        self._workers.facts.made(self._cell)
        report = self._report(step, inputs, Usage(self._began_at, seconds), made)
        if self._world.strikes("worker lost after its work", *self._cell):
            self._lose()
            return
        if self._world.strikes("end reported after the loss", *self._cell):
            self._lose()
            self._tell(report)
            return
        self._end(report)

    def _report(self, step: Step, inputs: dict[str, Any], usage: Usage, made: list[Any]) -> AnyReport:
        facts, store = self._workers.facts, self._workers.values.store
        if self._work.task == "spare":
            return Done(*self._key, (store(spare_of(inputs), output=True)[0],), usage)
        if step.kind == "wait" and facts.executions[self._cell] <= refusals_of(step):
            return NotYet(*self._key, usage)
        failures = failures_of(step, inputs)
        if failures is None or facts.failures[self._cell] < failures:
            return Erred(*self._key, _FAILED, usage)
        if is_skipped(step, inputs):
            return Declined(*self._key, "left out", usage)
        if self._work.yields:
            return Done(*self._key, (Collection("list", tuple(store(each, output=True)[0] for each in made)),), usage)
        return Done(*self._key, (store(result_of(step, inputs), output=True)[0],), usage)

    def stop(self) -> None:
        """End it at once."""
        if not self._over:
            self._end(Erred(*self._key, _STOPPED, Usage(self._workers.clock.now(), 0.0)))

    def _lose(self) -> None:
        if not self._over:
            self._end(Erred(*self._key, _LOST, Usage(self._workers.clock.now(), 0.0)))

    def _end(self, report: AnyReport) -> None:
        if self._over:
            return
        self._over = True
        if self._workers.busy.get(self._key[:2]) is self:
            del self._workers.busy[self._key[:2]]
        self._tell(report)

    def _tell(self, report: AnyReport) -> None:
        world, chance = self._world, self._workers.chance
        delay = chance.uniform(0.0, 0.05)
        if world.strikes("report delayed", *self._cell):
            delay = world.mischief.chance("report delayed").choice([0.5, 5.0, 40.0])
        self._told_at = max(self._told_at + _INSTANT, world.now + delay)
        world.at(self._told_at, lambda: self._workers.deliver(report, self._cell))
        if world.strikes("report doubled", *self._cell):
            again = world.mischief.chance("report doubled").choice([0.0, 0.4, 10.0, 60.0])
            world.at(self._told_at + again, lambda: self._workers.deliver(report, self._cell))


__all__ = ["Workers"]
