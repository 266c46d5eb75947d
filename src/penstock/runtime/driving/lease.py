"""The right to drive a run: said to be in use while the run goes on, and seen when it is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

from penstock.errors import LeaseLostError, NotFoundError, PenstockError, StoreError
from penstock.model.run import RunRecord, RunState, shown_driver
from penstock.ports import Clock, Store
from penstock.runtime.surroundings.leases import INTERVAL

#: opens the store for as long as it is needed
OpenStore = Callable[[], AbstractContextManager[Store]]

#: seconds to wait at the end for a thread that may be busy with the store
_PATIENCE = 2.0
_PAST = {RunState.SUCCEEDED: "succeeded", RunState.FAILED: "failed", RunState.CANCELLED: "been cancelled"}


class Lease:
    """What a driver has of its run for as long as no other has taken it over.

    That it lives is said by a thread with a store of its own, from `open_store`, because the driver may be busy with a
    task of its own for long; for the first time after an `interval`, so that a short run opens nothing. Without
    `open_store`, nothing is said. `when_lost` is called in that thread when the lease is seen to be lost.
    """

    def __init__(self, store: Store, open_store: OpenStore | None, clock: Clock, *, interval: float = INTERVAL) -> None:
        self._store = store
        self._open_store = open_store
        self._clock = clock
        self._interval = interval
        self._run_id, self._token = "", 0
        #: held while it is judged whether the lease is lost, and while the driver itself takes a new one
        self._changing = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._lost = False
        self._looked = self._moment()
        self.when_lost: Callable[[], object] = _nothing

    def begin(self, run: RunRecord) -> None:
        """Say from now on that this process drives the run."""
        self._run_id, self._token = run.run_id, run.token
        self._looked = self._moment()
        if self._open_store is not None:
            self._thread = threading.Thread(target=self._say, name="penstock-lease", daemon=True)
            self._thread.start()

    def renew(self, take: Callable[[], RunRecord]) -> RunRecord:
        """Take the run anew, by the same driver. Returns what `take` does."""
        with self._changing:
            run = take()
            self._token = run.token
        return run

    def check(self) -> None:
        """Raise LeaseLostError if the lease is lost. The store is asked after a time in which this process may have been
        suspended; most of the time this costs nothing."""
        if not self._lost:
            now, before = self._moment(), self._looked
            if abs(now[0] - before[0]) < self._interval and abs(now[1] - before[1]) < self._interval:
                return
            self._looked = now
        if self.is_lost():
            raise self.loss()

    def is_lost(self) -> bool:
        """Whether another process has taken the run over, as far as the store can be asked."""
        if not self._lost:
            # where the store cannot be read, nothing can be recorded either
            with suppress(StoreError, NotFoundError):
                self._lost = self._store.pulse(self._run_id).token != self._token
        return self._lost

    def loss(self) -> LeaseLostError:
        """What is to be said of a lease that is lost: who drives the run now."""
        remedy = f"What it had not recorded by then is dropped. See: penstock show {self._run_id}"
        told = f"run {self._run_id} was taken over from this process"
        with suppress(StoreError, NotFoundError):
            run = self._store.find(self._run_id)
            told += f" by {shown_driver(run.driver)}"
            if run.state in _PAST:
                told += f", and has {_PAST[run.state]}"
            elif run.state is RunState.RUNNING:
                told += ", which drives it now"
        return LeaseLostError(told, remedy=remedy)

    def end(self) -> None:
        """Say nothing any longer. Ending twice does no harm."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(_PATIENCE)
            self._thread = None

    def _moment(self) -> tuple[float, float]:
        # the one clock stands still while a machine sleeps, the other may be set
        return self._clock.monotonic(), self._clock.now()

    # In a thread of its own.

    def _say(self) -> None:
        while not self._ended.wait(self._interval) and not self._lost:
            # a store that fails now may not do so the next time
            with suppress(PenstockError), self._open() as store:
                while self._beat(store) and not self._ended.wait(self._interval):
                    pass
        if self._lost and not self._ended.is_set():
            self.when_lost()

    def _open(self) -> AbstractContextManager[Store]:
        assert self._open_store is not None
        return self._open_store()

    def _beat(self, store: Store) -> bool:
        """Say once that the driver lives. False if the lease is lost."""
        with self._changing:
            if not store.beat(self._run_id, self._token, self._clock.now()):
                # a run that was ended, or is paused for a moment, is still that of its driver
                self._lost = store.pulse(self._run_id).token != self._token
        return not self._lost


def _nothing() -> None:
    pass


__all__ = ["Lease"]
