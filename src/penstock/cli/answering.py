"""The commands that answer a run, go on with it, and end it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from penstock.cli.named_runs import run_named
from penstock.cli.renewing import invalidate_option, keep_option, plan_option
from penstock.cli.reporting import FAILED, SUCCEEDED, json_option, print_json, show
from penstock.errors import DefinitionError, PenstockError
from penstock.model.generation import Choice
from penstock.model.run import RunRecord, RunState

_workers = click.option("--workers", type=click.IntRange(1), default=None, metavar="COUNT", help="As for run.")
_executor = click.option("--executor", default=None, metavar="NAME", help="As for run; default: as it was.")
_logs = click.option("--logs", is_flag=True, help="Show what tasks print and log, live.")
_quiet = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
_target = click.option("--target", default=None, help="Where the pipeline is now, if its file has moved.")


@click.command(
    epilog="""\b
Examples:
  penstock approve                                 what is asked, and with which form
  penstock approve latest sign_off -v traffic=0.1 --why "looks good"
  penstock approve latest sign_off --reject --why "too slow"
  penstock approve 20261121-0953 "review[rf]" --by ada --no-resume

\b
Exit codes are those of run for a run that goes on, and 0 otherwise; 2 if there is no such question, or the values do
not fit its form. Then nothing is recorded."""
)
@click.argument("run", default="latest")
@click.argument("node", required=False)
@click.option("--reject", is_flag=True, help="Say no.")
@click.option(
    "-v", "--value", "assignments", multiple=True, metavar="NAME=VALUE", help="A field of the form; repeatable."
)
@click.option("--why", default="", metavar="TEXT", help="The reason, which is recorded.")
@click.option("--by", default="", metavar="NAME", help="Who answers; default: the user.")
@click.option("--no-resume", is_flag=True, help="Only record the answer; a paused run stays paused.")
@_executor
@_workers
@_target
@_logs
@_quiet
@json_option
def approve(
    run: str,
    node: str | None,
    reject: bool,
    assignments: tuple[str, ...],
    why: str,
    by: str,
    no_resume: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Answer the question NODE of a RUN, and go on with the run if it is paused.

    Without NODE, list the questions that are open, each with its form. RUN is an id, the start of one, or `latest`.
    """
    from penstock.app import Services
    from penstock.authoring.kinds.parameters import parse_assignments
    from penstock.runtime.requests import answer

    if node is None:
        if reject or assignments:
            raise DefinitionError("approve needs a NODE to answer", remedy=f"See what is asked: penstock approve {run}")
        _list_questions(run, as_json=as_json)
        return
    values = parse_assignments(assignments, "-v", "traffic=0.1")
    with Services().existing_store() as store:
        record = run_named(store, run)
        given = answer(store, record.run_id, node, approved=not reject, values=values, by=by, why=why, texts=True)
        state = store.find(record.run_id).state
    said = f"{given.by} {'rejected' if reject else 'approved'} {given.node} of run {record.run_id}"
    if state is RunState.PAUSED and not no_resume:
        click.echo(said, err=True)
        sys.exit(_gone_on(record.run_id, as_json=as_json, **settings))
    document = {"run_id": record.run_id, "node": given.node, "approved": given.approved, "by": given.by}
    if as_json:
        print_json({**document, "why": given.why, "values": given.values, "state": state.value})
    else:
        click.echo(said)


def _list_questions(run: str, *, as_json: bool) -> None:
    from penstock.app import Services
    from penstock.cli.questions_view import questions_view
    from penstock.runtime.reading.questions import question_document
    from penstock.runtime.requests import questions

    services = Services()
    with services.existing_store() as store:
        record = run_named(store, run)
        documents = [question_document(each, services.values) for each in questions(store, record.run_id)]
    if as_json:
        print_json(documents)
    else:
        show(questions_view(record.run_id, documents))


