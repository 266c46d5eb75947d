"""Every guarantee, in simulations of the runtime.

PENSTOCK_SEEDS sets how many are played (150 if it is not set), PENSTOCK_SEED the one that is played alone, with its whole
story.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from penstock.testing.simulation import simulate
from penstock.testing.simulation.__main__ import story
from penstock.testing.simulation.faults import KINDS
from penstock.testing.simulation.many import play_all

SEEDS = int(os.environ.get("PENSTOCK_SEEDS", "150"))
ALONE = os.environ.get("PENSTOCK_SEED")
#: in CI
MANY = 20_000
_PORTION = 50


def check(seeds: range) -> Counter[str]:
    """Play simulations, and fail with the story of the first that does. Returns the faults."""
    faults = Counter[str]()
    for seed in seeds:
        outcome = simulate(seed)
        faults += outcome.faults
        assert not outcome.failure, story(outcome, shrink=True)
    return faults


@pytest.mark.skipif(ALONE is not None, reason="one seed is played alone")
@pytest.mark.parametrize("start", range(0, SEEDS, _PORTION))
def test_every_guarantee_holds(start: int) -> None:
    faults = check(range(start, min(start + _PORTION, SEEDS)))
    assert len(faults) > 15, "faults of many kinds happen in any fifty simulations"


@pytest.mark.skipif(ALONE is None, reason="PENSTOCK_SEED names no seed")
def test_one_seed_is_played_again() -> None:
    outcome = simulate(int(ALONE or 0))
    print(story(outcome))
    assert not outcome.failure, story(outcome, shrink=True)


def test_the_command_line_plays_in_several_processes() -> None:
    command = [sys.executable, "-m", "penstock.testing.simulation", "--seeds", "6", "--jobs", "2"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "6 simulations in" in ended.stdout


@pytest.mark.slow
def test_every_guarantee_holds_in_many_simulations() -> None:
    tally = play_all(range(1_000_000, 1_000_000 + MANY), os.cpu_count() or 1)
    assert tally.played == MANY
    assert not tally.failed, "\n\n".join(story(simulate(seed), shrink=True)[-20_000:] for seed, _ in tally.failed[:3])
    assert min(tally.faults[kind] for kind in KINDS) > 50, tally.faults
