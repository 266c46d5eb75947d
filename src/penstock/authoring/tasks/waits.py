"""Waits: tasks that are asked again and again until they return something true.

A wait holds no worker: between two times that it asks, nothing of it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Literal, ParamSpec, TypedDict, TypeVar, Unpack, cast, overload

from penstock.authoring.building import required_building
from penstock.authoring.decorated import check_function, check_name
from penstock.authoring.kinds.conversion import nearest, shortened
from penstock.authoring.options.policy import Refused, Seconds, read_options, seconds
from penstock.authoring.source import caller
from penstock.authoring.task import Task
from penstock.errors import DefinitionError
from penstock.model.graph import Wait

P = ParamSpec("P")
R = TypeVar("R")


class WaitOptions(TypedDict, total=False):
    """How it is asked again and again. Times are seconds or timedeltas."""

    #: between two times; 5 seconds by default
    poll: Seconds
    #: by how much each further time between is longer; 1 by default
    backoff: float
    #: no time between is longer; 300 seconds by default
    longest: Seconds
    #: in all; as long as it takes by default
    timeout: Seconds | None
    #: how the node ends when that is over
    on_timeout: Literal["fail", "skip"]


class WaitingOptions(WaitOptions, total=False):
    """The options of a built-in wait: how it asks, and when its node may begin."""

    after: Any
    join: Any


@overload
def wait(function: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
@overload
def wait(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def wait(*, name: str | None = None, **options: Unpack[WaitOptions]) -> Callable[[Callable[P, R]], Task[P, R]]: ...


def wait(function: Any = None, /, *, name: str | None = None, **options: Any) -> Any:
    """Make a function a task that is asked again and again until it returns something true, which is its result.

    The options are those of `WaitOptions`. The function may raise `Retry(after=...)` to say when to ask again, `Skip`
    and `Fail`; any other exception fails the node, as in every task. It is never taken from the cache. Raises
    DefinitionError for something that is not a plain function, and for options that do not exist or are out of range.
    """
    how = _how(options)

    def decorate(function: Callable[..., Any]) -> Task[..., Any]:
        check_function(function, "wait")
        check_name(name)
        return Task(function, name or function.__name__, read_options({"cache": False}), wait=how)

    return decorate if function is None else decorate(cast(Callable[..., Any], function))


def _how(options: Any) -> Wait:
    fields = {"poll": "poll", "backoff": "factor", "longest": "longest", "timeout": "timeout"}
    values: dict[str, Any] = {}
    for name, value in options.items():
        if name == "on_timeout":
            if value not in ("fail", "skip"):
                raise DefinitionError(f'on_timeout must be "fail" or "skip", not {value!r}', where=str(caller()))
            values[name] = value
        elif name not in fields:
            raise DefinitionError(
                f"there is no option {name!r} of a wait{nearest(name, [*fields, 'on_timeout'])}", where=str(caller())
            )
        else:
            values[fields[name]] = amount(name, value)
    if "longest" not in values:
        # what is asked less often than by default is meant so
        values["longest"] = max(Wait().longest, values.get("poll", 0.0))
    found = Wait(**values)
    if found.longest < found.poll:
        raise DefinitionError(
            f"longest ({found.longest:g} s) is less than poll ({found.poll:g} s)", where=str(caller())
        )
    return found


def amount(name: str, value: Any) -> float | None:
    """The value of an option of a wait. Raises DefinitionError for what is out of range."""
    if name == "timeout" and value is None:
        return None
    least = 1.0 if name == "backoff" else 0.001
    try:
        found = seconds(value)
        if found < least:
            raise Refused("a number from 1 up" if name == "backoff" else "a number of seconds above 0")
    except Refused as refusal:
        raise DefinitionError(f"{name} must be {refusal}, not {shortened(repr(value))}", where=str(caller())) from None
    return found


def built_in(function: Callable[..., Any], kind: str, name: str | None, options: Any) -> Task[..., Any]:
    """A built-in wait with the options that were given."""
    required_building(kind, "; in plain code, wait in a loop")
    node: Any = {key: value for key, value in options.items() if key in ("after", "join")}
    how = {key: value for key, value in options.items() if key not in node}
    return Task(function, kind, UNCACHED, wait=_how(how)).options(name=name, **node)


#: the options of what is to be asked every time
UNCACHED = {"cache": False}
