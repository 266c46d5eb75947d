"""What may start now: how the runs of a trigger, or of a backfill, stand to each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from penstock.daemon.roster import Roster
from penstock.errors import NotFoundError
from penstock.model.asset import PartitionState
from penstock.model.firing import BACKFILLING, BackfillState, Firing, FiringState
from penstock.model.run import RunState
from penstock.model.trigger import Follows, Limits
from penstock.ports import Store

_FREE = Limits()
#: how a run has ended, in words
_ENDS = {"failed": "failed", "cancelled": "was cancelled"}


class Verdict(NamedTuple):
    """What is to become of a firing that is queued."""

    #: `later`: others of the same trigger may start before it
    action: Literal["start", "wait", "later", "skip", "fail", "cancel"]
    reason: str = ""
    #: runs that are to end first
    runs: Sequence[str] = ()


class Limited:
    """The limits, and what is under way, as they are on one way through the queue."""

    def __init__(self, store: Store, roster: Roster) -> None:
        self._store = store
        self._agenda = store.agenda
        self._roster = roster
        #: trigger -> runs that are under way
        self._under_way: dict[str, list[str]] = {}
        #: how many runs of each backfill may be
        self._backfills: dict[str, int] = {}
        #: trigger -> the run that had to succeed first
        self._before: dict[str, str] = {}

    def paused(self) -> set[str]:
        """Those of whose firings none are started: backfills that are paused."""
        states = (BackfillState.RUNNING, BackfillState.PAUSED)
        backfills = self._agenda.backfills(states=states, limit=1_000_000)
        self._backfills = {f"{BACKFILLING}{each.backfill_id}": each.at_most for each in backfills}
        return {f"{BACKFILLING}{each.backfill_id}" for each in backfills if each.state is BackfillState.PAUSED}

    @property
    def drops(self) -> bool:
        """Whether there is a trigger that something is done about though none of its firings can be started."""
        return any(each.trigger.limits.overlap != "queue" for each in self._roster)

    def look(self, firings: Iterable[Firing]) -> None:
        """See what is under way of the triggers of firings."""
        limited = {firing.trigger for firing in firings if self.at_most(firing) is not None}
        unknown = limited - self._under_way.keys()
        if unknown:
            self._under_way |= {name: [] for name in unknown} | self._agenda.under_way(unknown)

    def at_most(self, firing: Firing) -> int | None:
        """How many runs of a firing's trigger may be under way at once."""
        limits = self._limits(firing)
        if limits.after_success:
            return 1
        return self._backfills.get(firing.trigger, limits.at_most)

    def verdict(self, firing: Firing, newest: Firing) -> Verdict:
        """What is to become of a firing; `newest` is the last one of its trigger that is queued."""
        limits, at_most = self._limits(firing), self.at_most(firing)
        if at_most is None:
            return Verdict("start")
        if limits.overlap == "cancel" and newest.run_id != firing.run_id:
            return Verdict("skip", f"it fired again for {newest.key} before it could start")
        running = self._under_way[firing.trigger]
        if len(running) >= at_most:
            under_way = f"at most {at_most} of its runs at once" if at_most > 1 else "another of its runs is under way"
            if limits.overlap == "skip":
                return Verdict("skip", under_way)
            if limits.overlap == "cancel":
                return Verdict("cancel", runs=running[: len(running) - at_most + 1])
            return Verdict("wait", under_way)
        if limits.after_success:
            return self._after_success(firing)
        return Verdict("start") if firing.cause.follows is None else self._following(firing, firing.cause.follows)

    def _following(self, firing: Firing, follows: Follows) -> Verdict:
        """What is to become of a run of a backfill that takes what others make."""
        verdict = Verdict("start")
        for first, last in follows.runs:
            for other, run_state in self._agenda.unmade(firing.trigger, first, last):
                if other.state is FiringState.QUEUED or (
                    other.state is FiringState.STARTED and run_state in ("", RunState.RUNNING)
                ):
                    verdict = Verdict("later", "what it is made from is not made yet")
                elif not self._is_made(other, follows.assets):
                    return Verdict("skip", _lack(other, run_state))
        return verdict

    def _is_made(self, firing: Firing, assets: Sequence[str]) -> bool:
        """Whether a run that has not succeeded has made all that it was to make of some assets."""
        taken = {each.strip() for each in firing.assets.split(",")}.intersection(assets)
        if firing.state is not FiringState.STARTED or not taken:
            return False
        keys = firing.cause.partitions or ("",)
        for name in taken:
            changes = self._store.catalog.changes(name, keys)
            for key in keys:
                change = changes.get(key)
                if change is None or change.run_id != firing.run_id or change.state is not PartitionState.MATERIALIZED:
                    return False
        return True

    def _after_success(self, firing: Firing) -> Verdict:
        before = self._latest(firing)
        self._before[firing.trigger] = before
        try:
            state = self._store.find(before).state if before else RunState.SUCCEEDED
        except NotFoundError:
            state = RunState.SUCCEEDED
        if state is RunState.SUCCEEDED:
            return Verdict("start")
        return Verdict("wait", f"the run before it, {before}, has to succeed first: penstock resume {before}")

    def still_follows(self, firing: Firing) -> bool:
        """Whether the run before one that is taken is still the one that was looked at."""
        return not self._limits(firing).after_success or self._latest(firing) == self._before[firing.trigger]

    def _latest(self, firing: Firing) -> str:
        """The latest run of a trigger, other than that of a firing; empty if there is none."""
        started = self._agenda.firings(trigger=firing.trigger, states=[FiringState.STARTED], limit=2)
        return next((each.run_id for each in started if each.run_id != firing.run_id), "")

    def started(self, firing: Firing) -> None:
        """Count one that was started."""
        self._under_way.setdefault(firing.trigger, []).append(firing.run_id)

    def _limits(self, firing: Firing) -> Limits:
        watched = self._roster.get(firing.trigger)
        return _FREE if watched is None else watched.trigger.limits


def _lack(firing: Firing, run_state: str) -> str:
    """Why a run does not begin that takes what another one was to make."""
    if firing.state is FiringState.STARTED:
        return f"{firing.key} was not made: run {firing.run_id} {_ENDS.get(run_state, run_state)}"
    if firing.state is FiringState.SKIPPED and firing.cause.follows is not None:
        # what it lacked itself
        return firing.reason
    return f"{firing.key} was not made: {firing.reason or f'it was {firing.state}'}"


__all__ = ["Limited", "Verdict"]
