"""The commands about backfills: begun, looked at, paused, gone on with, cancelled, tried again."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from penstock.cli.dialect_option import dialect_option
from penstock.cli.reporting import FAILED, SUCCEEDED, json_option, print_json, show, stdout_kept_clean
from penstock.errors import CancelledError, ParameterError

if TYPE_CHECKING:
    from penstock.daemon.notices import Notice
    from penstock.model.firing import Backfill, BackfillState
    from penstock.ports import Store
    from penstock.registering.backfills import Planned, Request, Which
    from penstock.services import Services

#: seconds between two looks at a backfill that others carry out
_LOOK: Final = 0.5


class _Backfills(click.Group):
    """Commands about backfills; whatever is no name of one is what to begin one of."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in (*ctx.help_option_names, "--"):
            args = ["begin", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=_Backfills,
    epilog="""\b
Examples:
  penstock backfill sales --partitions 2026-01-01..2026-03-31     those of the partitions that are missing
  penstock backfill sales --partitions all --stale --at-most 4
  penstock backfill training --from 2026-01-01 --to 2026-01-31    the times of its schedule
  penstock backfill training --grid depth=3,5,8 --grid rate=0.1,0.01
  penstock backfill list
  penstock backfill show latest

`penstock backfill TARGET` is short for `penstock backfill begin TARGET`.""",
)
def backfill() -> None:
    """Run something many times: over partitions, over the times of a schedule, over parameters.

    A backfill is planned, recorded as a whole, and then carried out by penstock up, a limited number of runs at once. It
    survives restarts, and can be paused, gone on with and cancelled.
    """


