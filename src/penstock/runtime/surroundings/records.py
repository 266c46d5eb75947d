"""The record of a run that is about to begin."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from penstock.authoring.kinds.parameters import to_json
from penstock.authoring.pipeline import Composition, Definition
from penstock.model.run import RunRecord, RunState
from penstock.runtime.inputs.revealed import check_parameters
from penstock.runtime.surroundings.processes import this_process


def new_record(pipeline: Composition[..., Any], definition: Definition, target: str) -> RunRecord:
    """A run of a pipeline that begins now. `target` is what names the pipeline, where somebody has said so.
    Raises DefinitionError for a parameter with a secret in it that this process has read."""
    now = time.time()
    parameters = {name: to_json(value) for name, value in definition.parameters.items()}
    check_parameters(parameters)
    return RunRecord(
        run_id=f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}-{os.urandom(3).hex()}",
        pipeline=pipeline.name,
        state=RunState.RUNNING,
        parameters=parameters,
        started_at=now,
        target=target or _target_of(pipeline),
        driver=this_process(),
    )


def _target_of(pipeline: Composition[..., Any]) -> str:
    """What `penstock run` would be given for a pipeline: `package.module:name`, or `file.py:name` for a script."""
    if pipeline.target:
        return pipeline.target
    function = pipeline.function
    module = getattr(function, "__module__", "") or ""
    if module != "__main__":
        return f"{module}:{function.__name__}"
    file = getattr(sys.modules[module], "__file__", None)
    return f"{file}:{function.__name__}" if file else module


__all__ = ["new_record"]
