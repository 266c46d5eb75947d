"""Daemons in a simulation: each with a clock, a way to the store, and processes that make runs, on all of which things go
wrong."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, cast

from penstock.daemon.inquiries import Answer, Inquiry, Request
from penstock.daemon.launcher import Ended
from penstock.daemon.loop import Daemon, Settings
from penstock.daemon.notices import Notice
from penstock.errors import StoreError
from penstock.model.run import RunRecord, RunState
from penstock.ports import Store, Turn
from penstock.runtime.surroundings.leases import INTERVAL
from penstock.stores.sqlite import SqliteStore
from penstock.testing.records import graph, provenance
from penstock.testing.simulation.links import Crash, UnreachableError
from penstock.testing.simulation.world import HostClock, Violation, World

#: kind of fault -> the chances that are drawn from; for one call of the store, one step, one process, or one look
KINDS: dict[str, tuple[float, ...]] = {
    "crash before a call": (0.002, 0.01),
    "crash after a call": (0.002, 0.01),
    "crash between steps": (0.005, 0.03),
    "call fails": (0.005, 0.02),
    "call fails after it took effect": (0.005, 0.02),
    "slow call": (0.01, 0.05),
    "clock jumps": (0.02, 0.1),
    "process lost before its run": (0.05, 0.2),
    "slow process": (0.1, 0.3),
    "driver lost": (0.05, 0.2),
    "run fails": (0.1, 0.3),
    "answer lost": (0.1, 0.3),
    "event twice": (0.2, 0.5),
}
#: seconds by which a wall clock may jump
_JUMPS = (-600.0, -30.0, -1.0, 1.0, 30.0, 240.0)
#: seconds that a slow call, and a slow process, take at most
_SLOW, _SLUGGISH = 12.0, 45.0
_POLL = 2.0


class Ways:
    """What a daemon calls of a store, or of its agenda; every call may go wrong."""

    def __init__(self, world: World, target: Any, name: str) -> None:
        self._world = world
        self._target = target
        self._name = name

    @property
    def agenda(self) -> Ways:
        return Ways(self._world, self._target.agenda, self._name)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._target, name)

        def call(*arguments: Any, **named: Any) -> Any:
            world = self._world
            if world.strikes("crash before a call", self._name, name):
                raise Crash
            if world.strikes("slow call", self._name, name):
                world.pass_until(world.now + world.mischief.chance("slow call").uniform(0.0, _SLOW))
            if world.strikes("call fails", self._name, name):
                raise UnreachableError("the store cannot be reached")
            answer = method(*arguments, **named)
            if world.strikes("call fails after it took effect", self._name, name):
                raise UnreachableError("the connection to the store was lost")
            if world.strikes("crash after a call", self._name, name):
                raise Crash
            return answer

        return call


class Drivers:
    """The processes that make runs. They belong to no daemon, and outlive all."""

    def __init__(self, world: World, store: SqliteStore, at_most: Callable[[str], int | None]) -> None:
        self._world = world
        self._store = store
        self._at_most = at_most
        self._chance = Random(f"{world.seed}/drivers")
        self._count = 0
        #: trigger -> runs that are under way
        self.under_way: dict[str, set[str]] = {}

    def make(self, run_id: str, ended: Callable[[Ended], object]) -> None:
        """Start a process that makes the run of a firing, in its time."""
        if self._world.strikes("process lost before its run", run_id):
            self._world.after(self._chance.uniform(0.1, 3.0), lambda: ended(Ended(run_id, -9, "killed")))
            return
        slow = self._world.strikes("slow process", run_id)
        delay = self._chance.uniform(0.0, _SLUGGISH) if slow else self._chance.uniform(0.1, 2.0)
        self._world.after(delay, lambda: self._create(run_id, ended))

    def resume(self, run: RunRecord, ended: Callable[[Ended], object]) -> None:
        """Start a process that goes on with a run."""

        def reopened() -> None:
            try:
                taken = self._store.reopen(run.run_id, self._named(), run.driver)
            except StoreError as error:
                ended(Ended(run.run_id, 2, error.what))
                return
            self._world.tell("goes on", run.run_id, taken.driver)
            self._drive(taken, ended)

        self._world.after(self._chance.uniform(0.1, 2.0), reopened)

    def _named(self) -> str:
        self._count += 1
        return f"elsewhere:{self._count}"

    def _create(self, run_id: str, ended: Callable[[Ended], object]) -> None:
        firing = self._store.agenda.firing(run_id)
        run = RunRecord(
            run_id=run_id,
            pipeline=firing.pipeline,
            state=RunState.RUNNING,
            parameters={},
            started_at=self._world.now,
            driver=self._named(),
            cause=firing.cause,
        )
        try:
            self._store.create(run, graph(1), provenance())
        except StoreError as error:
            self._world.tell("is refused", run_id, error.what)
            ended(Ended(run_id, 2, error.what))
            return
        under_way = self.under_way.setdefault(firing.trigger, set())
        under_way.add(run_id)
        self._world.tell("begins", run_id, firing.trigger, firing.key)
        at_most = self._at_most(firing.trigger)
        if at_most is not None and len(under_way) > at_most:
            raise Violation(f"{len(under_way)} runs of {firing.trigger} are under way, and {at_most} may be")
        self._drive(run, ended)

    def _drive(self, run: RunRecord, ended: Callable[[Ended], object]) -> None:
        lost = self._world.strikes("driver lost", run.run_id)
        lasts = self._world.now + self._chance.choice([0.5, 3.0, 20.0]) * self._chance.uniform(0.5, 1.5)
        self._beat(run, lasts, lost, ended)

    def _beat(self, run: RunRecord, lasts: float, lost: bool, ended: Callable[[Ended], object]) -> None:
        if self._world.now < lasts:
            self._store.beat(run.run_id, run.token, self._world.now)
            self._world.at(min(lasts, self._world.now + INTERVAL), lambda: self._beat(run, lasts, lost, ended))
            return
        if lost:
            self._world.tell("is left", run.run_id)
            ended(Ended(run.run_id, -9, "killed"))
            return
        asked = self._store.requests(run.run_id)
        failed = self._world.strikes("run fails", run.run_id)
        state = RunState.CANCELLED if asked else RunState.FAILED if failed else RunState.SUCCEEDED
        turns = self._store.pulse(run.run_id).turns
        self._store.commit(run.run_id, Turn(number=turns, at=self._world.now, token=run.token, end=state))
        assert run.cause is not None
        self._world.tell("ends", run.run_id, state.value)
        for under_way in self.under_way.values():
            under_way.discard(run.run_id)
        ended(Ended(run.run_id, 0, ""))


class Launches:
    """The launcher of one daemon."""

    def __init__(self, drivers: Drivers, name: str) -> None:
        self.name = name
        self._drivers = drivers
        self._driven: set[str] = set()
        self._ended: list[Ended] = []

    def fire(self, run_id: str) -> None:
        self._driven.add(run_id)
        self._drivers.make(run_id, self._end)

    def resume(self, run: RunRecord) -> None:
        self._driven.add(run.run_id)
        self._drivers.resume(run, self._end)

    def drives(self, run_id: str) -> bool:
        return run_id in self._driven

    def ended(self) -> list[Ended]:
        ended, self._ended = self._ended, []
        return ended

    def _end(self, ended: Ended) -> None:
        self._driven.discard(ended.run_id)
        self._ended.append(ended)


class Inquiries:
    """Asks sensors, whose rows appear in the course of time, and conditions, which hold for most."""

    def __init__(self, world: World, rows: Callable[[], int], name: str) -> None:
        self._world = world
        self._rows = rows
        self._chance = Random(f"{world.seed}/{name}/answers")
        self._open = 0
        self._answers: list[Answer] = []

    def room(self) -> int:
        return 4 - self._open

    def ask(self, inquiry: Inquiry) -> None:
        self._open += 1
        self._world.after(self._chance.uniform(0.05, 4.0), lambda: self._answer(inquiry))

    def answers(self) -> list[Answer]:
        answers, self._answers = self._answers, []
        return answers

    def wait(self, seconds: float) -> None:
        """Nobody waits in virtual time."""

    def close(self) -> None:
        """There is nothing to break off."""

    def _answer(self, inquiry: Inquiry) -> None:
        self._open -= 1
        self._answers.append(self._found(inquiry))

    def _found(self, inquiry: Inquiry) -> Answer:
        if self._world.strikes("answer lost", inquiry.id):
            return Answer(id=inquiry.id, error="it gave no answer in time")
        if inquiry.kind == "condition":
            assert inquiry.cause is not None
            return Answer(id=inquiry.id, holds=holds(inquiry.cause.key), why="it does not hold")
        seen, rows = inquiry.cursor or 0, self._rows()
        requests = tuple(Request(key=f"row-{number}") for number in range(seen, rows))
        return Answer(id=inquiry.id, requests=requests, cursor=rows, moved=True)


def holds(key: str) -> bool:
    """Whether the condition of a simulation lets a firing start."""
    return Random(key).random() < 0.7


class Host:
    """A machine on which a daemon is kept going: another one begins where one has crashed."""

    def __init__(self, world: World, store: SqliteStore, drivers: Drivers, rows: Callable[[], int], name: str) -> None:
        self._world = world
        self._store = store
        self._drivers = drivers
        self._rows = rows
        self._name = name
        self._chance = Random(f"{world.seed}/{name}")
        self.clock = HostClock(world, self._chance)
        self._count = 0
        self._ids = 0
        #: whether everything was looked at, and nothing found to do
        self.settled = False

    def begin(self) -> None:
        """Start a daemon."""
        self._count += 1
        name = f"{self._name}:{self._count}"
        self._world.tell("begins", name)
        daemon = Daemon(
            cast(Store, Ways(self._world, self._store, name)),
            self.clock,
            Launches(self._drivers, name),
            Inquiries(self._world, self._rows, name),
            lambda notice: self._tell(name, notice),
            settings=Settings(poll=_POLL),
            new_id=self._new_id,
        )
        turns = daemon.turns()

        def step() -> None:
            try:
                seconds = next(turns)
            except Crash:
                self._crashed(name)
                return
            self.settled = daemon.settled
            if self._world.strikes("crash between steps", name):
                self._crashed(name)
                return
            if seconds and self._world.strikes("clock jumps", name):
                self.clock.jump(self._world.mischief.chance("clock jumps").choice(_JUMPS))
            self._world.after(seconds, step)

        step()

    def _crashed(self, name: str) -> None:
        self._world.tell("crashed", name)
        self.settled = False
        self._world.after(self._chance.uniform(0.1, 30.0), self.begin)

    def _tell(self, name: str, notice: Notice) -> None:
        self._world.tell("says", name, notice.text)

    def _new_id(self, now: float) -> str:
        self._ids += 1
        return f"{self._name}-{self._ids:05}"


__all__ = ["KINDS", "Drivers", "Host", "holds"]
