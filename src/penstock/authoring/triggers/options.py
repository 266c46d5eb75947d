"""The options that all triggers share: how their runs stand to each other, and what the runs are given."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Literal, TypedDict, cast

from penstock.authoring.decorated import check_name
from penstock.authoring.kinds.conversion import nearest, shortened
from penstock.authoring.kinds.parameters import to_json
from penstock.authoring.options.reading import Refused, one_of_two, option, texts
from penstock.authoring.source import caller
from penstock.authoring.triggers.events import is_data
from penstock.errors import DefinitionError
from penstock.model.trigger import Limits


class TriggerOptions(TypedDict, total=False):
    """What may be said of a trigger besides its target and its source."""

    #: what it is called; by default, the variable that it is assigned to
    name: str | None
    #: parameters of the pipeline; texts are templates such as "{event.data.path}" or "{logical_time:%Y-%m-%d}"
    parameters: Mapping[str, Any]
    #: which ticks are made up for that nobody was there for; "latest" by default
    missed: Literal["all", "latest", "none"]
    #: how many of its runs may be under way at once; any number by default
    at_most: int | None
    #: what becomes of a further run then: it waits (the default), it is dropped, or the oldest one is cancelled
    overlap: Literal["queue", "skip", "cancel"]
    #: a run only starts if the one before it has succeeded
    after_success: bool
    #: a function that is asked before each run whether to start it; it may take the `Cause`
    condition: Callable[..., Any] | None
    #: of the runs that wait, the higher starts first; 0 by default
    priority: int
    #: texts that its runs get, for people to filter by
    tags: Iterable[str]
    #: whether it is switched on when it is registered for the first time
    enabled: bool
    description: str


#: of a sensor: it misses nothing, and what it makes of its cursor is its own
SENSOR_OPTIONS = tuple(name for name in TriggerOptions.__annotations__ if name != "missed")


def trigger_fields(options: Mapping[str, Any], known: Iterable[str] = TriggerOptions.__annotations__) -> dict[str, Any]:
    """The fields of the noun `Trigger` that options amount to. Raises DefinitionError, with the user's line, for options that
    do not exist or have values that they cannot have."""
    known = tuple(known)
    unknown = next((name for name in options if name not in known), None)
    if unknown is not None:
        raise DefinitionError(
            f"there is no option {unknown!r}{nearest(unknown, known)}",
            where=str(caller()),
            remedy=f"The options are: {', '.join(known)}.",
        )
    found = {name: option(name, read, options[name]) for name, read in _READERS.items() if name in options}
    limits = {name: found.pop(name) for name in _LIMITS if name in found}
    name = options.get("name")
    if name is not None and not isinstance(name, str):
        raise DefinitionError(f"name must be a text, not {shortened(repr(name))}", where=str(caller()))
    check_name(name)
    check_overlap(limits)
    condition = options.get("condition")
    return {**found, "name": name or "", "limits": Limits(**limits), "condition": function_name(condition)}


def check_overlap(limits: Mapping[str, Any]) -> None:
    """Raise DefinitionError where it is said what becomes of runs beyond a limit that there is not."""
    if limits.get("overlap", "queue") != "queue" and limits.get("at_most") is None:
        raise DefinitionError(
            f'overlap="{limits["overlap"]}" says what becomes of a run beyond the limit, and there is none',
            where=str(caller()),
            remedy="Add at_most=1.",
        )


def function_name(function: Any) -> str:
    """The name by which a function of the user's goes; empty for None. Raises DefinitionError for what is none."""
    if function is None:
        return ""
    if not callable(function) or not hasattr(function, "__name__") or isinstance(function, type):
        raise DefinitionError(
            f"condition must be a function that says whether to start, not {shortened(repr(function))}",
            where=str(caller()),
            remedy="Write a small function around it. Conditions over events are given in the place of the source.",
        )
    _check_arguments(function)
    return cast(Any, function).__name__


def _check_arguments(condition: Callable[..., Any]) -> None:
    """Raise DefinitionError for a condition that asks for more than the cause."""
    try:
        parameters = inspect.signature(condition).parameters.values()
    except (TypeError, ValueError):
        return
    required = [
        each
        for each in parameters
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    if len(required) > 1 or any(each.kind is each.KEYWORD_ONLY for each in required):
        name = cast(Any, condition).__name__
        raise DefinitionError(
            f"the condition {name}() is given the cause of the run, and asks for "
            f"{', '.join(each.name for each in required)}",
            where=str(caller()),
            remedy=f"Write def {name}(cause): or def {name}():",
        )


def _count(value: Any) -> int | None:
    if value is not None and (type(value) is not int or value < 1):
        raise Refused("a whole number from 1 up, or None")
    return value


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise Refused("a whole number")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Refused("a text")
    return value


def _one_of(allowed: tuple[str, ...], value: Any) -> Any:
    if value not in allowed:
        raise Refused(" or ".join(f'"{each}"' for each in allowed))
    return value


def data_of(value: Any) -> dict[str, Any]:
    """Parameters as data: what JSON cannot hold (dates, paths, records) as text or dicts, which the pipeline reads back.
    Raises Refused."""
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in cast("Mapping[Any, Any]", value)):
        raise Refused("a dict from names of parameters to values")
    found = {name: to_json(each) for name, each in cast("Mapping[str, Any]", value).items()}
    if not is_data(found):
        raise Refused("a dict from names of parameters to values that JSON can hold")
    return found


_LIMITS = ("missed", "at_most", "overlap", "after_success")
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "parameters": data_of,
    "missed": partial(_one_of, ("all", "latest", "none")),
    "at_most": _count,
    "overlap": partial(_one_of, ("queue", "skip", "cancel")),
    "after_success": one_of_two,
    "priority": _whole,
    "tags": texts,
    "enabled": one_of_two,
    "description": _text,
}