@click.command(
    epilog="""\b
Examples:
  penstock resume latest
  penstock resume 20261121-0953 --workers 4
  penstock resume latest --wait        stay until its questions are answered, or their deadlines have passed
  penstock resume latest --plan        of one that failed: what would be kept, and what would run
  penstock resume latest --keep load   also what its edited code would make anew
  penstock resume latest --take-over   take it from a process that hangs
  penstock resume --due                every paused run with a deadline that has passed: for a cron job
  penstock resume --orphans --detach   every run whose process is gone, each in the background: for a cron job

\b
Exit codes are those of run, with --due and --orphans the highest of them; 2 for a run that has ended or that another
process drives."""
)
@click.argument("run", required=False)
@click.option("--due", is_flag=True, help="Every paused run that had to be answered by now, rather than one RUN.")
@click.option("--orphans", is_flag=True, help="Every run whose process is gone, rather than one RUN.")
@click.option("--take-over", is_flag=True, help="Also from a process that lives: what it does from now on is dropped.")
@click.option("--instead-of", default=None, hidden=True, help="Only if this is the driver of the RUN.")
@click.option("--detach", is_flag=True, help="Leave the run to a process in the background.")
@keep_option
@invalidate_option
@plan_option
@click.option("--wait", is_flag=True, help="Stay with a run that only waits for answers.")
@_executor
@_workers
@_target
@_logs
@_quiet
@json_option
def resume(run: str | None, due: bool, orphans: bool, instead_of: str | None, as_json: bool, **settings: Any) -> None:
    """Go on with a RUN that is paused, whose process is gone, or that failed; without RUN, the latest.

    One that failed or was cancelled begins anew, as its next generation, with the code as it is now: what has succeeded is
    kept, unless its code or its inputs changed, which is told first. So does one whose process is gone, if code of what has
    finished was edited. In any other, what has ended stays so, and nothing that has finished runs twice. A question whose deadline has passed is answered
    by its default. Whether a process on another machine lives is watched for a while.
    """
    if not (due or orphans):
        sys.exit(_gone_on(run or "latest", as_json=as_json, instead_of=instead_of, **settings))
    chosen = settings["keep"] or settings["invalidate"] or settings["plan"]
    if run is not None or as_json or settings["take_over"] or chosen:
        raise DefinitionError(
            f"{'--due' if due else '--orphans'} goes with neither a RUN nor --json nor options for one",
            remedy="See the runs: penstock runs --json",
        )
    sys.exit(_all_gone_on(due=due, orphans=orphans, **settings))


def _all_gone_on(*, due: bool, orphans: bool, **settings: Any) -> int:
    """Go on with every run that is overdue, or orphaned. Returns the highest exit code."""
    from penstock.cli.unfinished import due_and_orphaned

    waiting = due_and_orphaned(due=due, orphaned=orphans)
    if not waiting:
        none = (("no paused run is overdue", due), ("no run has lost its process", orphans))
        click.echo(", and ".join(text for text, asked in none if asked), err=True)
    codes = [SUCCEEDED]
    for run in waiting:
        try:
            code = _gone_on(run.run_id, as_json=False, instead_of=run.driver, **settings)
        except PenstockError as error:
            # the others are to go on all the same
            click.echo(f"run {run.run_id}: {error.what if _is_driven(run) else error}", err=True)
            code = FAILED
        # it is no failure that somebody else was quicker
        codes.append(SUCCEEDED if code and _is_driven(run) else code)
    return max(codes)


def _is_driven(run: RunRecord) -> bool:
    """Whether somebody else drives a run, or has driven it, since it was found."""
    from penstock.app import Services
    from penstock.runtime.surroundings.processes import this_process

    with Services().store() as store:
        return store.find(run.run_id).driver not in (run.driver, this_process())


