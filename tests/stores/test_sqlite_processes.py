"""Several processes on one file, and processes that are killed. All of them are real."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import threading
from itertools import accumulate
from pathlib import Path

import pytest

from penstock.errors import StoreError
from penstock.model.event import Succeeded
from penstock.stores import transactions
from penstock.stores.sqlite import SqliteStore
from penstock.testing.records import artifact, attempt, graph, provenance, run_record, turn

#: the long ring: many processes at one file
pytestmark = pytest.mark.slow

WRITER = Path(__file__).with_name("writer.py")


def start(path: Path, run_id: str, turns: int, size: int) -> subprocess.Popen[str]:
    """A writer of its own process; see writer.py."""
    command = [sys.executable, str(WRITER), str(path), run_id, str(turns), str(size)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def recorded_items(store: SqliteStore, run_id: str) -> list[int]:
    """The items of which the journal says that they succeeded; what else is recorded has to agree."""
    journal = store.journal(run_id)
    items = [event.item for _, events in journal for event in events if isinstance(event, Succeeded)]
    assert [at for at, _ in journal] == [turn(number).at for number in range(len(journal))]
    assert items == list(range(len(items)))
    assert [record.item for record in store.attempts(run_id)] == items
    assert [logged.line.text for _, logged in store.lines(run_id)] == [str(number) for number in range(len(journal))]
    cached = {f"{run_id} {item}".encode(): (artifact(item),) for item in items}
    assert {key: found.outputs for key, found in store.recorded(list(cached)).items()} == cached
    return items


def test_twenty_processes_share_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "state" / "store.db"
    runs = [f"run-{number:02}" for number in range(20)]
    writers = [start(path, run_id, 25, 8) for run_id in runs]
    said = [writer.communicate() for writer in writers]
    assert [stderr for _, stderr in said] == [""] * 20
    assert [writer.returncode for writer in writers] == [0] * 20
    store = SqliteStore(path)
    assert sorted(run.run_id for run in store.runs(limit=100)) == sorted(runs)
    for run_id in runs:
        assert len(recorded_items(store, run_id)) == 25 * 8
    assert store.check() == []
    store.close()


def test_a_reader_sees_whole_turns_while_others_write(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = SqliteStore(path)
    runs = ["a", "b"]
    for run_id in runs:
        store.create(run_record(run_id), graph(), provenance())
    writers = [start(path, run_id, 150, 10) for run_id in runs]
    seen = dict.fromkeys(runs, 0)
    while any(writer.poll() is None for writer in writers):
        for run_id in runs:
            attempts = len(store.attempts(run_id))
            assert attempts % 10 == 0
            assert attempts >= seen[run_id]
            assert len(store.journal(run_id)) * 10 >= attempts
            seen[run_id] = attempts
    assert [writer.communicate()[1] for writer in writers] == ["", ""]
    assert [len(recorded_items(store, run_id)) for run_id in runs] == [1500, 1500]
    store.close()


def test_two_drivers_of_one_run_do_not_both_record_a_turn(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    SqliteStore(path).close()
    writers = [start(path, "run", 400, 5) for _ in range(2)]
    for writer in writers:
        writer.communicate()
    store = SqliteStore(path)
    assert len(recorded_items(store, "run")) == 400 * 5
    assert store.check() == []
    store.close()


def test_processes_never_hold_more_of_a_pool_than_there_is(tmp_path: Path) -> None:
    path, log = tmp_path / "store.db", tmp_path / "log"
    store = SqliteStore(path)
    store.size_pools({"db": 2})
    runs = [f"run-{number}" for number in range(4)]
    for run_id in runs:
        store.create(run_record(run_id), graph(), provenance())
    script = str(WRITER.with_name("holder.py"))
    holders = [subprocess.Popen([sys.executable, script, str(path), run, "db", "20", str(log)]) for run in runs]
    assert [holder.wait(60) for holder in holders] == [0] * 4
    held = list(accumulate(1 if note == "+" else -1 for note in log.read_text()))
    assert len(held) == 4 * 20 * 2
    assert 1 <= max(held) <= 2
    assert held[-1] == 0
    assert [pool.held for pool in store.pools()] == [()]
    store.close()


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    chance = random.Random(7)
    before = 0
    for _ in range(8):
        writer = start(path, "run", -1, 30)
        assert writer.stdout is not None and writer.stderr is not None
        with writer:
            for _ in range(chance.randrange(1, 60)):
                writer.stdout.readline()
            writer.kill()
            # not by communicate(), which does not know what has been read ahead
            rest, stderr = writer.stdout.read(), writer.stderr.read()
        assert stderr == ""
        acknowledged = [int(line) for line in rest.split()]
        store = SqliteStore(path)
        turns = len(recorded_items(store, "run")) // 30
        assert turns > before
        assert turns > max(acknowledged, default=0)
        assert store.check() == []
        store.close()
        before = turns


def test_a_writer_waits_for_another_one(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = SqliteStore(path)
    store.create(run_record(), graph(), provenance())
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.3, other.execute, ["COMMIT"])
    timer.start()
    store.commit("run-1", turn(attempts=[attempt()]))
    timer.join()
    assert store.attempts("run-1") == [attempt()]
    other.close()
    store.close()


@pytest.mark.parametrize("lock", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE", "BEGIN; SELECT * FROM sqlite_master"])
def test_making_a_file_waits_for_whoever_makes_it(tmp_path: Path, lock: str) -> None:
    path = tmp_path / "store.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for statement in lock.split("; "):
        other.execute(statement)
    timer = threading.Timer(0.2, other.execute, ["ROLLBACK"])
    timer.start()
    store = SqliteStore(path)
    timer.join()
    other.close()
    store.create(run_record(), graph(), provenance())
    assert store.find("latest") == run_record()
    store.close()


def test_patience_ends_in_plain_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "PATIENCE", 0.05)
    path = tmp_path / "store.db"
    store = SqliteStore(path)
    store.create(run_record(), graph(), provenance())
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"another process has it locked for 0\.05 s") as caught:
        store.commit("run-1", turn())
    assert str(path) in str(caught.value)
    assert "database is locked" not in str(caught.value)
    other.execute("ROLLBACK")
    other.close()
    store.commit("run-1", turn())
    store.close()
