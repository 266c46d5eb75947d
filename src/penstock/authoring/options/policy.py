"""The options of a task: read, checked, and made into the policy of its nodes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict, cast

from penstock.authoring.kinds.conversion import nearest, shortened
from penstock.authoring.options import caching
from penstock.authoring.options.hooks import EVENTS, Hook, hooks_of
from penstock.authoring.options.reading import Refused, one_of_two, seconds, texts
from penstock.authoring.source import caller
from penstock.errors import DefinitionError
from penstock.model.policy import Caching, Policy, Resources, Retries, Timeouts
from penstock.secrets import Secret

if TYPE_CHECKING:
    from pathlib import Path

    import msgspec

#: a length of time: seconds, or a timedelta
Seconds = float | timedelta
#: an exception class, or several
Exceptions = type[BaseException] | Sequence[type[BaseException]]


class TaskOptions(TypedDict, total=False):
    """How a task is to be run. Times are seconds or timedeltas; sizes are bytes or text such as `"2GB"`, `"512 MiB"`.

    Hooks are functions, or lists of them, that get a context and cannot break the run.
    """

    #: how many times an attempt that failed is repeated; 0 by default
    retries: int
    #: the wait before a repeated attempt, or a list of waits for the first, the second, ...
    retry_delay: Seconds | Sequence[Seconds]
    #: by how much each further wait is longer than the one before; 1 by default
    backoff: float
    #: no wait is longer
    retry_cap: Seconds | None
    #: by how much of itself a wait may vary by chance, from 0 to 1
    retry_jitter: float
    #: repeat only after these exceptions (and their subclasses)
    retry_on: Exceptions
    #: never repeat after these exceptions (and their subclasses)
    never_retry_on: Exceptions
    #: asked with the exception whether to repeat the attempt; a timedelta is a yes, and the wait before it
    retry_if: Callable[[BaseException], bool | timedelta] | None
    #: how many attempts that the infrastructure lost are repeated besides; 3 by default
    lost_retries: int
    #: of one attempt
    timeout: Seconds | None
    #: of all attempts together, with the waits between them
    total_timeout: Seconds | None
    #: from when an attempt could start to when it does
    queue_timeout: Seconds | None
    #: whether a recorded result may be used in place of running; true by default
    cache: bool
    #: for how long after it was made a result may be used: seconds, a timedelta, or text such as "12h", "7d"
    cache_for: Seconds | str | None
    #: a text that counts as a part of the code: another version is another task
    version: str | None
    #: a function of some of the inputs, by their names; what it returns counts in the place of all inputs. It is called
    #: in the process of the run
    cache_key: Callable[..., Any] | None
    #: inputs that do not count
    cache_ignore: Iterable[str]
    #: files and folders that the task reads besides its inputs: their content counts. A relative path starts from the
    #: folder of the file that names it, or else from the working folder
    reads: str | Path | Iterable[str | Path]
    #: it does something besides returning a result: it is never taken from the cache, nor recorded there
    effects: bool
    #: run, though there is a result, and record the new one
    refresh: bool
    #: texts for people to filter by
    tags: Iterable[str]
    #: cores; 1 by default
    cpu: float
    #: most memory of an attempt; no limit by default
    memory: int | str
    #: up to how much memory an attempt that ran out of it is repeated with, doubled each time
    memory_cap: int | str
    #: devices
    gpu: int
    #: parts of pools that runs share: names, or names with amounts
    pools: Iterable[str] | Mapping[str, int]
    #: refuse what is more than the whole machine, rather than run it alone
    strict: bool
    #: how many attempts may run at once, in all runs of the store
    concurrency: int | None
    #: of what could start, the higher starts first; 0 by default
    priority: int
    #: how long after the start of the run the task should have ended; missing it only tells hooks
    deadline: Seconds | None
    #: run in a thread beside others, for what mostly waits for input and output
    threads: bool
    #: a Python environment of its own: requirements, the name of a requirements, lock or pyproject file, an Environment
    environment: Any
    #: secrets that it finds in environment variables: names of variables, or variables with references to the secrets
    secrets: Iterable[str | Secret] | Mapping[str, str | Secret]
    #: its results may contain secrets that it has read, which fails it otherwise
    allow_secrets: bool
    #: a task with the same inputs, or a value, that takes the place of one that has failed for good
    fallback: Any
    on_start: Hook
    on_success: Hook
    on_failure: Hook
    on_retry: Hook
    on_skip: Hook
    on_cancel: Hook
    on_deadline: Hook


def _count(value: Any, least: int = 0) -> int:
    if type(value) is not int or value < least:
        raise Refused(f"a whole number from {least} up")
    return value


def _optional_count(value: Any) -> int | None:
    return None if value is None else _count(value, 1)


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise Refused("a whole number")
    return value


def _number(value: Any, least: float, most: float = math.inf) -> float:
    if type(value) not in (int, float) or not least <= value <= most or math.isinf(value):
        raise Refused(f"a number from {least:g} up" if math.isinf(most) else f"a number from {least:g} to {most:g}")
    return float(value)


def _optional_seconds(value: Any) -> float | None:
    if value is None:
        return None
    found = seconds(value)
    if found == 0:
        raise Refused("a number of seconds above 0, or a timedelta")
    return found


def _delays(value: Any) -> tuple[float, ...]:
    if not isinstance(value, (list, tuple)):
        return (seconds(value),)
    found = tuple(seconds(each) for each in cast(Sequence[Any], value))
    if not found:
        raise Refused("a number of seconds, or a list of them")
    return found


_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
_BINARY = {f"{unit}i": 1024**power for power, unit in enumerate("kmgt", 1)}
_SIZE = r"(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?"


def size(value: Any) -> int:
    """A size in bytes, from a number of them or from text with a unit: "2GB", "512 MiB", "1.5g". Raises Refused."""
    if type(value) is int and value > 0:
        return value
    found = re.fullmatch(_SIZE, value.strip(), re.IGNORECASE) if isinstance(value, str) else None
    factor = (_UNITS | _BINARY).get(found[2].lower()) if found is not None else None
    if found is None or factor is None or float(found[1]) == 0:
        raise Refused('a size: bytes above 0, or text such as "2GB" or "512 MiB"')
    return int(float(found[1]) * factor)


def _optional_size(value: Any) -> int:
    return 0 if value is None else size(value)


def _exceptions(value: Any) -> tuple[str, ...]:
    """The classes by `module.qualname`."""
    classes = cast(Sequence[Any], value) if isinstance(value, (list, tuple)) else (value,)
    if any(not isinstance(each, type) or not issubclass(each, BaseException) for each in classes):
        raise Refused("an exception class, or a tuple of them")
    return tuple(f"{each.__module__}.{each.__qualname__}" for each in classes)


def _predicate(value: Any) -> Any:
    if value is not None and not callable(value):
        raise Refused("a function that takes the exception")
    return value


def _as_is(value: Any) -> Any:
    return value


def _pools(value: Any) -> dict[str, int]:
    if isinstance(value, Mapping):
        pools = dict(cast(Mapping[Any, Any], value))
        if any(type(name) is not str or type(amount) is not int or amount < 1 for name, amount in pools.items()):
            raise Refused("names of pools, each with a whole number from 1 up")
        return pools
    return dict.fromkeys(texts(value), 1)


def _secrets(value: Any) -> dict[str, str]:
    if isinstance(value, Mapping):
        given = dict(cast(Mapping[Any, Any], value))
    else:
        listed = cast("Iterable[Any]", [value] if isinstance(value, str) or not isinstance(value, Iterable) else value)
        given = {_variable(each): each for each in listed}
    if any(type(name) is not str or not name.isidentifier() for name in given):
        raise Refused("names of environment variables, or a dict from them to references")
    return {
        name: each.reference if isinstance(each, Secret) else Secret(each).reference for name, each in given.items()
    }


def _variable(secret: Any) -> str:
    """The variable for a secret that is one already."""
    scheme, _, name = (secret if isinstance(secret, Secret) else Secret(secret)).reference.partition(":")
    if scheme != "env":
        raise Refused('a dict where a secret is no variable yet: {"NAME": "file:PATH"}')
    return name


def _environment(value: Any) -> Any:
    from penstock.authoring.options.environments import environment_of

    return None if value is None else environment_of(value)


#: option -> the part of the policy and the field that it sets, and how it is read
_FIELDS: dict[str, tuple[type[msgspec.Struct], str, Callable[[Any], Any]]] = {
    "retries": (Retries, "count", _count),
    "retry_delay": (Retries, "delays", _delays),
    "backoff": (Retries, "factor", partial(_number, least=1.0)),
    "retry_cap": (Retries, "cap", _optional_seconds),
    "retry_jitter": (Retries, "jitter", partial(_number, least=0.0, most=1.0)),
    "retry_on": (Retries, "on", _exceptions),
    "never_retry_on": (Retries, "never", _exceptions),
    "lost_retries": (Retries, "lost", _count),
    "timeout": (Timeouts, "attempt", _optional_seconds),
    "total_timeout": (Timeouts, "total", _optional_seconds),
    "queue_timeout": (Timeouts, "queue", _optional_seconds),
    "cpu": (Resources, "cpu", partial(_number, least=0.0)),
    "memory": (Resources, "memory", _optional_size),
    "memory_cap": (Resources, "memory_cap", _optional_size),
    "gpu": (Resources, "gpu", _count),
    "pools": (Resources, "pools", _pools),
    "strict": (Resources, "strict", one_of_two),
    "cache": (Policy, "cache", one_of_two),
    "cache_for": (Caching, "lifetime", caching.lifetime),
    "version": (Caching, "version", caching.version),
    "cache_ignore": (Caching, "ignored", caching.names),
    "reads": (Caching, "reads", caching.files),
    "effects": (Caching, "effects", one_of_two),
    "refresh": (Caching, "refresh", one_of_two),
    "concurrency": (Policy, "concurrency", _optional_count),
    "priority": (Policy, "priority", _whole),
    "deadline": (Policy, "deadline", _optional_seconds),
    "tags": (Policy, "tags", texts),
    "secrets": (Policy, "secrets", _secrets),
    "allow_secrets": (Policy, "allow_secrets", one_of_two),
}
_READERS: dict[str, Callable[[Any], Any]] = {name: read for name, (_, _, read) in _FIELDS.items()} | {
    "cache_key": caching.function,
    "retry_if": _predicate,
    "threads": one_of_two,
    "environment": _environment,
    "fallback": _as_is,
    **{f"on_{event}": _as_is for event in EVENTS},
}


def read_options(options: Mapping[str, Any], others: Iterable[str] = ()) -> dict[str, Any]:
    """Options as they are kept: checked one by one, times in seconds, sizes in bytes. `others` are names of options that
    could have been meant as well.

    Raises DefinitionError, with the user's line, for one that does not exist or has a value that it cannot have.
    """
    found: dict[str, Any] = {}
    for name, value in options.items():
        reader = _READERS.get(name)
        if reader is None:
            known = [*_READERS, *others]
            near = nearest(name, known)
            raise DefinitionError(
                f"there is no option {name!r}{near}",
                where=str(caller()),
                remedy=None if near else f"The options of a task are: {', '.join(known)}.",
            )
        try:
            found[name] = reader(value)
        except Refused as refusal:
            raise DefinitionError(
                f"{name} must be {refusal}, not {shortened(repr(value))}", where=str(caller())
            ) from None
    for event, hook in hooks_of(options).items():
        found[f"on_{event}"] = hook
    caching.check(found)
    return found


def policy_of(options: Mapping[str, Any], *, asynchronous: bool = False) -> Policy:
    """The policy that options (as `read_options` gives them) amount to. Raises DefinitionError where they contradict
    each other."""
    parts: dict[type[msgspec.Struct], dict[str, Any]] = {
        Retries: {},
        Timeouts: {},
        Resources: {},
        Caching: {},
        Policy: {},
    }
    for name, value in options.items():
        if name in _FIELDS:
            part, field, _ = _FIELDS[name]
            parts[part][field] = value
    resources = Resources(**parts[Resources])
    if resources.memory_cap and resources.memory_cap < (resources.memory or math.inf):
        raise DefinitionError(
            "memory_cap is less than memory" if resources.memory else "memory_cap is given without memory",
            where=str(caller()),
            remedy='Give both: memory="2GB", memory_cap="16GB". An attempt that runs out of memory is repeated with '
            "twice as much, up to the cap.",
        )
    if options.get("cache_key") is not None:
        parts[Caching]["keyed"] = True
    if options.get("effects"):
        parts[Policy]["cache"] = False
    run_in = "loop" if asynchronous else "thread" if options.get("threads") else "process"
    if options.get("secrets") and run_in != "process":
        raise DefinitionError(
            "secrets= sets environment variables, which a task that runs beside others in one process does not have for "
            "itself",
            where=str(caller()),
            remedy='Let it take a parameter, `password: Secret = Secret("env:NAME")`, and call password.reveal().',
        )
    return Policy(
        **parts[Policy],
        caching=Caching(**parts[Caching]),
        retries=Retries(**parts[Retries]),
        timeouts=Timeouts(**parts[Timeouts]),
        resources=resources,
        run_in=run_in,
    )