def _gone_on(
    name: str,
    *,
    as_json: bool,
    wait: bool = False,
    logs: bool = False,
    quiet: bool = False,
    take_over: bool = False,
    instead_of: str | None = None,
    detach: bool = False,
    keep: tuple[str, ...] = (),
    invalidate: tuple[str, ...] = (),
    plan: bool = False,
    **flags: Any,
) -> int:
    from penstock.app import Services
    from penstock.cli.running import resume_run, say
    from penstock.runtime.orphans import check_driver, check_undriven

    with Services().existing_store() as store:
        run = run_named(store, name)
        if instead_of is not None:
            check_driver(run, instead_of)
        elif detach and not take_over:
            check_undriven(store, run, say)
    if detach and not plan:
        given = {**flags, "keep": keep, "invalidate": invalidate}
        given |= {"wait": wait, "logs": logs, "quiet": quiet, "as_json": as_json}
        return leave(run, given, as_json=as_json)
    told: dict[str, Any] = {"as_json": as_json, "wait": wait or None, "logs": logs or None, "progress": not quiet}
    choice = Choice(keep=keep, invalidate=invalidate) if keep or invalidate else None
    return resume_run(run, take_over=take_over or instead_of is not None, choice=choice, plan=plan, **told, **flags)


def leave(run: RunRecord, given: Mapping[str, Any], *, as_json: bool) -> int:
    """Leave a run to a process in the background that goes on with it, with options of `resume`. Returns the exit code."""
    from penstock.cli.detaching import arguments_of, detach

    # whoever is quicker to go on with it is not to be disturbed
    instead_of = run.driver if run.state in (RunState.RUNNING, RunState.PAUSED) else None
    arguments = arguments_of(resume, {**given, "detach": False, "instead_of": instead_of})
    return detach("resume", [*arguments, run.run_id], as_json=as_json, run=run)


@click.command(
    epilog="""\b
Examples:
  penstock cancel latest
  penstock cancel 20261121-0953 --reason "wrong data"
  penstock cancel latest --now                     without teardowns and exit handlers

\b
Exit codes:
  0    the run has ended, now or before"""
)
@click.argument("run", default="latest")
@click.option("--reason", default="", metavar="TEXT", help="Why, which is recorded.")
@click.option("--now", is_flag=True, help="Give up teardowns and exit handlers too.")
@json_option
def cancel(run: str, reason: str, now: bool, as_json: bool) -> None:
    """End a RUN, from any process: stop what runs, start nothing more, and wait until it has ended.

    A run that is paused, or whose process is gone, is ended by this command itself. Without RUN, it is the latest.
    """
    from penstock.app import Services
    from penstock.cli.running import resumed, say
    from penstock.runtime.requests import cancel as cancel_run

    with Services().existing_store() as store:
        record = run_named(store, run)
        ending = cancel_run(
            store,
            record.run_id,
            reason=reason,
            now=now,
            go_on=lambda gone: resumed(gone, take_over=True, progress=False),
            say=say,
        )
    state = ending.run.state.value
    if as_json:
        print_json(
            {
                "run_id": record.run_id,
                "state": state,
                "ended_before": ending.before,
                "stopped": list(ending.stopped),
                "not_begun": ending.unbegun,
            }
        )
    elif ending.before:
        click.echo(f"run {record.run_id} had ended already: it {_ENDINGS[state]}")
    else:
        click.echo(f"run {record.run_id} {_ENDINGS[state]}: {_stopped(ending.stopped, ending.unbegun)}")
    sys.exit(SUCCEEDED)


_ENDINGS = {"succeeded": "succeeded", "failed": "failed", "cancelled": "was cancelled"}
#: how many tasks that were stopped are named
_NAMED = 5


def _stopped(stopped: tuple[str, ...], unbegun: int) -> str:
    """What a cancellation stopped, in words."""
    from penstock.observe.measures import counted

    named = ", ".join(stopped[:_NAMED]) + (f" and {len(stopped) - _NAMED:,} more" if len(stopped) > _NAMED else "")
    words = [f"stopped {named}" if stopped else "nothing was running"]
    if unbegun:
        words.append(f"{counted(unbegun, 'task')} not begun")
    return ", ".join(words)


__all__ = ["approve", "cancel", "leave", "resume"]
