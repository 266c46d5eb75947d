"""The end of a run that nobody drives any more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from penstock.errors import PenstockError
from penstock.kernel import RunProgress, handle
from penstock.model.event import AnyEvent, CancelRequested, Grown, Lost, RunExpired
from penstock.model.graph import from_json
from penstock.model.instruction import AnyInstruction, Settle
from penstock.model.run import RunRecord, RunState
from penstock.ports import Store, Turn
from penstock.runtime.driving.farewell import farewell
from penstock.runtime.driving.recording import Recorder, end_record
from penstock.runtime.driving.recovery import lost_record
from penstock.runtime.reading.replay import replayed


def end_as_cancelled(store: Store, run: RunRecord, reason: str) -> None:
    """Record that a run was ended because somebody asked for it."""
    _end(store, run, [_cancelled(reason)], RunState.CANCELLED, time.time())


def end_as_broken(store: Store, run: RunRecord, error: BaseException, now: Callable[[], float] = time.time) -> None:
    """Record that a run failed because what drives it did, so that nobody waits for it."""
    reason = error.what if isinstance(error, PenstockError) else f"{type(error).__name__}: {error}"
    _end(store, run, [RunExpired(reason), _cancelled(reason)], RunState.FAILED, now())


def leave(store: Store, run: RunRecord) -> None:
    """Let another driver go on with a run later."""
    turns = store.pulse(run.run_id).turns
    store.commit(run.run_id, Turn(number=turns, at=time.time(), token=run.token, end=RunState.PAUSED))


def _cancelled(reason: str) -> CancelRequested:
    return CancelRequested(reason, stop=True, final=False)


def _end(store: Store, run: RunRecord, causes: Sequence[AnyEvent], state: RunState, at: float) -> None:
    now = replayed(store, run.run_id, from_json(store.graph(run.run_id)))
    recorder = Recorder()
    if now.progress.started:
        for events in _last_events(now.progress, causes):
            recorder.events += events
            recorder.attempts += [
                lost_record(now.progress.nodes[event.node], event, at) for event in events if isinstance(event, Lost)
            ]
            _settle(now.progress, handle(now.progress, *events), recorder, at)
    else:
        # nothing follows from these, but they tell why
        recorder.events += causes
    farewell(store, run, state, recorder, at, progress=now.progress)
    turn = recorder.turn(now.turns, at, run.token, state, {})
    assert turn is not None
    store.commit(run.run_id, turn)


def _last_events(progress: RunProgress, causes: Iterable[AnyEvent]) -> Iterator[list[AnyEvent]]:
    """What happens to a run that is ended: attempts are lost, and bodies add nothing more."""
    for cause in causes:
        yield [cause]
    yield [Lost(*running) for running in progress.running()]
    yield [Grown(frame.id, ended=True) for frame in progress.frames.values() if frame.growing]


def _settle(progress: RunProgress, instructions: list[AnyInstruction], recorder: Recorder, at: float) -> None:
    for instruction in instructions:
        # nothing else is to be done in a run that has ended
        if isinstance(instruction, Settle):
            node, item, state, reason, fault = msgspec.structs.astuple(instruction)
            recorder.attempts.append(end_record(progress.nodes[node], item, state, at, fault=fault, reason=reason))


__all__ = ["end_as_broken", "end_as_cancelled", "leave"]
