"""How the assets of a project are: fresh, stale, missing, late; each of them found out when it is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any

from penstock.app.assets import AssetPipeline, Assets, latest_of
from penstock.app.launching import Launch
from penstock.errors import DefinitionError, NotFoundError
from penstock.model.asset import Materialization, PartitionState
from penstock.model.firing import OBSERVING
from penstock.model.options import RunOptions
from penstock.model.partition import Partitions
from penstock.ports import Store
from penstock.services import Services

if TYPE_CHECKING:
    from penstock.runtime.assets.cells import AssetCell
    from penstock.runtime.assets.partitions import Calendar
    from penstock.runtime.assets.selecting import States
    from penstock.runtime.assets.staleness import Stale

#: words for partitions, besides keys and ranges of them
WORDS = ("latest", "missing", "failed", "stale", "all")


class AssetStates:
    """The states of assets as they are recorded in a store (None: nothing was ever recorded). Of each asset, only the latest
    `most` versions are looked at whether they are stale (None: those of all partitions)."""

    def __init__(
        self, assets: Assets, store: Store | None, options: RunOptions | None = None, *, most: int | None = None
    ) -> None:
        self._most = most
        self._assets = assets
        self._store = store
        self._options = options or RunOptions()
        self.now = time.time()
        self.calendar: Calendar = assets.calendar(store, self.now)
        self._latest: dict[str, dict[str, Materialization]] = {}
        self._stale: dict[str, dict[AssetCell, Stale]] = {}

    # What is recorded.

    def latest(self, name: str) -> dict[str, Materialization]:
        """The latest version of an asset, or of each of its partitions, by key."""
        if name not in self._latest:
            found = [] if self._store is None else self._store.catalog.latest([name])
            self._latest[name] = {each.partition: each for each in found}
        return self._latest[name]

    def newest(self, name: str) -> Materialization | None:
        """The version that was made last."""
        return max(self.latest(name).values(), key=lambda each: each.at, default=None)

    def trouble(self, name: str) -> str:
        """Why there is no newer version, where the last time that somebody tried it failed; else empty."""
        if self._store is None:
            return ""
        if self._assets.graph[name].external:
            asked = next(iter(self._store.agenda.standings([f"{OBSERVING}{name}"])), None)
            return f"the last observation failed: {asked.note}" if asked is not None and asked.failures else ""
        last = self._store.catalog.changes(name, [""]).get("")
        failed = last is not None and last.state is PartitionState.FAILED
        return f"run {last.run_id} could not make it" if last is not None and failed else ""

    def not_passed(self, name: str) -> list[str]:
        """The checks that the latest versions have not passed, by name; those first that hold back what is made from it."""
        from penstock.app.asset_gates import holds_back, not_passed

        if self._store is None or not self._assets.graph[name].checks:
            return []
        found = not_passed(self._store, name, self.latest(name).values())
        return list(dict.fromkeys(each.check for each in sorted(found, key=holds_back, reverse=True)))

    def states(self, name: str) -> Mapping[str, PartitionState]:
        """The state of every partition that is not missing."""
        return {} if self._store is None else self._store.catalog.states(name)

    def keys(self, name: str) -> Sequence[str]:
        """The partitions that an asset has now; of one without, an empty one."""
        partitions = self._assets.graph[name].partitions
        return ("",) if partitions is None else self.calendar.keys(partitions)

    def missing(self, name: str) -> list[str]:
        """The keys of those that were never made."""
        made = self.latest(name)
        return [key for key in self.keys(name) if key not in made]

    # What follows from it.

    def stale(self, names: Iterable[str] | None = None) -> dict[AssetCell, Stale]:
        """The cells of assets (None: all) whose version is not what would be made now, with why."""
        names = list(self._assets.made if names is None else names)
        new = [name for name in names if name not in self._stale and name in self._assets.made]
        if new:
            found = self._compared(new)
            for name in new:
                self._stale[name] = {cell: stale for cell, stale in found.items() if cell.asset == name}
        return {cell: stale for name in names for cell, stale in self._stale.get(name, {}).items()}

    def _compared(self, names: Sequence[str]) -> dict[AssetCell, Stale]:
        from penstock.runtime.assets.cells import AssetCell
        from penstock.runtime.assets.staleness import Staleness

        versions = {AssetCell(name, each.partition): each for name in names for each in self._looked_at(name)}
        if self._store is None or not versions:
            return {}
        needed = self._assets.needed(self.calendar, versions)
        current = latest_of(
            self._store, dict.fromkeys(cell for each in needed.values() for n in each for cell in n.cells)
        )
        # what is made from what has no version cannot be compared: it was made from something else
        known = [
            cell
            for cell, each in needed.items()
            if all(n.input.parameter is None or all(c in current for c in n.cells) for n in each)
        ]
        if not known:
            return {}
        pipeline = AssetPipeline(self._assets, options=self._options, apart=True)
        pipeline.known = {**current}
        parameters: dict[str, Any] = {"cells": [cell.id for cell in known], "inputs": {}, "selection": ""}
        with (
            Services(self._options).looking() as services,
            Launch(pipeline, parameters, self._options, (), services) as launch,
        ):
            launch.codes.identify(services.values, services.project.folder)
            found = Staleness(launch.definition, launch.codes, self._store, services.values, current)
            return found.of(known, versions)

    def _looked_at(self, name: str) -> list[Materialization]:
        newest = sorted(self.latest(name).values(), key=lambda each: -each.at)
        there = set(self.keys(name)) if len(newest) > 1 else None
        return [each for each in newest[: self._most] if there is None or each.partition in there]

    def above(self, name: str) -> list[str]:
        """The assets that one is made from, near or far, that are stale or missing: once they are made, it may be stale."""
        up = self._assets.graph.in_order(self._assets.graph.around([name], up=None) - {name})
        up = [each for each in up if each in self._assets.made]
        stale = {cell.asset for cell in self.stale(up)}
        return [each for each in up if each in stale or not self.latest(each)]

    def late(self, name: str) -> float | None:
        """Since when an asset is late, in seconds since the epoch; None where it is not."""
        from penstock.runtime.assets.freshness import late_since

        rule = self._assets.graph[name].freshness
        if rule is None:
            return None
        newest = self.newest(name)
        return late_since(rule, None if newest is None else self._made_at(newest), self.now)

    def _made_at(self, version: Materialization) -> float:
        """When a version was made, or made again with nothing new."""
        assert self._store is not None
        change = self._store.catalog.changes(version.asset, [version.partition]).get(version.partition)
        made = change is not None and change.state is PartitionState.MATERIALIZED
        return max(version.at, change.at) if made and change is not None else version.at

    # For selections.

    @cached_property
    def selectors(self) -> States:
        """What finds the assets in a state."""
        return {
            "stale": lambda: {cell.asset for cell in self.stale()},
            "missing": lambda: {name for name in self._assets.made if self.missing(name)},
            "late": lambda: {name for name in self._assets.graph if self.late(name) is not None},
        }

    def chosen(self, partitions: Sequence[str]) -> Callable[[str], list[str]]:
        """What tells the keys that are meant of an asset with partitions. Raises DefinitionError where none are said, and
        NotFoundError for keys that it does not have."""

        def keys_of(name: str) -> list[str]:
            if not partitions:
                raise DefinitionError(
                    f"{name} has partitions, and it is not said which ones to make",
                    where=str(self._assets.graph[name].location),
                    remedy=f"Name them (--partition KEY, A..B), or write one of: {', '.join(WORDS)}.",
                )
            meant = [self._meant(name, each) for each in partitions]
            if len(meant) == 1:
                return list(meant[0])
            wanted = {key for each in meant for key in each}
            return [key for key in self.keys(name) if key in wanted]

        return keys_of

    def _meant(self, name: str, word: str) -> Sequence[str]:
        partitions = self._assets.graph[name].partitions
        assert partitions is not None
        if self.calendar.contains(partitions, word):
            return (word,)
        match word:
            case "latest":
                return self.calendar.latest(partitions)
            case "all":
                return self.keys(name)
            case "missing":
                return self.missing(name)
            case "failed":
                failed = {key for key, state in self.states(name).items() if state is PartitionState.FAILED}
                return [key for key in self.keys(name) if key in failed]
            case "stale":
                stale = {cell.partition for cell in self.stale([name])}
                return [key for key in self.keys(name) if key in stale]
            case _:
                return self._expanded(name, partitions, word)

    def _expanded(self, name: str, partitions: Partitions, word: str) -> Sequence[str]:
        try:
            return self.calendar.expanded(partitions, word)
        except NotFoundError as error:
            near = get_close_matches(word, WORDS, 1)
            remedy = f"Did you mean {near[0]}?" if near else error.remedy
            raise NotFoundError(f"{name}: {error.what}", remedy=remedy) from None


def state_of(states: AssetStates, name: str, spec: Any) -> str:
    """The state of an asset in a word: `missing`, `stale`, `fresh`."""
    if not states.latest(name):
        return "missing"
    if spec.external:
        return "fresh"
    return "stale" if states.stale([name]) else "fresh"


__all__ = ["WORDS", "AssetStates", "state_of"]
