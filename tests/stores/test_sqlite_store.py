"""The SQLite store: the conformance suite, and what a file brings with it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from penstock.errors import NotFoundError, StoreError
from penstock.model.run import RunState
from penstock.ports import Claimant
from penstock.stores import schema
from penstock.stores.sqlite import SqliteStore
from penstock.testing.records import TEXT, artifact, attempt, fingerprint, graph, provenance, result, run_record, turn
from penstock.testing.store_conformance import StoreConformance


class TestSqliteStore(StoreConformance):
    def make_store(self, folder: Path) -> SqliteStore:
        return SqliteStore(folder / "state" / "store.db")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store file with a run of 400 attempts, closed."""
    path = tmp_path / "store.db"
    store = SqliteStore(path)
    store.create(run_record(), graph(), provenance())
    results = {fingerprint(item): result(artifact(item), item=item) for item in range(400)}
    store.commit("run-1", turn(attempts=[attempt(item=item, reason=TEXT) for item in range(400)], results=results))
    store.close()
    return path


@pytest.fixture
def read_only(path: Path) -> Iterator[Path]:
    """A copy of the store file in a folder in which this process may not write."""
    with _unwritable(path) as copy:
        yield copy


@contextmanager
def _unwritable(path: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="penstock-"))
    copy = folder / "store.db"
    shutil.copyfile(path, copy)
    copy.chmod(0o444)
    folder.chmod(0o555)
    user = os.geteuid()
    if user == 0:
        # root may write anywhere, so the test is somebody else for a while
        os.seteuid(65534)
    yield copy
    if user == 0:
        os.seteuid(0)
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_the_folder_is_private(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "project" / ".penstock" / "store.db").close()
    assert stat.S_IMODE((tmp_path / "project" / ".penstock").stat().st_mode) == 0o700


def test_a_closed_store_leaves_one_file(path: Path) -> None:
    assert [file.name for file in path.parent.iterdir()] == ["store.db"]


def test_names_with_special_characters_are_plain_names(tmp_path: Path) -> None:
    for name in ("a b", "50%", "what?", "mode#1", "größe", "a&b=c"):
        for _ in range(2):
            SqliteStore(tmp_path / name / f"{name}.db").close()
        assert [file.name for file in (tmp_path / name).iterdir()] == [f"{name}.db"]


def test_a_relative_path_is_taken_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        SqliteStore(Path("here.db")).close()
    assert (tmp_path / "here.db").exists()


@pytest.mark.parametrize("content", [b"not a database", b"x" * 5000, b"SQLite format 3\x00", b"\x00" * 4096])
def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(content)
    with pytest.raises(StoreError) as caught:
        SqliteStore(path)
    assert str(path) in caught.value.what
    assert caught.value.remedy
    assert path.read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["store.db"]


@pytest.mark.parametrize("length", [50, 100, 1000, 4096, 20_000])
def test_a_truncated_file_is_left_alone(path: Path, length: int) -> None:
    content = path.read_bytes()[:length]
    path.write_bytes(content)
    with pytest.raises(StoreError) as caught:
        SqliteStore(path)
    assert str(path) in caught.value.what
    assert caught.value.remedy
    assert path.read_bytes() == content


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.touch()
    store = SqliteStore(path)
    assert store.runs() == []
    store.close()


def test_a_file_whose_making_was_cut_short_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    begun = sqlite3.connect(path)
    begun.execute("PRAGMA journal_mode = WAL")
    begun.close()
    store = SqliteStore(path)
    assert store.runs() == []
    assert store.check() == []
    store.close()


@pytest.mark.parametrize("pragma", ["user_version = 0", "user_version = 1", "user_version = 99", "application_id = 7"])
def test_a_database_of_another_program_is_left_alone(tmp_path: Path, pragma: str) -> None:
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.executescript(f"CREATE TABLE runs (a); PRAGMA {pragma};")
    other.close()
    content = path.read_bytes()
    with pytest.raises(StoreError, match="another program") as caught:
        SqliteStore(path)
    assert type(caught.value) is StoreError
    assert path.read_bytes() == content


def test_a_folder_in_the_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "store.db").mkdir()
    with pytest.raises(StoreError, match=r"cannot open .*store\.db"):
        SqliteStore(tmp_path / "store.db")


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(StoreError, match=r"cannot open .*store\.db"):
        SqliteStore(tmp_path / "state" / "store.db")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs the file permissions of POSIX")
