"""Firing triggers by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
import msgspec

from penstock.cli.reporting import SUCCEEDED
from penstock.errors import DefinitionError, NotFoundError, StoreError
from penstock.model.firing import Advance, Firing, FiringState, Standing
from penstock.model.occurrence import Occurrence
from penstock.model.trigger import EventSource, WatchSource

if TYPE_CHECKING:
    from penstock.ports import Store
    from penstock.registering.proposing import Proposal, Proposals, Proposer
    from penstock.services import Services

#: how many times a standing is read again that somebody else has changed meanwhile
_TRIES = 10


def fired(
    store: Store,
    proposer: Proposer,
    at: float | None,
    events: Sequence[Occurrence],
    now: float,
    *,
    here: bool,
    force: bool = False,
) -> list[Firing]:
    """The firings of a trigger by hand, recorded: in the queue, or with `here` taken by this process, which then asks the
    condition unless it is forced; of what is queued, the daemon asks it. Raises DefinitionError where nothing would start, and
    StoreError for what it has fired for before."""
    found = proposer.by_hand(at=at, events=events, now=now, asking=here and not force)
    _check(proposer, found, with_events=bool(events))
    if found.note:
        click.echo(found.note, err=True)
    firings = [_firing(proposer, each, now) for each in found.runs]
    for _ in range(_TRIES):
        name = proposer.trigger.name
        standing = next(iter(store.agenda.standings([name])), Standing(trigger=name, enabled=proposer.trigger.enabled))
        standing = msgspec.structs.replace(standing, fired_at=now)
        if all(store.agenda.advance([Advance(standing=standing, firings=tuple(firings))])):
            return _recorded(store, firings, here=here, now=now)
    raise StoreError(f"where {proposer.trigger.name} stands changes all the time", remedy="Try again.")


def _check(proposer: Proposer, found: Proposals, *, with_events: bool) -> None:
    """Raise DefinitionError where nothing would start, or no run could be made of it."""
    name = proposer.trigger.name
    fault = found.fault or next((each.fault for each in found.runs if each.fault), "")
    if fault:
        lacks = isinstance(proposer.trigger.source, (EventSource, WatchSource)) and not with_events
        raise DefinitionError(
            f"{name} starts nothing: {fault}",
            remedy=f"""Say for which event: penstock triggers fire {name} --event '{{"data": {{...}}}}'."""
            if lacks
            else None,
        )
    if not found.runs:
        raise DefinitionError(f"{name} starts nothing: {found.why}")
    refused = next((each.refused for each in found.runs if each.refused), "")
    if refused:
        raise DefinitionError(
            f"the condition of {name} does not let it start: {refused}", remedy="To pass it over: --now --force."
        )


def _firing(proposer: Proposer, run: Proposal, now: float) -> Firing:
    from penstock.daemon.firings import Firings

    return Firings(lambda _: None).made(proposer.trigger, run.key, run.cause, now, parameters=run.asked, tags=run.tags)


def _recorded(store: Store, firings: Sequence[Firing], *, here: bool, now: float) -> list[Firing]:
    """Those of the firings that are recorded; what has fired before is known under another run."""
    known = {(each.trigger, each.key): each for each in store.agenda.firings(trigger=firings[0].trigger, limit=None)}
    found = [known[each.trigger, each.key] for each in firings]
    before = next((old for old, new in zip(found, firings, strict=True) if old.run_id != new.run_id), None)
    if before is not None:
        raise StoreError(
            f"{before.trigger} has fired for {before.key} before: that is run {before.run_id} ({before.state.value})",
            remedy="One time, or one event, makes one run. To run the pipeline again: penstock run, with --logical-time or -p.",
        )
    if here:
        from penstock.runtime.surroundings.processes import this_process

        return [each for each in found if store.agenda.claim(each.run_id, this_process(), now)]
    return found


def queued_by(store: Store, name: str, *, every: bool) -> list[Firing]:
    """The firing with the run of an id; or what is queued of a trigger, which with `every` may be several. Raises
    NotFoundError, and DefinitionError for several that are not all meant."""
    try:
        return [store.agenda.firing(name)]
    except NotFoundError:
        found = store.agenda.firings(trigger=name, states=[FiringState.QUEUED], limit=None)
        if not found:
            # that it is there
            store.agenda.definition("trigger", name)
    if len(found) > 1 and not every:
        raise DefinitionError(f"{len(found)} firings of {name} are queued", remedy="Say which, by their ids, or --all.")
    return found


def made_here(services: Services, firing: Firing, *, as_json: bool) -> int:
    """Make the run of a firing in this process. Returns the exit code."""
    from penstock.cli.firing import carried_out
    from penstock.cli.running import told

    ended = carried_out(services, firing)
    if ended is None:
        return SUCCEEDED
    return told(
        ended, firing.pipeline or ended.run_id, f"penstock resume {ended.run_id}", progress=False, as_json=as_json
    )


__all__ = ["fired", "made_here", "queued_by"]
