"""The one transition table of a run.

`TRANSITIONS` says, for a phase and an event, what happens; a pair that is missing is a defect and raises with the
node, its phase and the event. Reports that come late or twice are pairs of their own, which change nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from penstock.kernel.state import Items, NodeProgress, Outputs, Phase, RunProgress
from penstock.model.event import (
    AnyEvent,
    Broken,
    CancelRequested,
    Event,
    Expanded,
    Failed,
    Fault,
    Hit,
    Missed,
    Returned,
    RunStarted,
    Skipped,
    Started,
    Succeeded,
    Woke,
)
from penstock.model.instruction import AnyInstruction, Check, Delay, Expand, Finish, Ready, Settle, Stop
from penstock.model.run import RunState, item_id

NodeEvent = Expanded | Skipped | Hit | Missed | Broken | Started | Succeeded | Failed | Returned | Woke


class ImpossibleEventError(AssertionError):
    """An event arrived for which the table has no entry: a defect of the engine, never of a pipeline."""


def handle(run: RunProgress, *events: AnyEvent) -> list[AnyInstruction]:
    """Let the run take in what happened. Returns what is to be done next, in order.

    It makes no difference to the run whether events come in one call or in several.
    Raises ImpossibleEventError for an event that cannot follow what happened before.
    """
    turn = _Turn(run)
    for event in events:
        if isinstance(event, RunStarted):
            turn.start()
        elif isinstance(event, CancelRequested):
            turn.cancel(event)
        else:
            _apply(turn, event)
        if turn.ended:
            turn.propagate()
    return turn.instructions


def _apply(turn: _Turn, event: NodeEvent) -> None:
    progress = turn.run.nodes.get(event.node)
    if progress is None:
        raise ImpossibleEventError(f"{event!r} cannot happen: there is no node {event.node!r}")
    item = -1 if isinstance(event, (Expanded, Skipped)) else event.item
    phase = progress.phase if item < 0 else progress.phase_of_item(item)
    transition = None if phase is None else TRANSITIONS.get((phase, type(event)))
    if transition is None:
        state = "not there" if phase is None else Phase(phase).name
        raise ImpossibleEventError(f"{event!r} cannot happen to {item_id(event.node, item)}, which is {state}")
    transition(turn, progress, item, event)


class _Turn:
    """One call of `handle`: the run, the instructions so far, and the nodes whose end has yet to be passed on."""

    __slots__ = ("ended", "instructions", "run")

    def __init__(self, run: RunProgress) -> None:
        self.run = run
        self.instructions: list[AnyInstruction] = []
        self.ended: deque[NodeProgress] = deque()

    def start(self) -> None:
        if self.run.started:
            raise ImpossibleEventError(f"{RunStarted()!r} cannot happen to a run that has started")
        self.run.started = True
        for progress in self.run.nodes.values():
            # a run may have been cancelled before it started
            if progress.blockers == 0 and progress.phase is Phase.PENDING:
                self._open(progress)
        if not self.run.nodes:
            self.instructions.append(Finish(RunState.SUCCEEDED))

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
        if items.unfinished == 0:
            self._end_node(progress, _phase_of_all(items))

    def settle(
        self, progress: NodeProgress, item: int, phase: Phase, reason: str = "", fault: Fault | None = None
    ) -> None:
        """A node or an item has ended without an attempt or a recorded result."""
        self.instructions.append(Settle(progress.node.id, item, phase.state, reason, fault))
        self.end(progress, item, phase)

    def _end_node(self, progress: NodeProgress, phase: Phase) -> None:
        progress.phase = phase
        self.run.unfinished -= 1
        self.ended.append(progress)

    def propagate(self) -> None:
        """Pass on the ends of nodes to what waits for them, and the end of the last one to the run."""
        while self.ended:
            for name in self.ended.popleft().downstream:
                progress = self.run.nodes[name]
                progress.blockers -= 1
                if progress.blockers == 0 and not progress.phase.ended:
                    self._join(progress)
        if self.run.unfinished == 0:
            self.instructions.append(Finish(_state_of_all(self.run)))

    def _join(self, progress: NodeProgress) -> None:
        verdict, reason = _verdict(self.run, progress)
        if verdict is None:
            self._open(progress)
        else:
            self.settle(progress, -1, verdict, reason)

    def _open(self, progress: NodeProgress) -> None:
        node = progress.node
        if node.guard is None and node.each is None:
            progress.phase = Phase.CHECKING
            self.instructions.append(Check(node.id, -1, 0))
        else:
            progress.phase = Phase.EXPANDING
            self.instructions.append(Expand(node.id))

    def queue(self, progress: NodeProgress, item: int, attempt: int) -> None:
        _set(progress, item, Phase.QUEUED)
        self.instructions.append(Ready(progress.node.id, item, attempt))

    def cancel(self, event: CancelRequested) -> None:
        """End everything that does not run; what runs is left alone, or stopped if the event says so."""
        self.run.cancelling = event.reason
        # what earlier events of this turn called for is not to be done any more
        self.instructions = [each for each in self.instructions if isinstance(each, (Settle, Stop, Finish))]
        for progress in self.run.nodes.values():
            if progress.items is None:
                self._cancel_cell(progress, -1, progress.phase, event)
            else:
                for item, phase in enumerate(bytes(progress.items.phases)):
                    self._cancel_cell(progress, item, Phase(phase), event)

    def _cancel_cell(self, progress: NodeProgress, item: int, phase: Phase, event: CancelRequested) -> None:
        if phase is Phase.RUNNING:
            if event.stop:
                self.instructions.append(Stop(progress.node.id, item, progress.attempts[item]))
        elif not phase.ended:
            self.settle(progress, item, Phase.CANCELLED, event.reason)


def _set(progress: NodeProgress, item: int, phase: Phase) -> None:
    if progress.items is None or item < 0:
        progress.phase = phase
    else:
        progress.items.phases[item] = phase


def _verdict(run: RunProgress, progress: NodeProgress) -> tuple[Phase | None, str]:
    """How a node ends without running, because of its upstream, and why; None if it may run."""
    worst: Phase | None = None
    reason = ""
    for names in progress.requirements:
        phases = [run.nodes[name].phase for name in names]
        if any(phase.fruitful for phase in phases):
            continue
        for name, phase in zip(names, phases, strict=True):
            outcome = Phase.UPSTREAM_FAILED if phase is Phase.FAILED else phase
            if worst is None or _SEVERITY[outcome] > _SEVERITY[worst]:
                worst, reason = outcome, f"{name} was {phase.state.value}" if outcome is phase else f"{name} failed"
    return worst, reason


_SEVERITY = {Phase.SKIPPED: 0, Phase.CANCELLED: 1, Phase.UPSTREAM_FAILED: 2}


def _phase_of_all(items: Items) -> Phase:
    """How a mapped node ended: as badly as the worst of its items."""
    for phase in (Phase.FAILED, Phase.CANCELLED):
        if items.counts[phase]:
            return phase
    return Phase.CACHED if items.counts[Phase.CACHED] == len(items.phases) else Phase.SUCCEEDED


def _state_of_all(run: RunProgress) -> RunState:
    if any(_cut_short(progress) for progress in run.nodes.values()):
        return RunState.CANCELLED
    failed = any(progress.phase is Phase.FAILED for progress in run.nodes.values())
    return RunState.FAILED if failed else RunState.SUCCEEDED


def _cut_short(progress: NodeProgress) -> bool:
    """Whether a node, or an item of one that may have failed as a whole, was cancelled."""
    items = progress.items
    return progress.phase is Phase.CANCELLED or (items is not None and items.counts[Phase.CANCELLED] > 0)


def _expanded(turn: _Turn, progress: NodeProgress, item: int, event: Expanded) -> None:
    if event.count is None:
        progress.phase = Phase.CHECKING
        turn.instructions.append(Check(event.node, -1, 0))
    elif event.count == 0:
        turn.settle(progress, -1, Phase.SUCCEEDED, "there was nothing to map over")
    else:
        progress.phase = Phase.OPEN
        progress.items = Items(event.count)
        turn.instructions.append(Check(event.node, 0, event.count))


def _skipped(turn: _Turn, progress: NodeProgress, item: int, event: Skipped) -> None:
    turn.settle(progress, -1, Phase.SKIPPED, event.reason)


def _broken(turn: _Turn, progress: NodeProgress, item: int, event: Broken) -> None:
    turn.settle(progress, item, Phase.FAILED, event.fault.message, event.fault)


def _hit(turn: _Turn, progress: NodeProgress, item: int, event: Hit) -> None:
    turn.end(progress, item, Phase.CACHED, event.outputs)


def _missed(turn: _Turn, progress: NodeProgress, item: int, event: Missed) -> None:
    turn.queue(progress, item, 1)


def _started(turn: _Turn, progress: NodeProgress, item: int, event: Started) -> None:
    progress.attempts[item] = event.attempt
    _set(progress, item, Phase.RUNNING)


def _succeeded(turn: _Turn, progress: NodeProgress, item: int, event: Succeeded) -> None:
    if event.attempt == progress.attempts[item]:
        turn.end(progress, item, Phase.SUCCEEDED, event.outputs)


def _failed(turn: _Turn, progress: NodeProgress, item: int, event: Failed) -> None:
    if event.attempt != progress.attempts[item]:
        return
    policy = progress.node.policy
    if turn.run.cancelling is not None:
        turn.settle(progress, item, Phase.CANCELLED, turn.run.cancelling)
    elif event.attempt > policy.retries:
        turn.end(progress, item, Phase.FAILED)
    elif policy.retry_delay > 0:
        _set(progress, item, Phase.DELAYED)
        turn.instructions.append(Delay(event.node, item, event.attempt + 1, policy.retry_delay))
    else:
        turn.queue(progress, item, event.attempt + 1)


def _returned(turn: _Turn, progress: NodeProgress, item: int, event: Returned) -> None:
    if event.attempt != progress.attempts[item]:
        return
    if turn.run.cancelling is not None:
        turn.settle(progress, item, Phase.CANCELLED, turn.run.cancelling)
    else:
        turn.queue(progress, item, event.attempt)


def _woke(turn: _Turn, progress: NodeProgress, item: int, event: Woke) -> None:
    turn.queue(progress, item, event.attempt)


def _ignored(turn: _Turn, progress: NodeProgress, item: int, event: Event) -> None:
    """Too late to matter."""


#: each takes the kinds of event under which it stands in the table
Transition = Callable[[_Turn, NodeProgress, int, Any], None]

#: (phase, event) -> what happens. Phases are looked up as plain integers too, which is why this is an IntEnum.
TRANSITIONS: dict[tuple[int, type[Event]], Transition] = {
    (Phase.EXPANDING, Expanded): _expanded,
    (Phase.EXPANDING, Skipped): _skipped,
    (Phase.EXPANDING, Broken): _broken,
    (Phase.CHECKING, Hit): _hit,
    (Phase.CHECKING, Missed): _missed,
    (Phase.CHECKING, Broken): _broken,
    (Phase.QUEUED, Started): _started,
    (Phase.RUNNING, Succeeded): _succeeded,
    (Phase.RUNNING, Failed): _failed,
    (Phase.RUNNING, Returned): _returned,
    (Phase.DELAYED, Woke): _woke,
    # a cancelled node may still be answered by what was under way
    **{(Phase.CANCELLED, kind): _ignored for kind in (Expanded, Skipped, Hit, Missed, Broken, Woke)},
    # a report may come twice, or after the attempt was given up
    **{
        (phase, kind): _ignored
        for phase in (Phase.QUEUED, Phase.DELAYED, *(phase for phase in Phase if phase.ended))
        for kind in (Succeeded, Failed, Returned)
    },
}
