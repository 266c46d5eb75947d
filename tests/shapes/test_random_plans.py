"""What a plan says of a random pipeline is what its next run does.

PENSTOCK_PIPELINES sets how many are planned (20 if it is not set).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import plan_building
import pytest
from plan_building import pipeline_of
from plans import random_body

from penstock.app import Services
from penstock.model.run import item_id
from penstock.runtime.planning.plan import Plan
from penstock.runtime.run import Run

PIPELINES = int(os.environ.get("PENSTOCK_PIPELINES", "20"))

#: what a plan says -> what the run document may then say
_MEANS = {
    "cached": {"cached"},
    "would_run": {"succeeded", "failed", "skipped"},
    "would_fail": {"failed"},
    "skipped": {"skipped"},
    "upstream_failed": {"upstream_failed"},
    "empty": {"succeeded"},
}


@pytest.fixture(params=range(PIPELINES))
def pipeline(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A random pipeline, the results of most of whose tasks are cached."""
    random = Random(request.param)
    for name in ("work", "spare", "numbers", "gather"):
        task = getattr(plan_building, name).options(cache=random.random() < 0.9)
        monkeypatch.setattr(plan_building, name, task)
    return pipeline_of(random_body(request.param)).options(executor="inline", progress=False)


def told(plan: Plan) -> Iterator[tuple[str, str]]:
    """What a plan says of each node that does the work itself, and of each item of one."""
    for task in plan.tasks:
        if task.items is not None and not task.body:
            yield from ((name, state) for state in task.items.counts for name in task.items.ids(state))
        elif not task.body:
            yield task.id, task.state


def check(plan: Plan, run: Run) -> None:
    tasks = {task.id: task for task in run.tasks}
    with Services().existing_store() as store:
        attempts = store.attempts(run.run_id)
    made = {each.fingerprint for each in attempts if each.attempt > 0}
    used = {item_id(each.node, each.item, each.key): each.fingerprint for each in attempts if each.state == "cached"}
    for name, state in told(plan):
        if state == "unknown":
            continue
        assert name in tasks or state == "empty", f"{name} was to be {state}, and was never reached"
        if state == "empty":
            continue
        ended = tasks[name]
        if state == "would_run" and ended.state == "cached":
            # another node, or item, with the same code and inputs was quicker in this very run
            assert used[name] in made
            continue
        assert ended.state in _MEANS[state], f"{name} was to be {state}, and was {ended.state}"
        assert (ended.attempts > 0) == (state == "would_run"), f"{name} was to be {state}"


def test_a_run_does_what_its_plan_says(pipeline: Any) -> None:
    seen = Counter[str]()
    for x in (3, 3, 4):
        plan = pipeline.plan(x=x, y=5)
        check(plan, pipeline.run(x=x, y=5))
        seen.update(plan.counts)
    assert seen["would_run"]
    assert not pipeline.plan(x=3, y=5).failure or pipeline.run(x=3, y=5).state == "failed"
