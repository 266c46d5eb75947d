"""The one transition table of a run.

`TRANSITIONS` says, for a phase and an event, what happens; a pair that is missing is a defect and raises with the
node, its phase and the event. Reports that come late or twice are pairs of their own, which change nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.kernel.joins import verdict
from penstock.kernel.retrying import Repeat, repeat_of
from penstock.kernel.state import NodeProgress, Phase, RunProgress
from penstock.kernel.turn import Turn
from penstock.model.event import (
    Answered,
    AnyEvent,
    Asked,
    Broken,
    CancelRequested,
    Concluded,
    Deferred,
    Event,
    Expanded,
    Expired,
    Failed,
    Grown,
    Handled,
    Hit,
    Lost,
    Missed,
    Returned,
    RunExpired,
    RunStarted,
    Skipped,
    Started,
    Substituted,
    Succeeded,
    Woke,
    Yielded,
)
from penstock.model.instruction import AnyInstruction, Delay
from penstock.model.run import item_id

#: of the rules by which runs are decided that start now
VERSION = 2


class ImpossibleEventError(AssertionError):
    """An event arrived for which the table has no entry: a defect of the engine, never of a pipeline."""


def handle(run: RunProgress, *events: AnyEvent) -> list[AnyInstruction]:
    """Let the run take in what happened. Returns what is to be done next, in order.

    It makes no difference to the run whether events come in one call or in several.
    Raises ImpossibleEventError for an event that cannot follow what happened before.
    """
    turn = Turn(run)
    for event in events:
        of_run = _OF_RUN.get(type(event))
        if of_run is None:
            _apply(turn, event)
        else:
            of_run(turn, event)
        if turn.ended or turn.failing:
            turn.propagate()
    return turn.instructions


def _apply(turn: Turn, event: Any) -> None:
    progress = turn.run.nodes.get(event.node)
    if progress is None:
        raise ImpossibleEventError(f"{event!r} cannot happen: there is no node {event.node!r}")
    kind: type[Event] = event.__class__
    item = -1 if kind is Expanded else event.item
    phase = progress.phase if item < 0 else progress.phase_of_item(item)
    transition = None if phase is None else TRANSITIONS.get((phase, kind))
    if transition is None:
        state = "not there" if phase is None else Phase(phase).name
        raise ImpossibleEventError(f"{event!r} cannot happen to {item_id(event.node, item)}, which is {state}")
    transition(turn, progress, item, event)


# Of the run as a whole.


def _run_started(turn: Turn, event: RunStarted) -> None:
    if turn.run.started:
        raise ImpossibleEventError(f"{event!r} cannot happen to a run that has started")
    turn.run.version = event.version
    turn.start()


def _run_expired(turn: Turn, event: RunExpired) -> None:
    turn.run.expired = turn.run.stopping = True
    turn.cancel(CancelRequested(event.reason, stop=True))


def _grown(turn: Turn, event: Grown) -> None:
    frame = turn.run.frames.get(event.frame)
    if frame is None or not frame.growing:
        raise ImpossibleEventError(f"{event!r} cannot happen: no body is growing in {event.frame!r}")
    turn.run.tasks.update(event.tasks)
    added = turn.run.add(frame, event.nodes)
    if event.ended:
        frame.growing = False
        frame.result, frame.fault = event.result, event.fault
        frame.cut_short = turn.run.cancelling is not None and event.fault is None
    turn.begin(added)
    turn.propagate()
    if event.ended:
        turn.body_ended(frame)


def _handled(turn: Turn, event: Handled) -> None:
    turn.run.nodes[event.node].handled = True


#: each takes the one kind of event under which it stands
_OF_RUN: dict[type[Event], Callable[[Turn, Any], None]] = {
    RunStarted: _run_started,
    RunExpired: _run_expired,
    CancelRequested: Turn.cancel,
    Grown: _grown,
    Handled: _handled,
}


# Of a node or an item.


def _expanded(turn: Turn, progress: NodeProgress, item: int, event: Expanded) -> None:
    turn.expand(progress, event.count, event.keys, more=event.more)


def _undecided(turn: Turn, progress: NodeProgress, item: int, event: Expanded) -> None:
    """The condition holds, or cannot be known: how the upstream ended is what counts."""
    found = verdict(progress)
    assert found is not None
    turn.settle(progress, item, *found)


def _skipped(turn: Turn, progress: NodeProgress, item: int, event: Skipped) -> None:
    turn.settle(progress, item, Phase.SKIPPED, event.reason)


def _declined(turn: Turn, progress: NodeProgress, item: int, event: Skipped) -> None:
    if event.attempt == progress.attempts[item]:
        turn.end(progress, item, Phase.SKIPPED)


def _broken(turn: Turn, progress: NodeProgress, item: int, event: Broken) -> None:
    turn.settle(progress, item, Phase.FAILED, event.fault.message, event.fault)


def _unresolved(turn: Turn, progress: NodeProgress, item: int, event: Broken) -> None:
    """The result of a body could not be computed."""
    frame = progress.frames.pop(item)
    del turn.run.frames[frame.id]
    _broken(turn, progress, item, event)


def _hit(turn: Turn, progress: NodeProgress, item: int, event: Hit) -> None:
    turn.end(progress, item, Phase.CACHED, event.outputs)


def _missed(turn: Turn, progress: NodeProgress, item: int, event: Missed) -> None:
    turn.queue(progress, item, 1)


def _started(turn: Turn, progress: NodeProgress, item: int, event: Started) -> None:
    progress.attempts[item] = event.attempt
    progress.set_phase(item, Phase.RUNNING)
    if progress.setbacks is not None:
        progress.setbacks.again.discard(item)


def _succeeded(turn: Turn, progress: NodeProgress, item: int, event: Succeeded) -> None:
    if event.attempt == progress.attempts[item]:
        turn.end(progress, item, Phase.SUCCEEDED, event.outputs)


def _failed(turn: Turn, progress: NodeProgress, item: int, event: Failed) -> None:
    if event.attempt != progress.attempts[item]:
        return
    if turn.is_lost(progress):
        turn.settle(progress, item, Phase.CANCELLED, turn.run.cancelling or "")
        return
    repeat = repeat_of(progress, item, event.attempt, event.fault)
    if repeat is None:
        turn.give_up(progress, item, event.attempt)
    else:
        _repeat(turn, progress, item, event.attempt + 1, repeat)


def _repeat(turn: Turn, progress: NodeProgress, item: int, attempt: int, repeat: Repeat) -> None:
    turn.land(progress, item)
    if attempt == progress.attempts[item]:
        progress.set_back().again.add(item)
    if repeat.delay > 0:
        progress.set_back().delays[item] = repeat.delay
        progress.set_phase(item, Phase.DELAYED)
        turn.instructions.append(Delay(progress.id, item, attempt, repeat.delay, repeat.jitter))
    else:
        turn.queue(progress, item, attempt)


def _returned(turn: Turn, progress: NodeProgress, item: int, event: Returned) -> None:
    if event.attempt == progress.attempts[item]:
        _go_on(turn, progress, item, event.attempt, Repeat(0.0))


def _lost(turn: Turn, progress: NodeProgress, item: int, event: Lost) -> None:
    if event.attempt == progress.attempts[item]:
        excused = progress.set_back().excused
        excused[item] = excused.get(item, 0) + 1
        _go_on(turn, progress, item, event.attempt + 1, Repeat(0.0))


def _deferred(turn: Turn, progress: NodeProgress, item: int, event: Deferred) -> None:
    if event.attempt == progress.attempts[item]:
        _go_on(turn, progress, item, event.attempt, Repeat(event.seconds))


def _go_on(turn: Turn, progress: NodeProgress, item: int, attempt: int, repeat: Repeat) -> None:
    """An attempt is to be made, for another time or anew, unless the run is being cancelled."""
    if turn.is_lost(progress):
        turn.settle(progress, item, Phase.CANCELLED, turn.run.cancelling or "")
    else:
        _repeat(turn, progress, item, attempt, repeat)


def _woke(turn: Turn, progress: NodeProgress, item: int, event: Woke) -> None:
    turn.queue(progress, item, event.attempt)


def _yielded(turn: Turn, progress: NodeProgress, item: int, event: Yielded) -> None:
    if event.attempt == progress.attempts[item] and item < 0:
        turn.yielded(progress, event.count)


def _asked(turn: Turn, progress: NodeProgress, item: int, event: Asked) -> None:
    progress.set_phase(item, Phase.AWAITING)


def _answered(turn: Turn, progress: NodeProgress, item: int, event: Answered) -> None:
    turn.end(progress, item, Phase.SUCCEEDED, event.outputs)


def _expired(turn: Turn, progress: NodeProgress, item: int, event: Expired) -> None:
    turn.give_up(progress, item, progress.attempts.get(item, 0), event.fault)


def _concluded(turn: Turn, progress: NodeProgress, item: int, event: Concluded) -> None:
    turn.concluded(progress, item, event.outputs, again=event.again)


def _substituted(turn: Turn, progress: NodeProgress, item: int, event: Substituted) -> None:
    turn.end(progress, item, Phase.SUCCEEDED, event.outputs)


def _ignored(turn: Turn, progress: NodeProgress, item: int, event: Event) -> None:
    """Too late to matter."""


#: each takes the kinds of event under which it stands in the table
Transition = Callable[[Turn, NodeProgress, int, Any], None]

_ENDED = tuple(phase for phase in Phase if phase.ended)
_REPORTS = (Succeeded, Failed, Returned, Deferred, Yielded, Lost)

#: (phase, event) -> what happens. Phases are looked up as plain integers too, which is why this is an IntEnum.
TRANSITIONS: dict[tuple[int, type[Event]], Transition] = {
    # a cancelled node may still be answered by what was under way
    **{
        (Phase.CANCELLED, kind): _ignored
        for kind in (Expanded, Skipped, Hit, Missed, Broken, Woke, Asked, Answered, Expired, Substituted)
    },
    # a report may come twice, or after the attempt was given up
    **{(phase, kind): _ignored for phase in (Phase.QUEUED, Phase.DELAYED, Phase.SUBSTITUTING) for kind in _REPORTS},
    **{(phase, kind): _ignored for phase in _ENDED for kind in (*_REPORTS, Skipped)},
    **{(phase, Skipped): _ignored for phase in (Phase.QUEUED, Phase.SUBSTITUTING)},
    # two people may answer, or one as the deadline passes
    **{(phase, kind): _ignored for phase in _ENDED for kind in (Answered, Expired)},
    (Phase.DECIDING, Expanded): _undecided,
    (Phase.DECIDING, Skipped): _skipped,
    (Phase.DECIDING, Broken): _broken,
    (Phase.EXPANDING, Expanded): _expanded,
    (Phase.EXPANDING, Skipped): _skipped,
    (Phase.EXPANDING, Broken): _broken,
    (Phase.CHECKING, Hit): _hit,
    (Phase.CHECKING, Missed): _missed,
    (Phase.CHECKING, Broken): _broken,
    (Phase.CHECKING, Asked): _asked,
    (Phase.AWAITING, Answered): _answered,
    (Phase.AWAITING, Skipped): _skipped,
    (Phase.AWAITING, Expired): _expired,
    (Phase.QUEUED, Started): _started,
    # another run has made the result meanwhile
    (Phase.QUEUED, Hit): _hit,
    (Phase.QUEUED, Expired): _expired,
    (Phase.RUNNING, Succeeded): _succeeded,
    (Phase.RUNNING, Failed): _failed,
    (Phase.RUNNING, Returned): _returned,
    (Phase.RUNNING, Skipped): _declined,
    (Phase.RUNNING, Yielded): _yielded,
    (Phase.RUNNING, Deferred): _deferred,
    (Phase.RUNNING, Lost): _lost,
    (Phase.DELAYED, Woke): _woke,
    (Phase.DELAYED, Skipped): _skipped,
    (Phase.DELAYED, Expired): _expired,
    (Phase.SUBSTITUTING, Substituted): _substituted,
    (Phase.SUBSTITUTING, Broken): _broken,
    (Phase.CONCLUDING, Concluded): _concluded,
    (Phase.CONCLUDING, Broken): _unresolved,
}
