"""Rows of a PostgreSQL database that a trigger follows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from penstock import rows
from penstock.daemon.watches.rows import look_at_rows
from penstock.errors import DefinitionError, StoreError
from penstock.model.occurrence import Occurrence
from penstock.testing.postgres import Cluster

pytestmark = pytest.mark.slow
psycopg = pytest.importorskip("psycopg")


@pytest.fixture
def address(postgres_cluster: Cluster) -> str:
    return postgres_cluster.url


@pytest.fixture
def database(address: str) -> Iterator[Any]:
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("drop table if exists things")
        yield connection


class Watch:
    def __init__(self, address: str, query: str, column: str) -> None:
        self._source = rows(address, query, column)
        self.cursor: Any = None

    def look(self) -> Sequence[Occurrence]:
        found, cursor = look_at_rows(Path(), self._source, self.cursor, 1000.0)
        self.cursor = json.loads(json.dumps(cursor))
        return found


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bigint", ["-5", "3", "4"]),
        ("smallint", ["-5", "3", "4"]),
        ("numeric", ["1.25", "2", "1000000000000000000000"]),
        ("double precision", ["-0.5", "1", "1e300"]),
        ("text", ["a", "b", "é"]),
        ("date", ["2026-01-01", "2026-01-02", "2026-01-03"]),
        ("timestamptz", ["2026-01-01 00:00+02", "2026-01-01 00:00:00.000001+02", "2026-01-02 00:00+00"]),
    ],
)
def test_rows_go_on_from_a_column_of_any_usual_type(address: str, database: Any, kind: str, values: list[str]) -> None:
    database.execute(f"create table things (at {kind}, name text, tags text[])")
    watch = Watch(address, "select * from things where at > :cursor and name like '%x' order by at;", "at")
    assert watch.look() == []
    assert watch.look() == []
    for value in values:
        database.execute(f"insert into things values ('{value}', 'x', array['a'])")
        (found,) = watch.look()
        assert found.data["name"] == "x"
        assert found.data["tags"] == ["a"]
        assert watch.look() == []
    other = Watch(address, "select * from things where at > :cursor", "at")
    other.look()
    assert other.cursor["value"] == watch.cursor["value"]
    assert other.look() == []


def test_what_is_wrong_is_said_and_nothing_is_written(address: str, database: Any) -> None:
    database.execute("create table things (id int, data json)")
    database.execute("insert into things values (1, '{}')")
    for query, column, what in (
        ("select * from other where id > :cursor", "id", 'relation "other" does not exist'),
        ("select data from things where id > :cursor", "id", 'column "id" does not exist'),
        (
            "with gone as (delete from things returning *) select * from gone where id > :cursor",
            "id",
            "must be at the top",
        ),
        ("select * from things where id > :cursor for update", "id", "read-only transaction"),
    ):
        with pytest.raises((StoreError, DefinitionError), match=what):
            Watch(address, query, column).look()
    assert database.execute("select count(*) from things").fetchone() == (1,)


def test_a_server_that_is_not_there_is_said_without_the_password() -> None:
    with pytest.raises(StoreError, match=r"rows cannot be read from postgresql://127\.0\.0\.1:1/shop") as told:
        Watch("postgresql://me:canary@127.0.0.1:1/shop", "select * from t where id > :cursor", "id").look()
    assert "canary" not in str(told.value)
