"""Each tick, event and request makes one run: daemons that crash, in simulations.

PENSTOCK_SEEDS sets how many are played in the long ring (300 if it is not set).
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

from penstock.model.firing import Advance
from penstock.stores.agenda import RelationalAgenda
from penstock.testing.simulation.__main__ import story
from penstock.testing.simulation.daemons import KINDS
from penstock.testing.simulation.triggers import drawn, simulate_triggers

MANY = int(os.environ.get("PENSTOCK_SEEDS", "300"))


def check(seeds: range) -> Counter[str]:
    """Play simulations, and fail with the story of the first that does. Returns the faults."""
    faults = Counter[str]()
    for seed in seeds:
        outcome = simulate_triggers(seed)
        faults += outcome.faults
        assert not outcome.failure, story(outcome, triggers=True)
    return faults


def test_each_tick_event_and_request_makes_one_run() -> None:
    faults = check(range(5))
    assert len(faults) > 4


@pytest.mark.slow
def test_they_do_in_many_simulations() -> None:
    faults = check(range(5, MANY))
    assert set(faults) == set(KINDS)


def test_a_simulation_is_a_function_of_its_seed() -> None:
    one, other = simulate_triggers(5), simulate_triggers(5)
    assert one.told() == other.told()
    assert one.faults


def test_a_firing_that_is_lost_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = RelationalAgenda.advance

    def losing(self: RelationalAgenda, advances: list[Advance]) -> list[bool]:
        lost = [Advance(standing=each.standing, firings=each.firings[1:]) for each in advances]
        return whole(self, lost)

    monkeypatch.setattr(RelationalAgenda, "advance", losing)
    assert "lost" in simulate_triggers(0, drawn(0)).failure


def test_a_limit_that_is_not_kept_to_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.daemon.limits.Limited.at_most", lambda self, firing: None)
    assert "runs of" in "".join(simulate_triggers(seed).failure for seed in range(3))
