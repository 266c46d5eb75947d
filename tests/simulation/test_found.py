"""What simulations have found in the engine, pinned."""

from __future__ import annotations

import pytest

from penstock.testing.simulation import Faults, simulate

CLOCKS = Faults({"clock jumps": 0.3, "crash after a commit": 0.15, "crash between turns": 0.15}, most=20)


@pytest.mark.parametrize("seed", [25, 46])
def test_a_clock_that_is_set_back_makes_no_delay_longer(seed: int) -> None:
    """A driver that took over counted the time that a delay had lasted as negative, and waited for two hours more."""
    outcome = simulate(seed, CLOCKS)
    assert outcome.faults["clock jumps"]
    assert not outcome.failure
    assert outcome.seconds < 2000
