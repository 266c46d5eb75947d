"""Random pipelines read back: every fingerprint that their runs recorded follows from the inputs that are told of them.

PENSTOCK_PASTS sets how many are run (12 if it is not set).
"""

from __future__ import annotations

import os
from typing import Any

import plan_building
import pytest
from plan_building import pipeline_of
from plans import random_body

from penstock.app import Services
from penstock.runtime.reading.past import Past

PASTS = int(os.environ.get("PENSTOCK_PASTS", "12"))


@pytest.mark.parametrize("seed", range(500, 500 + PASTS))
def test_fingerprints_follow_from_the_inputs_that_are_read_back(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("work", "numbers", "gather"):
        task: Any = getattr(plan_building, name)
        monkeypatch.setattr(plan_building, name, task.options(cache=True))
    run = pipeline_of(random_body(seed)).options(executor="inline", progress=False).run(x=3 + seed, y=5)
    services = Services()
    with services.store() as store:
        past = Past(store, services.values, store.find(run.run_id))
        checked = 0
        for cell in past.cells():
            recorded = [each.fingerprint for each in past.attempts.get(cell, ()) if each.fingerprint is not None]
            if recorded:
                checked += 1
                assert past.fingerprint(cell, past.inputs(cell)) == recorded[-1], past.name(cell)
    assert checked > 0
