"""What is recorded of assets: their versions, checks, and the states of their partitions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from penstock.model.asset import CheckResult, Materialization, PartitionChange, PartitionState


class Catalog(Protocol):
    """What is recorded of assets. Versions that runs make are recorded with their turns (`Turn.materializations`): each only
    if its fingerprint or its digest differs from that of the latest version of its partition. They outlive their runs. All
    methods raise StoreError."""

    def latest(self, assets: Iterable[str] | None = None, *, partition: str | None = None) -> list[Materialization]:
        """The latest version of each asset and, of those with partitions, of each partition (or of a given one)."""
        ...

    def latest_of(self, asset: str, partitions: Iterable[str]) -> dict[str, Materialization]:
        """The latest version of each of the partitions that have one."""
        ...

    def history(self, asset: str, partition: str | None = None, *, limit: int = 20) -> list[Materialization]:
        """Versions, newest first."""
        ...

    def made_by(self, run_id: str) -> list[Materialization]:
        """The versions that a run has made, in any of its generations."""
        ...

    def observe(self, observations: Sequence[Materialization]) -> list[Materialization]:
        """Record versions that no run has made, each only if its digest is another than that of the latest. Returns the new
        ones."""
        ...

    def checks(self, asset: str, partition: str | None = None, *, limit: int = 20) -> list[CheckResult]:
        """Results of checks, newest first."""
        ...

    def states(self, asset: str) -> dict[str, PartitionState]:
        """The state of every partition that is not missing. One is `running` for as long as the run that makes it is under
        way or paused; after that, it is what it was before, as far as there is a version."""
        ...

    def counts(self, assets: Iterable[str] | None = None) -> dict[str, dict[PartitionState, int]]:
        """How many partitions of each asset are in which state, without those that are missing."""
        ...

    def changes(self, asset: str, partitions: Iterable[str]) -> dict[str, PartitionChange]:
        """What last happened to partitions, also where that made no new version; without those that are missing."""
        ...

    def forget_versions(self, before: float, *, keep: int = 1, dry: bool = False) -> int:
        """Drop versions that were made before a time, but for the latest `keep` of each partition (1 at least). Returns how
        many; with `dry`, would be. What is not dropped keeps its value: see `Store.arguments`."""
        ...

    # Partitions that are added and removed.

    def add_partitions(self, name: str, keys: Iterable[str]) -> list[str]:
        """Add keys to the dynamic partitions of a name. Returns those that were not there."""
        ...

    def remove_partitions(self, name: str, keys: Iterable[str]) -> list[str]:
        """Returns those that were there."""
        ...

    def dynamic_partitions(self, name: str) -> list[str]:
        """The keys, in the order in which they were added."""
        ...
