"""Runs that are begun anew from the command line: what is kept is told first."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.named_runs import run_named
from penstock.cli.reporting import SUCCEEDED, json_option, print_json, show, stdout_kept_clean
from penstock.model.generation import Choice
from penstock.model.run import RunRecord

if TYPE_CHECKING:
    from penstock.app import Pipeline
    from penstock.model.options import RunOptions


def renew_run(
    run: RunRecord,
    choice: Choice,
    *,
    target: str | None = None,
    plan: bool = False,
    as_json: bool = False,
    take_over: bool = False,
    **flags: Any,
) -> int:
    """Begin a run anew, and print what it keeps, then how it went. Returns the exit code. With `plan`, nothing runs; with
    `take_over`, it is taken from whoever drives it."""
    from penstock.app import Services, renew
    from penstock.cli.running import begun, loaded, say, told
    from penstock.runtime.generations.choosing import check_over

    with Services().existing_store() as store:
        check_over(store, run, choice, say, take_over=take_over)
    found, pipeline, options = loaded(run, target, **flags)
    document = _planned(pipeline, options, run, choice)
    if plan:
        _tell_plan(document, as_json=as_json)
        return SUCCEEDED
    _tell(document, run)
    with stdout_kept_clean():
        ended = begun(
            pipeline,
            options,
            lambda observers: renew(
                pipeline, run, options, choice, target=target or "", observers=observers, say=say, take_over=take_over
            ),
        )
    again = shlex.join(["penstock", "run", found])
    more = {"resumed": {key: document[key] for key in ("generation", "kept", "invalidated", "dropped", "new")}}
    return told(ended, found, again, progress=bool(flags.get("progress")), as_json=as_json, more=more)


def _planned(pipeline: Pipeline[..., Any], options: RunOptions, run: RunRecord, choice: Choice) -> dict[str, Any]:
    """What the run would do, as its document."""
    from penstock.app import plan
    from penstock.registering.composing import composing

    with stdout_kept_clean(), composing(pipeline):
        return plan(pipeline, pipeline.given_again(run), options, (run, choice)).document


def _tell_plan(document: dict[str, Any], *, as_json: bool) -> None:
    from penstock.cli.plan_view import plan_view

    if as_json:
        print_json(document)
    else:
        show(plan_view(document))


def _tell(document: dict[str, Any], run: RunRecord) -> None:
    """Say on stderr which results are kept, and which are not."""
    from penstock.cli.renewal_view import renewal_view

    show(renewal_view(document, run.run_id), sys.stderr)


keep_option = click.option(
    "--keep",
    multiple=True,
    metavar="TASK",
    help="Keep results though code or inputs changed: an id or a pattern; repeatable.",
)
invalidate_option = click.option(
    "--invalidate",
    multiple=True,
    metavar="TASK",
    help="Make results anew though nothing changed: an id or a pattern; repeatable.",
)
plan_option = click.option("--plan", is_flag=True, help="Only tell what would be kept, and what would run.")


@click.command(
    epilog="""\b
Examples:
  penstock retry latest                      what failed, and all that depends on it
  penstock retry 20261121-0953 train         train, and all that depends on it
  penstock retry latest "fit[rf]" "fold[3]"  an item of a map, a part
  penstock retry latest train --plan         what that would run

\b
Exit codes are those of run; 2 for a run that has not ended, or a task that is not there. Then nothing is recorded."""
)
@click.argument("run")
@click.argument("tasks", nargs=-1, metavar="[TASK]...")
@keep_option
@invalidate_option
@plan_option
@click.option("--executor", default=None, metavar="NAME", help="As for run; default: as it was.")
@click.option("--workers", type=click.IntRange(1), default=None, metavar="COUNT", help="As for run.")
@click.option("--target", default=None, help="Where the pipeline is now, if its file has moved.")
@click.option("--wait", is_flag=True, help="Stay with a run that only waits for answers.")
@click.option("--logs", is_flag=True, help="Show what tasks print and log, live.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@json_option
def retry(
    run: str,
    tasks: tuple[str, ...],
    keep: tuple[str, ...],
    invalidate: tuple[str, ...],
    wait: bool,
    logs: bool,
    quiet: bool,
    **settings: Any,
) -> None:
    """Run TASKs of a RUN again, and all that depends on them; without TASK, those that failed.

    It becomes the next generation of the run. What else is finished is kept, unless its code or its inputs changed. A
    TASK is an id (train, fit[3], fit[rf]), or a pattern for some (fold*/fit). The run before stays, as RUN.1.
    """
    from penstock.app import Services

    with Services().existing_store() as store:
        record = run_named(store, run)
    choice = Choice(keep=keep, invalidate=invalidate, again=tasks)
    shown = {"wait": wait or None, "logs": logs or None, "progress": not quiet}
    sys.exit(renew_run(record, choice, **shown, **settings))


__all__ = ["invalidate_option", "keep_option", "plan_option", "renew_run", "retry"]
