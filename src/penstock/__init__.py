"""penstock: machine-learning pipelines from plain functions.

The public face: names only, loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.app import Pipeline, find_run, pipeline
    from penstock.app.assets import Asset, asset, load_asset
    from penstock.authoring.assets.automations import (
        eager,
        on_code_change,
        on_schedule,
        when_missing,
        when_ready,
    )
    from penstock.authoring.assets.external import external_asset
    from penstock.authoring.assets.partitions import (
        all_partitions,
        by_time,
        daily,
        dimensions,
        dynamic,
        hourly,
        last,
        monthly,
        partitioned_by_cron,
        same,
        static,
        weekly,
    )
    from penstock.authoring.assets.settings import fresh_by, upstream
    from penstock.authoring.control import choose, continue_if, elif_, group, otherwise, switch, unmapped, when
    from penstock.authoring.joins import done, failed, outcome, skipped, succeeded
    from penstock.authoring.kinds.causes import interval_end, interval_start, logical_time, partition
    from penstock.authoring.ordering import chain, cross
    from penstock.authoring.ref import Ref, value
    from penstock.authoring.repeat import repeat
    from penstock.authoring.scopes import on_exit, scope
    from penstock.authoring.task import Task, task
    from penstock.authoring.tasks.approvals import approval
    from penstock.authoring.tasks.commands import command, container, exit_code, file, stdout
    from penstock.authoring.tasks.waits import wait
    from penstock.authoring.triggers.events import (
        absence_of,
        all_of,
        any_of,
        artifact_made,
        asset_updated,
        count_of,
        debounce,
        each_subject,
        event,
        in_order,
        metric_crosses,
        model_promoted,
        run_ends,
    )
    from penstock.authoring.triggers.schedules import Schedule, calendar, cron, every, once, recurring, together
    from penstock.authoring.triggers.sensors import RunRequest, Sensor, SensorResult, sensor
    from penstock.authoring.triggers.trigger import Trigger, trigger
    from penstock.authoring.triggers.watches import files, objects, rows
    from penstock.emitting import emit
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
    from penstock.model.outcome import Approval, CheckOutcome, Failure, Outcome
    from penstock.model.trigger import Cause
    from penstock.registering.backfills import backfill
    from penstock.registering.materializing import materialize
    from penstock.runtime.hooks.line import HookContext
    from penstock.runtime.planning.plan import Plan
    from penstock.runtime.replaying.outcome import Replay
    from penstock.runtime.run import Run, TaskRun
    from penstock.secrets.secret import Secret
    from penstock.starting import start
    from penstock.waiting import (
        wait_for_artifact,
        wait_for_asset,
        wait_for_duration,
        wait_for_file,
        wait_for_time,
        wait_for_url,
    )

__version__ = "0.1.0"

_HOMES = {
    "penstock.app": (
        "Pipeline",
        "find_run",
        "pipeline",
    ),
    "penstock.app.assets": (
        "Asset",
        "asset",
        "load_asset",
    ),
    "penstock.authoring.assets.automations": (
        "eager",
        "on_code_change",
        "on_schedule",
        "when_missing",
        "when_ready",
    ),
    "penstock.authoring.assets.partitions": (
        "all_partitions",
        "by_time",
        "daily",
        "dimensions",
        "dynamic",
        "hourly",
        "last",
        "monthly",
        "partitioned_by_cron",
        "same",
        "static",
        "weekly",
    ),
    "penstock.authoring.assets.external": ("external_asset",),
    "penstock.authoring.assets.settings": (
        "fresh_by",
        "upstream",
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
    "penstock.authoring.kinds.causes": (
        "interval_end",
        "interval_start",
        "logical_time",
        "partition",
    ),
    "penstock.authoring.triggers.events": (
        "absence_of",
        "all_of",
        "any_of",
        "artifact_made",
        "asset_updated",
        "count_of",
        "debounce",
        "each_subject",
        "event",
        "in_order",
        "metric_crosses",
        "model_promoted",
        "run_ends",
    ),
    "penstock.authoring.triggers.schedules": (
        "Schedule",
        "calendar",
        "cron",
        "every",
        "once",
        "recurring",
        "together",
    ),
    "penstock.authoring.triggers.sensors": (
        "RunRequest",
        "Sensor",
        "SensorResult",
        "sensor",
    ),
    "penstock.authoring.triggers.trigger": (
        "Trigger",
        "trigger",
    ),
    "penstock.authoring.triggers.watches": (
        "files",
        "objects",
        "rows",
    ),
    "penstock.model.trigger": ("Cause",),
    "penstock.emitting": ("emit",),
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
        "CheckOutcome",
        "Failure",
        "Outcome",
    ),
    "penstock.registering.backfills": ("backfill",),
    "penstock.registering.materializing": ("materialize",),
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
        "wait_for_asset",
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
    "Asset",
    "CancelledError",
    "Cause",
    "CheckOutcome",
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
    "RunRequest",
    "Schedule",
    "SchemaError",
    "Secret",
    "SecretError",
    "Sensor",
    "SensorResult",
    "Skip",
    "SkippedError",
    "StoreError",
    "TargetError",
    "Task",
    "TaskRun",
    "TaskTimeoutError",
    "Trigger",
    "UntrustedError",
    "WorkerLostError",
    "absence_of",
    "all_of",
    "all_partitions",
    "any_of",
    "approval",
    "artifact_made",
    "asset",
    "asset_updated",
    "backfill",
    "by_time",
    "calendar",
    "chain",
    "choose",
    "command",
    "container",
    "continue_if",
    "count_of",
    "cron",
    "cross",
    "current",
    "daily",
    "debounce",
    "dimensions",
    "done",
    "dynamic",
    "each_subject",
    "eager",
    "elif_",
    "emit",
    "event",
    "every",
    "exit_code",
    "external_asset",
    "failed",
    "file",
    "files",
    "find_run",
    "fresh_by",
    "group",
    "hourly",
    "in_order",
    "interval_end",
    "interval_start",
    "last",
    "load_asset",
    "logical_time",
    "materialize",
    "metric_crosses",
    "model_promoted",
    "monthly",
    "objects",
    "on_code_change",
    "on_exit",
    "on_schedule",
    "once",
    "otherwise",
    "outcome",
    "partition",
    "partitioned_by_cron",
    "pipeline",
    "recurring",
    "repeat",
    "rows",
    "run_ends",
    "same",
    "scope",
    "sensor",
    "skipped",
    "start",
    "static",
    "stdout",
    "succeeded",
    "switch",
    "task",
    "together",
    "trigger",
    "unmapped",
    "upstream",
    "value",
    "wait",
    "wait_for_artifact",
    "wait_for_asset",
    "wait_for_duration",
    "wait_for_file",
    "wait_for_time",
    "wait_for_url",
    "weekly",
    "when",
    "when_missing",
    "when_ready",
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
