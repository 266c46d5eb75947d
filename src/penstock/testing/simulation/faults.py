"""What goes wrong in a simulation, and how often."""

from __future__ import annotations

from collections import Counter
from random import Random

import msgspec


class Faults(msgspec.Struct, frozen=True):
    """Chances, from 0 to 1, that something goes wrong where it could; what is absent never does.

    At most `most` things go wrong in all, and none after `until` seconds of virtual time.
    """

    #: kind of fault -> chance
    chances: dict[str, float] = {}
    most: int = 12
    until: float = 400.0

    def without(self, kind: str) -> Faults:
        chances = {name: chance for name, chance in self.chances.items() if name != kind}
        return msgspec.structs.replace(self, chances=chances)


#: kind -> the chances that are drawn from. Chances are for one commit, one call of a store, one attempt, or one look of
#: the scheduler (every five seconds), whatever the kind is about
KINDS: dict[str, tuple[float, ...]] = {
    # drivers
    "crash before a commit": (0.03, 0.15),
    "crash after a commit": (0.03, 0.15),
    "crash in a read": (0.01, 0.05),
    "crash between turns": (0.03, 0.15),
    "crash in a take-over": (0.3,),
    # the store, and the way to it
    "commit fails": (0.03, 0.1),
    "commit fails after it took effect": (0.03, 0.1),
    "read fails": (0.01, 0.05),
    "slow commit": (0.1, 0.3),
    "slow read": (0.02, 0.1),
    "partition": (0.05, 0.2),
    "partition in a commit": (0.02, 0.1),
    # workers and their reports
    "worker lost": (0.05, 0.2),
    "worker lost after its work": (0.05, 0.2),
    "report doubled": (0.1, 0.4),
    "report delayed": (0.1, 0.3),
    "end reported after the loss": (0.05, 0.3),
    "report of an earlier driver": (0.5,),
    "attempt comes back unstarted": (0.05, 0.2),
    # the rest
    "clock jumps": (0.1, 0.3),
    "taken over while it lives": (0.05, 0.2),
    "answered twice": (0.5,),
    "cancelled": (0.7,),
    "broken off as failed": (0.7,),
}

#: those that change what a run comes to
FATEFUL = frozenset({"cancelled", "broken off as failed"})


def drawn(seed: int) -> Faults:
    """The faults of a simulation: none at all, one kind often, or several kinds."""
    chance = Random(f"{seed}/faults")
    share = chance.choice([0.0, 0.05, 0.2, 0.4, 0.7])
    chosen = [kind for kind in KINDS if kind not in FATEFUL and chance.random() < share]
    if share:
        chosen.append(chance.choice([kind for kind in KINDS if kind not in FATEFUL]))
    if chance.random() < 0.12:
        chosen += [chance.choice(sorted(FATEFUL)), "commit fails", "read fails"]
    return Faults(
        {kind: chance.choice(KINDS[kind]) for kind in chosen}, chance.choice([3, 8, 20]), chance.choice([60.0, 400.0])
    )


class Mischief:
    """Decides where something goes wrong, from the seed alone. Every kind has chances of its own, so that leaving one
    out changes as little as possible of the others."""

    def __init__(self, seed: int, faults: Faults) -> None:
        self._faults = faults
        self._chances = {kind: Random(f"{seed}/{kind}") for kind in faults.chances}
        self.done: Counter[str] = Counter()
        self._count = 0

    def strikes(self, kind: str, now: float) -> bool:
        """Whether a fault of that kind happens here."""
        odds = self._faults.chances.get(kind)
        if odds is None or self._chances[kind].random() >= odds:
            return False
        if self._count >= self._faults.most or now > self._faults.until:
            return False
        self.done[kind] += 1
        self._count += 1
        return True

    def chance(self, kind: str) -> Random:
        """What the details of a fault of a kind are drawn from."""
        return self._chances[kind]


__all__ = ["FATEFUL", "KINDS", "Faults", "Mischief", "drawn"]
