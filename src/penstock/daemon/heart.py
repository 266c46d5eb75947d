"""What a daemon leaves of itself, so that people can see that there is one."""

from __future__ import annotations

from contextlib import suppress

import msgspec

from penstock.errors import StoreError
from penstock.model.firing import Advance
from penstock.ports import Clock
from penstock.ports.agenda import Agenda
from penstock.registering import daemons


class Heart:
    """Says every few seconds that a daemon is there, and at its end that it is not."""

    def __init__(self, agenda: Agenda, clock: Clock, process: str) -> None:
        self._agenda = agenda
        self._clock = clock
        self._process = process
        self._since = clock.now()
        self._next = clock.monotonic()

    def step(self, now: float) -> bool:
        """Say so, when it is time to."""
        if self._clock.monotonic() >= self._next:
            # where another one was quicker, it is said the next time
            said = self._say(now, there=True)
            self._next = self._clock.monotonic() + (daemons.INTERVAL if said else 0.0)
        return False

    def begin(self) -> None:
        """There is nothing to forget."""

    def stop(self) -> None:
        """Say that it is there no more; where that cannot be said, others see it for themselves."""
        with suppress(StoreError):
            self._say(self._clock.now(), there=False)

    def _say(self, now: float, *, there: bool) -> bool:
        known = daemons.standing(self._agenda)
        others = [each for each in daemons.serving(known, now) if each.process != self._process]
        own = [daemons.Serving(self._process, self._since, now)] if there else []
        cursor = {each.process: [each.since, each.heard_of] for each in (*others, *own)}
        [recorded] = self._agenda.advance([Advance(standing=msgspec.structs.replace(known, cursor=cursor))])
        return recorded


__all__ = ["Heart"]
