"""One call of `handle`: what follows from the ends of nodes, of items and of bodies."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from penstock.kernel.joins import may_be_left_out, met_early, of_phases, verdict
from penstock.kernel.state import Frame, Items, NodeProgress, Outputs, Phase, RunProgress
from penstock.model.event import CancelRequested, Fault
from penstock.model.expression import references
from penstock.model.instruction import (
    AnyInstruction,
    Check,
    Conclude,
    Decide,
    Expand,
    Finish,
    Grow,
    Ready,
    Settle,
    Stop,
    Substitute,
)
from penstock.model.run import RunState

#: what is still to be done though the run is being cancelled
_UNAFFECTED = (Settle, Stop, Finish, Conclude, Grow)
#: phases that answer for themselves: a cancelled body ends when its nodes have
_SELF_ENDING = (Phase.OPEN, Phase.CONCLUDING)


class Turn:
    """The run, the instructions so far, and the nodes whose end has yet to be passed on."""

    __slots__ = ("ended", "failing", "instructions", "run")

    def __init__(self, run: RunProgress) -> None:
        self.run = run
        self.instructions: list[AnyInstruction] = []
        self.ended: deque[NodeProgress] = deque()
        #: nodes of which an item has failed, in a run that ends with the first failure
        self.failing: list[NodeProgress] = []

    # Nodes begin.

    def start(self) -> None:
        """Begin the run."""
        self.run.started = True
        if self.run.root.growing:
            self.instructions.append(Grow(""))
        self.begin(list(self.run.root.nodes.values()))
        self.propagate()
        if self.run.root.complete:
            self.conclude(self.run.root)

    def begin(self, nodes: list[NodeProgress]) -> None:
        """Let those of new nodes go on that wait for nothing."""
        for progress in nodes:
            # a run may have been cancelled before it started
            if progress.phase is Phase.PENDING:
                self._consider(progress)

    def _consider(self, progress: NodeProgress) -> None:
        """Decide about a pending node, if it can be decided."""
        if progress.blockers > 0 and not (met_early(progress) and self._is_decidable(progress)):
            return
        if self.is_lost(progress):
            self.settle(progress, -1, Phase.CANCELLED, self.run.cancelling or "")
            return
        found = verdict(progress) if progress.blockers == 0 else None
        if found is None:
            self._open(progress)
        elif progress.node.guard is not None and self.run.version > 1 and may_be_left_out(progress, found):
            progress.phase = Phase.DECIDING
            self.instructions.append(Decide(progress.id))
        else:
            self.settle(progress, -1, *found)

    def _is_decidable(self, progress: NodeProgress) -> bool:
        """Whether all has ended that the condition reads of a node that need not wait for the rest."""
        guard = progress.node.guard
        if guard is None or self.run.version == 1:
            return True
        return all(progress.frame.nodes[name].phase.ended for name in references(guard))

    def _open(self, progress: NodeProgress) -> None:
        node = progress.node
        if node.guard is not None or node.each is not None:
            progress.phase = Phase.EXPANDING
            self.instructions.append(Expand(progress.id))
        else:
            self.expand(progress, None, None, more=False)

    def expand(self, progress: NodeProgress, count: int | None, keys: tuple[str, ...] | None, *, more: bool) -> None:
        """The condition of a node holds, and its items are known, or some of them."""
        if count is None:
            if progress.body is None:
                progress.phase = Phase.CHECKING
                self.instructions.append(Check(progress.id, -1, 0))
            else:
                progress.phase = Phase.OPEN
                self.open_frame(progress, -1)
            return
        if count == 0 and not more:
            self.settle(progress, -1, Phase.SUCCEEDED, "there was nothing to map over")
            return
        progress.phase = Phase.OPEN
        more = more and not all(other.phase.ended for other in progress.streams)
        items = progress.items = Items(count, keys, more=more)
        for streamer in progress.streamers:
            self._unblock(streamer)
        if progress.streams:
            for item in range(count):
                self.release(progress, item)
        elif progress.body is None:
            items.phases = bytearray([Phase.CHECKING]) * count
            self.instructions.append(Check(progress.id, 0, count))
        else:
            for item in range(count):
                self._launch_frame(progress, item)

    def release(self, progress: NodeProgress, item: int) -> None:
        """Let an item begin that takes over items of other nodes, if all of those have ended."""
        items = progress.items
        assert items is not None
        if items.phases[item] != Phase.PENDING or item in progress.frames:
            return
        if self.is_lost(progress):
            self.settle(progress, item, Phase.CANCELLED, self.run.cancelling or "")
            return
        phases = [_phase_in(other, item) for other in progress.streams]
        if not all(phase.ended for phase in phases):
            return
        found = of_phases(str(progress.node.join), phases, [other.cell_id(item) for other in progress.streams])
        if found is not None:
            self.settle(progress, item, *found)
        elif progress.body is None:
            items.phases[item] = Phase.CHECKING
            self.instructions.append(Check(progress.id, item, item + 1))
        else:
            self._launch_frame(progress, item)

    def yielded(self, progress: NodeProgress, count: int) -> None:
        """A generator has yielded; whoever maps over it gets more items."""
        first = progress.yielded == 0
        progress.yielded = max(count, progress.yielded)
        if first:
            for streamer in progress.streamers:
                self._unblock(streamer)
        for streamer, item in list(self._grown(progress, progress.yielded)):
            self.release(streamer, item)

    def _grown(self, progress: NodeProgress, count: int) -> Iterator[tuple[NodeProgress, int]]:
        """Let those that take over items of a node, and those that take over theirs, have so many. Yields what was
        added."""
        for streamer in progress.streamers:
            items = streamer.items
            if items is None or not items.more:
                continue
            for _ in range(len(items.phases), count):
                yield streamer, items.append()
            yield from self._grown(streamer, count)

    def _unblock(self, progress: NodeProgress) -> None:
        progress.blockers -= 1
        if progress.phase is Phase.PENDING:
            self._consider(progress)

    # Attempts.

    def queue(self, progress: NodeProgress, item: int, attempt: int) -> None:
        """An attempt could start, unless as many items are under way as may be."""
        progress.set_phase(item, Phase.QUEUED)
        if item >= 0 and not self._takes_off(progress, item, attempt):
            return
        self.instructions.append(Ready(progress.id, item, attempt))

    def _takes_off(self, progress: NodeProgress, item: int, attempt: int) -> bool:
        """Whether an item may be under way; if not, it is held back."""
        limit = progress.limit
        if limit is None:
            return True
        if len(limit.flying) >= limit.size:
            limit.held.append((item, attempt))
            return False
        limit.flying.add(item)
        return True

    def land(self, progress: NodeProgress, item: int) -> None:
        """An item is no longer under way; the next one may be."""
        limit = progress.limit
        if limit is None or item not in limit.flying:
            return
        limit.flying.discard(item)
        while limit.held and not self.is_lost(progress):
            other, attempt = limit.held.popleft()
            phase = progress.phase_of(other)
            if phase in (Phase.QUEUED, Phase.PENDING):
                limit.flying.add(other)
                if phase is Phase.PENDING:
                    self.open_frame(progress, other)
                else:
                    self.instructions.append(Ready(progress.id, other, attempt))
                return

    def give_up(self, progress: NodeProgress, item: int, attempt: int, fault: Fault | None = None) -> None:
        """A node or an item has failed for good: its fallback, if there is one, takes its place.

        `fault` is given where no attempt tells of the failure.
        """
        fallback = progress.node.fallback
        if fallback is not None and item not in progress.fallen:
            progress.set_back().fallen.add(item)
            self.land(progress, item)
            if fallback.task is not None:
                self.queue(progress, item, attempt + 1)
            else:
                progress.set_phase(item, Phase.SUBSTITUTING)
                self.instructions.append(Substitute(progress.id, item))
        elif fault is None:
            self.end(progress, item, Phase.FAILED)
        else:
            self.settle(progress, item, Phase.FAILED, fault.message, fault)

    # Nodes and items end.

    def end(self, progress: NodeProgress, item: int, phase: Phase, outputs: Outputs | None = None) -> None:
        """A node, or one item of it, has ended."""
        items = progress.items
        if items is None or item < 0:
            progress.outputs = outputs
            self._end_node(progress, phase)
            return
        items.phases[item] = phase
        items.outputs[item] = outputs
        items.counts[phase] += 1
        items.unfinished -= 1
        if progress.limit is not None:
            self.land(progress, item)
        if phase is Phase.FAILED and self.run.graph.policy.on_failure == "stop":
            self.failing.append(progress)
        if items.complete:
            self._end_node(progress, phase_of_all(progress, items))
        # only now: how the node ended matters to how those end that take over its last item
        for streamer in progress.streamers:
            if streamer.items is not None:
                self.release(streamer, item)

    def settle(
        self, progress: NodeProgress, item: int, phase: Phase, reason: str = "", fault: Fault | None = None
    ) -> None:
        """A node or an item has ended without an attempt or a recorded result."""
        self.instructions.append(Settle(progress.id, item, phase.state, reason, fault))
        self.end(progress, item, phase)

    def _end_node(self, progress: NodeProgress, phase: Phase) -> None:
        opened = progress.items is not None or progress.yielded > 0
        progress.phase = phase
        progress.frame.unfinished -= 1
        self.ended.append(progress)
        for streamer in progress.streamers:
            if not opened:
                self._unblock(streamer)
            elif streamer.items is not None and streamer.items.more:
                self._close(streamer)

    def _close(self, streamer: NodeProgress) -> None:
        """What a node is mapped over has ended: there are no more items to come."""
        items = streamer.items
        assert items is not None
        items.more = False
        if items.complete and not streamer.phase.ended:
            self._end_node(streamer, phase_of_all(streamer, items))

    def propagate(self) -> None:
        """Pass on the ends of nodes to what waits for them, to the bodies they are in, and to the run."""
        while self.ended:
            progress = self.ended.popleft()
            for other in progress.downstream:
                # one that takes over items one by one was told when there were any
                other.blockers -= progress not in other.streams
                if other.phase is Phase.PENDING:
                    self._consider(other)
            if progress.phase is Phase.FAILED:
                self._stop_after(progress)
            if progress.frame.complete:
                self.conclude(progress.frame)
        failing, self.failing = self.failing, []
        for progress in failing:
            self._stop_after(progress)
        if self.ended:
            self.propagate()

    def _stop_after(self, progress: NodeProgress) -> None:
        """End the run where its policy is to end with the first failure."""
        run = self.run
        if run.graph.policy.on_failure != "stop" or run.cancelling is not None:
            return
        # a dynamic body may yet answer the failure with another task; what is in a body is for its owner to judge
        if progress.frame is run.root and not run.root.growing and _fails(progress):
            run.stopping = True
            self.cancel(CancelRequested(f"the run ends with the first failure: {progress.id} failed", stop=True))

    # Bodies.

    def _launch_frame(self, progress: NodeProgress, item: int) -> None:
        if self._takes_off(progress, item, 0):
            self.open_frame(progress, item)

    def open_frame(self, progress: NodeProgress, item: int, turn: int = 0, previous: Outputs | None = None) -> None:
        """Begin to execute a body."""
        assert progress.body is not None
        base = progress.cell_id(item)
        frame = Frame(f"{base}[{turn}]" if progress.node.loop is not None else base, progress, item, turn)
        frame.previous = previous
        frame.growing = progress.body.dynamic
        progress.set_phase(item, Phase.OPEN)
        progress.frames[item] = frame
        self.run.frames[frame.id] = frame
        if frame.growing:
            self.instructions.append(Grow(frame.id))
        self.begin(self.run.add(frame, progress.body.nodes))
        if not frame.nodes and frame.complete:
            self.conclude(frame)

    def body_ended(self, frame: Frame) -> None:
        """A dynamic body calls nothing more."""
        for progress in frame.nodes.values():
            if progress.fatal:
                self._stop_after(progress)
        self.propagate()
        if frame.complete:
            self.conclude(frame)

    def conclude(self, frame: Frame) -> None:
        """All nodes of a body, or of the run, have ended."""
        owner, item = frame.owner, frame.item
        if owner is None:
            if not self.run.finished:
                self.run.finished = True
                self.instructions.append(Finish(_state_of_run(self.run)))
            return
        if owner.frames.get(item) is not frame or owner.phase_of(item) is not Phase.OPEN:
            return
        phase, reason = _phase_of_frame(frame)
        if phase is Phase.SUCCEEDED:
            owner.set_phase(item, Phase.CONCLUDING)
            self.instructions.append(Conclude(owner.id, item, frame.turn))
        else:
            self._leave(frame)
            self.settle(owner, item, phase, reason, frame.fault)

    def concluded(self, progress: NodeProgress, item: int, outputs: Outputs, *, again: bool) -> None:
        """The result of a body is known."""
        frame = progress.frames[item]
        self._leave(frame)
        if not again:
            self.end(progress, item, Phase.SUCCEEDED, outputs)
        elif self.run.cancelling is not None:
            self.settle(progress, item, Phase.CANCELLED, self.run.cancelling)
        else:
            self.open_frame(progress, item, frame.turn + 1, outputs)

    def _leave(self, frame: Frame) -> None:
        """Forget a body that has ended; its nodes stay known, for reports that come late."""
        assert frame.owner is not None
        del self.run.frames[frame.id]
        del frame.owner.frames[frame.item]

    # The run is cut short.

    def is_lost(self, progress: NodeProgress) -> bool:
        """Whether what has not ended of a node is cancelled by now."""
        return self.run.cancelling is not None and not (progress.final and self.run.final)

    def cancel(self, event: CancelRequested) -> None:
        """End everything that does not run; what runs is left alone, or stopped if the event says so."""
        run = self.run
        run.cancelling = event.reason
        run.final = run.final and event.final
        # what earlier events of this turn called for is not to be done any more
        self.instructions = [each for each in self.instructions if isinstance(each, _UNAFFECTED) or self._stays(each)]
        for progress in list(run.nodes.values()):
            if progress.phase.ended or not self.is_lost(progress):
                continue
            if progress.items is None:
                self._cancel_cell(progress, -1, event)
            else:
                for item in range(len(progress.items.phases)):
                    self._cancel_cell(progress, item, event)
                self._close(progress)

    def _stays(self, instruction: AnyInstruction) -> bool:
        node = getattr(instruction, "node", None)
        return node is not None and not self.is_lost(self.run.nodes[node])

    def _cancel_cell(self, progress: NodeProgress, item: int, event: CancelRequested) -> None:
        # an earlier cell may have taken this one with it
        phase = progress.phase_of(item)
        if phase is Phase.RUNNING:
            if event.stop:
                self.instructions.append(Stop(progress.id, item, progress.attempts[item]))
        elif not phase.ended and phase not in _SELF_ENDING:
            self.settle(progress, item, Phase.CANCELLED, self.run.cancelling or "")


def _phase_in(progress: NodeProgress, item: int) -> Phase:
    """The phase of an item that is taken over; what a generator has yielded is there for good."""
    if progress.items is not None:
        return Phase(progress.items.phases[item])
    return Phase.SUCCEEDED if item < progress.yielded or progress.phase.fruitful else progress.phase


def _fails(progress: NodeProgress) -> bool:
    """Whether a node has failed in a way that matters, or is bound to because of its items."""
    if progress.fatal:
        return True
    items = progress.items
    undecided = items is not None and not progress.phase.ended and progress.node.decides
    return undecided and items is not None and _too_many_failed(progress, items)


def _too_many_failed(progress: NodeProgress, items: Items) -> bool:
    """Whether more items have failed than is tolerated."""
    threshold = progress.node.each.failure_threshold if progress.node.each is not None else 0
    tolerated = threshold * len(items.phases) if isinstance(threshold, float) else threshold
    return items.counts[Phase.FAILED] > tolerated


def phase_of_all(progress: NodeProgress, items: Items) -> Phase:
    """How a mapped node ended: as badly as the worst of its items, apart from failures that are tolerated."""
    counts, total = items.counts, len(items.phases)
    if _too_many_failed(progress, items):
        return Phase.FAILED
    if counts[Phase.CANCELLED]:
        return Phase.CANCELLED
    # what it takes over has failed as a whole, though some items of it have not
    failed = [other for other in progress.streams if other.phase.ended and not other.phase.fruitful]
    if failed and (counts[Phase.UPSTREAM_FAILED] or any(other.items is None for other in failed)):
        return Phase.UPSTREAM_FAILED
    if counts[Phase.SKIPPED] == total:
        return Phase.SKIPPED
    return Phase.CACHED if counts[Phase.CACHED] == total else Phase.SUCCEEDED


def _phase_of_frame(frame: Frame) -> tuple[Phase, str]:
    """How a body ended, and why if it did not succeed."""
    nodes = frame.nodes.values()
    if frame.fault is not None:
        return Phase.FAILED, frame.fault.message
    failed = [progress.id for progress in nodes if progress.fatal]
    if failed:
        return Phase.FAILED, f"{' and '.join(failed[:3])}{' and others' if len(failed) > 3 else ''} failed"
    if frame.cut_short or any(map(_cut_short, nodes)):
        return Phase.CANCELLED, "it was cancelled before its end"
    return Phase.SUCCEEDED, ""


def _state_of_run(run: RunProgress) -> RunState:
    if run.expired:
        return RunState.FAILED
    phase, _ = _phase_of_frame(run.root)
    cut_short = run.root.cut_short or any(map(_cut_short, run.root.nodes.values()))
    if cut_short and not run.stopping:
        return RunState.CANCELLED
    return RunState.FAILED if phase is Phase.FAILED else RunState.SUCCEEDED


def _cut_short(progress: NodeProgress) -> bool:
    """Whether a node, or an item of one that may have failed as a whole, was cancelled."""
    items = progress.items
    return progress.phase is Phase.CANCELLED or (items is not None and items.counts[Phase.CANCELLED] > 0)
