"""The options that say when a recorded result may be used, and what makes it another one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from penstock.authoring.kinds.conversion import nearest
from penstock.authoring.options.reading import Refused, duration, texts
from penstock.authoring.source import caller, location_of
from penstock.errors import DefinitionError

if TYPE_CHECKING:
    from penstock.authoring.task import Task

#: options that only mean something for a task that is cached
_OF_CACHED = ("cache", "cache_for", "cache_key", "cache_ignore", "version", "reads", "refresh")


class CacheKey(NamedTuple):
    """A function of the author's, with the inputs of a task that it takes."""

    function: Callable[..., Any]
    #: the inputs that it names; None where it takes all
    names: tuple[str, ...] | None
    #: of inputs, the values that they have where a call gives none
    defaults: Mapping[str, Any]

    def wanted(self, given: Mapping[str, Any]) -> list[str]:
        """Those of the inputs that are given which it takes."""
        return [name for name in given if self.names is None or name in self.names]

    def __call__(self, inputs: Mapping[str, Any]) -> Any:
        """What it makes of the values of the inputs. Raises what it raises, and TypeError for no answer at all: one
        result would be used for all inputs."""
        names = self.defaults if self.names is None else self.names
        defaults = {name: self.defaults[name] for name in names if name in self.defaults}
        found = self.function(**{**defaults, **inputs})
        if found is None:
            raise TypeError(
                f"the cache_key at {location_of(self.function)} returned None; it has to return what counts"
            )
        return found


def lifetime(value: Any) -> float | None:
    """Seconds, from a length of time or from text such as "12h" or "1d 12h"."""
    return None if value is None else duration(value)


def version(value: Any) -> str:
    if value is not None and type(value) is not str:
        raise Refused("a text")
    return value or ""


def names(value: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts([value] if isinstance(value, str) else value)))


def function(value: Any) -> Any:
    if value is not None and not callable(value):
        raise Refused("a function that takes inputs of the task by their names")
    return value


def files(value: Any) -> tuple[str, ...]:
    """Where files and folders are, absolute. One that is not there yet will be in the working folder, where tasks that
    write it are."""
    from pathlib import Path, PurePath

    from penstock.authoring.files import named_file

    listed = cast("Sequence[Any]", value) if isinstance(value, (list, tuple, set, frozenset)) else (value,)
    if any(not isinstance(each, (str, PurePath)) or not str(each) for each in listed):
        raise Refused("the path of a file or a folder, or a list of them")
    named = [Path(each).expanduser() for each in listed]
    return tuple(dict.fromkeys(str(named_file(str(each)) or each.absolute()) for each in named))


def check(options: Mapping[str, Any]) -> None:
    """Raise DefinitionError for options that contradict each other."""
    if options.get("cache_key") is not None and options.get("cache_ignore"):
        raise DefinitionError(
            "cache_key says which inputs count, and cache_ignore which do not",
            where=str(caller()),
            remedy="Leave out cache_ignore, and do not let the function take those inputs.",
        )
    never = "effects=True" if options.get("effects") else "cache=False" if options.get("cache") is False else ""
    asks = next((name for name in _OF_CACHED if options.get(name)), None)
    if never and asks is not None:
        raise DefinitionError(
            f"{never} keeps a task out of the cache, and {asks} says how it is to be cached",
            where=str(caller()),
            remedy="Leave out one of them.",
        )


def check_inputs(task: Task[..., Any]) -> None:
    """Raise DefinitionError where the options that a task was given name inputs that it does not have."""
    given = task.given
    if "cache_key" in given:
        cache_key(task, given["cache_key"])
    for name in given.get("cache_ignore", ()):
        if name not in task.shape.parameters:
            raise _no_input(task, name, "cache_ignore names")


def cache_key(task: Task[..., Any], function: Callable[..., Any] | None) -> CacheKey | None:
    """The key function of a task. Raises DefinitionError for one that takes what is no input of the task."""
    if function is None:
        return None
    import inspect

    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise DefinitionError(
            f"the cache_key of {task.name} does not tell which inputs it takes",
            where=str(caller()),
            remedy="Write a function whose parameters are called as the inputs are.",
        ) from None
    every = False
    for parameter in parameters:
        if parameter.kind is parameter.VAR_KEYWORD:
            every = True
        elif parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
            raise DefinitionError(
                f"the cache_key of {task.name} takes {parameter.name} by its position, and is given inputs by their names",
                where=str(caller()),
            )
        elif parameter.name not in task.shape.parameters:
            raise _no_input(task, parameter.name, "the cache_key takes")
    named = tuple(parameter.name for parameter in parameters)
    return CacheKey(function, None if every else named, _defaults(task))


def _defaults(task: Task[..., Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, parameter in task.shape.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            found[name] = {}
        elif parameter.kind is parameter.VAR_POSITIONAL:
            found[name] = ()
        elif parameter.default is not parameter.empty:
            found[name] = parameter.default
    return found


def _no_input(task: Task[..., Any], name: str, which: str) -> DefinitionError:
    inputs = list(task.shape.parameters)
    return DefinitionError(
        f"{which} {name!r}, which is no input of {task.name}{nearest(name, inputs)}",
        where=str(caller()),
        remedy=f"The inputs of {task.name} are: {', '.join(inputs) or 'none'}.",
    )
