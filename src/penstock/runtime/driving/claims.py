"""Results that other runs are making at this moment: waited for, rather than made twice.

An attempt that may be cached claims its result in the turn in which it starts. Where another run has claimed it before,
or has made it since it was looked for, the attempt goes back in the queue unstarted, and waits there for the result, or
for the claim to end without one. Only what is really under way is claimed, so that nobody waits for something that has
to wait itself; and nothing that takes no longer than looking for it would.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from penstock.errors import NotFoundError
from penstock.model.event import AnyEvent, Returned
from penstock.model.instruction import Ready
from penstock.ports import Claimant, Clock, Recorded, Store
from penstock.runtime.driving.attempts import Attempts
from penstock.runtime.driving.nodes import Cell
from penstock.runtime.surroundings.leases import Fate, Watch

#: seconds between two looks for a result that another run makes
_LOOK = 0.2
#: seconds; results of tasks that take less are not claimed
SHORT = 0.05
#: how many looks pass before it is seen to whether those who make results are still there
_LOOKS = 10


class Late(NamedTuple):
    """A result that another run has made while an attempt waited for it."""

    ready: Ready
    fingerprint: bytes
    recorded: Recorded


class Claims:
    """The attempts of a run that wait for results of other runs."""

    def __init__(self, store: Store, clock: Clock, attempts: Attempts) -> None:
        self._store = store
        self._clock = clock
        self._attempts = attempts
        self._awaited: dict[Cell, bytes] = {}
        #: those of which the kernel has said that they could start
        self._held: dict[Cell, Ready] = {}
        self._next = 0.0
        self._looks = 0
        self._watch = Watch(store, monotonic=clock.monotonic)
        #: attempts that have come back unstarted, which the kernel is yet to be told
        self.returned: list[AnyEvent] = []

    def __len__(self) -> int:
        return len(self._awaited)

    def give_way(self, claims: Mapping[bytes, Cell], refused: frozenset[bytes]) -> None:
        """Take attempts back that were about to start, because others make their results."""
        # in the order in which they were to start
        for fingerprint, cell in claims.items():
            if fingerprint in refused:
                self._awaited[cell] = fingerprint
                self.returned.append(Returned(*cell, self._attempts.withdraw(cell)))
        self._next = 0.0

    def take_returned(self) -> list[AnyEvent]:
        """What the kernel is to be told."""
        events, self.returned = self.returned, []
        return events

    def holds_back(self, ready: Ready) -> bool:
        """Whether an attempt that could start is to wait. `looked` gives it back."""
        cell = ready.node, ready.item
        if cell not in self._awaited:
            return False
        self._held[cell] = ready
        return True

    def forget(self, cell: Cell) -> None:
        """A cell has ended otherwise."""
        self._awaited.pop(cell, None)
        self._held.pop(cell, None)

    def looked(self) -> tuple[list[Late], list[Ready]]:
        """The results that are there by now, and the attempts that need not wait any longer. Looks every now and then;
        most of the time there is nothing."""
        if not self._held or self._clock.monotonic() < self._next:
            return [], []
        self._next = self._clock.monotonic() + _LOOK
        wanted = {self._awaited[cell] for cell in self._held}
        recorded = self._store.recorded(list(wanted))
        claimants = self._store.claimants([fingerprint for fingerprint in wanted if fingerprint not in recorded])
        self._looks += 1
        if self._looks % _LOOKS == 0:
            self._take_from_the_gone(claimants)
        late: list[Late] = []
        freed: list[Ready] = []
        for cell, ready in list(self._held.items()):
            fingerprint = self._awaited[cell]
            if fingerprint in recorded:
                late.append(Late(ready, fingerprint, recorded[fingerprint]))
            elif fingerprint not in claimants:
                freed.append(ready)
            else:
                continue
            self.forget(cell)
        return late, freed

    def _take_from_the_gone(self, claimants: dict[bytes, Claimant]) -> None:
        """Take away the claims of runs that nobody drives any longer."""
        for run_id in {claimant.run_id for claimant in claimants.values()}:
            try:
                if self._watch.fate(self._store.find(run_id)) is not Fate.GONE:
                    continue
                gone = [key for key, claimant in claimants.items() if claimant.run_id == run_id]
                self._store.disclaim(gone, run_id)
            except NotFoundError:
                # the run was removed, and its claims with it
                continue
            for key in gone:
                del claimants[key]


__all__ = ["SHORT", "Claims", "Late"]