@backfill.command(
    epilog="""\b
Examples:
  penstock backfill sales --partitions 2026-01-01..2026-03-31 --at-most 4
  penstock backfill sales --partitions eu,us --all --downstream
  penstock backfill sales --partitions all --failed --stale --plan
  penstock backfill pipeline.py:training --grid depth=3,5 --here -y
  penstock backfill training --params runs.csv --plan
  penstock backfill training --from 2026-01-01 --to 2026-02-01 --order descending

\b
Exit codes:
  0    it was begun; with --plan, planned; with --here or --wait, all its runs succeeded
  1    with --here or --wait: one of its runs failed, or somebody paused or cancelled it
  2    what was asked for is wrong; nothing was begun
  130  with --here or --wait: interrupted; penstock up goes on with it"""
)
@click.argument("target")
@click.option(
    "--partitions", multiple=True, metavar="KEYS", help="Keys, joined by commas; A..B; all; latest. Repeatable."
)
@click.option("--missing", is_flag=True, help="Those never made (the default); with --failed and --stale, also these.")
@click.option("--failed", is_flag=True, help="Those of which the last run failed.")
@click.option("--stale", is_flag=True, help="Those that are not as they would be made now.")
@click.option("--all", is_flag=True, help="All of them, made or not.")
@click.option("--downstream", is_flag=True, help="Also what is made from them, by the mappings between the assets.")
@click.option("--batch", type=click.IntRange(1), default=1, metavar="N", help="N partitions in each run.")
@click.option("--from", "begin", metavar="TIME", help="Over the times of the schedule, in its zone, from then on.")
@click.option("--to", "end", metavar="TIME", help="Up to then, and with it (a date: to its end); now by default.")
@click.option("--trigger", default="", metavar="NAME", help="The trigger whose times are meant, of several.")
@click.option(
    "--grid", multiple=True, metavar="NAME=A,B", help="Over values of a parameter; repeatable: all combinations."
)
@click.option(
    "--params",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Over the rows of a CSV file, or the objects in a JSON or YAML list.",
)
@click.option("--at-most", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="N runs at once.")
@click.option("--order", type=click.Choice(["ascending", "descending"]), default="ascending", show_default=True)
@click.option("--pause-on-failure", is_flag=True, help="Pause it when a run fails.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Put a tag on the runs; repeatable.")
@click.option("--priority", type=int, default=0, show_default=True, help="Of what waits, the higher starts first.")
@click.option("--plan", is_flag=True, help="Only tell what it would consist of.")
@click.option("--here", is_flag=True, help="Stay, and start its runs from this process, until it has ended.")
@click.option("--wait", is_flag=True, help="Stay until it has ended, while penstock up starts its runs.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@dialect_option
@json_option
def begin(plan: bool, here: bool, wait: bool, yes: bool, as_json: bool, **asked: Any) -> None:
    """Begin a backfill of TARGET: a registered pipeline, trigger or selection of assets, or a file with one."""
    from penstock.app import Services
    from penstock.cli.backfill_views import plan_view
    from penstock.registering.backfills import check, plan_document, planned
    from penstock.runtime.requests import person

    stay = _stay(here=here, wait=wait)
    services = Services()
    request = _request(asked)
    with stdout_kept_clean():
        found = planned(services, request, by=person())
        check(services, found)
    document = plan_document(found, asked["at_most"])
    if plan:
        print_json(document) if as_json else show(plan_view(document))
        return
    if not (yes or as_json) or not found.pieces:
        show(plan_view(document), sys.stderr)
    if not found.pieces:
        click.echo("there is nothing to do", err=True)
        if as_json:
            print_json(document)
        return
    _agree(yes=yes)
    begun = _begun(services, found, asked)
    sys.exit(_carried_out(services, begun.backfill_id, stay, as_json=as_json))


def _request(asked: dict[str, Any]) -> Request:
    from penstock.registering.backfill_rows import rows_in
    from penstock.registering.backfill_times import moment
    from penstock.registering.backfills import Request

    if asked["grid"] and asked["params"]:
        raise click.UsageError("--grid and --params both say the parameters; give one of them.")
    for option, given in (("--from", asked["begin"]), ("--to", asked["end"])):
        if given is not None:
            moment(given, "", option)
    rows = _grid(asked["grid"]) if asked["grid"] else None if asked["params"] is None else rows_in(asked["params"])
    return Request(
        target=asked["target"],
        partitions=tuple(key.strip() for each in asked["partitions"] for key in each.split(",") if key.strip()),
        which=_which(asked),
        downstream=asked["downstream"],
        batch=asked["batch"],
        begin=asked["begin"],
        end=asked["end"],
        trigger=asked["trigger"],
        rows=None if rows is None else tuple(rows),
        source="--grid" if asked["grid"] else str(asked["params"] or ""),
        texts=bool(asked["grid"]) or (asked["params"] is not None and asked["params"].suffix.lower() == ".csv"),
        order=asked["order"],
    )


def _which(asked: dict[str, Any]) -> Which | tuple[Which, ...]:
    words: tuple[Which, ...] = ("missing", "failed", "stale", "all")
    given: tuple[Which, ...] = tuple(word for word in words if asked[word])
    return given if len(given) > 1 else given[0] if given else "missing"


def _grid(given: Sequence[str]) -> list[dict[str, Any]]:
    from penstock.triggers.backfills import grid

    axes: dict[str, list[str]] = {}
    for each in given:
        name, equals, values = each.partition("=")
        if not equals or not name or not values:
            raise ParameterError(
                f"--grid takes a parameter with its values, not {each!r}", remedy="Write --grid depth=3,5,8."
            )
        axes.setdefault(name.strip(), []).extend(value.strip() for value in values.split(","))
    return grid(axes)


def _agree(*, yes: bool) -> None:
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError(
            "It asks before it begins, and there is no terminal here. Add --yes, or --plan to look only."
        )
    if not click.confirm("Begin it?", default=True, err=True):
        raise CancelledError("nothing was begun")


def _begun(services: Services, plan: Planned, asked: dict[str, Any]) -> Backfill:
    from penstock.registering.backfills import begin
    from penstock.runtime.requests import person

    with services.store() as store:
        return begin(
            store,
            plan,
            at_most=asked["at_most"],
            priority=asked["priority"],
            tags=asked["tags"],
            on_failure="pause" if asked["pause_on_failure"] else "continue",
            by=person(),
        )


# Carried out.


Stay = Literal["here", "wait", ""]


def _stay(*, here: bool, wait: bool) -> Stay:
    """Whether to stay until a backfill has ended, and to start its runs meanwhile."""
    if here and wait:
        raise click.UsageError(
            "--here starts the runs from this process, and --wait leaves that to penstock up; give one."
        )
    return "here" if here else "wait" if wait else ""


def _carried_out(services: Services, backfill_id: str, stay: Stay, *, as_json: bool) -> int:
    """Have a backfill that was begun, or goes on, carried out, here or by others. Returns the exit code."""
    if stay == "wait":
        _say_who(services, backfill_id)
    code = SUCCEEDED if not stay else _serve(services, backfill_id) if stay == "here" else _wait(services, backfill_id)
    document = _document(services, backfill_id, failed=bool(stay))
    if as_json:
        print_json(document)
    elif stay:
        _show(document)
    else:
        click.echo(
            f"backfill {backfill_id}: {document['total']:,} runs, at most {document['at_most']} at once", err=True
        )
        _say_who(services, backfill_id)
        click.echo(backfill_id)
    return code


def _say_who(services: Services, backfill_id: str) -> None:
    """Say who starts its runs."""
    from penstock.daemon.serving import alone

    with alone(services.project.home) as nobody:
        pass
    if nobody:
        click.echo(
            "no penstock up serves this project on this machine: start it, or carry it out from here: "
            f"penstock backfill resume {backfill_id} --here",
            err=True,
        )
    else:
        click.echo(f"penstock up starts them; look at it: penstock backfill show {backfill_id}", err=True)


def _serve(services: Services, backfill_id: str) -> int:
    """Serve the project until a backfill has ended. Returns the exit code."""
    from penstock.daemon.serving import Serving
    from penstock.model.firing import BackfillState

    with services.store() as store:

        def ended() -> bool:
            return store.agenda.backfill(backfill_id).state is not BackfillState.RUNNING

        if not Serving(services, store, _tell).serve(until=ended):
            click.echo(
                f"interrupted; go on with it: penstock up, or penstock backfill resume {backfill_id} --here", err=True
            )
            return 130
        return _code(store, backfill_id)


def _wait(services: Services, backfill_id: str) -> int:
    """Wait until others have brought a backfill to its end, or it is paused. Returns the exit code."""
    import time

    from penstock.model.firing import BackfillState

    with services.store() as store:
        try:
            while store.agenda.backfill(backfill_id).state is BackfillState.RUNNING:
                time.sleep(_LOOK)
        except KeyboardInterrupt:
            click.echo("interrupted; penstock up goes on with it", err=True)
            return 130
        return _code(store, backfill_id)


def _code(store: Store, backfill_id: str) -> int:
    """The exit code for how a backfill has ended, or was paused."""
    from penstock.model.firing import BackfillState
    from penstock.registering.backfill_results import failures

    backfill = store.agenda.backfill(backfill_id)
    whole = backfill.state is BackfillState.FINISHED and not failures(store, backfill)
    return SUCCEEDED if whole else FAILED


def _tell(notice: Notice) -> None:
    if notice.what in ("started", "skipped", "failed", "trouble", "backfill"):
        click.echo(notice.text, err=True)


def _document(services: Services, name: str, *, failed: bool) -> dict[str, Any]:
    from penstock.registering.backfill_results import document

    with services.existing_store() as store:
        return document(store, store.agenda.backfill(name), failed=failed)


def _show(document: dict[str, Any]) -> None:
    from penstock.cli.backfill_views import backfill_view

    show(backfill_view(document))


# Looked at, and moved.


@backfill.command(
    "list",
    epilog="""\b
Examples:
  penstock backfill list
  penstock backfill list --json""",
)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@json_option
def list_backfills(limit: int, as_json: bool) -> None:
    """List backfills, the latest first."""
    from penstock.app import Services
    from penstock.cli.backfill_views import backfill_table
    from penstock.registering.backfill_results import document

    with Services().store_as_it_is() as store:
        known = [] if store is None else store.agenda.backfills(limit=limit)
        found = [document(store, each) for each in known if store is not None]
    print_json(found) if as_json else show(backfill_table(found))


@backfill.command(
    "show",
    epilog="""\b
Examples:
  penstock backfill show latest
  penstock backfill show 20261121-230029-ff28bb --json""",
)
@click.argument("name", metavar="ID")
@json_option
def show_backfill(name: str, as_json: bool) -> None:
    """Show how far a backfill is, and which of its runs have failed, with why."""
    from penstock.app import Services

    found = _document(Services(), name, failed=True)
    print_json(found) if as_json else _show(found)


@backfill.command(
    epilog="""\b
Example:
  penstock backfill pause latest"""
)
@click.argument("name", metavar="ID")
@json_option
def pause(name: str, as_json: bool) -> None:
    """Start no more runs of a backfill; those under way go on."""
    from penstock.model.firing import BackfillState

    _move(name, BackfillState.PAUSED, as_json=as_json)


@backfill.command(
    epilog="""\b
Examples:
  penstock backfill resume latest
  penstock backfill resume latest --here
  penstock backfill resume latest --wait"""
)
@click.argument("name", metavar="ID")
@click.option("--here", is_flag=True, help="Stay, and start its runs from this process, until it has ended.")
@click.option("--wait", is_flag=True, help="Stay until it has ended, while penstock up starts its runs.")
@json_option
def resume(name: str, here: bool, wait: bool, as_json: bool) -> None:
    """Go on with a backfill that is paused, or that nobody carries out."""
    from penstock.app import Services
    from penstock.model.firing import BackfillState

    stay = _stay(here=here, wait=wait)
    services = Services()
    _moved(services, name, BackfillState.RUNNING)
    sys.exit(_carried_out(services, _id(services, name), stay, as_json=as_json))


@backfill.command(
    epilog="""\b
Example:
  penstock backfill cancel latest"""
)
@click.argument("name", metavar="ID")
@json_option
def cancel(name: str, as_json: bool) -> None:
    """End a backfill: what waits is cancelled; runs under way go on (penstock cancel RUN)."""
    from penstock.model.firing import BackfillState

    _move(name, BackfillState.CANCELLED, as_json=as_json)


@backfill.command(
    epilog="""\b
Examples:
  penstock backfill retry latest
  penstock backfill retry latest --here"""
)
@click.argument("name", metavar="ID")
@click.option("--here", is_flag=True, help="Stay, and start its runs from this process, until it has ended.")
@click.option("--wait", is_flag=True, help="Stay until it has ended, while penstock up starts its runs.")
@json_option
def retry(name: str, here: bool, wait: bool, as_json: bool) -> None:
    """Begin another backfill with those runs of one that have failed."""
    from penstock.app import Services
    from penstock.registering.backfill_results import again
    from penstock.runtime.requests import person

    stay = _stay(here=here, wait=wait)
    services = Services()
    with services.existing_store() as store:
        begun = again(store, store.agenda.backfill(name), by=person())
    sys.exit(_carried_out(services, begun.backfill_id, stay, as_json=as_json))


def _move(name: str, state: BackfillState, *, as_json: bool) -> None:
    from penstock.app import Services

    services = Services()
    moved = _moved(services, name, state)
    found = _document(services, moved.backfill_id, failed=False)
    print_json(found) if as_json else _show(found)


def _moved(services: Services, name: str, state: BackfillState) -> Backfill:
    import time

    with services.existing_store() as store:
        known = store.agenda.backfill(name)
        return known if known.state is state else store.agenda.move_backfill(known.backfill_id, state, time.time())


def _id(services: Services, name: str) -> str:
    with services.existing_store() as store:
        return store.agenda.backfill(name).backfill_id


__all__ = ["backfill"]
