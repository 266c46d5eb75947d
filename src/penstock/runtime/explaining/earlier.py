"""The computation of an earlier run that is nearest to one at hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from typing import NamedTuple

from penstock.errors import NotFoundError, PenstockError
from penstock.model.run import FRUITFUL, AttemptRecord, NodeState, RunRecord, item_id
from penstock.ports import Store
from penstock.runtime.driving.nodes import Cell
from penstock.runtime.explaining.account import Account, Comparison, account_of
from penstock.runtime.explaining.difference import Difference
from penstock.runtime.generations.earlier import generations_before
from penstock.runtime.reading.past import Past
from penstock.values import Values

#: how many earlier runs are looked at
_RUNS = 20
#: how many different computations of them are compared
_COMPARED = 5
#: of how many versions of an asset the runs are looked at besides
_VERSIONS = 3
_TELLING = FRUITFUL | {NodeState.FAILED}


class Nearest(NamedTuple):
    """An earlier computation, and in what the one at hand differs from it."""

    run: RunRecord
    #: when its result was made, in seconds since the epoch; None where that is not known
    at: float | None
    state: NodeState
    fingerprint: bytes | None
    differences: tuple[Difference, ...]


class History:
    """The earlier runs of a pipeline, read when they are asked for, and those that made versions of `assets`. `before`: only
    runs that began before that one."""

    def __init__(
        self,
        store: Store,
        values: Values,
        pipeline: str,
        before: RunRecord | None = None,
        assets: Iterable[str] = (),
    ) -> None:
        self._store = store
        self._values = values
        self._pipeline = pipeline
        self._before = before
        self._assets = tuple(assets)
        self._comparison = Comparison()
        self._pasts: dict[str, Past] = {}
        self._records: dict[tuple[str, str], dict[str, AttemptRecord]] = {}

    @cached_property
    def runs(self) -> list[RunRecord]:
        """Newest first."""
        before = self._before
        found = self._store.runs(pipeline=self._pipeline, limit=1000 if before is not None else _RUNS)
        if before is not None:
            found = [run for run in found if run.started_at < before.started_at and run.run_id != before.run_id]
            # the generations before are not listed
            found = [*generations_before(self._store, before), *found]
        return self._with_makers(found[:_RUNS])

    def _with_makers(self, found: list[RunRecord]) -> list[RunRecord]:
        """The same with the runs that made the latest versions of assets, which may be runs of other pipelines."""
        if not self._assets:
            return found
        known = {run.run_id for run in found}
        made = (each for name in self._assets for each in self._store.catalog.history(name, limit=_VERSIONS))
        for run_id in dict.fromkeys(each.run_id for each in made if each.run_id and each.run_id not in known):
            with suppress(NotFoundError):
                run = self._store.find(run_id)
                if self._before is None or run.started_at < self._before.started_at:
                    found.append(run)
        return sorted(found, key=lambda run: -run.started_at)

    def past(self, run: RunRecord) -> Past:
        """A run read back, once."""
        if run.run_id not in self._pasts:
            self._pasts[run.run_id] = Past(self._store, self._values, run)
        return self._pasts[run.run_id]

    def computations(self, name: str, node: str) -> Iterator[tuple[RunRecord, AttemptRecord]]:
        """The results of a node or an item, called `name`, in earlier runs; each fingerprint once, newest first."""
        seen: set[bytes | None] = set()
        for run in self.runs:
            record = self._of(run, node).get(name)
            if record is not None and record.fingerprint not in seen:
                seen.add(record.fingerprint)
                yield run, record

    def nearest(self, account: Account, node: str, fingerprint: bytes | None = None) -> Nearest | None:
        """The earlier computation of the same node or item that differs least from one at hand, the latest of several;
        None where there is none. With `fingerprint`, one that has that very fingerprint is the nearest."""
        found: list[Nearest] = []
        for run, record in self.computations(account.name, node):
            same = fingerprint is not None and record.fingerprint == fingerprint
            compared = () if same else self._compared(account, run, (record.node, record.item))
            if compared is None:
                continue
            found.append(
                Nearest(run, self._made(account.name, run, record), record.state, record.fingerprint, compared)
            )
            if len(compared) <= 1 or len(found) == _COMPARED:
                break
        return min(found, key=lambda each: len(each.differences), default=None)

    def _made(self, name: str, run: RunRecord, record: AttemptRecord) -> float | None:
        """When the result of an attempt was made, which may have taken it from the cache."""
        for earlier in (run, *(each for each in self.runs if each.started_at < run.started_at)):
            made = self._of(earlier, record.node).get(name)
            if made is not None and made.fingerprint == record.fingerprint and made.state is not NodeState.CACHED:
                return made.started_at + made.duration
        # in another pipeline, or longer ago; unless another result has taken its place since
        recorded = self._store.recorded([] if record.fingerprint is None else [record.fingerprint])
        return next((at for _, at in recorded.values() if at <= record.started_at), None)

    def _compared(self, account: Account, run: RunRecord, cell: Cell) -> tuple[Difference, ...] | None:
        """The differences; None where too little is known of the earlier one."""
        try:
            return tuple(self._comparison.differences(account_of(self.past(run), cell), account))
        except (PenstockError, LookupError):
            return None

    def _of(self, run: RunRecord, node: str) -> dict[str, AttemptRecord]:
        key = run.run_id, node
        if key not in self._records:
            found = self._records[key] = {}
            for record in self._store.attempts(run.run_id, node):
                name = item_id(record.node, record.item, record.key)
                # what a fallback gave has no fingerprint, and is no result of the task
                if record.state in _TELLING and (record.fingerprint is not None or name not in found):
                    found[name] = record
        return self._records[key]


__all__ = ["History", "Nearest"]
