"""The options of a pipeline: read, checked, and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypedDict, cast

import msgspec

from penstock.authoring.kinds.conversion import nearest, shortened
from penstock.authoring.options.hooks import PIPELINE_EVENTS, Hook, Hooks, hooks_of
from penstock.authoring.options.policy import Seconds, TaskOptions, policy_of, read_options
from penstock.authoring.source import caller
from penstock.errors import DefinitionError
from penstock.model.policy import RunPolicy


class PipelineOptions(TypedDict, total=False):
    """How a pipeline is to be run. Times are seconds or timedeltas.

    Hooks are functions, or lists of them, that get a context and cannot break the run.
    """

    #: go on with what does not depend on a failed task (the default), or stop with the first failure
    failure: Literal["continue", "stop"]
    #: of a whole run
    timeout: Seconds | None
    #: how many runs of it may be under way at once in the store
    concurrency: int | None
    #: how long after its start a run should have ended; missing it only tells hooks
    deadline: Seconds | None
    #: options of all tasks, where they have none of their own
    defaults: TaskOptions
    #: a task that runs at the end, however the run went; it may take the `Outcome`
    on_exit: Callable[..., Any] | None
    on_start: Hook
    on_success: Hook
    on_failure: Hook
    on_cancel: Hook
    on_deadline: Hook


class Settings(msgspec.Struct, frozen=True):
    """What the options of a pipeline amount to."""

    policy: RunPolicy = RunPolicy()
    #: seconds
    deadline: float | None = None
    #: options of tasks, as `read_options` gives them
    defaults: Mapping[str, Any] = {}
    on_exit: Any = None
    hooks: Hooks = Hooks()


#: options that are read as those of a task are
_SHARED = ("timeout", "concurrency", "deadline")


def settings_of(options: Mapping[str, Any]) -> Settings:
    """The settings that options amount to. Raises DefinitionError, with the user's line, for options that do not exist
    or have values that they cannot have."""
    known = PipelineOptions.__annotations__
    unknown = next((name for name in options if name not in known), None)
    if unknown is not None:
        raise DefinitionError(
            f"there is no option {unknown!r}{nearest(unknown, known)}",
            where=str(caller()),
            remedy=f"The options of a pipeline are: name, {', '.join(known)}.",
        )
    shared = read_options({name: options[name] for name in _SHARED if name in options})
    failure = options.get("failure", "continue")
    if failure not in ("continue", "stop"):
        raise _refused("failure", '"continue" or "stop"', failure)
    on_exit = options.get("on_exit")
    if on_exit is not None and not callable(on_exit):
        raise _refused("on_exit", "a task", on_exit)
    return Settings(
        RunPolicy(failure, shared.get("timeout"), shared.get("concurrency")),
        shared.get("deadline"),
        _defaults(options.get("defaults", {})),
        on_exit,
        Hooks(**hooks_of(options, PIPELINE_EVENTS)),
    )


def _defaults(given: Any) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise _refused("defaults", "a dict of options of tasks", given)
    defaults = read_options(cast("Mapping[str, Any]", given))
    policy_of(defaults)
    return defaults


def _refused(name: str, wanted: str, value: Any) -> DefinitionError:
    return DefinitionError(f"{name} must be {wanted}, not {shortened(repr(value))}", where=str(caller()))
