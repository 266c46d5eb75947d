"""Files of older and newer schemas."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tests.stores.story import (
    DIGESTS,
    FAR,
    RUNS,
    STORY,
    story_of,
    tell_more,
    tell_of_code,
    tell_of_drivers,
    tell_of_triggers,
    tell_story,
    triggers_of,
)

from penstock.errors import SchemaError, StoreError
from penstock.model.event import RunStarted
from penstock.model.identity import Basis
from penstock.model.run import RunState
from penstock.ports import Claimant, Pulse
from penstock.stores import schema
from penstock.stores.sqlite import SqliteStore
from penstock.testing.records import artifact, attempt, fingerprint, graph, provenance, result, run_record, turn
from penstock.testing.store_conformance import contents
from penstock.testing.store_journal import EVENTS

NEWEST = len(schema.MIGRATIONS)
#: adds a column, as a migration to come may
NEXT = ("ALTER TABLE runs ADD COLUMN note TEXT NOT NULL DEFAULT 'none'",)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of today's schema with a run in it."""
    path = tmp_path / "store.db"
    store = SqliteStore(path)
    store.create(run_record(), graph(), provenance())
    results = {fingerprint(1): result(artifact(1))}
    store.commit("run-1", turn(0, events=[RunStarted()], attempts=[attempt()], results=results))
    store.close()
    return path


def bytes_of(folder: Path) -> dict[str, bytes]:
    """What the files of a folder hold, without the index of the write-ahead log, which every reader shares."""
    return {file.name: file.read_bytes() for file in folder.glob("store.db*") if not file.name.endswith("-shm")}


def raise_version(path: Path) -> sqlite3.Connection:
    """Make the file one of a newer penstock. Returns the connection, which still has it open."""
    newer = sqlite3.connect(path, isolation_level=None)
    newer.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
    return newer


def test_an_older_file_is_brought_up_to_date(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteStore(path)
    before = contents(store, "run-1")
    assert store.summary()["schema"] == NEWEST
    store.close()
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, NEXT))
    for _ in range(2):
        store = SqliteStore(path)
        assert store.summary()["schema"] == NEWEST + 1
        assert contents(store, "run-1") == before
        assert store.recorded([fingerprint(1)])[fingerprint(1)].outputs == (artifact(1),)
        assert store.check() == []
        store.close()
    monkeypatch.undo()
    with pytest.raises(SchemaError, match=f"has schema {NEWEST + 1}"):
        SqliteStore(path)


def test_a_migration_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, (*NEXT, "DROP TABLE nowhere")))
    with pytest.raises(StoreError, match=r"cannot open .*store\.db.*nowhere"):
        SqliteStore(path)
    monkeypatch.undo()
    store = SqliteStore(path)
    assert store.summary()["schema"] == NEWEST
    assert store.attempts("run-1") == [attempt()]
    store.commit("run-1", turn(1))
    store.close()


def test_a_newer_file_is_left_as_it_is(path: Path) -> None:
    raise_version(path).close()
    before = bytes_of(path.parent)
    with pytest.raises(SchemaError) as caught:
        SqliteStore(path)
    assert str(path) in caught.value.what
    assert "Upgrade penstock" in str(caught.value.remedy)
    assert bytes_of(path.parent) == before
    assert list(before) == ["store.db"]


def test_a_newer_file_in_use_is_left_as_it_is(path: Path) -> None:
    newer = raise_version(path)
    before = bytes_of(path.parent)
    assert sorted(before) == ["store.db", "store.db-wal"]
    with pytest.raises(SchemaError):
        SqliteStore(path)
    assert bytes_of(path.parent) == before
    newer.close()


def test_a_newer_file_whose_writer_was_killed_is_left_as_it_is(path: Path, tmp_path: Path) -> None:
    newer = raise_version(path)
    folder = tmp_path / "killed"
    folder.mkdir()
    for name, content in bytes_of(path.parent).items():
        (folder / name).write_bytes(content)
    newer.close()
    before = bytes_of(folder)
    with pytest.raises(SchemaError):
        SqliteStore(folder / "store.db")
    assert bytes_of(folder) == before


def written_at(version: int, folder: Path) -> Path:
    """A file as it was written at a version of the schema."""
    path = folder / "old.db"
    old = sqlite3.connect(path)
    old.executescript(Path(__file__).with_name(f"schema_{version}.sql").read_text(encoding="utf-8"))
    old.close()
    return path


def test_a_file_written_at_schema_1_stays_readable(tmp_path: Path) -> None:
    path = written_at(1, tmp_path)
    store, fresh = SqliteStore(path), SqliteStore(tmp_path / "fresh.db")
    tell_story(fresh)
    assert story_of(store) == story_of(fresh)
    assert store.summary()["schema"] == len(schema.MIGRATIONS)
    assert store.check() == []
    store.commit("20261121-second", turn(1))
    store.close()
    fresh.close()


def test_a_run_written_at_schema_1_can_go_on(tmp_path: Path) -> None:
    store = SqliteStore(written_at(1, tmp_path))
    tell_more(store)
    store.commit("20261121-second", turn(1, events=EVENTS, attempts=[attempt(key="rf")], end=RunState.PAUSED))
    assert store.reopen("20261121-second", "host:2").driver == "host:2"
    assert store.journal("20261121-second")[1][1] == EVENTS
    assert store.attempts("20261121-second") == [attempt(key="rf")]
    assert store.check() == []
    store.close()


