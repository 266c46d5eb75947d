"""A simulation is a function of its seed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from penstock.testing.simulation import Faults, simulate
from penstock.testing.simulation.__main__ import main

#: several runs, many faults
SEEDS = (46, 55, 104)
_TELL = "import sys; from penstock.testing.simulation import simulate\nfor s in sys.argv[1:]: print(simulate(int(s)).told())"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_seed_gives_the_same_story(seed: int) -> None:
    first, second = simulate(seed), simulate(seed)
    assert first.faults.total() > 3
    assert first == second


def test_the_story_does_not_depend_on_the_order_of_sets() -> None:
    told: set[str] = set()
    for hashing in ("1", "2"):
        command = [sys.executable, "-c", _TELL, *map(str, SEEDS)]
        environment = {**os.environ, "PYTHONHASHSEED": hashing}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
        told.add(done.stdout)
    assert len(told) == 1
    assert told.pop().count("commits") > 50


def test_without_faults_nothing_goes_wrong() -> None:
    outcome = simulate(55, Faults())
    assert not outcome.failure
    assert not outcome.faults
    assert "!" not in outcome.told()
    assert "takes over" not in outcome.told() or "paused" in outcome.told()


def test_the_command_line_tells_the_story(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "55", "--trace"]) == 0
    assert simulate(55).told() in capsys.readouterr().out
    assert main(["--seed", "55"]) == 0
    assert "seed 55: all is well" in capsys.readouterr().out
    assert main(["--seeds", "6", "--start", "10", "--jobs", "1"]) == 0
    assert "6 simulations" in capsys.readouterr().out
