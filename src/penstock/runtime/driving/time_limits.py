"""How long nodes may take: in the queue, in all, and waiting for what is not there."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from penstock.errors import TaskTimeoutError
from penstock.kernel.recovery import next_attempt
from penstock.kernel.state import NodeProgress, Phase, RunProgress
from penstock.model.event import AnyEvent, Expired, Fault, Skipped
from penstock.model.fault import fault_as
from penstock.model.instruction import Ready
from penstock.ports import Clock
from penstock.runtime.driving.ledger import Ledger
from penstock.runtime.driving.nodes import Cell
from penstock.runtime.driving.timers import QueueLimit, Timers, TotalLimit, WaitLimit

#: ends an attempt that is under way, with what its end is taken for
Stop = Callable[[Cell, Fault], object]
#: an attempt is not to start any more
Withdraw = Callable[[Ready], object]

_IDLE = (Phase.QUEUED, Phase.DELAYED, Phase.AWAITING)


class TimeLimits:
    """The limits of nodes and items that count from when they could first start. Moments are seconds since the epoch."""

    def __init__(self, run: RunProgress, ledger: Ledger, timers: Timers, clock: Clock) -> None:
        self.run = run
        self._ledger = ledger
        self.timers = timers
        self.clock = clock
        self._set: set[Cell] = set()

    def begin(self, progress: NodeProgress, ready: Ready) -> None:
        """An attempt could start: set what limits there are."""
        timeouts = progress.node.policy.timeouts
        if timeouts.queue is not None:
            due = QueueLimit(ready.node, ready.item, ready.attempt)
            self.timers.at(self.clock.monotonic() + timeouts.queue, due)
        self.set(progress, ready.item)

    def set(self, progress: NodeProgress, item: int) -> None:
        """Set the limits of all attempts together, where there are any that are not set yet."""
        wait, total = progress.node.wait, progress.node.policy.timeouts.total
        if wait is None and total is None:
            return
        cell = progress.id, item
        if cell in self._set:
            return
        if total is not None:
            self.timers.at(self._moment(cell, total), TotalLimit(*cell))
        if wait is not None and wait.timeout is not None:
            self.timers.at(self._moment(cell, wait.timeout), WaitLimit(*cell))
        self._set.add(cell)

    def _moment(self, cell: Cell, seconds: float) -> float:
        return self.clock.monotonic() + seconds - self._age(cell)

    def _age(self, cell: Cell) -> float:
        now = self.clock.now()
        return max(0.0, now - self._ledger.began.get(cell, now))

    # What is waited for.

    def left(self, cell: Cell) -> float:
        """For how many more seconds to wait for what is not there."""
        wait = self.run.nodes[cell[0]].node.wait
        return inf if wait is None or wait.timeout is None else wait.timeout - self._age(cell)

    def overdue(self, cell: Cell, why: str = "") -> Fault | None:
        """What has failed if what is waited for is still not there; None if there is time left. `why` is what is missing
        now, where the task has said so."""
        wait = self.run.nodes[cell[0]].node.wait
        if wait is None or wait.timeout is None or self.left(cell) > 0:
            return None
        return fault_as(TaskTimeoutError, self._missed(cell, wait.timeout, why), cause="timeout")

    def skips(self, cell: Cell, why: str = "") -> str | None:
        """Why a wait that is over is skipped; None if it is not over, or fails."""
        wait = self.run.nodes[cell[0]].node.wait
        if wait is None or wait.on_timeout != "skip" or wait.timeout is None or self.left(cell) > 0:
            return None
        return self._missed(cell, wait.timeout, why)

    def _missed(self, cell: Cell, seconds: float, why: str) -> str:
        why = why or self._ledger.missing.get(cell, "")
        return f"what {self._called(cell)} waits for was not there after {seconds:g} s" + (f": {why}" if why else "")

    # What is due.

    def of_queue(self, due: QueueLimit, withdraw: Withdraw) -> AnyEvent | None:
        """An attempt should have started by now."""
        progress = self.run.nodes[due.node]
        seconds = progress.node.policy.timeouts.queue
        waiting = progress.phase_of(due.item) is Phase.QUEUED and next_attempt(progress, due.item) == due.attempt
        if not waiting or seconds is None:
            return None
        message = f"{self._called((due.node, due.item))} found no free worker within {seconds:g} s"
        return self._expired((due.node, due.item), message, withdraw)

    def of_all(self, due: TotalLimit, stop: Stop, withdraw: Withdraw) -> AnyEvent | None:
        """A node or an item should have ended by now."""
        cell = due.node, due.item
        progress = self.run.nodes[due.node]
        seconds = progress.node.policy.timeouts.total or 0.0
        message = f"{self._called(cell)} took longer than the {seconds:g} s that are allowed in all"
        phase = progress.phase_of(due.item)
        if phase is Phase.RUNNING:
            stop(cell, fault_as(TaskTimeoutError, message, cause="timeout"))
        return self._expired(cell, message, withdraw) if phase in _IDLE else None

    def of_wait(self, due: WaitLimit, stop: Stop) -> AnyEvent | None:
        """What is waited for should be there by now. An attempt that is queued has a last look."""
        cell = due.node, due.item
        phase = self.run.nodes[due.node].phase_of(due.item)
        fault = self.overdue(cell)
        if fault is None:
            # clocks differ by a little
            self.timers.at(self.clock.monotonic() + max(0.001, self.left(cell)), due)
        elif phase is Phase.RUNNING:
            stop(cell, fault)
        elif phase is Phase.DELAYED:
            reason = self.skips(cell)
            return Expired(*cell, fault) if reason is None else Skipped(due.node, reason, due.item)
        return None

    def _expired(self, cell: Cell, message: str, withdraw: Withdraw) -> AnyEvent:
        progress = self.run.nodes[cell[0]]
        if progress.phase_of(cell[1]) is Phase.QUEUED:
            withdraw(Ready(*cell, next_attempt(progress, cell[1])))
        return Expired(*cell, fault_as(TaskTimeoutError, message, cause="timeout"))

    def _called(self, cell: Cell) -> str:
        return self.run.nodes[cell[0]].cell_id(cell[1])
