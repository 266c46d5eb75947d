"""The way from a process to the store, on which things go wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from penstock.errors import StoreError
from penstock.model.run import RunRecord
from penstock.ports import Store, Turn
from penstock.ports.agenda import Agenda
from penstock.ports.catalog import Catalog
from penstock.testing.simulation.facts import Facts
from penstock.testing.simulation.world import World

#: seconds that a partition lasts, at least and at most; a lease is in between
_APART = (1.0, 70.0)
#: seconds that a slow call takes
_SLOW = (0.05, 30.0)


class Crash(BaseException):
    """The end of a process, wherever it is."""


class UnreachableError(StoreError):
    """The store cannot be reached, or its answer was lost."""


class Link:
    """The store as one process sees it. While a call takes its time, everything else goes on."""

    def __init__(self, world: World, store: Store, facts: dict[str, Facts], name: str) -> None:
        self._world = world
        self._store = store
        self._facts = facts
        self._name = name
        #: until when the store cannot be reached
        self.cut_until = 0.0
        #: told of the questions in a turn that was committed
        self.asked: Callable[[str, list[str]], object] | None = None

    @property
    def is_cut(self) -> bool:
        return self._world.now < self.cut_until

    def cut(self) -> None:
        """Let the store be out of reach for a while."""
        self.cut_until = self._world.now + self._world.mischief.chance("partition").uniform(*_APART)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)

        def call(*arguments: Any, **named: Any) -> Any:
            self._get_through("read", name)
            return method(*arguments, **named)

        setattr(self, name, call)
        return call

    @property
    def agenda(self) -> Agenda:
        return cast(Agenda, _Part(self._store.agenda, self._get_through))

    @property
    def catalog(self) -> Catalog:
        return cast(Catalog, _Part(self._store.catalog, self._get_through))

    def reopen(self, run_id: str, driver: str, instead_of: str | None = None) -> RunRecord:
        self._get_through("read", "reopen")
        run = self._store.reopen(run_id, driver, instead_of)
        self._world.tell("takes over", run_id, driver, "with token", run.token)
        self._facts[run_id].taken_over(run)
        return run

    def commit(self, run_id: str, turn: Turn) -> frozenset[bytes]:
        world, name = self._world, self._name
        if world.strikes("crash before a commit", name, turn.number):
            raise Crash
        self._get_through("commit", turn.number)
        refused = self._store.commit(run_id, turn)
        world.tell("commits", name, turn.number, turn.end or "", *map(_told, turn.events))
        asked = self._facts[run_id].committed(turn, self._token_of(turn, run_id))
        if asked and self.asked is not None:
            self.asked(run_id, asked)
        if world.strikes("partition in a commit", name, turn.number):
            self.cut_until = world.now + world.mischief.chance("partition in a commit").uniform(*_APART)
            self._wait()
        if world.strikes("commit fails after it took effect", name, turn.number):
            raise UnreachableError("the connection to the store was lost")
        if world.strikes("crash after a commit", name, turn.number):
            raise Crash
        return refused

    #: of the driver behind the link
    token: Callable[[], int] | None = None

    def _token_of(self, turn: Turn, run_id: str) -> int:
        if self.token is not None:
            return self.token()
        return self._facts[run_id].token if turn.token is None else turn.token

    def _get_through(self, kind: str, what: object) -> None:
        """Reach the store, in the end. Raises StoreError or Crash where that goes wrong."""
        world = self._world
        if self.is_cut:
            self._wait()
        if world.strikes(f"slow {kind}", self._name, what):
            world.pass_until(world.now + world.mischief.chance(f"slow {kind}").uniform(*_SLOW))
        if kind == "read" and world.strikes("crash in a read", self._name, what):
            raise Crash
        if world.strikes(f"{kind} fails", self._name, what):
            raise UnreachableError("the store cannot be reached")

    def _wait(self) -> None:
        self._world.tell("cannot reach the store", self._name, f"until {self.cut_until:.3f}")
        self._world.pass_until(self.cut_until)


class _Part:
    """A part of the store, on the same way to it."""

    def __init__(self, part: Any, get_through: Callable[[str, object], None]) -> None:
        self._part = part
        self._get_through = get_through

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._part, name)

        def call(*arguments: Any, **named: Any) -> Any:
            self._get_through("read", name)
            return method(*arguments, **named)

        return call


def _told(event: Any) -> str:
    name = type(event).__name__
    node = getattr(event, "node", None)
    if node is None:
        return name
    item, attempt = getattr(event, "item", -1), getattr(event, "attempt", 0)
    return f"{name}({node}{'' if item < 0 else f'[{item}]'}{f' #{attempt}' if attempt else ''})"


__all__ = ["Crash", "Link", "UnreachableError"]
