"""The commands about triggers: where they stand, what they would start, and what waits in the queue."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.moments import moment_of
from penstock.cli.reporting import FAILED, SUCCEEDED, json_option, print_json, show, show_error, stdout_kept_clean
from penstock.errors import NotFoundError, StoreError
from penstock.model.firing import FiringState
from penstock.model.run import RunState

if TYPE_CHECKING:
    from penstock.model.occurrence import Occurrence
    from penstock.model.registration import Definition
    from penstock.ports import Store
    from penstock.registering.proposing import Proposer

event_option = click.option(
    "--event",
    "events",
    multiple=True,
    metavar="FILE|JSON",
    help="An event that happens: an object with type, data, subject...; repeatable.",
)


@click.group(
    invoke_without_command=True,
    epilog="""\b
Examples:
  penstock triggers                              all of them: what starts what, when it fired, when it will
  penstock triggers show nightly                 why it fired, or did not
  penstock triggers next --all                   the coming times
  penstock triggers next "0 2 * * MON-FRI" --zone Europe/Berlin
  penstock triggers test arrivals --event '{"data": {"path": "a.csv"}}'
  penstock triggers disable nightly""",
)
@json_option
@click.pass_context
def triggers(context: click.Context, as_json: bool) -> None:
    """List what starts runs by itself; explain, test, switch off and on, and fire it by hand.

    Triggers are known once they are registered (penstock register), and fire while penstock up runs.
    """
    if context.invoked_subcommand is None:
        _list(as_json=as_json)


@triggers.command(
    "list",
    epilog="""\b
Examples:
  penstock triggers list
  penstock triggers list --json""",
)
@json_option
def list_triggers(as_json: bool) -> None:
    """List all triggers, with when they last fired, and when they are due next."""
    _list(as_json=as_json)


def _list(*, as_json: bool) -> None:
    from penstock.app import Services
    from penstock.cli.trigger_views import trigger_table
    from penstock.registering.accounts import Accounts

    now = time.time()
    documents: list[dict[str, Any]] = []
    with Services().store_as_it_is() as store:
        if store is not None:
            accounts = Accounts(store, now)
            for definition in store.agenda.definitions("trigger"):
                try:
                    documents.append(accounts.brief(definition))
                except StoreError as error:
                    # the others are told all the same
                    show_error(error)
    if as_json:
        print_json(documents)
    else:
        show(trigger_table(documents, now))
        if documents:
            _tell_of_daemons()


def _tell_of_daemons() -> None:
    """Say so where nobody sees to the triggers."""
    from penstock.app import Services
    from penstock.registering.daemons import running

    if not running(Services()):
        click.echo("no daemon is running: penstock up", err=True)


@triggers.command(
    "show",
    epilog="""\b
Examples:
  penstock triggers show nightly
  penstock triggers show nightly --limit 50 --json""",
)
@click.argument("name")
@click.option("--limit", type=click.IntRange(1), default=10, show_default=True, help="At most so many firings.")
@json_option
def show_trigger(name: str, limit: int, as_json: bool) -> None:
    """Explain the trigger NAME: when it last fired, when it will, and why it does not."""
    from penstock.cli.trigger_views import trigger_view
    from penstock.registering.accounts import Accounts

    now = time.time()
    with _found(name) as (store, definition):
        document = Accounts(store, now).full(definition, limit)
    if as_json:
        print_json(document)
    else:
        show(trigger_view(document, now))
        _tell_of_daemons()


@triggers.command(
    "next",
    epilog="""\b
