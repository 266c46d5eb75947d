"""penstock: machine-learning pipelines from plain functions.

The public face: names only, loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.app import Pipeline, find_run, pipeline
    from penstock.authoring.control import choose, continue_if, elif_, group, otherwise, switch, unmapped, when
    from penstock.authoring.joins import done, failed, outcome, skipped, succeeded
    from penstock.authoring.ordering import chain, cross
    from penstock.authoring.ref import Ref, value
    from penstock.authoring.repeat import repeat
    from penstock.authoring.scopes import on_exit, scope
    from penstock.authoring.task import Task, task
    from penstock.authoring.tasks.approvals import approval
    from penstock.authoring.tasks.commands import command, container, exit_code, file, stdout
    from penstock.authoring.tasks.waits import wait
    from penstock.errors import (
        ArtifactDamagedError,
        ArtifactMissingError,
        CancelledError,
        DefinitionError,
        Fail,
        NondeterministicError,
        NotFoundError,
        OutOfMemoryError,
        OutputError,
        ParameterError,
        PenstockError,
        Retry,
        RunFailedError,
        SchemaError,
        SecretError,
        Skip,
        SkippedError,
        StoreError,
        TargetError,
        TaskTimeoutError,
        UntrustedError,
        WorkerLostError,
    )
    from penstock.executors.context import Context, current
    from penstock.model.action import Environment
    from penstock.model.outcome import Approval, Failure, Outcome
    from penstock.runtime.hooks.line import HookContext
    from penstock.runtime.planning.plan import Plan
    from penstock.runtime.replaying.outcome import Replay
    from penstock.runtime.run import Run, TaskRun
    from penstock.secrets.secret import Secret
    from penstock.starting import start
    from penstock.waiting import wait_for_artifact, wait_for_duration, wait_for_file, wait_for_time, wait_for_url

__version__ = "0.1.0"

_HOMES = {
    "penstock.app": (
        "Pipeline",
        "find_run",
        "pipeline",
    ),
    "penstock.authoring.tasks.approvals": ("approval",),
    "penstock.authoring.tasks.commands": (
        "command",
        "container",
        "exit_code",
        "file",
        "stdout",
    ),
    "penstock.authoring.control": (
        "choose",
        "continue_if",
        "elif_",
        "group",
        "otherwise",
        "switch",
        "unmapped",
        "when",
    ),
    "penstock.authoring.joins": (
        "done",
        "failed",
        "outcome",
        "skipped",
        "succeeded",
    ),
    "penstock.authoring.ordering": (
        "chain",
        "cross",
    ),
    "penstock.authoring.ref": (
        "Ref",
        "value",
    ),
    "penstock.authoring.repeat": ("repeat",),
    "penstock.authoring.scopes": (
        "on_exit",
        "scope",
    ),
    "penstock.authoring.task": (
        "Task",
        "task",
    ),
    "penstock.authoring.tasks.waits": ("wait",),
    "penstock.errors": (
        "ArtifactDamagedError",
        "ArtifactMissingError",
        "CancelledError",
        "DefinitionError",
        "Fail",
        "NondeterministicError",
        "NotFoundError",
        "OutOfMemoryError",
        "OutputError",
        "ParameterError",
        "PenstockError",
        "Retry",
        "RunFailedError",
        "SchemaError",
        "SecretError",
        "Skip",
        "SkippedError",
        "StoreError",
        "TargetError",
        "TaskTimeoutError",
        "UntrustedError",
        "WorkerLostError",
    ),
    "penstock.executors.context": (
        "Context",
        "current",
    ),
    "penstock.model.action": ("Environment",),
    "penstock.model.outcome": (
        "Approval",
        "Failure",
        "Outcome",
    ),
    "penstock.runtime.hooks.line": ("HookContext",),
    "penstock.runtime.planning.plan": ("Plan",),
    "penstock.runtime.replaying.outcome": ("Replay",),
    "penstock.runtime.run": (
        "Run",
        "TaskRun",
    ),
    "penstock.secrets.secret": ("Secret",),
    "penstock.starting": ("start",),
    "penstock.waiting": (
        "wait_for_artifact",
        "wait_for_duration",
        "wait_for_file",
        "wait_for_time",
        "wait_for_url",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Approval",
    "ArtifactDamagedError",
    "ArtifactMissingError",
    "CancelledError",
    "Context",
    "DefinitionError",
    "Environment",
    "Fail",
    "Failure",
    "HookContext",
    "NondeterministicError",
    "NotFoundError",
    "OutOfMemoryError",
    "Outcome",
    "OutputError",
    "ParameterError",
    "PenstockError",
    "Pipeline",
    "Plan",
    "Ref",
    "Replay",
    "Retry",
    "Run",
    "RunFailedError",
    "SchemaError",
    "Secret",
    "SecretError",
    "Skip",
    "SkippedError",
    "StoreError",
    "TargetError",
    "Task",
    "TaskRun",
    "TaskTimeoutError",
    "UntrustedError",
    "WorkerLostError",
    "approval",
    "chain",
    "choose",
    "command",
    "container",
    "continue_if",
    "cross",
    "current",
    "done",
    "elif_",
    "exit_code",
    "failed",
    "file",
    "find_run",
    "group",
    "on_exit",
    "otherwise",
    "outcome",
    "pipeline",
    "repeat",
    "scope",
    "skipped",
    "start",
    "stdout",
    "succeeded",
    "switch",
    "task",
    "unmapped",
    "value",
    "wait",
    "wait_for_artifact",
    "wait_for_duration",
    "wait_for_file",
    "wait_for_time",
    "wait_for_url",
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
