"""What is recorded: whether it fits together, and whether what it refers to is there."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from penstock.errors import ArtifactDamagedError, ArtifactMissingError, StoreError
from penstock.kernel import RunProgress
from penstock.model.event import Grown, Hit, Succeeded
from penstock.model.graph import from_json
from penstock.model.growth import ungrown
from penstock.model.instruction import Finish
from penstock.model.run import NodeState, RunRecord, RunState, item_id
from penstock.model.value import Argument
from penstock.ports import Blobs, Store
from penstock.runtime.collecting.reach import Reach
from penstock.runtime.driving.ledger import Ledger
from penstock.runtime.driving.recovery import replay
from penstock.runtime.examining.finding import Finding
from penstock.runtime.surroundings.processes import has_lost_its_driver

#: seconds that the clocks of two machines may differ by
_APART = 60.0
#: how many runs a quick look goes through
_LATEST = 100
#: how many of a kind are told one by one
_TOLD = 5
_COPY = (
    "Put a copy back: penstock restore FILE --force, or of a server pg_restore. If there is none, move the store away and run the "
    "pipelines again."
)


def of_store(wrong: Iterable[str]) -> Iterator[Finding]:
    """What the store has found out of itself."""
    found = list(wrong)
    for text in found[:_TOLD]:
        yield Finding(what=text, remedy=_COPY)
    if len(found) > _TOLD:
        yield Finding(what=f"and {len(found) - _TOLD:,} more of that kind in the store", remedy=_COPY)


def of_clock(store: Store) -> Iterator[Finding]:
    """Whether anything was recorded in what is the future by the clock of this machine."""
    ahead = max((store.heard_of(run.run_id) for run in store.runs(limit=_TOLD)), default=0.0) - time.time()
    if ahead > _APART:
        yield Finding(
            what=f"the latest run was heard of {ahead:,.0f} s from now, by the clock of this machine",
            remedy="Set the clocks of all machines that share the store (timedatectl set-ntp true).",
            is_problem=False,
        )


def of_drivers(store: Store) -> Iterator[Finding]:
    """The runs that nobody drives any more."""
    for run in store.runs(state=RunState.RUNNING, limit=sys.maxsize):
        if has_lost_its_driver(store, run):
            yield Finding(
                what=f"run {run.run_id} of {run.pipeline} is unfinished, and the process that drove it is gone",
                remedy=f"Go on with it: penstock resume {run.run_id}, or end it: penstock cancel {run.run_id}",
                is_problem=False,
            )


def of_journals(store: Store) -> Iterator[Finding]:
    """The runs whose journal does not lead to what is recorded of them. Goes through all of them."""
    for run in store.runs(limit=sys.maxsize):
        try:
            wrong = _disagreement(store, run)
        except StoreError as error:
            wrong = error.what
        except Exception as error:
            # what is not a journal can break anything that reads it
            wrong = f"its journal cannot be replayed ({type(error).__name__}: {error})"
        if wrong:
            yield Finding(what=f"run {run.run_id} of {run.pipeline}: {wrong}", remedy=_COPY)


def _disagreement(store: Store, run: RunRecord) -> str:
    # of a run under way, the attempts are read first: those of a later turn would have no event yet
    attempts = store.attempts(run.run_id)
    journal = store.journal(run.run_id)
    graph = from_json(store.graph(run.run_id))
    growth = [event for _, events in journal for event in events if isinstance(event, Grown)]
    progress = RunProgress(ungrown(graph, growth) if growth else graph)
    ends = [each.state for each in replay(progress, Ledger(progress), journal) if isinstance(each, Finish)]
    if ends and run.state is not RunState.RUNNING and ends[-1] is not run.state:
        return f"it is recorded as {run.state}, and by its journal it is {ends[-1]}"
    if run.state is RunState.SUCCEEDED and not ends:
        return "it is recorded as succeeded, and by its journal it is not at its end"
    happened = (event for _, events in journal for event in events)
    ended = {(type(event), event.node, event.item) for event in happened if isinstance(event, (Succeeded, Hit))}
    kinds = {NodeState.SUCCEEDED: Succeeded, NodeState.CACHED: Hit}
    for attempt in attempts:
        kind = kinds.get(attempt.state)
        if kind is not None and attempt.attempt > 0 and (kind, attempt.node, attempt.item) not in ended:
            return (
                f"attempt {attempt.attempt} at {attempt.node} is recorded as {attempt.state}, and is not in its journal"
            )
    return ""


def of_blobs(store: Store, blobs: Blobs, *, full: bool, shared: bool = False) -> Iterator[Finding]:
    """The stored values that are gone, of results in the cache and outputs of runs; with `full`, of all that is recorded,
    and those that are damaged as well. `blobs` must not change for that they are looked at. `shared` says whether other
    machines may use the store, and have blobs of their own."""
    lost = _Lost(blobs, full=full)
    broken: list[bytes] = []
    for result in store.results():
        if lost.of(result.outputs):
            broken.append(result.fingerprint)
    referred = store.arguments() if full else _outputs(store)
    lost.of(referred)
    if not lost.addresses:
        return
    count = len(lost.addresses)
    named = ", ".join(address.hex()[:16] for address in sorted(lost.addresses)[:_TOLD])
    gone = f"({named}{', ...' if count > _TOLD else ''})"
    values = _counted(count, "stored value")
    if shared:
        yield Finding(
            what=f"{values} {gone} cannot be found here: other machines may share the store, which is on a server, and "
            "stored values are in a folder of this machine",
            remedy="Keep them where all machines find them: the setting `blobs`, a bucket or a shared folder.",
            is_problem=False,
        )
    elif broken:
        yield Finding(
            what=f"{values} {'is' if count == 1 else 'are'} gone or damaged {gone}, and so "
            f"{_counted(len(broken), 'result')} in the cache cannot be used",
            remedy="Run the pipelines again, which makes them anew, or restore a backup. Drop the results: "
            "penstock doctor --fix.",
            mend=partial(store.forget, broken),
        )
    else:
        shown = next(_without(store, lost), "what refers to them cannot be shown any more")
        yield Finding(
            what=f"{values} {'is' if count == 1 else 'are'} gone or damaged {gone}: {shown}; the cache has others",
            is_problem=False,
        )


def _without(store: Store, lost: _Lost) -> Iterator[str]:
    """What runs cannot show any more, the latest first."""
    for run in store.runs(limit=_LATEST):
        for name, output in run.outputs.items():
            if lost.of([output]):
                yield f"run {run.run_id} cannot show its output {name} any more"
        for attempt in store.attempts(run.run_id):
            if lost.of(attempt.outputs):
                task = item_id(attempt.node, attempt.item, attempt.key)
                yield f"run {run.run_id} cannot show what {task} returned any more"


def of_emptiness(store: Store, blobs: Path) -> Iterator[Finding]:
    """Whether there are stored values and nothing at all is recorded, as where the store was lost. `blobs` is the folder of
    the values."""
    if store.runs(limit=1) or next(iter(store.arguments()), None) is not None:
        return
    yield from of_orphaned(blobs)


def of_orphaned(blobs: Path) -> Iterator[Finding]:
    """The same where it is known that nothing is recorded."""
    count = sum(1 for path in blobs.glob("??/??/*") if path.is_file()) if blobs.is_dir() else 0
    if count:
        yield Finding(
            what=f"the store is empty, and {_counted(count, 'stored value')} {'belongs' if count == 1 else 'belong'} to no record",
            remedy="Put a backup back: penstock restore FILE --force. If there is none, remove them: penstock gc.",
            is_problem=False,
        )


def _outputs(store: Store) -> Iterator[Argument]:
    for run in store.runs(limit=_LATEST):
        yield from run.outputs.values()
        for attempt in store.attempts(run.run_id):
            yield from attempt.outputs


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun if count == 1 else noun + 's'}"


class _Lost:
    """What of that which arguments lead to cannot be had."""

    def __init__(self, blobs: Blobs, *, full: bool) -> None:
        self._blobs, self._full = blobs, full
        self._sound: set[bytes] = set()
        self.addresses: set[bytes] = set()

    def of(self, arguments: Iterable[Argument]) -> bool:
        """Whether something of these is gone or damaged; all of it is gone through."""
        lost = False
        for argument in arguments:
            reach = Reach(self._blobs)
            reach.add(argument)
            for address in reach.addresses:
                lost |= not self._is_sound(address)
        return lost

    def _is_sound(self, address: bytes) -> bool:
        if address in self._sound or address in self.addresses:
            return address in self._sound
        try:
            if self._full:
                self._blobs.read(address)
            sound = self._full or self._blobs.has(address)
        except (ArtifactMissingError, ArtifactDamagedError):
            sound = False
        (self._sound if sound else self.addresses).add(address)
        return sound


__all__ = ["of_blobs", "of_clock", "of_drivers", "of_emptiness", "of_journals", "of_orphaned", "of_store"]
