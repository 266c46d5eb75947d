"""Random pipelines under a random scheduler, compared with a plain interpreter.

PENSTOCK_EXAMPLES sets how many runs are played by each test (50 if it is not set).
"""

from __future__ import annotations

import os
import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_graphs import outputs, phases, picture
from kernel_plans import FRUITFUL, Cell, Plan, expected, fated, plans
from kernel_scheduler import Scheduler

from penstock.kernel import RunProgress, handle
from penstock.kernel.invariants import validate
from penstock.model.run import item_id

examples = settings(
    max_examples=int(os.environ.get("PENSTOCK_EXAMPLES", "50")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
chances = st.integers(0, 2**32).map(random.Random)


def named(states: dict[Cell, str]) -> dict[str, str]:
    return {item_id(*cell): state for cell, state in states.items()}


@examples
@given(plans(), chances)
def test_every_run_ends_as_it_must(pipeline: list[Plan], chance: random.Random) -> None:
    played = Scheduler(pipeline, chance)
    played.play(cancel_after=None)
    wanted = {cell: str(state) for cell, state in expected(pipeline, fated(pipeline)).items()}
    assert phases(played.run) == named(wanted)
    assert played.finishes == ["FAILED" if "FAILED" in wanted.values() else "SUCCEEDED"]
    for cell, starts in played.starts.items():
        plan = played.plans[cell[0]]
        fate = plan.fate(cell[1])
        assert len(starts) == min(fate.failures, plan.retries) + 1 + fate.returns
    for plan in pipeline:
        _check_outputs(played, plan, wanted)


def _check_outputs(played: Scheduler, plan: Plan, wanted: dict[Cell, str]) -> None:
    """Outputs are there exactly for what was fruitful, and they are those of the attempt that counted."""
    found = played.run.outputs(plan.name)
    if wanted[plan.name, -1] not in FRUITFUL:
        assert found is None
        return
    seeds = [1 if fate.lookup == "hit" else fate.failures + 1 for fate in plan.fates]
    assert found == ([outputs(seed) for seed in seeds] if plan.mapped else outputs(seeds[0]))


@examples
@given(plans(), chances, st.integers(0, 30))
def test_a_cancelled_run_keeps_what_had_ended(pipeline: list[Plan], chance: random.Random, after: int) -> None:
    played = Scheduler(pipeline, chance)
    played.play(cancel_after=after)
    found = phases(played.run)
    for cell, state in _after_cancel(played, pipeline).items():
        assert found[item_id(*cell)] == state
    cancelled = played.at_cancel is not None and "CANCELLED" in found.values()
    assert played.finishes == ["CANCELLED" if cancelled else "FAILED" if "FAILED" in found.values() else "SUCCEEDED"]


def _after_cancel(played: Scheduler, pipeline: list[Plan]) -> dict[Cell, str]:
    """What nodes, and the items that had been asked for, must have come to."""
    if played.at_cancel is None:
        return {cell: str(state) for cell, state in expected(pipeline, fated(pipeline)).items()}
    wanted: dict[Cell, str] = {}
    for cell, state in played.at_cancel.items():
        succeeds = cell in played.left_running and played.told.get(cell) == "SUCCEEDED"
        wanted[cell] = state or ("SUCCEEDED" if succeeds else "CANCELLED")
    for plan in pipeline:
        items = [state for (name, item), state in wanted.items() if name == plan.name and item >= 0]
        opened = item_id(plan.name, 0) in phases(played.run)
        if items and not opened:
            # it was never mapped out: it has no items, and was cancelled as one
            wanted = {cell: state for cell, state in wanted.items() if cell[0] != plan.name or cell[1] < 0}
        elif items:
            worst = [state for state in ("FAILED", "CANCELLED") if state in items]
            wanted[plan.name, -1] = worst[0] if worst else "CACHED" if set(items) == {"CACHED"} else "SUCCEEDED"
    return wanted


@examples
@given(plans(), chances, st.none() | st.integers(0, 30), st.integers(1, 5))
def test_the_journal_makes_the_same_run_again(
    pipeline: list[Plan], chance: random.Random, after: int | None, size: int
) -> None:
    played = Scheduler(pipeline, chance)
    played.play(cancel_after=after)
    again = RunProgress(played.run.graph)
    for start in range(0, len(played.journal), size):
        handle(again, *played.journal[start : start + size])
        validate(again)
    assert picture(again) == picture(played.run)


@examples
@given(plans(), chances, st.none() | st.integers(0, 30))
def test_every_end_is_recorded_once(pipeline: list[Plan], chance: random.Random, after: int | None) -> None:
    """A cell's end is in the journal (a hit, a success, a last failure) or it is settled, never both."""
    played = Scheduler(pipeline, chance)
    played.play(cancel_after=after)
    found = phases(played.run)
    for cell, state in played.settled.items():
        assert found[item_id(*cell)] == state
    for name, progress in played.run.nodes.items():
        cells = [(name, -1)] if progress.items is None else [(name, i) for i in range(len(progress.items.phases))]
        for cell in cells:
            assert (cell in played.settled) != _journalled(played, cell, found[item_id(*cell)])


def _journalled(played: Scheduler, cell: Cell, state: str) -> bool:
    if state == "FAILED":
        return played.plans[cell[0]].opening is None and played.plans[cell[0]].fate(cell[1]).lookup == "miss"
    return state == "CACHED" or (state == "SUCCEEDED" and cell in played.starts)
