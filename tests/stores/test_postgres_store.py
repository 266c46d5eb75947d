"""The PostgreSQL store: the conformance suite, on a real server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.stores.wire import wired

from penstock.errors import NotFoundError, StoreError
from penstock.model.event import RunStarted
from penstock.model.run import RunState
from penstock.model.work import Line, Metric
from penstock.ports import Said
from penstock.stores import postgres_schema, sessions
from penstock.stores.postgres import PostgresStore
from penstock.testing.postgres import Cluster
from penstock.testing.records import TEXT, artifact, attempt, fingerprint, graph, provenance, result, run_record, turn
from penstock.testing.store_case import StoreCase
from penstock.testing.store_conformance import StoreConformance
from penstock.testing.store_drivers import GenerationConformance, LeaseConformance
from penstock.testing.store_races import RaceConformance
from penstock.testing.store_sharing import PoolConformance, RequestConformance


class OnPostgres(StoreCase):
    """A store in an empty database."""

    @pytest.fixture(autouse=True)
    def address(self, postgres_cluster: Cluster, tmp_path: Path) -> Iterator[None]:
        """An empty database for each test, found by way of its folder: other processes of the test look there too."""
        (tmp_path / "address").write_text(postgres_cluster.emptied("conformance"))
        yield

    def make_store(self, folder: Path) -> PostgresStore:
        return PostgresStore((folder / "address").read_text())


class TestPostgresLeases(
    OnPostgres, LeaseConformance, GenerationConformance, PoolConformance, RequestConformance, RaceConformance
):
    """Where several write at once, which a server allows and a file does not."""


@pytest.mark.slow
class TestPostgresStore(OnPostgres, StoreConformance):
    """All of it: the long ring."""


@pytest.fixture
def url(postgres_cluster: Cluster) -> str:
    return postgres_cluster.emptied("others")


@pytest.fixture
def store(url: str) -> Iterator[PostgresStore]:
    """A store with the run `run-1` and one turn of it."""
    store = PostgresStore(url)
    store.create(run_record(), graph(), provenance())
    store.commit("run-1", turn(0, attempts=[attempt(reason=TEXT)]))
    yield store
    store.close()


def test_what_cannot_be_stored_is_a_store_error(store: PostgresStore) -> None:
    unstorable = [
        turn(1, attempts=[attempt("other", reason="kept out"), attempt("other", item=2**70)]),
        turn(1, attempts=[attempt("other"), attempt(duration=object())]),
        turn(1, attempts=[attempt("other"), attempt("\udcff")]),
        turn(1, events=[object()]),
    ]
    for bad in unstorable:
        with pytest.raises(StoreError, match="cannot write to postgresql://127"):
            store.commit("run-1", bad)
        assert store.pulse("run-1").turns == 1
    with pytest.raises(StoreError, match="cannot write to"):
        store.create(run_record("run-2", parameters={"value": object()}), graph(), provenance())
    with pytest.raises(NotFoundError):
        store.find("run-2")
    assert store.attempts("run-1", "other") == []
    store.commit("run-1", turn(1))


def test_text_may_hold_what_the_servers_cannot(store: PostgresStore) -> None:
    for number, text in enumerate(["\x00", "a\x00b\x00", "\ufdd0", "\ufdd00\x001\ufdd01", "\U0010ffff\ufffe"], 1):
        said = [Said("fit", -1, 1, (Line("stdout", text),), (Metric(text, 1.0),))]
        store.commit("run-1", turn(number, said=said, attempts=[attempt(text, key=text, reason=text)]))
        assert store.lines("run-1")[-1][1].line.text == text
        assert store.metrics("run-1")[-1].metric.name == text
        assert store.attempts("run-1", text) == [attempt(text, key=text, reason=text)]
    store.create(run_record("run-2", parameters={"a\x00": "\x00"}, target="\x00"), graph(), provenance())
    assert store.find("run-2").parameters == {"a\x00": "\x00"}
    assert store.find("run-2").target == "\x00"


def test_a_run_by_the_name_of_one_that_was_removed_elsewhere(url: str, store: PostgresStore) -> None:
    other = PostgresStore(url)
    store.commit("run-1", turn(1, end=RunState.FAILED))
    other.remove(["run-1"])
    with pytest.raises(StoreError, match="there is no run run-1"):
        store.commit("run-1", turn(2))
    other.create(run_record(driver="host:2"), graph(), provenance())
    store.commit("run-1", turn(0))
    assert len(other.journal("run-1")) == 1
    other.close()


def test_a_run_that_is_removed_leaves_nothing(postgres_cluster: Cluster, store: PostgresStore) -> None:
    store.commit("run-1", turn(1, attempts=[attempt(item=2)], end=RunState.FAILED))
    store.regenerate(run_record(), graph(), provenance())
    store.commit("run-1", turn(0, attempts=[attempt()], end=RunState.FAILED))
    store.create(run_record("run-2"), graph(), provenance())
    store.commit("run-2", turn(0, attempts=[attempt()]))
    store.remove(["run-1"])
    for table in ("runs", "run_details", "journal", "attempts"):
        assert postgres_cluster.execute(f"SELECT count(*) FROM penstock.{table}", "others") == [(1,)]
    assert store.attempts("run-2") == [attempt()]


def test_the_summary_counts(store: PostgresStore) -> None:
    summary = store.summary()
    assert (summary["schema"], summary["runs"]) == (len(postgres_schema.MIGRATIONS), 1)
    assert summary["size"] > 100_000


def test_check_finds_a_gap_in_a_journal(postgres_cluster: Cluster, store: PostgresStore) -> None:
    for number in range(1, 4):
        store.commit("run-1", turn(number))
    assert store.check() == []
    postgres_cluster.execute("DELETE FROM penstock.journal WHERE id & 4294967295 = 2", "others")
    assert store.check() == ["the journal of run run-1 has gaps"]


def test_a_turn_is_one_exchange(postgres_cluster: Cluster, url: str, store: PostgresStore) -> None:
    store.close()
    with wired(postgres_cluster.port) as wire:
        driver = PostgresStore(wire.address(url))
        driver.commit("run-1", turn(1))
        before = wire.exchanges
        for number in range(2, 12):
            key = fingerprint(number)
            said = [Said("fit", number, 1, (Line("stdout", TEXT),))]
            made = [attempt(item=number, fingerprint=key)]
            events = [RunStarted()]
            results = {key: result(artifact(number))}
            claims = {fingerprint(number + 1): ("fit", 1)}
            driver.commit(
                "run-1", turn(number, events=events, attempts=made, results=results, said=said, claims=claims)
            )
        assert wire.exchanges - before == 10
        driver.close()


# What does not let us in.


def refused(address: str) -> StoreError:
    with pytest.raises(StoreError) as caught:
        PostgresStore(address)
    shown = f"{caught.value} {caught.value.__cause__}"
    assert "s3cr" not in shown and "hunter" not in shown
    return caught.value


def test_who_is_not_let_in_is_told_why(postgres_cluster: Cluster) -> None:
    wrong = refused(postgres_cluster.address("postgres", password="hunter2"))
    assert "password authentication failed" in wrong.what
    assert "PGPASSWORD" in str(wrong.remedy)
    assert "createdb nowhere" in str(refused(postgres_cluster.address("nowhere")).remedy)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    nobody = refused(f"postgresql://ada:hunter2@127.0.0.1:{port}/lab")
    assert nobody.what.startswith(f"cannot open postgresql://127.0.0.1:{port}/lab: ")
    assert "Is the server up" in str(nobody.remedy)


@pytest.mark.parametrize(
    "address", ["postgresql://ada:hunter2/x@host/db", "postgresql://ada:hunter2@host/db?nothing=1"]
)
def test_an_address_that_is_none_is_not_shown(address: str) -> None:
    assert refused(address).what == "the address of the store cannot be read"


def test_the_password_may_come_from_elsewhere(
    postgres_cluster: Cluster, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = postgres_cluster.address("others", password="")
    assert "password" in refused(bare).what
    file = tmp_path / "pgpass"
    file.write_text(f"127.0.0.1:{postgres_cluster.port}:others:penstock:s3cr%t/@\\:\n")
    file.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(file))
    PostgresStore(bare).close()
    service = tmp_path / "service"
    service.write_text(f"[lab]\nhost=127.0.0.1\nport={postgres_cluster.port}\ndbname=others\nuser=penstock\n")
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    store = PostgresStore("postgresql:///?service=lab")
    assert store.runs() == []
    store.close()


def test_without_the_right_to_make_a_schema(postgres_cluster: Cluster) -> None:
    address = postgres_cluster.database("shared")
    postgres_cluster.execute("CREATE ROLE guest LOGIN PASSWORD 'hunter2'")
    guest = postgres_cluster.address("shared", "guest", "hunter2")
    assert "GRANT CREATE ON DATABASE shared TO guest" in str(refused(guest).remedy)
    postgres_cluster.execute("GRANT CREATE ON DATABASE shared TO guest")
    store = PostgresStore(guest)
    store.create(run_record(), graph(), provenance())
    store.close()
    # and likewise with a schema that somebody else has made for them
    postgres_cluster.execute("DROP SCHEMA penstock CASCADE", "shared")
    postgres_cluster.execute("REVOKE CREATE ON DATABASE shared FROM guest")
    postgres_cluster.execute("CREATE SCHEMA penstock AUTHORIZATION guest", "shared")
    PostgresStore(guest).close()
    PostgresStore(address).close()


def test_a_database_that_cannot_hold_all_text(postgres_cluster: Cluster) -> None:
    postgres_cluster.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    error = refused(postgres_cluster.address("latin"))
    assert "holds text as LATIN1" in error.what
    assert "createdb --encoding=UTF8" in str(error.remedy)


def test_a_schema_of_another_program_is_left_alone(postgres_cluster: Cluster) -> None:
    address = postgres_cluster.database("taken")
    postgres_cluster.execute("CREATE SCHEMA penstock CREATE TABLE runs (a int)", "taken")
    assert not PostgresStore.exists(postgres_cluster.database("bare"))
    assert "of another program" in refused(address).what
    assert postgres_cluster.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'penstock'", "taken") == [(1,)]


def test_the_database_can_serve_others_too(postgres_cluster: Cluster) -> None:
    address = postgres_cluster.database("busy")
    postgres_cluster.execute("CREATE TABLE public.runs (mine int)", "busy")
    assert not PostgresStore.exists(address)
    store = PostgresStore(address)
    store.create(run_record(), graph(), provenance())
    store.close()
    assert PostgresStore.exists(address)
    assert postgres_cluster.execute("SELECT count(*) FROM public.runs", "busy") == [(0,)]


def test_who_is_in_the_way_for_too_long_is_told_of(
    postgres_cluster: Cluster, url: str, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    monkeypatch.setattr(sessions, "SETTINGS", sessions.SETTINGS + "; SET lock_timeout = '50ms'")
    hasty = PostgresStore(url)
    with psycopg.connect(url) as other:
        other.execute("SELECT 1 FROM penstock.runs FOR UPDATE")
        with pytest.raises(StoreError, match="another process has it locked") as caught:
            hasty.commit("run-1", turn(1))
        assert caught.value.remedy
    hasty.commit("run-1", turn(1))
    hasty.close()
