"""`python -m penstock.testing.faults`: a command of penstock, with something going wrong in it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from penstock.errors import PenstockError
from penstock.testing.faults.injection import Fault, fault, struck
from penstock.testing.faults.points import PLACES
from penstock.testing.faults.processes import forked, penstock


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--list", "listing", is_flag=True, help="Print the names of all points.")
@click.option("--at", "places", multiple=True, metavar="POINT[:N|:*]", help="Where; the N-th time, or every time.")
@click.option(
    "--do",
    "action",
    default="kill",
    show_default=True,
    metavar="ACTION",
    help="kill, stop, delay=SECONDS, count, or an error: ENOSPC.",
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def main(listing: bool, places: tuple[str, ...], action: str, command: tuple[str, ...]) -> None:
    """Carry out a COMMAND of penstock (`-- run pipeline.py`) with a fault at a point. The exit code is that of the command, or 128
    and the number of the signal that has ended it."""
    if listing:
        for place in PLACES:
            click.echo(f"{place.name:<22}{place.process:<8}{place.about}")
        click.echo("\nEach has two points: NAME:before and NAME:after.")
        return
    try:
        faults = [fault(each, action) for each in places]
    except PenstockError as error:
        raise click.UsageError(str(error)) from None
    sys.exit(_carried_out(faults, command))


def _carried_out(faults: Sequence[Fault], command: Sequence[str]) -> int:
    """Carry out a command in a child process. Returns its exit code."""
    counts = Path(tempfile.mkdtemp(prefix="penstock-faults-"))
    try:
        pid = forked(lambda: penstock(command, faults, counts))
        # Ctrl-C is for the command, which has the same terminal
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            _, status = os.waitpid(pid, 0)
        finally:
            signal.signal(signal.SIGINT, before)
        for each in struck(counts):
            click.echo(f"fault: {each}", err=True)
    finally:
        shutil.rmtree(counts, ignore_errors=True)
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    main(prog_name="python -m penstock.testing.faults")
