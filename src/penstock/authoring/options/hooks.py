"""Functions of the user's that are told when something happens to a task or a pipeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec

from penstock.authoring.kinds.conversion import shortened
from penstock.authoring.options.caching import CacheKey
from penstock.authoring.source import caller
from penstock.errors import DefinitionError

#: a function that takes a context or nothing, or several
Hook = Callable[..., Any] | Sequence[Callable[..., Any]] | None

#: what can happen to a task; the options are called `on_<event>`
EVENTS = ("start", "success", "failure", "retry", "skip", "cancel", "deadline")
#: what can happen to a pipeline
PIPELINE_EVENTS = ("start", "success", "failure", "cancel", "deadline")

_Functions = tuple[Callable[..., Any], ...]


class Hooks(msgspec.Struct, frozen=True):
    """The hooks of a node, or of a pipeline, by what happens."""

    start: _Functions = ()
    success: _Functions = ()
    failure: _Functions = ()
    retry: _Functions = ()
    skip: _Functions = ()
    cancel: _Functions = ()
    deadline: _Functions = ()


class Attached(msgspec.Struct, frozen=True):
    """What belongs to a node and is no data: functions of the user's."""

    hooks: Hooks = Hooks()
    #: asked with the exception whether to repeat an attempt, or after which wait
    retry_if: Callable[[BaseException], Any] | None = None
    #: makes of the inputs what counts in their place
    cache_key: CacheKey | None = None


def hooks_of(options: Mapping[str, Any], events: Sequence[str] = EVENTS) -> dict[str, _Functions]:
    """The hooks among options, by event. Raises DefinitionError for what cannot be called."""
    found: dict[str, _Functions] = {}
    for event in events:
        option = f"on_{event}"
        if option not in options:
            continue
        given = options[option]
        functions = tuple(cast(Sequence[Any], given)) if isinstance(given, (list, tuple)) else (given,)
        functions = () if given is None else functions
        for function in functions:
            if not callable(function):
                raise DefinitionError(
                    f"{option} must be a function or a list of functions, not {shortened(repr(function))}",
                    where=str(caller()),
                )
        found[event] = functions
    return found


def attached(options: Mapping[str, Any], key: CacheKey | None = None) -> Attached:
    """The functions among the options of a task (as `read_options` gives them), and its cache key."""
    return Attached(Hooks(**hooks_of(options)), options.get("retry_if"), key)
