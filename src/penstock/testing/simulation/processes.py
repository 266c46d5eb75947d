"""Processes that drive runs, and those that see to it that every run is driven."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from random import Random
from typing import Any, cast

from penstock.errors import NotFoundError, StoreError
from penstock.kernel.invariants import validate
from penstock.model.options import RunOptions
from penstock.model.run import RunRecord, RunState
from penstock.model.work import AnyReport
from penstock.ports import Blobs, Store
from penstock.runtime.capacity.admission import ASK_AGAIN, Admission
from penstock.runtime.capacity.demand import Limits
from penstock.runtime.capacity.machine import Machine
from penstock.runtime.capacity.pools import Pools
from penstock.runtime.driver import Driver
from penstock.runtime.ending import end_as_broken
from penstock.runtime.surroundings.leases import INTERVAL, Fate, Watch
from penstock.testing.simulation.checks import check_journal
from penstock.testing.simulation.facts import Cell, Facts
from penstock.testing.simulation.links import Crash, Link, UnreachableError
from penstock.testing.simulation.plans import Plan
from penstock.testing.simulation.workers import Workers
from penstock.testing.simulation.world import HostClock, World
from penstock.values import Values

#: seconds after which an idle driver looks up at the latest
_LATE = 3.0
#: seconds by which a wall clock may jump
_JUMPS = (-7200.0, -30.0, -1.0, 1.0, 30.0, 7200.0)


class Project:
    """What the processes of a simulation share: a pipeline, a store, and what is true of its runs."""

    def __init__(self, world: World, plan: Plan, store: Store, folder: Any) -> None:
        self.world = world
        self.plan = plan
        self.store = store
        self.folder = folder
        self.facts: dict[str, Facts] = {}
        #: those that live, by run; the last one drives it, as far as it knows
        self.processes: dict[str, list[Process]] = {}
        self.asked: Callable[[str, list[str]], object] = lambda run_id, names: None
        self._count = 0

    def named(self, host: str) -> str:
        """A name for another process."""
        self._count += 1
        return f"{host}:{self._count}"

    def link(self, name: str) -> Link:
        link = Link(self.world, self.store, self.facts, name)
        link.asked = self.asked
        return link


class Process:
    """A process that drives a run."""

    def __init__(self, project: Project, run: RunRecord, name: str, *, resuming: bool) -> None:
        self.project = project
        self.name = name
        self.run_id = run.run_id
        self._world = world = project.world
        self.facts = project.facts[run.run_id]
        self._chance = chance = Random(f"{world.seed}/{name}")
        self.clock = HostClock(world, chance)
        self.link = link = project.link(name)
        link.token = lambda: self.driver.run.token
        values = Values(cast(Blobs, None), workspace=project.folder)
        store = cast(Store, link)
        self.workers = Workers(
            world, project.plan, self.facts, values, self.clock, chance, lambda: self.driver.run.token, self.wake
        )
        graph = project.plan.graph
        machine = Machine(cores=4, memory=1 << 34, gpus=0)
        pools = Pools(run.run_id, store, lambda: cast(Any, link), self.clock)
        self.driver = Driver(
            run=run,
            graph=graph,
            tasks=project.plan.code(),
            parameters={},
            store=store,
            values=values,
            executor=self.workers,
            clock=self.clock,
            options=RunOptions(),
            admission=Admission(graph, machine, 4, pools, Limits(), self.clock),
            chance=chance.uniform,
        )
        self.lives = True
        self._busy = False
        #: the number of the next wake-up that counts
        self._alarm = 0
        self._turns: Generator[float] = self.driver.turns(resuming=resuming)
        project.processes.setdefault(run.run_id, []).append(self)
        world.after(INTERVAL, self._beat)
        self.wake()

    def wake(self) -> None:
        """Let it look up now."""
        self._sleep(0.0)

    def _sleep(self, seconds: float) -> None:
        self._alarm += 1
        alarm = self._alarm
        self._world.after(seconds, lambda: self._turn(alarm))

    def _turn(self, alarm: int) -> None:
        """Go on to the end of the turn."""
        if not self.lives or self._busy or alarm != self._alarm:
            return
        self._busy = True
        turns = self.facts.turns
        try:
            patience = next(self._turns)
        except StopIteration:
            self._ended()
        except Crash:
            self.die("crashed")
        except StoreError as error:
            self._broke_off(error)
        else:
            if turns != self.facts.turns:
                validate(self.driver.progress)
            if patience >= ASK_AGAIN:
                # a driver on a busy machine looks up late
                patience = self._chance.uniform(patience, _LATE)
            self._sleep(0.0 if self.workers.has_reports else patience)
        finally:
            self._busy = False

    def _ended(self) -> None:
        self._world.tell("leaves", self.name, self.driver.state.value)
        if self.facts.token == self.driver.run.token:
            check_journal(self.project.store, self.driver.progress, self.project.plan, self.facts)
        self._gone()

    def _broke_off(self, error: StoreError) -> None:
        self._world.tell("breaks off", self.name, type(error).__name__, error.what)
        run = self.driver.run
        drives = self.facts.state is RunState.RUNNING and self.facts.token == run.token
        if drives:
            given = isinstance(error, UnreachableError)
            self.facts.check(given, "a driver broke off, though the store could be reached", error.what)
            if self._world.strikes("broken off as failed", self.name):
                with suppress(StoreError, Crash):
                    end_as_broken(cast(Store, self.link), run, error, self.clock.now)
        self._gone()

    def die(self, how: str) -> None:
        """End, wherever it is."""
        self._world.tell(how, self.name)
        self._turns.close()
        self._gone()

    def _gone(self) -> None:
        self.lives = False
        self.project.processes[self.run_id].remove(self)
        self.workers.heir = self._pass_on

    def _pass_on(self, report: AnyReport, cell: Cell, attempt: int) -> None:
        """A report of workers that are left: it may reach the next driver, where that can tell whose it is."""
        following = self.project.processes[self.run_id]
        in_body = "/" in cell[0]
        if following and not in_body and self._world.strikes("report of an earlier driver", *cell, f"#{attempt}"):
            following[-1].workers.take(report)

    def _beat(self) -> None:
        """Say that it lives."""
        if not self.lives:
            return
        if not self.link.is_cut:
            self.project.store.beat(self.run_id, self.driver.run.token, self.clock.now())
        self._world.after(INTERVAL, self._beat)

    def suffer(self) -> None:
        """Whatever may happen to a process between two turns."""
        world = self._world
        if world.strikes("partition", self.name):
            self.link.cut()
        if world.strikes("clock jumps", self.name):
            self.clock.jump(world.mischief.chance("clock jumps").choice(_JUMPS))
        if not self._busy and world.strikes("crash between turns", self.name):
            self.die("crashed")


class Keeper:
    """Sees to it that a run is driven: takes it over where its driver is gone, or somebody has answered."""

    def __init__(self, project: Project, run_id: str, host: str) -> None:
        self._project = project
        self._run_id = run_id
        self._host = host
        self._world = project.world
        self._link = project.link(host)
        clock = HostClock(project.world, Random(f"{project.world.seed}/{host}/{run_id}"))
        self._watch = Watch(cast(Store, self._link), monotonic=clock.monotonic)
        self._busy = False
        #: how many requests it has seen
        self._seen = 0

    def begin(self, delay: float) -> None:
        self._world.after(delay, self._look)

    def _look(self) -> None:
        if not self._busy:
            self._busy = True
            try:
                done = self._see_to_it()
            except StoreError as error:
                self._world.tell("cannot see to it", self._host, error.what)
                done = False
            except Crash:
                done = False
            finally:
                self._busy = False
            if done:
                return
        self._world.after(INTERVAL, self._look)

    def _see_to_it(self) -> bool:
        """Look at the run. Whether it has ended."""
        store = cast(Store, self._link)
        try:
            run = store.find(self._run_id)
        except NotFoundError:
            return False
        if run.state is RunState.PAUSED:
            requests = len(store.requests(run.run_id))
            if requests > self._seen and self._take_over(run):
                self._seen = requests
            return False
        if run.state is not RunState.RUNNING:
            return True
        for process in list(self._project.processes.get(run.run_id, ())):
            process.suffer()
        gone = self._watch.fate(run) is Fate.GONE
        if gone or self._world.strikes("taken over while it lives", self._host, run.driver):
            self._take_over(run)
        return False

    def _take_over(self, run: RunRecord) -> bool:
        name = self._project.named(self._host)
        taken = self._link.reopen(run.run_id, name, run.driver)
        if self._world.strikes("crash in a take-over", name):
            return False
        Process(self._project, taken, name, resuming=True)
        return True


__all__ = ["Keeper", "Process", "Project"]
