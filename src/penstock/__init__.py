"""penstock: machine-learning pipelines from plain functions.

The public face: names only, loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.app import Pipeline, pipeline
    from penstock.authoring.control import choose, otherwise, unmapped, when
    from penstock.authoring.ref import Ref
    from penstock.authoring.task import Task, task
    from penstock.errors import (
        ArtifactDamagedError,
        ArtifactMissingError,
        CancelledError,
        DefinitionError,
        NotFoundError,
        OutputError,
        ParameterError,
        PenstockError,
        RunFailedError,
        SchemaError,
        StoreError,
        TargetError,
        WorkerLostError,
    )
    from penstock.executors.context import Context, current
    from penstock.runtime.run import Run, TaskRun

__version__ = "0.1.0"

_HOMES = {
    "penstock.app": ("Pipeline", "pipeline"),
    "penstock.authoring.control": ("choose", "otherwise", "unmapped", "when"),
    "penstock.authoring.ref": ("Ref",),
    "penstock.authoring.task": ("Task", "task"),
    "penstock.errors": (
        "ArtifactDamagedError",
        "ArtifactMissingError",
        "CancelledError",
        "DefinitionError",
        "NotFoundError",
        "OutputError",
        "ParameterError",
        "PenstockError",
        "RunFailedError",
        "SchemaError",
        "StoreError",
        "TargetError",
        "WorkerLostError",
    ),
    "penstock.executors.context": ("Context", "current"),
    "penstock.runtime.run": ("Run", "TaskRun"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ArtifactDamagedError",
    "ArtifactMissingError",
    "CancelledError",
    "Context",
    "DefinitionError",
    "NotFoundError",
    "OutputError",
    "ParameterError",
    "PenstockError",
    "Pipeline",
    "Ref",
    "Run",
    "RunFailedError",
    "SchemaError",
    "StoreError",
    "TargetError",
    "Task",
    "TaskRun",
    "WorkerLostError",
    "choose",
    "current",
    "otherwise",
    "pipeline",
    "task",
    "unmapped",
    "when",
]


def __getattr__(name: str) -> Any:
    import importlib

    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'penstock' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