def test_a_file_without_the_right_to_write_can_be_read(read_only: Path) -> None:
    store = SqliteStore(read_only)
    assert len(store.attempts("run-1")) == 400
    with pytest.raises(StoreError, match="cannot write to") as caught:
        store.tag("run-1", add=["x"])
    assert "right" in str(caught.value.remedy)
    store.close()
    assert [file.name for file in read_only.parent.iterdir()] == ["store.db"]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs the file permissions of POSIX")
@pytest.mark.parametrize("changes", ["PRAGMA user_version = 1", "PRAGMA user_version = 0"])
def test_a_file_without_the_right_to_write_is_not_brought_up_to_date(path: Path, changes: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(changes)
    with _unwritable(path) as copy, pytest.raises(StoreError, match="cannot open"):
        SqliteStore(copy)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs the file permissions of POSIX")
@pytest.mark.parametrize("name", ["new.db", "new/store.db"])
def test_a_folder_without_the_right_to_write(read_only: Path, name: str) -> None:
    with pytest.raises(StoreError) as caught:
        SqliteStore(read_only.parent / name)
    assert str(read_only.parent / name) in caught.value.what
    assert "right" in str(caught.value.remedy)


def test_what_cannot_be_stored_is_a_store_error(path: Path) -> None:
    store = SqliteStore(path)
    unstorable = [
        turn(1, attempts=[attempt("other", reason="kept out"), attempt("other", item=2**70)]),
        turn(1, attempts=[attempt(duration=object())]),
        turn(1, events=[object()]),
    ]
    for bad in unstorable:
        with pytest.raises(StoreError, match="cannot write to"):
            store.commit("run-1", bad)
    with pytest.raises(StoreError, match="cannot write to"):
        store.create(run_record("run-2", parameters={"value": object()}), graph(), provenance())
    with pytest.raises(NotFoundError):
        store.find("run-2")
    assert store.attempts("run-1", "other") == []
    store.commit("run-1", turn(1))
    store.close()


def test_a_result_outlives_its_run_and_is_not_taken_for_a_later_ones(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("PRAGMA foreign_keys = ON")
    other.execute("DELETE FROM runs")
    other.commit()
    other.close()
    store = SqliteStore(path)
    store.create(run_record("run-2"), graph(), provenance())
    assert store.attempts("run-2") == []
    assert store.recorded([fingerprint(1)])[fingerprint(1)].outputs == (artifact(1),)
    assert store.origins([fingerprint(1)]) == {}
    store.close()


def test_the_summary_counts(path: Path) -> None:
    store = SqliteStore(path)
    assert store.summary() == {"schema": len(schema.MIGRATIONS), "runs": 1, "size": path.stat().st_size}
    store.create(run_record("run-2"), graph(), provenance())
    summary = store.summary()
    assert summary["runs"] == 2
    assert summary["size"] > path.stat().st_size
    store.close()


def test_a_sweep_gives_the_space_back(path: Path, tmp_path: Path) -> None:
    store, empty = SqliteStore(path), SqliteStore(tmp_path / "empty.db")
    least = empty.summary()["size"]
    empty.close()
    store.commit("run-1", turn(1, end=RunState.SUCCEEDED))
    size = store.summary()["size"]
    store.remove(["run-1"])
    store.forget([entry.fingerprint for entry in store.results()])
    store.sweep(time.time())
    assert store.summary()["size"] - least < (size - least) / 2
    assert store.check() == []
    store.create(run_record("run-2"), graph(), provenance())
    store.close()


def test_a_sweep_beside_a_reader_gives_the_space_back_later(path: Path) -> None:
    store, reader = SqliteStore(path), sqlite3.connect(path, isolation_level=None)
    store.commit("run-1", turn(1, end=RunState.SUCCEEDED))
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM attempts").fetchone() == (400,)
    store.remove(["run-1"])
    store.sweep(time.time())
    assert reader.execute("SELECT count(*) FROM attempts").fetchone() == (400,)
    reader.close()
    size = store.summary()["size"]
    store.close()
    assert path.stat().st_size < size


def test_a_sweep_drops_the_claims_of_drivers_that_were_killed(path: Path) -> None:
    store, other = SqliteStore(path), SqliteStore(path)
    claimed = {fingerprint(1001): ("fit", 1), fingerprint(1000): ("fit", 1000)}
    store.commit("run-1", turn(1, claims=claimed))
    other.create(run_record("run-2"), graph(), provenance())
    connection = sqlite3.connect(path)
    connection.execute("UPDATE runs SET state = 'paused' WHERE run_id = 'run-1'")
    connection.commit()
    assert other.claimants(list(claimed)) == {}
    assert other.commit("run-2", turn(0, claims={fingerprint(1001): ("x", 0)})) == frozenset()
    assert store.claimants(list(claimed)) == {fingerprint(1001): Claimant("run-2", "x", 0)}
    store.sweep(time.time())
    connection.execute("UPDATE runs SET state = 'running'")
    connection.commit()
    assert connection.execute("SELECT count(*), count(claimant) FROM results").fetchone() == (401, 1)
    connection.close()
    assert other.claimants(list(claimed)) == {fingerprint(1001): Claimant("run-2", "x", 0)}
    assert other.recorded(list(claimed)) == {}
    store.close()
    other.close()


def test_a_sound_file_has_nothing_to_report(path: Path) -> None:
    store = SqliteStore(path)
    assert store.check() == []
    store.close()


def test_check_finds_a_damaged_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    # beyond the pages that say what tables there are
    start = 4096 * (len(content) // 4096 * 3 // 4)
    content[start : start + 4096] = b"\xff" * 4096
    path.write_bytes(content)
    store = SqliteStore(path)
    assert store.check() != []
    store.close()


def test_check_finds_a_gap_in_a_journal(path: Path) -> None:
    store = SqliteStore(path)
    store.create(run_record("run-2"), graph(), provenance())
    for run_id in ("run-1", "run-2"):
        for number in range(1 if run_id == "run-1" else 0, 3):
            store.commit(run_id, turn(number))
    other = sqlite3.connect(path)
    other.execute("DELETE FROM journal WHERE number = 1 AND run = (SELECT id FROM runs WHERE run_id = 'run-2')")
    other.commit()
    other.close()
    assert store.check() == ["the journal of run run-2 has gaps"]
    store.close()


def test_a_run_that_is_removed_takes_its_turns_along_and_no_others(path: Path) -> None:
    store = SqliteStore(path)
    for run_id in ("run-2", "run-3"):
        store.create(run_record(run_id), graph(), provenance())
        for number in range(3):
            end = RunState.SUCCEEDED if number == 2 else None
            store.commit(
                run_id, turn(number, end=end, attempts=[attempt(item=item) for item in (2 * number, number + 9)])
            )
    kept = {run_id: (store.journal(run_id), store.attempts(run_id)) for run_id in ("run-1", "run-3")}
    assert [record.item for record in store.attempts("run-2")] == [0, 2, 4, 9, 10, 11]
    store.remove(["run-2"])
    assert {run_id: (store.journal(run_id), store.attempts(run_id)) for run_id in kept} == kept
    assert store.check(full=True) == []
    other = sqlite3.connect(path)
    for table in ("journal", "attempts"):
        assert other.execute(f"SELECT DISTINCT run FROM {table}").fetchall() == [(1,), (3,)]
    other.execute("DELETE FROM runs WHERE run_id = 'run-3'")
    other.commit()
    other.close()
    found = store.check(full=True)
    assert {"3 rows of the table journal belong to no run", "6 rows of the table attempts belong to no run"} <= set(
        found
    )
    store.close()


def test_the_check_finds_attempts_that_are_recorded_twice(path: Path) -> None:
    store = SqliteStore(path)
    for run_id in ("run-2", "run-3"):
        store.create(run_record(run_id), graph(), provenance())
        store.commit(run_id, turn(0, attempts=[attempt(), attempt(number=2), attempt("other")]))
    store.commit("run-3", turn(1, attempts=[attempt(number=2)]))
    assert store.check() == []
    assert store.check(full=True) == ["run run-3 has attempts that are recorded twice"]
    store.close()


def test_what_a_run_has_written_is_in_the_file_itself_soon_after_its_end(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store, other = SqliteStore(path), SqliteStore(path)
    store.create(run_record(), graph(), provenance())
    store.commit("run-1", turn(0, attempts=[attempt(item=item, reason="moved") for item in range(600)]))
    store.commit("run-1", turn(1, end=RunState.SUCCEEDED))
    deadline = time.monotonic() + 60
    # while both still have it open
    while path.read_bytes().count(b"moved") < 600:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    store.close()
    assert len(other.attempts("run-1")) == 600
    assert other.check(full=True) == []
    other.close()


def test_a_damaged_row_is_a_store_error(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("UPDATE attempts SET outputs = X'FF00FF'")
    other.execute("UPDATE journal SET events = X'C1'")
    other.execute("UPDATE run_details SET graph = X'78'")
    other.commit()
    other.close()
    store = SqliteStore(path)
    for read in (store.attempts, store.journal, store.graph):
        with pytest.raises(StoreError, match="cannot read"):
            read("run-1")
    store.close()
