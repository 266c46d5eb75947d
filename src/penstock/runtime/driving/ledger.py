"""What the driver remembers of the events of a run besides what the kernel does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from penstock.kernel.state import RunProgress
from penstock.model.event import (
    AnyEvent,
    Asked,
    Broken,
    Deferred,
    Expired,
    Failed,
    Fault,
    Hit,
    Missed,
    Started,
    Yielded,
)
from penstock.model.value import Argument


class Ledger:
    """Follows from the journal alone, as the state of the run does. Times are seconds since the epoch.

    All but `yields` are by node and item.
    """

    def __init__(self, run: RunProgress) -> None:
        self._run = run
        #: the latest fault
        self.faults: dict[tuple[str, int], Fault] = {}
        #: what generators have yielded so far, by node
        self.yields: dict[str, list[Argument]] = {}
        #: how many times what it waits for was not there
        self.deferrals: dict[tuple[str, int], int] = {}
        #: what was missing the last time, where it has said so
        self.missing: dict[tuple[str, int], str] = {}
        #: when the question was put
        self.asked: dict[tuple[str, int], float] = {}
        #: when it could first start, where there is a limit that counts from there
        self.began: dict[tuple[str, int], float] = {}
        #: when the delay before the next attempt began
        self.delayed_since: dict[tuple[str, int], float] = {}
        #: when the first node of a body began
        self.opened: dict[tuple[str, int], float] = {}
        self._takers: dict[type[AnyEvent], Callable[[Any, float], None]] = {
            Failed: self._fault,
            Broken: self._fault,
            Expired: self._fault,
            Deferred: self._deferred,
            Asked: self._asked,
            Yielded: self._yielded,
            Missed: self._missed,
            Started: self._busy,
            Hit: self._busy,
        }

    def take(self, events: Iterable[AnyEvent], at: float) -> None:
        """Remember what matters later; called after the kernel has taken the events in, which may add nodes."""
        takers = self._takers
        for event in events:
            taker = takers.get(type(event))
            if taker is not None:
                taker(event, at)

    def _fault(self, event: Failed | Broken | Expired, at: float) -> None:
        self.faults[event.node, event.item] = event.fault
        self.delayed_since[event.node, event.item] = at

    def _deferred(self, event: Deferred, at: float) -> None:
        cell = event.node, event.item
        self.deferrals[cell] = self.deferrals.get(cell, 0) + 1
        if event.why:
            self.missing[cell] = event.why
        self.delayed_since[cell] = at

    def _asked(self, event: Asked, at: float) -> None:
        self.asked.setdefault((event.node, event.item), at)

    def _yielded(self, event: Yielded, at: float) -> None:
        values = self.yields.setdefault(event.node, [])
        # a repeated attempt yields from the start again
        if event.count == len(values) + 1:
            values.append(event.output)

    def _missed(self, event: Missed, at: float) -> None:
        node = self._run.nodes[event.node].node
        if node.wait is not None or node.policy.timeouts.total is not None:
            self.began.setdefault((event.node, event.item), at)

    def _busy(self, event: Started | Hit, at: float) -> None:
        owner, item = (frame := self._run.nodes[event.node].frame).owner, frame.item
        while owner is not None and (owner.id, item) not in self.opened:
            self.opened[owner.id, item] = at
            owner, item = owner.frame.owner, owner.frame.item
