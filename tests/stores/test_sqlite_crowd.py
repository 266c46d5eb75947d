"""Nobody is ever told that the file is locked, however many write to it and whatever else is done to it."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

import pytest
from test_sqlite_processes import recorded_items, start
from writer import next_turn

from penstock.errors import StoreError
from penstock.model.event import RunStarted
from penstock.model.run import RunState
from penstock.stores import schema, transactions
from penstock.stores.patience import PatientConnection
from penstock.stores.sqlite import SqliteStore
from penstock.testing.records import graph, provenance, run_record, turn


def ended_runs(store: SqliteStore, count: int) -> None:
    """Runs that can be compacted."""
    for number in range(count):
        run_id = f"ended-{number}"
        store.create(run_record(run_id), graph(), provenance())
        for place in range(20):
            store.commit(run_id, turn(place, events=[RunStarted()]))
        store.commit(run_id, turn(20, end=RunState.SUCCEEDED))


def test_threads_that_never_rest_all_get_their_turn(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    troubles: list[BaseException] = []

    def write(run_id: str) -> None:
        try:
            store = SqliteStore(path)
            store.create(run_record(run_id), graph(), provenance())
            for number in range(25):
                store.commit(run_id, next_turn(run_id, number, 4))
            store.close()
        except BaseException as error:
            troubles.append(error)

    runs = [f"run-{number}" for number in range(8)]
    threads = [threading.Thread(target=write, args=(run_id,)) for run_id in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    store = SqliteStore(path)
    assert [len(recorded_items(store, run_id)) for run_id in runs] == [100] * 8
    store.close()


def test_a_transaction_does_not_wait_within_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "PATIENCE", 30.0)
    path = tmp_path / "file.db"
    options = {"timeout": 0, "isolation_level": None, "factory": PatientConnection}
    first, second = sqlite3.connect(path, **options), sqlite3.connect(path, **options)  # type: ignore[call-overload]
    first.execute("PRAGMA journal_mode = WAL")
    first.execute("CREATE TABLE t (x)")
    second.execute("BEGIN")
    second.execute("SELECT * FROM t").fetchall()
    first.execute("INSERT INTO t VALUES (1)")
    began = time.monotonic()
    with pytest.raises(sqlite3.OperationalError):
        # what it has read has changed, and no waiting would help
        second.execute("INSERT INTO t VALUES (2)")
    assert time.monotonic() - began < 20
    first.close()
    second.close()


def test_reading_waits_for_whoever_has_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = SqliteStore(path)
    store.create(run_record(), graph(), provenance())
    store.close()
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    # as it is while the last one closes the file, or it is recovered
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    timer = threading.Timer(0.3, other.close)
    timer.start()
    store = SqliteStore(path)
    assert store.find("latest").run_id == "run-1"
    timer.join()
    store.close()


@pytest.mark.slow
def test_twenty_writers_and_all_that_is_done_beside_them(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = SqliteStore(path)
    ended_runs(store, 40)
    journals = [store.journal(f"ended-{number}") for number in range(40)]
    runs = [f"run-{number:02}" for number in range(20)]
    writers = {run_id: start(path, run_id, 200, 5) for run_id in runs}
    killed, copies = 0, 0
    compactable = store.compactable(time.time())
    while any(writer.poll() is None for writer in writers.values()):
        # a backup, whatever is written meanwhile
        copy = tmp_path / f"copy-{copies}.db"
        store.copy_to(copy)
        copied = SqliteStore(copy)
        assert copied.check() == []
        copied.close()
        copy.unlink()
        copies += 1
        # journals compacted, what nothing needs removed, another process that opens the file anew
        for run_id in compactable[:5]:
            assert store.compact(run_id) > 0
        del compactable[:5]
        store.remove([f"gone-{copies}"])
        store.sweep(time.time())
        SqliteStore(path).close()
        # and one that is killed, maybe while it has the lock
        victim = runs[copies % 20]
        if killed < 5 and writers[victim].poll() is None:
            writers[victim].kill()
            writers[victim].communicate()
            writers[victim] = start(path, victim, 200, 5)
            killed += 1
    said = [writer.communicate()[1] for writer in writers.values()]
    assert said == [""] * 20
    assert copies > 1 and killed > 0
    assert [len(recorded_items(store, run_id)) for run_id in runs] == [1000] * 20
    assert [store.journal(f"ended-{number}") for number in range(40)] == journals
    assert store.check(full=True) == []
    store.close()
    assert not path.with_name("store.db-wal").exists()


@pytest.mark.slow
def test_a_file_of_an_earlier_schema_is_brought_up_to_date_by_many_at_once(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    connection = sqlite3.connect(path)
    connection.executescript(Path(__file__).with_name("schema_3.sql").read_text())
    connection.close()
    troubles: list[StoreError] = []
    ready = threading.Barrier(20)

    def open_it() -> None:
        ready.wait(30)
        try:
            store = SqliteStore(path)
            assert store.summary()["schema"] == len(schema.MIGRATIONS)
            store.close()
        except StoreError as error:
            troubles.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
