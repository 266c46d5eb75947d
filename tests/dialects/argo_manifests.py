"""What is written for Argo, of all pipelines that the tests keep: `python argo_manifests.py` prints it as JSON: [name, document].

Those of the corpus are written in processes of their own (see `matrix`).
"""

from __future__ import annotations

import json
import sys
from typing import Any

import argo_pipelines
import matrix
import yaml

from penstock.app import Pipeline
from penstock.dialects import Export
from penstock.dialects.argo import write
from penstock.model.schedule import Cron, Timetable
from penstock.model.trigger import Limits, Trigger

NIGHTLY = Trigger(
    name="nightly", source=Timetable(Cron("0 3 * * 1-5", "Europe/Berlin")), limits=Limits(at_most=1), enabled=False
)


def corpus() -> list[tuple[str, Any]]:
    """Those of the corpus that can be written."""
    found: list[tuple[str, Any]] = []
    for case in matrix.cases():
        answer = matrix.apart(lambda case=case: matrix.written(case, "argo"))
        if "text" in answer:
            found.append((f"{case.dialect}/{case.name}", yaml.safe_load(answer["text"])))
        elif "refused" not in answer:
            raise AssertionError(f"{case.dialect}/{case.name}: {answer}")
    return found


def own() -> list[tuple[str, Any]]:
    """Those with all that there is to say of how things are run."""
    found: list[tuple[str, Any]] = []
    for name, one in vars(argo_pipelines).items():
        if isinstance(one, Pipeline):
            definition = one.define({each.name: each.default for each in one.parameters if not each.required})
            for triggers in ((), (NIGHTLY,)):
                text = write(Export(definition, triggers)).text
                found.append((f"{name} {'with a schedule' if triggers else 'alone'}", yaml.safe_load(text)))
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(corpus() + own()))