Examples:
  penstock triggers next nightly
  penstock triggers next --all -n 3
  penstock triggers next "0 2 * * MON-FRI" --zone Europe/Berlin
  penstock triggers next nightly --after 2027-03-27""",
)
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="Of all triggers with a schedule that are switched on, by time.")
@click.option("-n", "count", type=click.IntRange(1), default=10, show_default=True, help="So many.")
@click.option("--after", default=None, metavar="TIME", help="Those after this time; default: now.")
@click.option(
    "--zone", default=None, help="The zone of a cron expression (default: UTC), or to show the times of a trigger in."
)
@json_option
def next_times(name: str | None, every: bool, count: int, after: str | None, zone: str | None, as_json: bool) -> None:
    """Show the coming times of the trigger NAME, or of a cron expression, before anyone commits to them."""
    from penstock.cli.trigger_times import times_of
    from penstock.cli.trigger_views import times_table

    if (name is None) != every:
        raise click.UsageError("Name a trigger or a cron expression, or all: --all.")
    moment = time.time() if after is None else moment_of(after, "--after")
    documents = times_of(name, moment, count, zone)
    if as_json:
        print_json(documents)
    else:
        show(times_table(documents, time.time(), several=every))


@triggers.command(epilog="\b\nExamples:\n  penstock triggers enable nightly arrivals")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@json_option
def enable(names: tuple[str, ...], as_json: bool) -> None:
    """Switch triggers on. What a schedule had due before is not made up for: penstock backfill NAME --from TIME does that."""
    _switch(names, enabled=True, as_json=as_json)


@triggers.command(epilog="\b\nExamples:\n  penstock triggers disable nightly arrivals")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@json_option
def disable(names: tuple[str, ...], as_json: bool) -> None:
    """Switch triggers off: until they are switched on again, they start nothing. What is queued already stays so."""
    _switch(names, enabled=False, as_json=as_json)


def _switch(names: Sequence[str], *, enabled: bool, as_json: bool) -> None:
    from penstock.app import Services
    from penstock.registering.switching import switch

    with Services().existing_store() as store:
        # all of them are there, or none is switched
        for name in names:
            _registered(store, name)
        switched = switch(store.agenda, names, time.time(), enabled=enabled)
    if as_json:
        print_json([{"name": each.trigger, "enabled": each.enabled} for each in switched])
    else:
        for each in switched:
            click.echo(f"{each.trigger} is switched {'on' if each.enabled else 'off'}")


@triggers.command(
    "test",
    epilog="""\b
Examples:
  penstock triggers test nightly --at 2027-01-01T02:00+01:00
  penstock triggers test arrivals --event '{"data": {"path": "incoming/a.csv"}}'
  penstock triggers test new_rows                  asks the sensor, and leaves its cursor as it is

\b
Exit codes:
  0    it is said what would start, or why nothing would
  1    its sensor or its condition failed, or no run could be made of what it starts""",
)
@click.argument("name")
@click.option("--at", default=None, metavar="TIME", help="Of a schedule: its time at or after this one; default: now.")
@event_option
@json_option
def try_out(name: str, at: str | None, events: tuple[str, ...], as_json: bool) -> None:
    """Say what the trigger NAME would start, and with which parameters. Nothing is started or recorded.

    A sensor is really asked, with its cursor as it is; a condition is asked as well: each in a process of its own, in the time
    that it may take.
    """
    from penstock.cli.trigger_views import proposals_view
    from penstock.model.schedule import Timetable

    now = time.time()
    with _found(name) as (store, definition):
        proposer = _proposer(store, definition)
        if at is not None and not isinstance(proposer.trigger.source, Timetable):
            raise click.UsageError(f"{name} has no schedule, and --at says a time of one.")
        document = _proposed(proposer, at, _occurrences(events, proposer, now), now)
    if as_json:
        print_json(document)
    else:
        show(proposals_view(document))
    faults = [document["fault"], *(each["fault"] for each in document["runs"])]
    sys.exit(FAILED if any(faults) else SUCCEEDED)


@triggers.command(
    "fire",
    epilog="""\b
