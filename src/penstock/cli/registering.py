"""The command that makes pipelines, assets and triggers known by name."""

from __future__ import annotations

import getpass
import sys
import time
from typing import Any

import click

from penstock.cli.dialect_option import dialect_option
from penstock.cli.reporting import SUCCEEDED, WRONG, json_option, print_json, show, stdout_kept_clean


def _duration(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """A length of time, in seconds."""
    from penstock.authoring.options.reading import Refused, duration

    try:
        return None if value is None else duration(value)
    except Refused as refused:
        raise click.BadParameter(f"{value!r} is not {refused}", context, parameter) from None


@click.command(
    epilog="""\b
Examples:
  penstock register pipelines/                   all files below a folder
  penstock register etl.py training.py:nightly   a file, and one thing in another
  penstock register package.pipelines            a module, or a package with all its modules
  penstock register                              what register = [...] in [tool.penstock] names
  penstock register pipelines/ --dry-run         what would change

\b
Exit codes:
  0    all of it is registered
  2    something is wrong with some of it; the rest is registered (with --strict, nothing is)"""
)
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@click.option("--strict", is_flag=True, help="Register nothing if anything is wrong.")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@click.option("--move", is_flag=True, help="Take over names that are registered from another place.")
@click.option(
    "--timeout", callback=_duration, metavar="DURATION", help="How long a file may take to load; by default 5 minutes."
)
@click.option("--full", is_flag=True, help="Show long diffs in full, and what has not changed.")
@dialect_option
@json_option
def register(targets: tuple[str, ...], as_json: bool, full: bool, timeout: float | None, **given: bool) -> None:
    """Make the pipelines, assets and triggers of TARGETs known by name, and say what has changed.

    TARGET is a file, a folder with all that is below it, or a module; file.py:name for one thing in it. What a file no longer
    has is retired. A registered pipeline runs by its name: penstock run NAME; triggers fire while penstock up runs.
    """
    from msgspec import to_builtins

    from penstock.app import Services
    from penstock.cli.registration_view import registration_view, show_faults
    from penstock.registering.isolation import TIMEOUT
    from penstock.registering.registration import register, targets_of

    services = Services()
    with stdout_kept_clean():
        outcome = register(
            services,
            targets_of(services, targets),
            strict=given["strict"],
            dry_run=given["dry_run"],
            move=given["move"],
            timeout=TIMEOUT if timeout is None else timeout,
            by=_user(),
            now=time.time(),
        )
    document: dict[str, Any] = to_builtins(outcome)
    if as_json:
        print_json(document)
    else:
        show(registration_view(document, dry_run=given["dry_run"], full=full))
        show_faults(document)
    sys.exit(WRONG if outcome.faults else SUCCEEDED)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # somebody without a name, as in some containers
        return ""


__all__ = ["register"]
