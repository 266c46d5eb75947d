"""What a store has to do with assets: their versions, checks, and the states of their partitions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from penstock.errors import StoreError
from penstock.model.asset import CheckResult, Materialization, PartitionChange, PartitionState, Upstream
from penstock.model.run import RunState
from penstock.model.value import Collection, Description
from penstock.ports import Store
from penstock.ports.catalog import Catalog
from penstock.testing.records import TEXT, artifact, fingerprint, turn
from penstock.testing.store_case import StoreCase

RUNNING, MATERIALIZED, FAILED = PartitionState.RUNNING, PartitionState.MATERIALIZED, PartitionState.FAILED
#: a time after everything that a test does
LATER = 4_000_000_000.0


def version(seed: int = 1, partition: str = "", asset: str = "features", **changes: Any) -> Materialization:
    """A version that has just been made; what made it, its content and its value differ for each seed."""
    made = Materialization(
        asset=asset,
        partition=partition,
        at=1_700_000_000.25,
        run_id="run-1",
        node=asset,
        fingerprint=fingerprint(seed),
        digest=fingerprint(1000 + seed),
        value=artifact(seed),
    )
    return replace(made, **changes)


def numbered(number: int, made: Materialization) -> Materialization:
    """A version as the store has it."""
    return replace(made, version=number)


def change(state: PartitionState, partition: str = "", at: float = 1.5, run_id: str = "run-1") -> PartitionChange:
    """Where a partition is."""
    return PartitionChange("features", partition, state, run_id, at)


class CatalogCase(StoreCase):
    """A store in which the run run-1 is under way, and another one of the same place."""

    @pytest.fixture
    def catalog(self, store: Store, run_id: str) -> Catalog:
        return store.catalog

    @pytest.fixture
    def other(self, store: Store, tmp_path: Path) -> Iterator[Store]:
        other = self.make_store(tmp_path)
        yield other
        other.close()


class VersionConformance(CatalogCase):
    """Tests of the versions of assets."""

    def test_a_version_comes_back_as_it_was_made(self, store: Store, catalog: Catalog, other: Store) -> None:
        full = version(
            asset=TEXT,
            partition=TEXT,
            node=TEXT,
            item=3,
            value=Collection("dict", (artifact(1, blob=True), artifact(2)), ("a", TEXT)),
            upstream=(Upstream("raw", 3, fingerprint(5), TEXT), Upstream("other", 1, b"")),
            metadata={TEXT: [None, 2**70, 0.5]},
            cached=True,
        )
        bare = version(2, asset="A", fingerprint=None, value=None)
        store.commit("run-1", turn(0, materializations=[full, bare]))
        kept = [numbered(1, bare), numbered(1, full)]
        for each in (catalog, other.catalog):
            assert each.latest() == kept
            assert each.latest([TEXT, "none"]) == [kept[1]]
            assert each.latest_of(TEXT, [TEXT, "none"]) == {TEXT: kept[1]}
            assert each.history("A") == [kept[0]]
            assert sorted(each.made_by("run-1"), key=lambda made: made.asset) == kept
        assert catalog.made_by("run-2") == catalog.history("none") == []
        assert catalog.latest_of("none", [""]) == {}

    def test_only_what_differs_from_the_latest_is_a_new_version(self, store: Store, catalog: Catalog) -> None:
        made = [
            version(1),
            version(1, at=2.0, cached=True),
            version(1, fingerprint=fingerprint(9)),
            version(1, fingerprint=fingerprint(9), digest=fingerprint(8)),
            version(1, fingerprint=None, digest=fingerprint(8)),
            version(1, fingerprint=None, digest=fingerprint(8)),
            version(1),
        ]
        for number, each in enumerate(made):
            store.commit("run-1", turn(number, materializations=[each]))
        kept = [numbered(5, made[6]), numbered(4, made[4]), numbered(3, made[3]), numbered(2, made[2])]
        assert catalog.history("features") == [*kept, numbered(1, made[0])]
        assert catalog.history("features", "", limit=2) == kept[:2]
        assert catalog.latest() == kept[:1]

    def test_each_partition_has_versions_of_its_own(self, store: Store, catalog: Catalog) -> None:
        a, b, later = version(1, "a"), version(2, "b"), version(3, "a")
        store.commit("run-1", turn(0, materializations=[b, a]))
        store.commit("run-1", turn(1, materializations=[later, version(4, asset="other")]))
        assert catalog.latest(["features"]) == [numbered(2, later), numbered(1, b)]
        assert catalog.latest(partition="b") == [numbered(1, b)]
        assert catalog.latest(["features", "other"], partition="") == [numbered(1, version(4, asset="other"))]
        assert catalog.latest([]) == []
        assert catalog.history("features", "a") == [numbered(2, later), numbered(1, a)]
        assert [each.partition for each in catalog.history("features", limit=1)] == ["a"]
        # of two in one turn the last counts
        store.commit("run-1", turn(2, materializations=[version(5, "b"), version(6, "b")]))
        assert catalog.history("features", "b") == [numbered(2, version(6, "b")), numbered(1, b)]

    def test_a_turn_that_is_refused_makes_nothing(self, store: Store, catalog: Catalog) -> None:
        with pytest.raises(StoreError):
            store.commit("run-1", turn(1, materializations=[version()], partitions=[change(FAILED, "b")]))
        assert catalog.latest() == []
        assert catalog.states("features") == {}

    def test_versions_outlive_their_runs(self, store: Store, catalog: Catalog) -> None:
        made = version(value=artifact(7, blob=True))
        described = [Description(artifact(seed).digest, {"rows": seed}) for seed in (6, 7)]
        store.commit("run-1", turn(0, materializations=[made], descriptions=described, end=RunState.SUCCEEDED))
        store.remove(["run-1"])
        store.sweep(LATER)
        assert catalog.latest() == catalog.made_by("run-1") == [numbered(1, made)]
        assert catalog.states("features") == {"": MATERIALIZED}
        assert list(store.arguments()) == [made.value]
        assert store.descriptions([each.digest for each in described]).keys() == {artifact(7).digest}

    def test_old_versions_can_be_forgotten_but_the_latest(self, store: Store, catalog: Catalog) -> None:
        for number in range(5):
            made = [version(number, "a", at=float(number)), version(9, "b", at=0.0)]
            store.commit("run-1", turn(number, materializations=made))
        assert catalog.forget_versions(3.0, keep=3, dry=True) == 2
        assert catalog.forget_versions(3.0, keep=3) == 2
        assert [each.version for each in catalog.history("features", "a")] == [5, 4, 3]
        assert catalog.forget_versions(LATER, keep=0) == 2
        assert [(each.partition, each.version) for each in catalog.latest()] == [("a", 5), ("b", 1)]
        assert {each.digest for each in store.arguments()} == {artifact(4).digest, artifact(9).digest}  # type: ignore[union-attr]
        store.commit("run-1", turn(5, materializations=[version(7, "a")]))
        assert [each.version for each in catalog.history("features", "a")] == [6, 5]

    def test_what_is_observed_counts_if_its_content_is_new(self, catalog: Catalog, other: Store) -> None:
        seen = version(run_id="", fingerprint=None, value=None, at=1.0)
        assert catalog.observe([seen]) == [numbered(1, seen)]
        assert other.catalog.observe([replace(seen, at=2.0), version(2, "b")]) == [numbered(1, version(2, "b"))]
        assert catalog.changes("features", [""])[""].at == 2.0
        assert catalog.history("features", "") == [numbered(1, seen)]
        assert catalog.observe([replace(seen, fingerprint=fingerprint(3))]) == []
        newer = replace(seen, digest=fingerprint(9))
        assert catalog.observe([newer]) == [numbered(2, newer)]
        assert catalog.observe([]) == []


class PartitionConformance(CatalogCase):
    """Tests of where partitions are."""

    def test_partitions_have_states(self, store: Store, catalog: Catalog, other: Store) -> None:
        going = [change(RUNNING, key) for key in ("a", "b", "c", TEXT)]
        store.commit("run-1", turn(0, partitions=going))
        assert catalog.states("features") == dict.fromkeys(("a", "b", "c", TEXT), RUNNING)
        made = version(1, "a", at=2.5)
        store.commit("run-1", turn(1, materializations=[made], partitions=[change(FAILED, "b", 3.5)]))
        for each in (catalog, other.catalog):
            assert each.states("features") == {"a": MATERIALIZED, "b": FAILED, "c": RUNNING, TEXT: RUNNING}
            assert each.counts() == {"features": {MATERIALIZED: 1, FAILED: 1, RUNNING: 2}}
            assert each.counts(["features", "none"]) == each.counts()
            assert each.changes("features", ["a", "b", "c", "none"]) == {
                "a": change(MATERIALIZED, "a", 2.5),
                "b": change(FAILED, "b", 3.5),
                "c": change(RUNNING, "c"),
            }
        assert catalog.states("none") == catalog.changes("none", ["a"]) == {}
        assert catalog.counts(["none"]) == {}

    def test_of_a_start_and_an_end_in_one_turn_the_end_counts(self, store: Store, catalog: Catalog) -> None:
        both = [change(RUNNING, "a"), change(RUNNING, "b"), change(FAILED, "b")]
        store.commit("run-1", turn(0, partitions=both, materializations=[version(1, "a")]))
        assert catalog.states("features") == {"a": MATERIALIZED, "b": FAILED}

    @pytest.mark.parametrize("end", [RunState.CANCELLED, RunState.FAILED, RunState.SUCCEEDED])
    def test_nothing_is_being_made_by_a_run_that_has_ended(self, store: Store, catalog: Catalog, end: RunState) -> None:
        made = version(1, "a", at=2.5)
        store.commit("run-1", turn(0, materializations=[made]))
        going = [change(RUNNING, "a", 5.0), change(RUNNING, "b", 5.0), change(FAILED, "c", 5.0)]
        store.commit("run-1", turn(1, partitions=going))
        store.commit("run-1", turn(2, end=RunState.PAUSED))
        assert catalog.states("features") == {"a": RUNNING, "b": RUNNING, "c": FAILED}
        store.reopen("run-1", "host:2")
        store.commit("run-1", turn(3, end=end))
        for _ in range(2):
            assert catalog.states("features") == {"a": MATERIALIZED, "c": FAILED}
            assert catalog.counts() == {"features": {MATERIALIZED: 1, FAILED: 1}}
            assert catalog.changes("features", ["a", "b", "c"]) == {
                "a": change(MATERIALIZED, "a", 2.5),
                "c": change(FAILED, "c", 5.0),
            }
            store.remove(["run-1"])

    def test_what_was_made_and_failed_since_has_failed(self, store: Store, catalog: Catalog) -> None:
        made = version(1, "a")
        store.commit("run-1", turn(0, materializations=[made]))
        store.commit("run-1", turn(1, partitions=[change(FAILED, "a")]))
        assert catalog.states("features") == {"a": FAILED}
        assert catalog.latest() == [numbered(1, made)]
        # the same again is no new version, and yet it is there
        store.commit("run-1", turn(2, materializations=[replace(made, at=9.0)]))
        assert catalog.states("features") == {"a": MATERIALIZED}
        assert catalog.changes("features", ["a"])["a"].at == 9.0
        assert catalog.latest() == [numbered(1, made)]

    def test_many_partitions_are_quick_to_count(self, store: Store, catalog: Catalog) -> None:
        made = [version(number, f"p{number}") for number in range(3000)]
        store.commit("run-1", turn(0, materializations=made))
        assert catalog.counts() == {"features": {MATERIALIZED: 3000}}
        assert len(catalog.states("features")) == 3000
        keys = [f"p{number}" for number in range(0, 3000, 2)]
        assert catalog.latest_of("features", keys).keys() == set(keys) == catalog.changes("features", keys).keys()

    def test_dynamic_partitions_are_added_and_removed(self, catalog: Catalog, other: Store) -> None:
        assert catalog.dynamic_partitions("customers") == []
        assert catalog.add_partitions("customers", ["b", "a", TEXT, "b"]) == ["b", "a", TEXT]
        assert other.catalog.add_partitions("customers", ["c", "a"]) == ["c"]
        assert catalog.add_partitions("regions", ["a"]) == ["a"]
        assert other.catalog.dynamic_partitions("customers") == ["b", "a", TEXT, "c"]
        assert catalog.remove_partitions("customers", ["a", "none", TEXT, "a"]) == ["a", TEXT]
        assert catalog.dynamic_partitions("customers") == ["b", "c"]
        assert catalog.dynamic_partitions("regions") == ["a"]
        assert catalog.add_partitions("customers", []) == catalog.remove_partitions("none", ["a"]) == []


class CheckConformance(CatalogCase):
    """Tests of checks of assets."""

    def test_checks_come_back_newest_first(self, store: Store, catalog: Catalog, other: Store) -> None:
        plain = CheckResult(
            asset="features", check="fresh", passed=True, severity="warn", blocking=False, at=1.5, run_id="run-1"
        )
        full = replace(
            plain,
            check=TEXT,
            partition=TEXT,
            passed=False,
            severity="error",
            blocking=True,
            message=TEXT,
            metadata={TEXT: [None, 2**70]},
        )
        store.commit("run-1", turn(0, checks=[plain, full]))
        store.commit("run-1", turn(1, checks=[replace(plain, at=2.5), replace(plain, asset="other")]))
        for each in (catalog, other.catalog):
            assert each.checks("features") == [replace(plain, at=2.5), full, plain]
            assert each.checks("features", limit=1) == [replace(plain, at=2.5)]
            assert each.checks("features", TEXT) == [full]
            assert each.checks("features", "") == [replace(plain, at=2.5), plain]
        assert catalog.checks("none") == []


__all__ = ["RUNNING", "CheckConformance", "PartitionConformance", "VersionConformance", "change", "version"]
