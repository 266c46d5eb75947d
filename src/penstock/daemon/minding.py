"""Runs and firings that nobody minds any more: taken up where they were left."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

import msgspec

from penstock.daemon.dispatching import TRIES, Dispatching
from penstock.daemon.launcher import Launcher
from penstock.daemon.notices import Notice, Tell
from penstock.errors import NotFoundError
from penstock.model.firing import Firing
from penstock.model.request import AnswerGiven
from penstock.model.run import RunRecord, RunState, shown_driver
from penstock.ports import Clock, Pulse, Store
from penstock.runtime.requests import questions
from penstock.runtime.surroundings.leases import INTERVAL, LEASE, Fate, Watch
from penstock.runtime.surroundings.processes import has_ended, is_elsewhere

#: seconds after which a run is gone on with again whose process has ended early, for each time that it was
_AGAIN: Final = 15.0


class _Claimed(msgspec.Struct):
    """A firing that a process elsewhere is to start."""

    starter: str
    tries: int
    #: monotonic, of the last look
    at: float
    #: for how long nothing was heard of it
    silence: float = 0.0


class _Paused(msgspec.Struct):
    """A run that is paused, as it was when it was looked into."""

    pulse: Pulse
    #: when the first of its questions is too late to answer
    deadline: float | None
    #: how many requests were left for it
    requests: int
    #: whether one of them is an answer; seen twice, since who answers may go on with the run himself
    answered: int = 0


class Minding:
    """Looks every few seconds for what was left, and sees to it that somebody goes on with it."""

    def __init__(self, store: Store, dispatching: Dispatching, launcher: Launcher, clock: Clock, tell: Tell) -> None:
        self._store = store
        self._dispatching = dispatching
        self._launcher = launcher
        self._clock = clock
        self._tell = tell
        self._watch = Watch(store, monotonic=clock.monotonic)
        self._claimed: dict[str, _Claimed] = {}
        self._paused: dict[str, _Paused] = {}
        #: (run, its driver) -> how often somebody was to go on with it, and not before when it is tried again
        self._tried: dict[tuple[str, str], tuple[int, float]] = {}
        self._next = clock.monotonic()
        self._pass: Iterator[None] | None = None

    def step(self, now: float) -> bool:
        """Go on to the next transaction. Whether there was anything to do."""
        if self._pass is None:
            if self._clock.monotonic() < self._next:
                return False
            self._next = self._clock.monotonic() + INTERVAL
            self._pass = self._look(now)
        going = next(self._pass, StopIteration) is None
        if not going:
            self._pass = None
        return going

    def begin(self) -> None:
        """Forget where it was; something went wrong there."""
        self._pass = None

    def _look(self, now: float) -> Iterator[None]:
        yield from self._startless(now)
        running = self._store.runs(state=RunState.RUNNING, limit=sys.maxsize)
        for run in reversed(running):
            if self._is_left(run):
                yield from self._go_on(run, f"its process {shown_driver(run.driver)} is gone", now)
        paused = self._store.runs(state=RunState.PAUSED, limit=sys.maxsize)
        known = {run.run_id for run in paused}
        self._paused = {name: each for name, each in self._paused.items() if name in known}
        for run in reversed(paused):
            reason = self._due(run, now)
            if reason:
                yield from self._go_on(run, reason, now)

    # Firings that nobody starts.

    def _startless(self, now: float) -> Iterator[None]:
        startless = {firing.run_id: firing for firing in self._store.agenda.startless()}
        self._claimed = {name: each for name, each in self._claimed.items() if name in startless}
        for firing in startless.values():
            if self._has_no_starter(firing):
                yield from self._dispatching.take_over(firing, now)

    def _has_no_starter(self, firing: Firing) -> bool:
        if firing.starter == self._launcher.name:
            return not self._launcher.drives(firing.run_id)
        if not is_elsewhere(firing.starter):
            return has_ended(firing.starter)
        moment, known = self._clock.monotonic(), self._claimed.get(firing.run_id)
        if known is None or (known.starter, known.tries) != (firing.starter, firing.tries):
            self._claimed[firing.run_id] = _Claimed(firing.starter, firing.tries, moment)
            return False
        known.silence += min(moment - known.at, INTERVAL)
        known.at = moment
        return known.silence >= LEASE

    # Runs that nobody drives.

    def _is_left(self, run: RunRecord) -> bool:
        if self._launcher.drives(run.run_id):
            return False
        try:
            return self._watch.fate(run) is Fate.GONE
        except NotFoundError:
            return False

    def _due(self, run: RunRecord, now: float) -> str:
        """Why a run that is paused is to go on; empty if it is not."""
        try:
            pulse, requests = self._store.pulse(run.run_id), len(self._store.requests(run.run_id))
            known = self._paused.get(run.run_id)
            if known is None or (known.pulse, known.requests) != (pulse, requests):
                known = self._paused[run.run_id] = self._looked_into(run, pulse, requests)
        except NotFoundError:
            return ""
        if known.deadline is not None and known.deadline <= now:
            return "the deadline of its question has passed"
        if known.answered:
            known.answered += 1
        return "its question is answered" if known.answered > 2 else ""

    def _looked_into(self, run: RunRecord, pulse: Pulse, requests: int) -> _Paused:
        deadlines = [each.deadline_at for each in questions(self._store, run.run_id)]
        since = self._store.heard_of(run.run_id)
        given = [each for _, each in self._store.requests(run.run_id) if isinstance(each, AnswerGiven)]
        deadline = min((each for each in deadlines if each is not None), default=None)
        return _Paused(pulse, deadline, requests, answered=int(any(each.at >= since for each in given)))

    def _go_on(self, run: RunRecord, reason: str, now: float) -> Iterator[None]:
        tried, not_before = self._tried.get((run.run_id, run.driver), (0, 0.0))
        moment = self._clock.monotonic()
        if tried >= TRIES or moment < not_before or self._launcher.drives(run.run_id):
            return
        self._tried[run.run_id, run.driver] = tried + 1, moment + _AGAIN * (tried + 1)
        try:
            self._launcher.resume(run)
        except OSError as error:
            text, what = f"run {run.run_id} cannot be gone on with: {error.strerror or error}", "trouble"
        else:
            text, what = f"run {run.run_id} goes on: {reason}", "resumed"
        self._tell(Notice(at=now, what=what, text=text, run_id=run.run_id))
        yield


__all__ = ["Minding"]
