"""Files of older and newer schemas."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import SchemaError, StoreError
from penstock.model.event import Expanded, Failed, Fault, Missed, RunStarted, Skipped, Started, Succeeded
from penstock.model.graph import from_json
from penstock.model.identity import Basis, CodePart, SourceText, TaskIdentity
from penstock.model.request import AnswerGiven, CancelAsked
from penstock.model.run import NodeState, RunState
from penstock.model.value import Artifact, Collection, Description, Selection
from penstock.model.work import Attachment, Line, Metric
from penstock.ports import Claimant, Holder, Result, Said, Store
from penstock.stores import schema
from penstock.stores.sqlite import SqliteStore
from penstock.testing.records import artifact, attempt, fingerprint, graph, provenance, result, run_record, turn
from penstock.testing.store_conformance import contents
from penstock.testing.store_journal import EVENTS, dynamic_graph

NEWEST = len(schema.MIGRATIONS)
#: adds a column, as a migration to come may
NEXT = ("ALTER TABLE runs ADD COLUMN note TEXT NOT NULL DEFAULT 'none'",)


#: a time that no test lives to see
FAR = 4_000_000_000.0
DIGESTS = [bytes(range(32)), b"\x00" * 32]


def tell_story(store: Store) -> None:
    """Two runs with something in every table: what `schema_1.sql` was made from. It has to stay as it is."""
    value = Artifact("json", "int", DIGESTS[0], 2, b"42")
    frame = Artifact("frame", "pandas.DataFrame", DIGESTS[1], 1 << 33, None, DIGESTS[0])
    fault = Fault("ValueError", "größer als 1", "Traceback ...", b"\x80\x05N.")
    store.create(
        run_record("20261121-first", parameters={"rate": 0.1, "names": ["é"]}, target="pipeline.py", driver="host:1"),
        graph(200),
        provenance(packages={"numpy": "2.3.5"}, seeds={"seed": 2**64}, git_commit="ab" * 20, git_dirty=False),
    )
    store.create(run_record("20261121-second", started_at=1_700_000_100.0), graph(1), provenance())
    started = [RunStarted(), Expanded("fit", 2), Missed("fit", 0, DIGESTS[0]), Started("fit", 0, 1)]
    store.commit("20261121-first", turn(0, events=started))
    lines = (Line("stdout", "erste Zeile", 1.5), Line("warning", "", 2.0))
    said = Said("fit", 0, 1, lines, (Metric("loss", 0.25, 3, 2.5),), (Attachment("plot", frame),))
    ended = [Succeeded("fit", 0, 1, (value, frame)), Failed("fit", 1, 1, fault), Skipped("report", "not good enough")]
    attempts = [
        attempt("fit", 0, duration=0.5, peak_memory=2**30, fingerprint=DIGESTS[0], outputs=(value, frame)),
        attempt("fit", 1, state=NodeState.FAILED, fault=fault),
        attempt("report", number=0, state=NodeState.SKIPPED, reason="not good enough"),
    ]
    results = {DIGESTS[0]: Result("fit", 0, 1, (value, frame))}
    described = [Description(DIGESTS[1], {"rows": 3, "head": [[1.5, None, "é"]]})]
    store.commit(
        "20261121-first",
        turn(1, events=ended, attempts=attempts, results=results, said=[said], descriptions=described),
    )
    outputs = {"model": frame, "all": Collection("list", (value, Selection(frame, "column")))}
    store.commit("20261121-first", turn(2, end=RunState.SUCCEEDED, outputs=outputs))
    store.commit("20261121-second", turn(0, events=[RunStarted()]))


def tell_more(store: Store) -> None:
    """What came with schema 2, on top: `schema_2.sql` was made from both. It has to stay as it is."""
    store.create(run_record("20261121-third", driver="host:1"), dynamic_graph(), provenance())
    store.commit("20261121-third", turn(0, events=EVENTS))
    whole = Collection("dict", (artifact(1), artifact(2, blob=True)), ("rf", "größe"))
    ended = [attempt("fold[rf]/fit", 0, key="größe", outputs=(whole,)), attempt("fold[rf]/fit", 1)]
    results = {DIGESTS[1]: result(whole, node="fold[rf]/fit", item=0)}  # type: ignore[arg-type]
    store.commit("20261121-third", turn(1, attempts=ended, results=results))
    store.size_pools({"db": 4, "api": 1})
    store.hold(Holder("20261121-third", "fold[rf]/fit", 1), {"db": 3}, FAR)
    store.hold(Holder("20261121-second"), {"api": 1}, FAR)
    store.ask("20261121-third", AnswerGiven("sign", True, "ada", 2.5, "größer", {"n": 2**70}))
    store.ask("20261121-third", CancelAsked("enough", "bob", 3.5, now=True))
    store.create(run_record("20261121-fourth"), graph(1), provenance())
    store.commit("20261121-fourth", turn(0, end=RunState.PAUSED))


def tell_of_code(store: Store) -> None:
    """What came with schema 3, on top: `schema_3.sql` was made from all of it. It has to stay as it is."""
    kept = SourceText(DIGESTS[0], "def größer():\n    return 1\n")
    part = CodePart("m:größer", DIGESTS[1], "m.py", 1, 2, kept.digest)
    store.keep([TaskIdentity(digest=DIGESTS[1], parts=(part,), limits=("m.py:3: eval",))], [kept])
    frame = Artifact("frame", "pandas.DataFrame", DIGESTS[1], 1 << 33, None, DIGESTS[0])
    basis = Basis(
        parameters={"data": frame},
        tasks={"größer": DIGESTS[1]},
        files={"in.csv": DIGESTS[0]},
        classes={"m:Größe": DIGESTS[1]},
    )
    store.create(run_record("20261121-fifth"), graph(1), provenance(), basis)
    store.commit("20261121-fifth", turn(0, claims={b"\x01" * 32: ("größer", -1)}))
    store.tag("20261121-fifth", add=["keep", "größer"])


def story_of(store: Store, *more: str) -> list[Any]:
    """All that a store says of the two runs, and of others."""
    runs = ["20261121-first", "20261121-second", *more]
    details = [(contents(store, run), from_json(store.graph(run)), store.provenance(run)) for run in runs]
    return [*details, store.runs(), store.recorded(DIGESTS), store.origins(DIGESTS), store.descriptions(DIGESTS)]


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