Examples:
  penstock triggers fire nightly                       for now, through the queue: a daemon starts it
  penstock triggers fire nightly --at 2026-11-20T02:00+01:00
  penstock triggers fire nightly --now                 here, whatever its limits say
  penstock triggers fire nightly --now --force         whatever its condition says, too
  penstock triggers fire arrivals --event '{"data": {"path": "a.csv"}}'
  penstock triggers fire new_rows                      asks the sensor, and starts what it asks for""",
)
@click.argument("name")
@click.option("--at", default=None, metavar="TIME", help="The time that the run is about; default: now.")
@event_option
@click.option("--now", "here", is_flag=True, help="Make the run in this process, rather than put it into the queue.")
@click.option("--force", is_flag=True, help="With --now: do not ask its condition.")
@json_option
def fire_trigger(name: str, at: str | None, events: tuple[str, ...], here: bool, force: bool, as_json: bool) -> None:
    """Fire the trigger NAME once, by hand. A time, or an event, that it has fired for already makes no second run.

    A sensor is asked, and what it asks for is started; its cursor stays as it is. A condition is asked when the run is about
    to start: by the daemon, or here with --now.
    """
    from penstock.app import Services
    from penstock.cli.trigger_firing import fired, made_here

    if force and not here:
        raise click.UsageError("--force goes with --now: of what is queued, the daemon asks the condition.")
    now = time.time()
    moment = None if at is None else moment_of(at, "--at")
    with _found(name) as (store, definition):
        proposer = _proposer(store, definition)
        happened = _occurrences(events, proposer, now)
        with stdout_kept_clean():
            firings = fired(store, proposer, moment, happened, now, here=here, force=force)
    if here:
        sys.exit(max((made_here(Services(), each, as_json=as_json) for each in firings), default=SUCCEEDED))
    if as_json:
        print_json([{"run_id": each.run_id, "trigger": each.trigger, "key": each.key} for each in firings])
        return
    for each in firings:
        click.echo(each.run_id)
        click.echo(f"{name} has fired for {each.key}; the run starts while penstock up runs", err=True)


@triggers.command(
    epilog="""\b
Examples:
  penstock triggers firings                        the queue, and what became of the latest
  penstock triggers firings nightly --limit 50
  penstock triggers firings --state queued --json"""
)
@click.argument("name", required=False)
@click.option(
    "--state",
    "states",
    type=click.Choice(list(dict.fromkeys(state.value for state in (*FiringState, *RunState)))),
    multiple=True,
    help="Only those in this state, or with a run in it; repeatable.",
)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@json_option
def firings(name: str | None, states: tuple[str, ...], limit: int, as_json: bool) -> None:
    """List the times that triggers fired, or only the trigger NAME, the latest first: what waits, runs, and has ended."""
    from penstock.app import Services
    from penstock.cli.trigger_views import firing_table
    from penstock.registering.accounts import Accounts

    documents: list[dict[str, Any]] = []
    with Services().store_as_it_is() as store:
        if store is not None:
            accounts = Accounts(store, time.time())
            documents = accounts.firings(name, states, limit)
            if not documents and name is not None:
                _registered(store, name, retired=True)
    if as_json:
        print_json(documents)
    else:
        show(firing_table(documents, several=name is None))


all_option = click.option("--all", "every", is_flag=True, help="All that is queued of the triggers that are named.")


@triggers.command(
    epilog="""\b
Examples:
  penstock triggers skip 20261121-020000-a1b2c3d4
  penstock triggers skip nightly --all"""
)
@click.argument("firings", nargs=-1, required=True, metavar="RUN|NAME...")
@all_option
@json_option
def skip(firings: tuple[str, ...], every: bool, as_json: bool) -> None:
    """Take firings out of the queue, by the ids of their runs or the names of their triggers, as not to be made up for: the
    next one is started in its turn."""
    _settle(firings, FiringState.SKIPPED, every=every, as_json=as_json)


@triggers.command(
    epilog="""\b
