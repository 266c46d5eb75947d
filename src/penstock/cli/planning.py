"""The command that tells what a run would do, and what `run --plan` asks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.reporting import WRONG, json_option, print_json, show, stdout_kept_clean
from penstock.cli.target_options import settings_of, target_options
from penstock.errors import CancelledError, DefinitionError

if TYPE_CHECKING:
    from penstock.cli.running import Asked


@click.command(
    epilog="""\b
Examples:
  penstock plan pipeline.py
  penstock plan pipeline.py:training -p depth=5 --json
  penstock plan pipeline.py --refresh train
  penstock resume latest --plan            the same of a run that is gone on with

\b
Exit codes:
  0  the plan is told
  2  the definition, the parameters or the usage are wrong, or there is something in it that no run can have (the plan
     is told all the same)"""
)
@target_options
@json_option
def plan(as_json: bool, **settings: Any) -> None:
    """Tell what a run of the pipeline in TARGET would do now, and why, without running anything.

    Which tasks are cached, which would run, and which are not yet known because of what comes before them. Takes the
    options of run, and writes nothing. What resuming or retrying a run would keep, `penstock resume RUN --plan` tells.
    """
    from penstock.cli.plan_view import plan_view
    from penstock.cli.running import asked_for
    from penstock.cli.views import error_view

    document = planned(asked_for(**settings_of(settings)))
    if as_json:
        print_json(document)
    else:
        show(plan_view(document))
    if refused := document.get("refused"):
        if not as_json:
            error = DefinitionError(refused["message"], where=refused["where"], remedy=refused["remedy"])
            show(error_view(error), sys.stderr)
        sys.exit(WRONG)


def planned(asked: Asked) -> dict[str, Any]:
    """The plan of what was asked for, as its document."""
    from penstock.app import plan
    from penstock.registering.composing import composing

    with stdout_kept_clean(), composing(asked.pipeline):
        return plan(asked.pipeline, asked.parameters, asked.options).document


def check_askable(*, yes: bool) -> None:
    """Raise UsageError where a question could not be answered, and none is wanted."""
    if not yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError("--plan asks before it starts, and there is no terminal here. Add --yes to go on.")


def agree(asked: Asked, *, yes: bool) -> None:
    """Show on stderr what a run would do, and ask whether to go on. Raises CancelledError for a no."""
    from penstock.cli.plan_view import plan_view

    document = planned(asked)
    show(plan_view(document), sys.stderr)
    if document.get("refused"):
        # the run says why, and ends so
        return
    if not yes and not click.confirm("Run it?", default=True, err=True):
        raise CancelledError("nothing has run")


__all__ = ["agree", "check_askable", "plan", "planned"]
