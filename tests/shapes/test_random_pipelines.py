"""Random pipelines of real tasks do what a plain reading of their description does.

PENSTOCK_PIPELINES sets how many are run (40 if it is not set).
"""

from __future__ import annotations

import os

import pytest
from plan_building import pipeline_of
from plan_reading import read
from plans import random_body

PIPELINES = int(os.environ.get("PENSTOCK_PIPELINES", "40"))


@pytest.mark.parametrize("seed", range(PIPELINES))
def test_states_and_outputs_are_those_of_a_plain_reading(seed: int) -> None:
    body = random_body(seed)
    expected, end = read(body, 3 + seed, 5)
    run = pipeline_of(body).options(executor="inline", progress=False).run(x=3 + seed, y=5)
    assert {task.id: task.state for task in run.tasks} == expected.states
    values = {task.id: task.output for task in run.tasks if task.outputs}
    assert {name: value for name, value in values.items() if value is not None} == expected.values
    assert run.state == end.state
    if run.state == "succeeded":
        assert run.outputs.get("result") == end.value