Examples:
  penstock triggers cancel 20261121-020000-a1b2c3d4
  penstock triggers cancel nightly --all"""
)
@click.argument("firings", nargs=-1, required=True, metavar="RUN|NAME...")
@all_option
@json_option
def cancel(firings: tuple[str, ...], every: bool, as_json: bool) -> None:
    """Cancel firings that are queued, by the ids of their runs or the names of their triggers. For a run that has begun:
    penstock cancel RUN."""
    _settle(firings, FiringState.CANCELLED, every=every, as_json=as_json)


def _settle(names: Sequence[str], state: FiringState, *, every: bool, as_json: bool) -> None:
    from penstock.app import Services
    from penstock.cli.trigger_firing import queued_by

    with Services().existing_store() as store:
        found = [firing for name in names for firing in queued_by(store, name, every=every)]
        how = f"{state.value} by hand: penstock triggers {'skip' if state is FiringState.SKIPPED else 'cancel'}"
        for firing in found:
            if firing.state is not FiringState.QUEUED or not store.agenda.settle(firing.run_id, state, how):
                raise StoreError(
                    f"the firing {firing.run_id} of {firing.trigger} is {store.agenda.firing(firing.run_id).state.value}, and "
                    "not in the queue any more",
                    remedy=f"If its run is under way: penstock cancel {firing.run_id}.",
                )
    if as_json:
        print_json([{"run_id": each.run_id, "trigger": each.trigger, "state": state.value} for each in found])
    else:
        for each in found:
            click.echo(f"{each.run_id} of {each.trigger} ({each.key}): {state.value}")
        if not found:
            click.echo("nothing was queued")


# What is named.


@contextmanager
def _found(name: str) -> Generator[tuple[Store, Definition]]:
    """A trigger as it is registered, with the store open for the block."""
    from penstock.app import Services

    with Services().store_as_it_is() as store:
        if store is None:
            raise NotFoundError(f"there is no trigger {name!r}", remedy="Register it first: penstock register FILE.")
        yield store, _registered(store, name)


def _registered(store: Store, name: str, *, retired: bool = False) -> Definition:
    definition = store.agenda.definition("trigger", name)
    if definition.retired and not retired:
        raise NotFoundError(
            f"the trigger {name!r} is retired: {definition.origin} no longer has it",
            remedy="Register the file that has it now: penstock register FILE.",
        )
    return definition


def _proposer(store: Store, definition: Definition) -> Proposer:
    from penstock.app import Services
    from penstock.cli.trigger_asking import Apart
    from penstock.model.firing import Standing
    from penstock.registering.proposing import Proposer

    standing = next(iter(store.agenda.standings([definition.name])), None)
    asker = Apart(Services().project.folder)
    return Proposer(store, definition, standing or Standing(trigger=definition.name), asker)


def _occurrences(texts: Sequence[str], proposer: Proposer, now: float) -> list[Occurrence]:
    """The events that were typed, or that are in the files that were named."""
    from pathlib import Path

    from penstock.cli.emitting import json_of

    documents: list[Any] = []
    for text in texts:
        is_file = not text.lstrip().startswith(("@", "{", "[")) and Path(text).is_file()
        document = json_of(f"@{text}" if is_file else text, "--event")
        documents += document if isinstance(document, list) else [document]
    return list(proposer.occurrences(documents, now))


def _proposed(proposer: Proposer, at: str | None, events: Sequence[Occurrence], now: float) -> dict[str, Any]:
    """What would be started, as data."""
    from penstock.runtime.reading.causes import cause_document

    moment = None if at is None else moment_of(at, "--at")
    with stdout_kept_clean():
        found = proposer.proposals(at=moment, events=events, now=now)
    runs = [
        {
            "key": each.key,
            "pipeline": proposer.trigger.pipeline,
            "assets": proposer.trigger.assets,
            "parameters": each.parameters,
            "tags": [*proposer.trigger.tags, *each.tags],
            "cause": cause_document(each.cause),
            "starts": not each.refused and not each.fault,
            "refused": each.refused,
            "fault": each.fault,
        }
        for each in found.runs
    ]
    return {
        "trigger": proposer.trigger.name,
        "runs": runs,
        "why": found.why,
        "fault": found.fault,
        "enabled": proposer.enabled,
    }


__all__ = ["triggers"]
