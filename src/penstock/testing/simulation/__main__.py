"""Play simulations, and tell the story of those that fail.

python -m penstock.testing.simulation --seeds 20000 --jobs 2
python -m penstock.testing.simulation --seed 12345 --trace
python -m penstock.testing.simulation --triggers --seeds 2000
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Sequence

from penstock.testing.simulation.daemons import KINDS as TRIGGERS
from penstock.testing.simulation.faults import FATEFUL, KINDS
from penstock.testing.simulation.many import Tally, play_all
from penstock.testing.simulation.playing import Outcome, shrunk, simulate
from penstock.testing.simulation.triggers import simulate_triggers

#: stories of failures that are told whole
_TOLD = 3


def story(outcome: Outcome, *, shrink: bool = False, triggers: bool = False) -> str:
    """What happened in a simulation, why it failed, and how to see that again. `triggers`: whether it was one of daemons."""
    told = ""
    if shrink and not triggers and outcome.failure:
        faults, steps, outcome = shrunk(outcome)
        told = f"\nwith {', '.join(faults.chances) or 'no faults'}, and {steps} steps of the pipeline at most"
    kind = " --triggers" if triggers else ""
    again = f"python -m penstock.testing.simulation{kind} --seed {outcome.seed} --trace"
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
    parser.add_argument("--triggers", action="store_true", help="daemons that serve triggers, rather than runs")
    given = parser.parse_args(arguments)
    play = simulate_triggers if given.triggers else simulate
    if given.seed is not None:
        return _one(play(given.seed), trace=given.trace, shrink=given.shrink, triggers=given.triggers)
    began = time.perf_counter()
    tally = play_all(range(given.start, given.start + given.seeds), given.jobs, play)
    _print_tally(tally, TRIGGERS if given.triggers else KINDS, time.perf_counter() - began)
    for seed, _ in tally.failed[:_TOLD]:
        print(f"\n{story(play(seed), shrink=given.shrink, triggers=given.triggers)}")
    return 1 if tally.failed else 0


def _one(outcome: Outcome, *, trace: bool, shrink: bool, triggers: bool) -> int:
    seed = outcome.seed
    if trace or outcome.failure:
        print(story(outcome, shrink=shrink, triggers=triggers))
    else:
        print(f"seed {seed}: all is well after {outcome.seconds:.0f} s of virtual time")
    return 1 if outcome.failure else 0


def _print_tally(tally: Tally, kinds: Iterable[str], seconds: float) -> None:
    for kind in kinds:
        print(f"{tally.faults[kind]:8,}  {kind}{' (changes the outcome)' if kind in FATEFUL else ''}")
    print(
        f"{tally.played:,} simulations in {seconds:.0f} s ({tally.played / seconds:.0f}/s), {tally.faults.total():,} faults"
    )
    for seed, failure in tally.failed:
        print(f"seed {seed} failed: {failure.splitlines()[0]}")


if __name__ == "__main__":
    sys.exit(main())
