"""Whether the driver of a run lives, as those see it who do not drive it.

Of a driver on this machine the operating system tells at once. One that is elsewhere says every few seconds that it lives,
in the store; it counts as gone when its pulse has not changed for as long as a lease. That is measured by whoever watches,
with a clock that nobody sets, so that no two clocks have to agree, and none has to be right.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum
from typing import Final

import msgspec

from penstock.model.run import RunRecord, RunState
from penstock.ports import Pulse, Store
from penstock.runtime.surroundings.processes import has_lost_its_driver, is_elsewhere

#: seconds between two times that a driver says that it lives
INTERVAL: Final = 5.0
#: seconds of silence after which a driver that nobody can see counts as gone
LEASE: Final = 4 * INTERVAL


class Fate(Enum):
    """What is known of the driver of a run."""

    LIVES = "lives"
    GONE = "gone"
    #: it is elsewhere, and was not watched for long enough
    UNKNOWN = "unknown"


class _Heard(msgspec.Struct):
    """A driver that is watched."""

    pulse: Pulse
    #: monotonic, of the last look
    at: float
    #: for how long its pulse was seen to be the same
    silence: float = 0.0
    #: whether it was seen to change
    beats: bool = False


class Watch:
    """Sees over time which drivers are gone; ask again and again, at least every `INTERVAL` seconds."""

    def __init__(self, store: Store, *, lease: float = LEASE, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._lease = lease
        self._monotonic = monotonic
        self._heard: dict[str, _Heard] = {}

    def fate(self, run: RunRecord) -> Fate:
        """What is known by now of who drives a run. Raises NotFoundError for a run that was removed."""
        if run.state is not RunState.RUNNING or not is_elsewhere(run.driver):
            return Fate.GONE if has_lost_its_driver(self._store, run) else Fate.LIVES
        pulse, now = self._store.pulse(run.run_id), self._monotonic()
        heard = self._heard.get(run.run_id)
        if heard is None:
            self._heard[run.run_id] = _Heard(pulse, now)
            return Fate.UNKNOWN
        if pulse != heard.pulse:
            self._heard[run.run_id] = _Heard(pulse, now, beats=True)
            return Fate.LIVES
        # between two looks who watches may have been suspended, and all the world with it
        heard.silence += min(now - heard.at, INTERVAL)
        heard.at = now
        if heard.silence >= self._lease:
            return Fate.GONE
        return Fate.LIVES if heard.beats else Fate.UNKNOWN


__all__ = ["INTERVAL", "LEASE", "Fate", "Watch"]
