"""The options of a run, checked."""

from __future__ import annotations

from typing import Any

from penstock.authoring.source import caller
from penstock.errors import DefinitionError
from penstock.model.options import RunOptions

EXECUTORS = ("processes", "inline")


def checked_options(options: RunOptions) -> RunOptions:
    """The same options. Raises DefinitionError for an executor that does not exist or a number out of range."""
    if options.executor not in EXECUTORS:
        raise DefinitionError(
            f"there is no executor {options.executor!r}", where=str(caller()), remedy=f"Use {' or '.join(EXECUTORS)}."
        )
    workers = options.workers
    if workers is not None and (type(workers) is not int or workers < 1):
        raise DefinitionError(f"workers must be a whole number from 1 up, not {workers!r}", where=str(caller()))
    if options.only_cached and (options.refresh or not options.cache):
        raise DefinitionError(
            f"only_cached runs nothing, and {'refresh' if options.refresh else 'cache=False'} asks for tasks to be run",
            where=str(caller()),
            remedy="Leave out one of them.",
        )
    return options


def patterns(given: Any, option: str) -> tuple[str, ...]:
    """What an option names, as patterns."""
    if type(given) is bool:
        return ("*",) if given else ()
    found: tuple[Any, ...] = (given,) if isinstance(given, str) else tuple(given)
    if any(type(each) is not str or not each for each in found):
        raise DefinitionError(
            f"{option} must be the ids of nodes, or patterns for them, or true for all, not {given!r}",
            where=str(caller()),
        )
    return found


__all__ = ["EXECUTORS", "checked_options", "patterns"]
