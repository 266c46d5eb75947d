"""What other processes ask of the driver of a run."""

from __future__ import annotations

from penstock.model.request import Request
from penstock.ports import Clock, Store

#: seconds between two looks
INTERVAL = 0.3


class Inbox:
    """The requests for one run that have not been seen, looked for every so often."""

    def __init__(self, store: Store, run_id: str, clock: Clock, interval: float = INTERVAL) -> None:
        self._store = store
        self._run_id = run_id
        self._clock = clock
        self._interval = interval
        self._next = clock.monotonic() + interval
        self._seen = 0

    def poll(self, *, now: bool = False) -> list[Request]:
        """New requests, in order; none until it is time to look again, unless that is to be `now`."""
        moment = self._clock.monotonic()
        if moment < self._next and not now:
            return []
        self._next = moment + self._interval
        found = self._store.requests(self._run_id, self._seen)
        if found:
            self._seen = found[-1][0]
        return [request for _, request in found]
