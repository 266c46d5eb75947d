"""The options of Prefect's tasks and flows, as those of penstock's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, cast

from penstock.authoring.options.policy import read_options
from penstock.authoring.source import caller
from penstock.dialects.prefect.caching import Cached
from penstock.dialects.prefect.hooks import task_hooks
from penstock.dialects.prefect.noting import ignored, note
from penstock.errors import DefinitionError
from penstock.model.graph import Ignored

TASK_OPTIONS = (
    "name", "description", "tags", "version", "cache_policy", "cache_key_fn", "cache_expiration", "task_run_name",
    "retries", "retry_delay_seconds", "retry_jitter_factor", "persist_result", "result_storage", "result_storage_key",
    "result_serializer", "cache_result_in_memory", "timeout_seconds", "log_prints", "refresh_cache", "on_completion",
    "on_failure", "on_running", "on_rollback", "on_commit", "retry_condition_fn", "viz_return_value", "asset_deps",
)  # fmt: skip
FLOW_OPTIONS = (
    "name", "version", "flow_run_name", "retries", "retry_delay_seconds", "task_runner", "description",
    "timeout_seconds", "validate_parameters", "persist_result", "result_storage", "result_serializer",
    "cache_result_in_memory", "log_prints", "on_completion", "on_failure", "on_cancellation", "on_crashed", "on_running",
)  # fmt: skip

_KEPT = "penstock keeps all results, in a store of its own"
#: options that have no effect, and why
_TASK_IGNORED = {
    "version": "penstock tells versions apart by the code itself",
    "result_storage": _KEPT,
    "result_storage_key": _KEPT,
    "result_serializer": _KEPT,
    "viz_return_value": "the graph is drawn without values",
    "asset_deps": "lineage goes by what tasks are given",
}
_FLOW_IGNORED = {
    "version": "penstock tells versions apart by the code itself",
    "flow_run_name": "runs are called by their ids",
    "result_storage": _KEPT,
    "result_serializer": _KEPT,
    "on_crashed": "a run whose process died is resumed, not ended",
}


def node_name(name: str) -> str:
    """A name as a part of a node's id."""
    return re.sub(r"[/\[\]]|[^ -~\w]", "-", name).strip() or "task"


def seconds(value: Any, option: str) -> float:
    """A length of time. Raises DefinitionError for what is none, by the name of its option."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    try:
        return float(value)
    except (TypeError, ValueError):
        raise DefinitionError(f"{option} must be a number of seconds, not {value!r}", where=str(caller())) from None


def whole(value: Any, option: str) -> int:
    """A number of attempts. Raises DefinitionError for what is none, by the name of its option."""
    if not isinstance(value, int):
        raise DefinitionError(f"{option} must be a whole number, not {value!r}", where=str(caller()))
    return value


def delays_of(value: Any, retries: int) -> list[float]:
    """The waits before further attempts."""
    if callable(value):
        value = value(retries)
    if value is None:
        return []
    listed = cast("list[Any]", value if isinstance(value, (list, tuple)) else [value])
    return [seconds(each, "retry_delay_seconds") for each in listed]


def exponential_backoff(backoff_factor: float) -> Callable[[int], list[float]]:
    """Waits that double: `backoff_factor` seconds, then twice that, and so on."""

    def delays(retries: int) -> list[float]:
        return [backoff_factor * max(0, 2**retry) for retry in range(retries)]

    return delays


def task_options(owner: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a task, as `read_options` gives them. Raises DefinitionError for values that cannot be."""
    found: dict[str, Any] = dict(Cached(given).given())
    retries = whole(given.get("retries") or 0, "retries")
    if retries:
        found["retries"] = retries
        delays = delays_of(given.get("retry_delay_seconds"), retries)
        if delays:
            found["retry_delay"] = delays
        if given.get("retry_jitter_factor"):
            found["retry_jitter"] = min(1.0, float(given["retry_jitter_factor"]))
        if given.get("retry_condition_fn") is not None:
            from penstock.dialects.prefect.hooks import RetryCondition

            found["retry_if"] = RetryCondition(owner, given["retry_condition_fn"])
    if given.get("timeout_seconds") is not None:
        found["timeout"] = seconds(given["timeout_seconds"], "timeout_seconds")
    if given.get("tags"):
        found["tags"] = sorted(given["tags"])
    found.update(task_hooks(owner, given))
    return read_options(found)


def task_ignored(name: str, given: Mapping[str, Any]) -> tuple[Ignored, ...]:
    """The options of a task that have no effect."""
    owner = f"the task {name!r}"
    found = ignored(owner, given, _TASK_IGNORED)
    remark = Cached(given).remark
    if remark:
        found += (note(f"{owner}: cache_policy", remark),)
    run_name = given.get("task_run_name")
    if callable(run_name) or "{" in (run_name or ""):
        why = "a node is called so where the arguments are known before anything runs"
        found += (note(f"{owner}: task_run_name={getattr(run_name, '__name__', run_name)!r}", why),)
    if (given.get("retry_jitter_factor") or 0) > 1:
        found += (note(f"{owner}: retry_jitter_factor={given['retry_jitter_factor']}", "waits vary by up to 1 times"),)
    return found


def flow_ignored(name: str, given: Mapping[str, Any]) -> tuple[Ignored, ...]:
    """The options of a flow that have no effect."""
    owner = f"the flow {name!r}"
    found = ignored(owner, given, _FLOW_IGNORED)
    runner = given.get("task_runner")
    why = getattr(runner, "without_effect", "")
    if why:
        found += (note(f"{owner}: task_runner={runner!r}", why),)
    if given.get("validate_parameters") is False:
        found += (note(f"{owner}: validate_parameters=False", "parameters are held to their annotations"),)
    return found


__all__ = [
    "FLOW_OPTIONS",
    "TASK_OPTIONS",
    "delays_of",
    "exponential_backoff",
    "flow_ignored",
    "node_name",
    "seconds",
    "task_ignored",
    "task_options",
    "whole",
]
