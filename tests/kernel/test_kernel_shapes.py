"""Random pipelines of every shape under a random scheduler, compared with a plain interpreter.

PENSTOCK_GRAPHS sets how many graphs each test plays (300 if it is not set).
"""

from __future__ import annotations

import os
import random

import pytest
from kernel_graphs import picture
from kernel_player import Player
from kernel_shapes import Cell, Reference, Shape

from penstock.kernel import Phase, RunProgress, handle
from penstock.kernel.invariants import validate

GRAPHS = int(os.environ.get("PENSTOCK_GRAPHS", "300"))
#: graphs to a test case, so that a failure names a seed and the rest still runs
CHUNK = 50

seeds = pytest.mark.parametrize("first", range(0, GRAPHS, CHUNK))


def _states(run: RunProgress) -> dict[Cell, str]:
    found: dict[Cell, str] = {}
    for name, progress in run.nodes.items():
        found[name, -1] = progress.phase.name
        for item, phase in enumerate(progress.items.phases if progress.items is not None else ()):
            found[name, item] = Phase(phase).name
    return found


def _compare(player: Player) -> None:
    wanted = Reference(player.shape, frozenset(player.handled))
    cells = {cell: state for cell, state in wanted.states.items() if cell[1] > -2}
    assert _states(player.run) == cells
    assert player.finishes == [wanted.state]


def _play(seed: int, **options: int | None) -> Player:
    player = Player(Shape(seed, dynamic=seed % 4 == 3), random.Random(seed))
    player.play(**options)
    return player


@seeds
def test_every_run_ends_as_it_must(first: int) -> None:
    for seed in range(first, first + CHUNK):
        print("seed", seed)
        _compare(_play(seed))


@seeds
def test_a_run_goes_on_after_its_driver_has_died(first: int) -> None:
    for seed in range(first, first + CHUNK):
        print("seed", seed)
        _compare(_play(seed, crash_after=random.Random(seed).randint(1, 40)))


@seeds
def test_a_cancelled_run_comes_to_its_end(first: int) -> None:
    for seed in range(first, first + CHUNK):
        print("seed", seed)
        player = _play(seed, cancel_after=random.Random(seed).randint(1, 30))
        cut_short = player.run.root.cut_short or "CANCELLED" in _states(player.run).values()
        assert len(player.finishes) == 1
        assert cut_short or player.finishes != ["CANCELLED"]
        assert all(progress.phase.ended for progress in player.run.nodes.values())


@seeds
def test_a_run_that_stops_at_its_first_failure(first: int) -> None:
    for seed in range(first, first + CHUNK):
        print("seed", seed)
        shape = Shape(seed, stop_at_failure=True)
        player = Player(shape, random.Random(seed))
        player.play()
        failed = any(progress.fatal for progress in player.run.root.nodes.values())
        assert player.finishes == ["FAILED" if failed else "SUCCEEDED"]
        if not failed:
            assert "CANCELLED" not in _states(player.run).values()


@seeds
def test_the_journal_makes_the_same_run_again(first: int) -> None:
    for seed in range(first, first + CHUNK):
        print("seed", seed)
        played = _play(seed)
        again = RunProgress(played.shape.graph)
        for event in played.journal:
            handle(again, event)
        validate(again)
        assert picture(again) == picture(played.run)
