"""The attempts that the executor has, and what its reports about them mean."""

from __future__ import annotations

from itertools import count
from typing import NamedTuple

import msgspec

from penstock.kernel.state import NodeProgress
from penstock.model.event import AnyEvent, Deferred, Failed, Fault, Returned, Skipped, Succeeded, Yielded
from penstock.model.graph import Wait
from penstock.model.instruction import Ready
from penstock.model.run import AttemptRecord, NodeState
from penstock.model.value import Argument
from penstock.model.work import AnyReport, Declined, Done, Erred, Job, NotYet, Told, Unstarted, Usage, Work, Yield
from penstock.ports import Executor, Result
from penstock.runtime.driving.ledger import Ledger
from penstock.runtime.driving.nodes import Cell, Nodes, Prepared
from penstock.runtime.driving.recording import Recorder, key_of
from penstock.runtime.driving.time_limits import TimeLimits


class Attempt(NamedTuple):
    """An attempt that is under way."""

    progress: NodeProgress
    item: int
    job: Job
    prepared: Prepared
    #: it is the fallback of the node
    fallback: bool


class Attempts:
    """What is under way, by the work and item of its job.

    Where a node may exist in several frames, or shares its work with others, the items of its jobs are numbers of their
    own, so that all attempts can be told apart. `prepared` holds the inputs of attempts that are yet to be made.
    """

    def __init__(
        self,
        nodes: Nodes,
        executor: Executor,
        ledger: Ledger,
        limits: TimeLimits,
        prepared: dict[Cell, Prepared],
    ) -> None:
        self._nodes = nodes
        self._executor = executor
        self._ledger = ledger
        self._limits = limits
        self._prepared = prepared
        self._under_way: dict[tuple[int, int], Attempt] = {}
        self._by_cell: dict[Cell, Attempt] = {}
        #: attempts that were told to end, with what their end is then taken for
        self._given_up: dict[Cell, Fault] = {}
        self._defined: set[int] = set()
        self._numbers = count()
        self._starting: list[Job] = []
        #: how many of them share a process with others
        self._shared = 0
        self._stopping: list[Job] = []
        #: results that attempts under way have claimed
        self.claimed: set[bytes] = set()
        #: seconds that the latest good attempt at a task took, by the task's key
        self.lasted: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    # What the executor is told, once the turn is committed.

    def starting(self, *, shared: bool) -> int:
        """How many attempts have yet to be handed to the executor: of those that share a process, or of the others."""
        return self._shared if shared else len(self._starting) - self._shared

    def start(self, progress: NodeProgress, ready: Ready, devices: tuple[int, ...] | None) -> bytes | None:
        """Make an attempt with the next `carry_out`. Returns what its result will be found under in the cache. Raises
        what resolving its inputs raises, in a run that goes on from what another driver has left."""
        template = self._nodes.template(progress)
        prepared = self._prepared.pop((ready.node, ready.item), None) or self._nodes.prepared(
            progress, template, ready.item
        )
        fallback = template.fallback is not None and ready.item in progress.fallen
        work = template.fallback if fallback else template.work
        assert work is not None
        self._define(work)
        own = template.shared or progress.frame.owner is not None
        job = Job(
            work.number,
            next(self._numbers) if own else ready.item,
            ready.attempt,
            prepared.inputs,
            progress.memory_of(ready.item),
            devices,
            (progress.id, ready.item) if own else None,
        )
        attempt = Attempt(progress, ready.item, job, prepared, fallback)
        self._under_way[job.work, job.item] = attempt
        self._by_cell[ready.node, ready.item] = attempt
        self._starting.append(job)
        self._shared += work.run_in != "process"
        return None if fallback else prepared.fingerprint

    def withdraw(self, cell: Cell) -> int:
        """Take an attempt back that was not yet handed to the executor. Returns its number."""
        attempt = self._by_cell.pop(cell)
        del self._under_way[attempt.job.work, attempt.job.item]
        self._starting.remove(attempt.job)
        work = self._nodes.template(attempt.progress).work
        self._shared -= work is not None and work.run_in != "process"
        self._prepared[cell] = attempt.prepared
        if attempt.prepared.fingerprint is not None:
            self.claimed.discard(attempt.prepared.fingerprint)
        return attempt.job.attempt

    def _define(self, work: Work) -> None:
        if work.number not in self._defined:
            self._executor.define(work)
            self._defined.add(work.number)

    def stop(self, cell: Cell, fault: Fault | None = None) -> bool:
        """End an attempt with the next `carry_out`; its end is taken for a failure with `fault`, if there is one.
        Whether it is under way."""
        attempt = self._by_cell.get(cell)
        if attempt is None:
            return False
        if fault is not None:
            self._given_up.setdefault(cell, fault)
        self._stopping.append(attempt.job)
        return True

    def carry_out(self) -> None:
        """Do what the committed turn justifies."""
        if self._starting:
            starting, self._starting, self._shared = self._starting, [], 0
            self._executor.submit(starting)
        stopping, self._stopping = self._stopping, []
        for job in stopping:
            self._executor.stop(job)

    # What the executor tells.

    def take(self, report: AnyReport, turn: Recorder) -> tuple[Cell | None, AnyEvent | None]:
        """What a report means, and the cell whose attempt has ended with it; None where it means nothing, or has not.

        What there is to record of it goes into the turn.
        """
        attempt = self._under_way.get((report.work, report.item))
        if isinstance(report, Told):
            self._tell(attempt, report, turn)
            return None, None
        if attempt is None or attempt.job.attempt != report.attempt:
            return None, None
        if isinstance(report, Yield):
            return None, self._yielded(attempt, report)
        cell = attempt.progress.id, attempt.item
        del self._under_way[report.work, report.item]
        del self._by_cell[cell]
        if self.claimed and (fingerprint := attempt.prepared.fingerprint) in self.claimed:
            self.claimed.remove(fingerprint)
            if not isinstance(report, Done):
                turn.disclaimed.append(fingerprint)
        fault = self._given_up.pop(cell, None) if self._given_up else None
        return cell, self._ended(attempt, report, fault, turn)

    def _tell(self, attempt: Attempt | None, report: Told, turn: Recorder) -> None:
        """Keep what an attempt has said; what comes after its end too, where it is known whose it is."""
        if attempt is not None:
            turn.tell(attempt.progress.id, attempt.item, report)
        elif report.cell is not None:
            turn.tell(*report.cell, report)
        elif (name := self._nodes.name_of(report.work)) is not None:
            turn.tell(name, report.item, report)

    def _yielded(self, attempt: Attempt, report: Yield) -> AnyEvent | None:
        progress = attempt.progress
        # nobody maps over it, nor can anybody that is yet to come
        if not (progress.streamers or progress.frame.growing):
            return None
        known = len(self._ledger.yields.get(progress.id, ()))
        if attempt.item >= 0 or report.index < known:
            return None
        return Yielded(progress.id, -1, report.attempt, report.index + 1, report.output)

    def _ended(
        self,
        attempt: Attempt,
        report: Done | Erred | Declined | NotYet | Unstarted,
        given_up: Fault | None,
        turn: Recorder,
    ) -> AnyEvent:
        name, item, number = attempt.progress.id, attempt.item, report.attempt
        match report:
            case Done():
                return self._done(attempt, report, turn)
            case Unstarted():
                self._prepared[name, item] = attempt.prepared
                return Returned(name, item, number)
            case Declined(reason=reason, usage=usage):
                turn.attempts.append(_record(attempt, NodeState.SKIPPED, usage, reason=reason))
                return Skipped(name, reason, item, number)
            case NotYet():
                return self._not_yet(attempt, report, given_up, turn)
            case Erred(fault=fault, usage=usage):
                if given_up is not None:
                    return self._gave_up(attempt, given_up, usage, turn)
                turn.attempts.append(_record(attempt, NodeState.FAILED, usage, fault=fault))
                return Failed(name, item, number, fault)

    def _done(self, attempt: Attempt, report: Done, turn: Recorder) -> AnyEvent:
        name, item = attempt.progress.id, attempt.item
        self.lasted[attempt.progress.node.task] = report.usage.duration
        turn.descriptions += report.descriptions
        fingerprint = attempt.prepared.fingerprint
        if fingerprint is not None and not attempt.fallback:
            turn.results[fingerprint] = Result(name, item, report.attempt, report.outputs)
        turn.attempts.append(_record(attempt, NodeState.SUCCEEDED, report.usage, outputs=report.outputs))
        return Succeeded(name, item, report.attempt, report.outputs)

    def _not_yet(self, attempt: Attempt, report: NotYet, given_up: Fault | None, turn: Recorder) -> AnyEvent:
        """Ask again later, unless the time for that is over."""
        progress, cell = attempt.progress, (attempt.progress.id, attempt.item)
        fault = given_up or self._limits.overdue(cell, report.why)
        if fault is not None:
            return self._gave_up(attempt, fault, report.usage, turn, report.why)
        wait = progress.node.wait or Wait()
        times = self._ledger.deferrals.get(cell, 0)
        seconds = report.after
        if seconds is None:
            seconds = wait.poll
            # not as a power: it would overflow
            for _ in range(min(times, 100)):
                seconds = min(seconds * wait.factor, wait.longest)
        self._prepared[cell] = attempt.prepared
        return Deferred(*cell, report.attempt, max(0.0, min(seconds, self._limits.left(cell))), report.why)

    def _gave_up(self, attempt: Attempt, fault: Fault, usage: Usage, turn: Recorder, why: str = "") -> AnyEvent:
        """An attempt ended because the time of its node was over."""
        cell = attempt.progress.id, attempt.item
        number = attempt.job.attempt
        reason = self._limits.skips(cell, why)
        if reason is not None:
            turn.attempts.append(_record(attempt, NodeState.SKIPPED, usage, reason=reason))
            return Skipped(cell[0], reason, cell[1], number)
        fault = msgspec.structs.replace(fault, retry=False)
        turn.attempts.append(_record(attempt, NodeState.FAILED, usage, fault=fault))
        return Failed(*cell, number, fault)


def _record(
    attempt: Attempt,
    state: NodeState,
    usage: Usage,
    *,
    outputs: tuple[Argument, ...] = (),
    fault: Fault | None = None,
    reason: str = "",
) -> AttemptRecord:
    progress, item = attempt.progress, attempt.item
    return AttemptRecord(
        node=progress.id,
        item=item,
        attempt=attempt.job.attempt,
        state=state,
        started_at=usage.started_at,
        duration=usage.duration,
        cpu=usage.cpu,
        peak_memory=usage.peak_memory,
        worker=usage.worker,
        fingerprint=None if attempt.fallback else attempt.prepared.fingerprint,
        outputs=outputs,
        fault=fault,
        reason=reason,
        key=key_of(progress, item),
    )
