"""Backfills: finished when all their runs have ended, paused when one fails that was not to."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from penstock.daemon.notices import Notice, Tell
from penstock.errors import StoreError
from penstock.model.firing import BACKFILLING, Advance, Backfill, BackfillState, Standing
from penstock.ports import Clock
from penstock.ports.agenda import Agenda, Progress

#: seconds between two looks at all of them
_LOOK = 2.0


class Backfilling:
    """Sees to it that the state of a backfill is that of its runs."""

    def __init__(self, agenda: Agenda, clock: Clock, tell: Tell) -> None:
        self._agenda = agenda
        self._clock = clock
        self._tell = tell
        self._next = clock.monotonic()
        self._pass: Iterator[None] | None = None

    def step(self, now: float) -> bool:
        """Go on to the next transaction. Whether there was anything to do."""
        if self._pass is None:
            moment = self._clock.monotonic()
            whole = moment >= self._next
            if whole:
                self._next = moment + _LOOK
            self._pass = self._look(now, whole=whole)
        going = next(self._pass, StopIteration) is None
        if not going:
            self._pass = None
        return going

    def begin(self) -> None:
        """Forget where it was; something went wrong there."""
        self._pass = None

    def _look(self, now: float, *, whole: bool) -> Iterator[None]:
        """Look at backfills; unless at the `whole`, at those alone of which nothing is to start after a failure."""
        for backfill in self._agenda.backfills(states=[BackfillState.RUNNING], limit=1_000_000):
            if not whole and backfill.on_failure == "continue":
                continue
            name = f"{BACKFILLING}{backfill.backfill_id}"
            progress = self._agenda.progress(name)
            if not progress.queued and not progress.running:
                self._move(backfill, BackfillState.FINISHED, _ended(progress), now)
                yield
            elif backfill.on_failure == "pause" and progress.failed:
                yield from self._pause(backfill, name, progress.failed, now)

    def _pause(self, backfill: Backfill, name: str, failed: int, now: float) -> Iterator[None]:
        """Pause a backfill for failures that it was not paused for before: people may have let it go on in spite of those."""
        known = next(iter(self._agenda.standings([name])), Standing(trigger=name))
        if failed <= (known.cursor or 0):
            return
        self._move(backfill, BackfillState.PAUSED, f"{failed:,} of its runs failed", now)
        yield
        self._agenda.advance([Advance(standing=msgspec.structs.replace(known, cursor=failed))])
        yield

    def _move(self, backfill: Backfill, state: BackfillState, why: str, now: float) -> None:
        try:
            self._agenda.move_backfill(backfill.backfill_id, state, now)
        except StoreError:
            # somebody else has cancelled or finished it meanwhile
            if self._agenda.backfill(backfill.backfill_id).state is BackfillState.RUNNING:
                raise
            return
        text = f"backfill {backfill.backfill_id} is {state.value}: {why}"
        self._tell(Notice(at=now, what="backfill", text=text))


def _ended(progress: Progress) -> str:
    """How the runs have ended, in words."""
    return ", ".join(f"{count:,} {state}" for state, count in progress._asdict().items() if count) or "it has no runs"


__all__ = ["Backfilling"]
