"""Play simulations, and tell the story of those that fail.

python -m penstock.testing.simulation --seeds 20000 --jobs 2
python -m penstock.testing.simulation --seed 12345 --trace
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

from penstock.testing.simulation.faults import FATEFUL, KINDS
from penstock.testing.simulation.playing import Outcome, shrunk, simulate

#: seeds that one process plays at a time
_PORTION = 100
#: stories of failures that are told whole
_TOLD = 3


class Tally(NamedTuple):
    """What came of several simulations."""

    played: int
    faults: Counter[str]
    failed: list[tuple[int, str]]


def play(seeds: Iterable[int]) -> Tally:
    """Play the simulations of some seeds."""
    outcomes = [simulate(seed) for seed in seeds]
    faults = sum((outcome.faults for outcome in outcomes), Counter[str]())
    failed = [(outcome.seed, outcome.failure) for outcome in outcomes if outcome.failure]
    return Tally(len(outcomes), faults, failed)


def play_all(seeds: range, jobs: int) -> Tally:
    """Play the simulations of many seeds, in so many processes."""
    portions = [seeds[start : start + _PORTION] for start in range(0, len(seeds), _PORTION)]
    if jobs <= 1:
        return _together(map(play, portions))
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        return _together(pool.map(play, portions))


def _together(tallies: Iterable[Tally]) -> Tally:
    played, faults, failed = 0, Counter[str](), list[tuple[int, str]]()
    for tally in tallies:
        played += tally.played
        faults += tally.faults
        failed += tally.failed
    return Tally(played, faults, failed)


def story(outcome: Outcome, *, shrink: bool = False) -> str:
    """What happened in a simulation, why it failed, and how to see that again."""
    told = ""
    if shrink and outcome.failure:
        faults, steps, outcome = shrunk(outcome)
        told = f"\nwith {', '.join(faults.chances) or 'no faults'}, and {steps} steps of the pipeline at most"
    again = f"python -m penstock.testing.simulation --seed {outcome.seed} --trace"
    return f"{outcome.told()}\n\nseed {outcome.seed}: {outcome.failure or 'all is well'}{told}\nagain: {again}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns its exit code: 1 if a guarantee did not hold."""
    parser = argparse.ArgumentParser(
        prog="python -m penstock.testing.simulation", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--seed", type=int, help="play this one, and tell whether all is well")
    parser.add_argument("--trace", action="store_true", help="tell all that happens")
    parser.add_argument("--shrink", action="store_true", help="look for fewer faults and a smaller pipeline that fail")
    parser.add_argument("--seeds", type=int, default=1000, metavar="N", help="play so many (default: 1000)")
    parser.add_argument("--start", type=int, default=0, metavar="SEED", help="beginning with this one (default: 0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="in so many processes")
    given = parser.parse_args(arguments)
    if given.seed is not None:
        return _one(given.seed, trace=given.trace, shrink=given.shrink)
    began = time.perf_counter()
    tally = play_all(range(given.start, given.start + given.seeds), given.jobs)
    _print_tally(tally, time.perf_counter() - began)
    for seed, _ in tally.failed[:_TOLD]:
        print(f"\n{story(simulate(seed), shrink=given.shrink)}")
    return 1 if tally.failed else 0


def _one(seed: int, *, trace: bool, shrink: bool) -> int:
    outcome = simulate(seed)
    if trace or outcome.failure:
        print(story(outcome, shrink=shrink))
    else:
        print(f"seed {seed}: all is well after {outcome.seconds:.0f} s of virtual time")
    return 1 if outcome.failure else 0


def _print_tally(tally: Tally, seconds: float) -> None:
    for kind in KINDS:
        print(f"{tally.faults[kind]:8,}  {kind}{' (changes the outcome)' if kind in FATEFUL else ''}")
    print(
        f"{tally.played:,} simulations in {seconds:.0f} s ({tally.played / seconds:.0f}/s), {tally.faults.total():,} faults"
    )
    for seed, failure in tally.failed:
        print(f"seed {seed} failed: {failure.splitlines()[0]}")


if __name__ == "__main__":
    sys.exit(main())
