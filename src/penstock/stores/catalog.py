"""What is recorded of assets, in a relational database: see `penstock.ports.catalog.Catalog`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

from penstock.model.asset import CheckResult, Materialization, PartitionChange, PartitionState
from penstock.stores import versions
from penstock.stores.database import Access, Connection, looked_up
from penstock.stores.rows import Row, plain

_VERSIONS: Final = f"SELECT {versions.COLUMNS} FROM materializations"
_LATEST: Final = f"{_VERSIONS} JOIN partitions USING (asset, partition, version)".replace(
    versions.COLUMNS, ", ".join(f"materializations.{name}" for name in versions.COLUMNS.split(", "))
)
_CHECKS: Final = f"SELECT {versions.CHECK} FROM checks"
_STATES: Final = f"SELECT partition, {versions.STATE} FROM partitions WHERE asset = ?"
_COUNTS: Final = f"SELECT asset, {versions.STATE} AS state, count(*) FROM partitions"
_CHANGES: Final = f"SELECT partition, state, run_id, at, {versions.STATE} FROM partitions WHERE asset = ? AND partition"
_KEYS: Final = "SELECT key FROM dynamic_partitions WHERE name = ?"
_ADD_KEY: Final = "INSERT INTO dynamic_partitions (name, key) VALUES (?, ?)"
_REMOVE_KEY: Final = "DELETE FROM dynamic_partitions WHERE name = ? AND key = ?"

T = TypeVar("T")


class RelationalCatalog:
    """The catalog of a store; lives as long as the store does."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def latest(self, assets: Iterable[str] | None = None, *, partition: str | None = None) -> list[Materialization]:
        """The latest version of each asset and, of those with partitions, of each partition (or of a given one)."""
        one, values = ("", ()) if partition is None else (" AND materializations.partition = ?", (plain(partition),))

        def find(connection: Connection) -> Iterable[Row]:
            if assets is None:
                return connection.execute(f"{_LATEST} WHERE TRUE{one}", values).fetchall()
            names = list({plain(each) for each in assets})
            return looked_up(connection, f"{_LATEST} WHERE TRUE{one} AND materializations.asset", names, values)

        return sorted(self._versions(find), key=lambda each: (each.asset, each.partition))

    def latest_of(self, asset: str, partitions: Iterable[str]) -> dict[str, Materialization]:
        """The latest version of each of the partitions that have one."""
        keys = list({plain(each) for each in partitions})
        query = f"{_LATEST} WHERE materializations.asset = ? AND materializations.partition"
        found = self._versions(lambda connection: looked_up(connection, query, keys, (plain(asset),)))
        return {each.partition: each for each in found}

    def history(self, asset: str, partition: str | None = None, *, limit: int = 20) -> list[Materialization]:
        """Versions, newest first."""
        return self._of_asset(_VERSIONS, asset, partition, limit, versions.version_of)

    def made_by(self, run_id: str) -> list[Materialization]:
        """The versions that a run has made, in any of its generations."""
        return self._versions(
            lambda connection: connection.execute(f"{_VERSIONS} WHERE run_id = ? ORDER BY number", (run_id,)).fetchall()
        )

    def observe(self, observations: Sequence[Materialization]) -> list[Materialization]:
        """Record versions that no run has made; see `Catalog.observe`."""
        new = self._access.write(lambda: versions.observe(self._access.connection, observations))
        found = {key: self.latest_of(key[0], [key[1]]) for key in dict.fromkeys(new)}
        return [each for of_asset in found.values() for each in of_asset.values()]

    def checks(self, asset: str, partition: str | None = None, *, limit: int = 20) -> list[CheckResult]:
        """Results of checks, newest first."""
        return self._of_asset(_CHECKS, asset, partition, limit, versions.check_of)

    def states(self, asset: str) -> dict[str, PartitionState]:
        """The state of every partition that is not missing."""
        found = self._access.rows(_STATES, plain(asset))
        return {partition: PartitionState(state) for partition, state in found if state != PartitionState.MISSING}

    def counts(self, assets: Iterable[str] | None = None) -> dict[str, dict[PartitionState, int]]:
        """How many partitions of each asset are in which state, without those that are missing."""
        names = None if assets is None else list({plain(each) for each in assets})

        def find(connection: Connection) -> list[Row]:
            if names is None:
                return connection.execute(f"{_COUNTS} GROUP BY 1, 2").fetchall()
            return [
                row for name in names for row in connection.execute(f"{_COUNTS} WHERE asset = ? GROUP BY 1, 2", (name,))
            ]

        counts: dict[str, dict[PartitionState, int]] = {}
        for asset, state, count in self._read(find):
            if state != PartitionState.MISSING:
                counts.setdefault(asset, {})[PartitionState(state)] = count
        return counts

    def changes(self, asset: str, partitions: Iterable[str]) -> dict[str, PartitionChange]:
        """What last happened to partitions."""
        keys = list({plain(each) for each in partitions})
        found = self._read(lambda connection: list(looked_up(connection, _CHANGES, keys, (plain(asset),))))
        # what was said of them last holds no more: then it is their latest version that counts
        over = [partition for partition, state, *_, now in found if state != now and now != PartitionState.MISSING]
        made = self.latest_of(asset, over) if over else {}
        changes = {
            partition: PartitionChange(asset, partition, PartitionState(state), run_id, at)
            for partition, state, run_id, at, now in found
            if state == now != PartitionState.MISSING
        }
        done = PartitionState.MATERIALIZED
        return changes | {key: PartitionChange(asset, key, done, each.run_id, each.at) for key, each in made.items()}

    def forget_versions(self, before: float, *, keep: int = 1, dry: bool = False) -> int:
        """Drop versions that were made before a time; see `Catalog.forget_versions`."""
        kept = max(keep, 1)
        return self._access.write(lambda: versions.forget(self._access.connection, before, kept, dry=dry))

    # Partitions that are added and removed.

    def add_partitions(self, name: str, keys: Iterable[str]) -> list[str]:
        """Add keys to the dynamic partitions of a name. Returns those that were not there."""
        given = list(dict.fromkeys(map(plain, keys)))

        def add() -> list[str]:
            there = self._there(name, given)
            added = [key for key in given if key not in there]
            self._access.connection.executemany(_ADD_KEY, ((plain(name), key) for key in added))
            return added

        return self._access.write(add)

    def remove_partitions(self, name: str, keys: Iterable[str]) -> list[str]:
        """Returns those that were there."""
        given = list(dict.fromkeys(map(plain, keys)))

        def remove() -> list[str]:
            there = self._there(name, given)
            removed = [key for key in given if key in there]
            self._access.connection.executemany(_REMOVE_KEY, ((plain(name), key) for key in removed))
            return removed

        return self._access.write(remove)

    def dynamic_partitions(self, name: str) -> list[str]:
        """The keys, in the order in which they were added."""
        return [key for (key,) in self._access.rows(f"{_KEYS} ORDER BY number", plain(name))]

    def _there(self, name: str, keys: Sequence[str]) -> set[str]:
        return {key for (key,) in looked_up(self._access.connection, f"{_KEYS} AND key", keys, (plain(name),))}

    # How it is read.

    def _of_asset(self, query: str, asset: str, partition: str | None, limit: int, made: Callable[[Row], T]) -> list[T]:
        which, values = ("", list[Any]()) if partition is None else (" AND partition = ?", [plain(partition)])
        found = self._access.rows(
            f"{query} WHERE asset = ?{which} ORDER BY number DESC LIMIT ?", plain(asset), *values, limit
        )
        with self._access.reported("read"):
            return [made(row) for row in found]

    def _versions(self, find: Callable[[Connection], Iterable[Row]]) -> list[Materialization]:
        return self._read(lambda connection: [versions.version_of(row) for row in find(connection)])

    def _read(self, work: Callable[[Connection], T]) -> T:
        with self._access.reported("read"):
            return work(self._access.connection)


__all__ = ["RelationalCatalog"]
