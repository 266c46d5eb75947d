"""Databases of older and newer schemas, which others may be using."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.stores.story import RUNS, STORY, story_of, tell_of_triggers, triggers_of

from penstock.errors import SchemaError, StoreError
from penstock.model.run import RunState
from penstock.stores import postgres_schema
from penstock.stores.postgres import PostgresStore
from penstock.testing.postgres import Cluster
from penstock.testing.records import attempt, graph, provenance, run_record, turn

NEWEST = len(postgres_schema.MIGRATIONS)
#: adds a column, as a migration to come may
NEXT = ("ALTER TABLE runs ADD COLUMN note text NOT NULL DEFAULT 'none'",)


@pytest.fixture
def cluster(postgres_cluster: Cluster) -> Iterator[Cluster]:
    """The server, with a new database `versions`."""
    postgres_cluster.database("versions")
    yield postgres_cluster
    postgres_cluster.execute("DROP DATABASE versions WITH (FORCE)")


@pytest.fixture
def url(cluster: Cluster) -> str:
    return cluster.address("versions")


@pytest.fixture
def store(url: str) -> Iterator[PostgresStore]:
    """A store with a run that is under way."""
    store = PostgresStore(url)
    store.create(run_record(), graph(), provenance())
    store.commit("run-1", turn(0, attempts=[attempt()]))
    yield store
    store.close()


def written_at(version: int, cluster: Cluster) -> PostgresStore:
    """A store in a database as it was written at a version of the schema."""
    script = Path(__file__).with_name(f"postgres_{version}.sql").read_text(encoding="utf-8")
    cluster.execute(script, "versions")
    return PostgresStore(cluster.address("versions"))


def test_a_database_written_at_schema_1_stays_readable(cluster: Cluster) -> None:
    store = written_at(1, cluster)
    fresh = PostgresStore(cluster.emptied("fresh"))
    for tell in STORY:
        tell(fresh)
    assert story_of(store, *RUNS) == story_of(fresh, *RUNS)
    for run_id in RUNS:
        assert store.pulse(run_id) == fresh.pulse(run_id)
        assert store.requests(run_id) == fresh.requests(run_id)
        assert store.basis(run_id) == fresh.basis(run_id)
    assert store.tags(RUNS) == fresh.tags(RUNS) != {}
    assert store.pools() == fresh.pools() != []
    assert set(store.arguments()) == set(fresh.arguments())
    assert list(store.results()) == list(fresh.results())
    assert store.check() == []
    store.commit("20261121-second", turn(2, token=2, end=RunState.SUCCEEDED))
    store.create(run_record("20261121-late"), graph(), provenance())
    assert store.find("latest").run_id == "20261121-first"
    for each in (store, fresh):
        tell_of_triggers(each)
    assert triggers_of(store) == triggers_of(fresh)
    store.close()
    fresh.close()


def test_a_database_is_brought_up_to_date_while_it_is_used(
    url: str, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_schema, "MIGRATIONS", (*postgres_schema.MIGRATIONS, NEXT))
    newer = [PostgresStore(url) for _ in range(2)]
    assert [each.summary()["schema"] for each in newer] == [NEWEST + 1] * 2
    # who was there before goes on, and both see what the other does
    store.commit("run-1", turn(1, attempts=[attempt(item=1)]))
    newer[0].commit("run-1", turn(2, attempts=[attempt(item=2)]))
    assert store.attempts("run-1") == newer[1].attempts("run-1")
    assert len(store.attempts("run-1")) == 3
    assert newer[0].check() == []
    for each in newer:
        each.close()
    monkeypatch.undo()
    with pytest.raises(SchemaError, match=f"has schema {NEWEST + 1}") as caught:
        PostgresStore(url)
    assert "postgresql://127.0.0.1" in caught.value.what
    assert "Upgrade penstock" in str(caught.value.remedy)


def test_a_migration_waits_for_the_turn_that_is_under_way(
    cluster: Cluster, url: str, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    monkeypatch.setattr(postgres_schema, "MIGRATIONS", (*postgres_schema.MIGRATIONS, NEXT))
    with psycopg.connect(url) as other:
        other.execute("UPDATE penstock.runs SET driver = 'slow'")
        timer = threading.Timer(0.2, other.commit)
        timer.start()
        PostgresStore(url).close()
        timer.join()
    assert store.find("run-1").driver == "slow"
    assert cluster.execute("SELECT number FROM penstock.version", "versions") == [(NEWEST + 1,)]


def test_of_many_that_come_at_once_one_makes_the_tables(url: str) -> None:
    opened: list[int] = []

    def come() -> None:
        store = PostgresStore(url)
        opened.append(store.summary()["schema"])
        store.close()

    threads = [threading.Thread(target=come) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert opened == [NEWEST] * 5


def test_a_migration_that_fails_changes_nothing(
    url: str, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_schema, "MIGRATIONS", (*postgres_schema.MIGRATIONS, (*NEXT, "DROP TABLE nowhere")))
    with pytest.raises(StoreError, match=r"cannot open postgresql://.*nowhere"):
        PostgresStore(url)
    monkeypatch.undo()
    again = PostgresStore(url)
    assert again.summary()["schema"] == NEWEST
    again.commit("run-1", turn(1))
    again.close()


def test_a_newer_database_is_left_as_it_is(cluster: Cluster, url: str, store: PostgresStore) -> None:
    cluster.execute("UPDATE penstock.version SET number = number + 1", "versions")
    cluster.execute("DROP TABLE penstock.tags, penstock.growth", "versions")
    listed = "SELECT relname FROM pg_class WHERE relnamespace = 'penstock'::regnamespace ORDER BY relname"
    before = cluster.execute(listed, "versions")
    for opening in (PostgresStore, PostgresStore.exists):
        with pytest.raises(SchemaError):
            opening(url)
    assert cluster.execute(listed, "versions") == before
