"""Random pipelines that break down somewhere go on from there, and random tasks of them are run again.

PENSTOCK_GENERATIONS sets how many are run (4 if it is not set; a hundred in the long ring).
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import plan_building
import plan_tasks
import pytest
from plan_building import pipeline_of
from plan_reading import read
from plans import random_body

from penstock import current, find_run, task
from penstock.app import Services
from penstock.kernel.state import NodeProgress
from penstock.runtime.reading.past import Past

SEEDS = int(os.environ.get("PENSTOCK_GENERATIONS", "4"))
MANY = range(1000, 1100)


def note() -> None:
    """Count the call; raise if the machine has broken down by then."""
    with Path("calls").open("a") as file:
        file.write(f"{current().id}\n")
    broken = Path("broken")
    if broken.exists() and len(Path("calls").read_text().splitlines()) > int(broken.read_text()):
        raise ConnectionError("the machine has broken down")


def calls() -> Counter[str]:
    file = Path("calls")
    found = Counter(file.read_text().splitlines()) if file.exists() else Counter[str]()
    file.unlink(missing_ok=True)
    return found


@task(cache=False)
def work(x: int | None, y: int | None, kind: str, salt: int) -> int:
    note()
    return plan_tasks.outcome_of(x, y, kind, salt, current().attempt)


@task(cache=False)
def numbers(x: int | None) -> list[int]:
    note()
    return [(1 if x is None else x) + number for number in range((1 if x is None else x) % 4)]


@task(cache=False)
def gather(values: list[Any]) -> int:
    note()
    return plan_tasks.total_of(values)


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    for each in (work, numbers, gather):
        monkeypatch.setattr(plan_building, each.name, each)


def pipeline_for(seed: int) -> tuple[Any, dict[str, Any]]:
    return pipeline_of(random_body(seed)).options(executor="inline", progress=False), {"x": 3 + seed, "y": 5}


def finished(run: Any) -> dict[str, Any]:
    """The tasks that have succeeded by themselves, with what they were given."""
    found: dict[str, Any] = {}
    for each in run.tasks:
        document = each._document
        # a map of nothing was given nothing
        if each.state not in ("succeeded", "cached") or "fallback" in document or not document["outputs"]:
            continue
        try:
            found[each.id] = each.inputs
        except LookupError:
            found[each.id] = None
    return found


def check_result(run: Any, seed: int) -> None:
    expected, end = read(random_body(seed), 3 + seed, 5)
    states = {each.id: "succeeded" if each.state == "cached" else each.state for each in run.tasks}
    assert states == expected.states
    assert run.state == end.state
    if run.state == "succeeded":
        assert run.outputs.get("result") == end.value


def resumed(seed: int) -> bool:
    """Let a run break down and go on. Returns whether it did break down."""
    pipeline, given = pipeline_for(seed)
    pipeline.run(**given)
    undisturbed = sum(calls().values())
    Path("broken").write_text(str(Random(seed).randrange(max(1, undisturbed))))
    run = pipeline.run(**given)
    before = finished(run)
    broke = "ConnectionError" in str(run.document)
    calls()
    Path("broken").unlink()
    if not broke or run.state != "failed":
        return False
    again = pipeline.resume(run.run_id)
    called = calls()
    check_result(again, seed)
    after = finished(again)
    for name, inputs in before.items():
        if inputs is not None and after.get(name) == inputs:
            assert not called[name], f"{name} had succeeded, and ran again"
    return True


def retried(seed: int) -> None:
    """Run random tasks of a run again."""
    pipeline, given = pipeline_for(seed)
    run = pipeline.run(**given)
    calls()
    random = Random(seed)
    names = sorted(finished(run))
    chosen = random.sample(names, min(len(names), random.randint(1, 2)))
    again = pipeline.retry(run.run_id, *chosen)
    called = set(calls())
    check_result(again, seed)
    with Services().existing_store() as store:
        past = Past(store, Services().values, store.find(again.run_id))
    check_called(past, chosen, called)


def check_called(past: Past, chosen: list[str], called: set[str]) -> None:
    """What was chosen was called, and all that depends on it, and nothing else that had succeeded by itself."""
    undecided = {each.id for each in find_run(f"{past.run.run_id}.1").tasks} - finished(
        find_run(f"{past.run.run_id}.1")
    ).keys()
    due = set(chosen)
    for cell in past.cells():
        progress, name = past.progress_of(cell), past.name(cell)
        own = any(name == each or name.startswith((f"{each}/", f"{each}[")) for each in chosen)
        if own or depends(past, progress, cell[1], due):
            due.add(name)
        leaf = progress.body is None and (progress.node.each is None or cell[1] >= 0)
        if not leaf or not progress.phase_of(cell[1]).fruitful or name.endswith("_spare"):
            continue
        if name in due:
            assert name in called, f"{name} was due, and did not run"
        elif past.graph.dynamic_at is None and "/" not in name:
            assert name not in called or name in undecided, f"{name} ran again for no reason"


def depends(past: Past, progress: NodeProgress, item: int, due: set[str]) -> bool:
    """Whether a node or an item takes something of what is due."""
    whole = [each for each in progress.upstream if each not in progress.streams]
    if any(touched(each, due) for each in whole):
        return True
    one_by_one = [each for each in progress.streams if each.items is not None and item >= 0]
    if any(touched_by(past.name((each.id, item)), due) for each in one_by_one):
        return True
    owner = progress.frame.owner
    return owner is not None and depends(past, owner, progress.frame.item, due)


def touched_by(name: str, due: set[str]) -> bool:
    return any(each == name or each.startswith((f"{name}[", f"{name}/")) for each in due)


def touched(progress: NodeProgress, due: set[str]) -> bool:
    """Whether something of a node, or in it, is due."""
    return touched_by(progress.id, due)


@pytest.mark.parametrize("seed", range(SEEDS // 2))
def test_a_run_that_broke_down_goes_on(seed: int) -> None:
    resumed(seed)


@pytest.mark.parametrize("seed", range(SEEDS // 2))
def test_tasks_that_run_again_take_with_them_what_depends_on_them(seed: int) -> None:
    retried(seed)


@pytest.mark.slow
def test_many_runs_that_broke_down_go_on() -> None:
    assert sum(map(resumed, MANY)) > len(MANY) / 4


@pytest.mark.slow
@pytest.mark.parametrize("seed", MANY)
def test_many_tasks_that_run_again(seed: int) -> None:
    retried(seed)
