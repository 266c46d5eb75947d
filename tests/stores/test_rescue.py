"""A file that is deleted while runs are recorded in it."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from penstock.errors import StoreError
from penstock.model.run import RunState
from penstock.stores.sqlite import SqliteStore
from penstock.testing.records import graph, provenance, run_record, turn


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> SqliteStore:
    """A store with a run under way, whose file has just been deleted."""
    store = SqliteStore(path)
    store.create(run_record(), graph(), provenance())
    store.commit("run-1", turn(0))
    path.unlink()
    return store


def turns_in(rescued: Path) -> int:
    connection = sqlite3.connect(rescued)
    try:
        return connection.execute("SELECT count(*) FROM journal").fetchone()[0]
    finally:
        connection.close()


def test_it_is_noticed_within_a_moment_and_all_turns_are_rescued(path: Path, store: SqliteStore) -> None:
    recorded = 1
    with pytest.raises(StoreError, match="was deleted or replaced while it was in use"):
        for number in range(1, 1000):
            store.commit("run-1", turn(number))
            recorded += 1
            time.sleep(0.01)
    store.close()
    [rescued] = path.parent.glob("store.db.rescued-*")
    assert turns_in(rescued) == recorded < 1000


def test_no_run_ends_unnoticed(path: Path, store: SqliteStore) -> None:
    with pytest.raises(StoreError, match="was deleted or replaced while it was in use"):
        store.commit("run-1", turn(1, end=RunState.SUCCEEDED))
    store.close()
    [rescued] = path.parent.glob("store.db.rescued-*")
    assert turns_in(rescued) == 1