def test_a_file_written_at_schema_2_stays_readable(tmp_path: Path) -> None:
    store, fresh = SqliteStore(written_at(2, tmp_path)), SqliteStore(tmp_path / "fresh.db")
    tell_story(fresh)
    tell_more(fresh)
    more = ("20261121-third", "20261121-fourth")
    assert story_of(store, *more) == story_of(fresh, *more)
    assert store.requests("20261121-third") == fresh.requests("20261121-third")
    assert [pool.size for pool in store.pools()] == [1, 4]
    assert store.pools() == fresh.pools()
    assert store.check() == []
    store.commit("20261121-third", turn(2))
    assert store.basis("20261121-third") == Basis()
    store.close()
    fresh.close()


def test_a_run_written_at_schema_2_can_go_on(tmp_path: Path) -> None:
    store = SqliteStore(written_at(2, tmp_path))
    before = store.recorded(DIGESTS)
    tell_of_code(store)
    claimed = {DIGESTS[0]: ("fit", 0), DIGESTS[1]: ("fit", 1)}
    basis = Basis(tasks={"fit": DIGESTS[0]})
    assert store.commit("20261121-third", turn(2, claims=claimed, basis=basis)) == {DIGESTS[0]}
    assert store.recorded(DIGESTS) == before
    assert store.basis("20261121-third") == basis
    store.sweep(FAR)
    assert store.recorded(DIGESTS) == before
    assert store.descriptions(DIGESTS).keys() == {DIGESTS[1]}
    store.remove(["20261121-first", "20261121-fourth"])
    assert {entry.fingerprint: entry.run_id for entry in store.results()} == {
        DIGESTS[0]: None,
        DIGESTS[1]: "20261121-third",
    }
    assert store.check() == []
    store.close()


def test_a_file_written_at_schema_3_stays_readable(tmp_path: Path) -> None:
    store, fresh = SqliteStore(written_at(3, tmp_path)), SqliteStore(tmp_path / "fresh.db")
    for tell in (tell_story, tell_more, tell_of_code):
        tell(fresh)
    more = ("20261121-third", "20261121-fourth", "20261121-fifth")
    assert story_of(store, *more) == story_of(fresh, *more)
    for each in (store, fresh):
        assert each.identities(DIGESTS).keys() == {DIGESTS[1]}
        assert each.tags(more) == {"20261121-fifth": ("größer", "keep")}
        claimed = b"\x01" * 32
        assert each.claimants([DIGESTS[0], claimed]) == {claimed: Claimant("20261121-fifth", "größer", -1)}
    assert store.identities(DIGESTS) == fresh.identities(DIGESTS)
    assert store.texts(DIGESTS) == fresh.texts(DIGESTS) != {}
    assert store.basis("20261121-fifth") == fresh.basis("20261121-fifth") != Basis()
    assert list(store.results()) == list(fresh.results())
    assert set(store.arguments()) == set(fresh.arguments())
    assert store.check() == []
    store.close()
    fresh.close()


def test_a_run_written_at_schema_3_can_go_on(tmp_path: Path) -> None:
    store = SqliteStore(written_at(3, tmp_path))
    first = store.find("20261121-first")
    assert (first.token, first.generation) == (1, 1)
    assert store.pulse("20261121-fifth") == Pulse(1, 0, 1)
    assert store.beat("20261121-fifth", 1, FAR)
    assert store.heard_of("20261121-fifth") == FAR
    assert store.reopen("20261121-fourth", "host:2").token == 2
    tell_of_drivers(store)
    assert story_of(store, "20261121-first.1")[2] != []
    assert store.journal("20261121-first.1") != store.journal("20261121-first") == []
    assert store.check() == []
    store.close()


@pytest.mark.parametrize("version", [4, 6])
def test_a_file_written_at_a_later_schema_stays_readable(tmp_path: Path, version: int) -> None:
    store, fresh = SqliteStore(written_at(version, tmp_path)), SqliteStore(tmp_path / "fresh.db")
    for tell in STORY:
        tell(fresh)
    assert story_of(store, *RUNS) == story_of(fresh, *RUNS)
    for run_id in RUNS:
        assert store.pulse(run_id) == fresh.pulse(run_id)
        assert store.heard_of(run_id) == fresh.heard_of(run_id)
    assert set(store.arguments()) == set(fresh.arguments())
    assert store.check() == []
    store.close()
    fresh.close()


@pytest.mark.parametrize("version", [1, 2, 3, 4, 6])
def test_runs_are_started_with_what_was_written_at_any_schema(tmp_path: Path, version: int) -> None:
    store, fresh = SqliteStore(written_at(version, tmp_path)), SqliteStore(tmp_path / "fresh.db")
    assert {(run.cause, run.version) for run in store.runs()} == {(None, None)}
    for each in (store, fresh):
        tell_of_triggers(each)
    assert triggers_of(store) == triggers_of(fresh)
    assert store.agenda.under_way() == {"nightly": ["nightly-1"]}
    assert store.check(full=True) == []
    store.close()
    fresh.close()
