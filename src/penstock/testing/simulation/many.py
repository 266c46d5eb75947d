"""Many simulations, in several processes.

What a process that is spawned is to call has to be found in a module that it can import, which the one that is run is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import NamedTuple

from penstock.testing.simulation.playing import Outcome, simulate

#: seeds that one process plays at a time
_PORTION = 100


class Tally(NamedTuple):
    """What came of several simulations."""

    played: int
    faults: Counter[str]
    failed: list[tuple[int, str]]


def play(seeds: Iterable[int], one: Callable[[int], Outcome] = simulate) -> Tally:
    """Play the simulations of some seeds; `one` plays one of them."""
    outcomes = [one(seed) for seed in seeds]
    faults = sum((outcome.faults for outcome in outcomes), Counter[str]())
    failed = [(outcome.seed, outcome.failure) for outcome in outcomes if outcome.failure]
    return Tally(len(outcomes), faults, failed)


def play_all(seeds: range, jobs: int, one: Callable[[int], Outcome] = simulate) -> Tally:
    """Play the simulations of many seeds, in so many processes; `one`, a function of a module, plays one of them."""
    portions = [seeds[start : start + _PORTION] for start in range(0, len(seeds), _PORTION)]
    if jobs <= 1:
        return _together(play(portion, one) for portion in portions)
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        return _together(pool.map(partial(play, one=one), portions))


def _together(tallies: Iterable[Tally]) -> Tally:
    played, faults, failed = 0, Counter[str](), list[tuple[int, str]]()
    for tally in tallies:
        played += tally.played
        faults += tally.faults
        failed += tally.failed
    return Tally(played, faults, failed)


__all__ = ["Tally", "play", "play_all"]
