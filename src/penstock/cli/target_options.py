"""The options of every command that takes a pipeline and does with it, or plans, what `run` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from penstock.cli.dialect_option import dialect_option

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.argument("target"),
    click.option(
        "-p", "--parameter", "assignments", multiple=True, metavar="NAME=VALUE", help="A parameter; repeatable."
    ),
    click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Parameters from a YAML, JSON or TOML file.",
    ),
)
#: how what is run is run
_HOW = (
    click.option(
        "--executor",
        default=None,
        metavar="NAME",
        help="Where tasks run: processes (the default), or inline, in this one.",
    ),
    click.option(
        "--workers",
        type=click.IntRange(1),
        default=None,
        metavar="COUNT",
        help="How many worker processes; default: one for every core.",
    ),
    click.option("--no-cache", is_flag=True, help="Run every task, whatever is recorded."),
    click.option(
        "--refresh",
        multiple=True,
        metavar="NODE",
        help="Run this one anew: a node, an item, a task, or a pattern with * and ?; repeatable.",
    ),
    click.option("--refresh-all", is_flag=True, help="Run every task anew; the same as --no-cache."),
    click.option("--only-cached", is_flag=True, help="Run nothing: a task without a recorded result fails."),
    click.option("--no-pickle", is_flag=True, help="Refuse values that only pickle can store."),
)
#: what the run is about
_ABOUT = (
    click.option(
        "--logical-time",
        default=None,
        metavar="TIME",
        help="The time that the run is about, as 2026-11-21 or 2026-11-21T02:00+01:00; default: now.",
    ),
    click.option(
        "--partition",
        "partitions",
        multiple=True,
        metavar="KEY",
        help="The partition that the run is about; repeatable.",
    ),
)
_FLAGS = ("no_cache", "refresh", "refresh_all", "only_cached", "no_pickle")


def target_options(command: Command) -> Command:
    """Give a command its TARGET, and the options of `run` that decide what a run does."""
    command = dialect_option(command)
    for option in reversed((*_OPTIONS, *_HOW, *_ABOUT)):
        command = option(command)
    return command


def run_options(command: Command) -> Command:
    """Give a command that knows what to run by itself the options of how to run it."""
    for option in reversed(_HOW):
        command = option(command)
    return command


def settings_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of these options, with flags as fields of `RunOptions`."""
    others = {name: value for name, value in given.items() if name not in _FLAGS}
    pickle = False if given["no_pickle"] else None
    return {**others, "pickle": pickle, **_of_the_cache(**{name: given[name] for name in _FLAGS[:-1]})}


def _of_the_cache(*, no_cache: bool, refresh: tuple[str, ...], refresh_all: bool, only_cached: bool) -> dict[str, Any]:
    """What the flags say about the cache, as fields of `RunOptions`; what contradicts them in the file gives way."""
    asked = [
        name for name, on in (("--no-cache", no_cache), ("--refresh", refresh), ("--refresh-all", refresh_all)) if on
    ]
    if only_cached and asked:
        raise click.UsageError(f"--only-cached runs nothing, and {' and '.join(asked)} asks for tasks to be run.")
    if only_cached:
        return {"only_cached": True, "cache": True, "refresh": ()}
    found: dict[str, Any] = {"only_cached": False} if asked else {}
    if no_cache:
        found["cache"] = False
    if refresh or refresh_all:
        found["refresh"] = ("*",) if refresh_all else refresh
    return found


__all__ = ["run_options", "settings_of", "target_options"]
