"""Assets that are made by themselves, and those that are late."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from penstock.daemon.firings import new_run_id
from penstock.daemon.notices import Notice, Tell
from penstock.errors import DefinitionError, PenstockError, StoreError
from penstock.model.asset import AssetInput, AssetSpec, Materialization, PartitionState
from penstock.model.firing import AUTOMATING, Advance, Firing, FiringState, Standing
from penstock.model.occurrence import OWN_SOURCE, Occurrence
from penstock.model.partition import Chosen
from penstock.model.trigger import Cause
from penstock.ports import Clock, Store
from penstock.runtime.assets.cells import AssetCell, needs
from penstock.runtime.assets.freshness import late_since, told
from penstock.runtime.assets.graph import AssetGraph
from penstock.runtime.assets.partitions import Calendar
from penstock.triggers.automation import Cell, Decision, Facts, decide

#: seconds between two looks whether anything has happened, and between two looks though nothing has
_LOOK, _ANYHOW = 1.0, 30.0
#: letters that are told of a failure
_TOLD = 300
#: events that are read at once
_PAGE = 1000


class Automating:
    """Sees to it that assets are made when their rules of automation hold, and tells once of each that is late."""

    def __init__(self, store: Store, clock: Clock, tell: Tell) -> None:
        self._store = store
        self._clock = clock
        self._tell = tell
        self._generation: int | None = None
        self._graph = AssetGraph(())
        #: identity of the code of each asset
        self._codes: dict[str, str] = {}
        self._seen = -1
        self._next = clock.monotonic()
        self._anyhow = 0.0
        self._pass: Iterator[None] | None = None
        self._told_late: dict[str, float] = {}

    def step(self, now: float) -> bool:
        """Go on to the next transaction. Whether there was anything to do."""
        if self._pass is None:
            moment = self._clock.monotonic()
            if moment < self._next:
                return False
            self._next = moment + _LOOK
            if not self._has_happened(now):
                return False
            self._pass = self._look(now)
        going = next(self._pass, StopIteration) is None
        if not going:
            self._pass = None
        return going

    def begin(self) -> None:
        """Forget where it was; something went wrong there."""
        self._pass, self._seen, self._generation = None, -1, None

    def _has_happened(self, now: float) -> bool:
        """Whether anything may have changed since the last look."""
        agenda = self._store.agenda
        generation = agenda.generation()
        if generation != self._generation:
            self._generation = generation
            self._read(now)
            self._seen = -1
        if not self._upkept:
            return False
        last = agenda.last_occurrence()
        if last == self._seen and now < self._anyhow:
            return False
        self._seen, self._anyhow = last, now + _ANYHOW
        return True

    @property
    def _upkept(self) -> list[AssetSpec]:
        """The assets that there is something to see to, each behind those that it is made from."""
        return [each for each in self._graph.specs.values() if each.automation or each.freshness]

    def _read(self, now: float) -> None:
        specs: list[AssetSpec] = []
        self._codes = {}
        for definition in self._store.agenda.definitions("asset"):
            try:
                specs.append(msgspec.convert(definition.document["spec"], AssetSpec))
                self._codes[definition.name] = definition.document.get("code", "")
            except (msgspec.ValidationError, KeyError, TypeError) as error:
                self._trouble(f"the asset {definition.name} cannot be read: {error}", now)
        try:
            self._graph = AssetGraph(specs)
        except DefinitionError as error:
            self._graph = AssetGraph(())
            self._trouble(f"no asset is made by itself: {error}", now)

    def _trouble(self, text: str, now: float) -> None:
        self._tell(Notice(at=now, what="trouble", text=text))

    # One look.

    def _look(self, now: float) -> Iterator[None]:
        calendar = Calendar(now, self._store.catalog.dynamic_partitions)
        specs = self._upkept
        standings = {
            each.trigger: each for each in self._store.agenda.standings([f"{AUTOMATING}{s.name}" for s in specs])
        }
        automated = [each for each in specs if each.automation is not None and not each.external]
        events = _Events(self._store, automated, standings, self._seen)
        #: those that are queued, or were asked for on the way
        coming = set(self._queued(automated))
        for spec in specs:
            if spec in automated:
                standing = standings.get(f"{AUTOMATING}{spec.name}") or Standing(trigger=f"{AUTOMATING}{spec.name}")
                yield from self._decided(spec, standing, calendar, events, coming, now)
            yield from self._late(spec, now)

    def _queued(self, automated: Iterable[AssetSpec]) -> Iterator[Cell]:
        """What is to be made by firings that have not ended."""
        agenda = self._store.agenda
        names = {f"{AUTOMATING}{spec.name}": spec.name for spec in automated}
        for trigger, runs in agenda.under_way(names).items():
            for run_id in runs:
                yield from _cells(names[trigger], agenda.firing(run_id))
        for trigger, name in names.items():
            for firing in agenda.firings(trigger=trigger, states=[FiringState.QUEUED], limit=None):
                yield from _cells(name, firing)

    def _decided(
        self,
        spec: AssetSpec,
        standing: Standing,
        calendar: Calendar,
        events: _Events,
        coming: set[Cell],
        now: float,
    ) -> Iterator[None]:
        if not standing.enabled:
            return
        cursor: dict[str, Any] | None = standing.cursor
        facts = self._facts(spec, calendar, events.of(spec, cursor), coming)
        try:
            decision = decide(spec, facts, cursor, now)
        except StoreError:
            raise
        except PenstockError as error:
            self._trouble(f"{spec.name} is not made by itself: {error}", now)
            return
        if decision.next_at is not None:
            self._anyhow = min(self._anyhow, decision.next_at)
        following = {**decision.cursor, "seen": self._seen}
        firings = tuple(_firing(spec, each.partition, each.key, now) for each in decision.wanted)
        coming.update((spec.name, each.partition) for each in decision.wanted)
        if not firings and _is_same(cursor, following):
            return
        moved = msgspec.structs.replace(
            standing,
            cursor=following,
            looked_at=now,
            fired_at=now if firings else standing.fired_at,
            next_at=decision.next_at,
            note=_note(decision),
        )
        (recorded,) = self._store.agenda.advance([Advance(standing=moved, firings=firings)])
        yield
        if recorded:
            self._say(spec, decision, now)

    def _say(self, spec: AssetSpec, decision: Decision, now: float) -> None:
        for each in decision.wanted:
            what = AssetCell(spec.name, each.partition).id
            self._tell(Notice(at=now, what="fired", text=f"{what} is to be made: {each.reason}", trigger=spec.name))

    def _facts(self, spec: AssetSpec, calendar: Calendar, changed: Sequence[Cell], coming: Collection[Cell]) -> Facts:
        catalog = self._store.catalog
        assert spec.automation is not None
        recent = ("",) if spec.partitions is None else calendar.latest(spec.partitions, spec.automation.backlog)

        def needed(partition: str) -> list[tuple[AssetInput, list[Cell]]]:
            found = needs(self._graph, calendar, AssetCell(spec.name, partition))
            return [(each.input, [(cell.asset, cell.partition) for cell in each.cells]) for each in found]

        def latest(cells: Iterable[Cell]) -> Mapping[Cell, Materialization]:
            by_asset = _by_asset(cells)
            return {
                (name, key): version
                for name, keys in by_asset.items()
                for key, version in catalog.latest_of(name, keys).items()
            }

        def busy(cells: Iterable[Cell]) -> Collection[Cell]:
            cells = list(cells)
            found = {cell for cell in cells if cell in coming}
            for name, keys in _by_asset(cells).items():
                changes = catalog.changes(name, keys)
                found |= {(name, key) for key, each in changes.items() if each.state is PartitionState.RUNNING}
            return found

        touched, code = self._touched(spec, calendar, changed), self._codes.get(spec.name, "")
        return Facts(recent, touched, needed, latest, busy, code, partial(self._failure, spec.name))

    def _failure(self, name: str, partition: str) -> str:
        """Which run has failed to make a partition, and why; empty where what happened to it last is no failure."""
        change = self._store.catalog.changes(name, [partition]).get(partition)
        if change is None or change.state is not PartitionState.FAILED:
            return ""
        faults = [each.fault for each in self._store.attempts(change.run_id) if each.fault is not None]
        why = f": {faults[-1].type}: {faults[-1].message}".partition("\n")[0] if faults else ""
        return f"the run {change.run_id} failed{why}"[:_TOLD]

    def _touched(self, spec: AssetSpec, calendar: Calendar, changed: Sequence[Cell]) -> list[str]:
        """The partitions of an asset that are made from what has changed."""
        found: dict[str, None] = {}
        for each in spec.inputs:
            # what a function of the author's names, a run alone can tell
            if isinstance(each.mapping, Chosen):
                continue
            up = self._graph[each.asset].partitions
            for key in (key for asset, key in changed if asset == each.asset):
                try:
                    found.update(dict.fromkeys(calendar.made_from(each.mapping, key, up, spec.partitions)))
                except StoreError:
                    raise
                except PenstockError:
                    continue
        return list(found)

    # What is late.

    def _late(self, spec: AssetSpec, now: float) -> Iterator[None]:
        if spec.freshness is None:
            return
        made_at = self._made_at(spec.name)
        since = late_since(spec.freshness, made_at, now)
        if since is None or self._told_late.get(spec.name) == since:
            return
        rule = told(spec.freshness)
        late = Occurrence(
            id=f"late/{spec.name}/{since:.3f}",
            source=f"{OWN_SOURCE}/asset/{spec.name}",
            type="asset.late",
            at=now,
            subject=spec.name,
            data={"asset": spec.name, "since": since, "made_at": made_at, "rule": rule, "owners": list(spec.owners)},
        )
        new = self._store.agenda.emit([late])
        self._told_late[spec.name] = since
        yield
        if new:
            was = "it was never made" if made_at is None else f"it is to be {rule}"
            self._tell(Notice(at=now, what="trouble", text=f"the asset {spec.name} is late: {was}", trigger=spec.name))

    def _made_at(self, name: str) -> float | None:
        """When an asset was made last, or made again with nothing new."""
        newest = next(iter(self._store.catalog.history(name, limit=1)), None)
        if newest is None:
            return None
        change = self._store.catalog.changes(name, [newest.partition]).get(newest.partition)
        made = change is not None and change.state is PartitionState.MATERIALIZED
        return max(newest.at, change.at) if made and change is not None else newest.at


class _Events:
    """The versions that were recorded since assets were looked at, read once for all of them."""

    def __init__(
        self, store: Store, automated: Sequence[AssetSpec], standings: Mapping[str, Standing], last: int
    ) -> None:
        cursors = [standings[n].cursor for spec in automated if (n := f"{AUTOMATING}{spec.name}") in standings]
        after = min((each["seen"] for each in cursors if each), default=last)
        self._found: list[tuple[int, Cell]] = []
        while after < last:
            page = store.agenda.occurrences(after, _PAGE, type="asset.materialized")
            for number, each in page:
                self._found.append((number, (each.subject, _partition(each))))
            if len(page) < _PAGE:
                break
            after = page[-1][0]

    def of(self, spec: AssetSpec, cursor: Mapping[str, Any] | None) -> list[Cell]:
        """What an asset is made from that has a version it has not seen; none the first time."""
        if not cursor:
            return []
        inputs = {each.asset for each in spec.inputs}
        return [cell for number, cell in self._found if number > cursor["seen"] and cell[0] in inputs]


def _partition(occurrence: Occurrence) -> str:
    data: dict[str, Any] = occurrence.data or {}
    return str(data.get("partition", ""))


def _cells(name: str, firing: Firing) -> list[Cell]:
    return [(name, key) for key in firing.cause.partitions or ("",)]


def _by_asset(cells: Iterable[Cell]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for asset, key in dict.fromkeys(cells):
        found.setdefault(asset, []).append(key)
    return found


def _firing(spec: AssetSpec, partition: str, key: str, now: float) -> Firing:
    trigger = f"{AUTOMATING}{spec.name}"
    partitions = (partition,) if partition else ()
    return Firing(
        run_id=new_run_id(now),
        trigger=trigger,
        key=key,
        assets=spec.name,
        cause=Cause(trigger=trigger, key=key, logical_time=now, partitions=partitions),
        created_at=now,
    )


def _is_same(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> bool:
    """Whether nothing has to be recorded: that events were seen that it is not made from can wait, for a page of them."""
    if before is None or after["seen"] - before["seen"] >= _PAGE:
        return False
    return {**before, "seen": 0} == {**after, "seen": 0}


def _note(decision: Decision) -> str:
    """The decision in a sentence."""
    waiting = (each for each in decision.verdicts if each.waits)
    last = next(iter(decision.wanted), None) or next(waiting, None) or next(iter(decision.verdicts), None)
    if last is None:
        return "it has no partitions yet"
    return f"{last.partition + ': ' if last.partition else ''}{last.reason}"


__all__ = ["Automating"]
