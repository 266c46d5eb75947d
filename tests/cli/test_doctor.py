"""What the doctor finds in what was recorded and stored, says to do about it, and mends."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from test_backups import STEPS
from test_collection import asked, penstock, run

from penstock.blobs.local import LocalBlobs
from penstock.runtime.examining.records import of_blobs
from penstock.runtime.surroundings import mounts
from penstock.stores.sqlite import SqliteStore


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A folder in which a pipeline has run whose values are in blobs."""
    (tmp_path / "steps.py").write_text(STEPS)
    asked(tmp_path, "run", "steps.py", "-p", "n=2", "--executor", "inline", "--json")
    return tmp_path


@pytest.fixture(autouse=True)
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether worker processes start is asked in another test."""
    monkeypatch.setattr("penstock.cli.doctor._worker_answer", lambda services: "")  # pyright: ignore[reportUnknownLambdaType]


def found(folder: Path, *options: str) -> list[tuple[str, str]]:
    """What the doctor has found: level and text."""
    answer = penstock("doctor", *options, "--json", cwd=folder)
    document: Any = answer.document
    assert answer.code == (1 if document["problems"] else 0), answer.err
    assert document["problems"] == [each["text"] for each in document["findings"] if each["level"] == "problem"]
    return [(each["level"], each["text"]) for each in document["findings"]]


def executed(folder: Path, statement: str, *values: Any) -> None:
    with sqlite3.connect(folder / ".penstock" / "penstock.db") as connection:
        assert connection.execute(statement, values).rowcount == 1
    connection.close()


def test_a_sound_project_has_no_findings(stored: Path) -> None:
    assert found(stored, "--full") == []
    shown = asked(stored, "doctor").out
    assert ", 1 run, " in shown and "schema 7" in shown and shown.endswith("all is well\n")


def test_values_that_are_gone_are_found_and_their_results_dropped(stored: Path) -> None:
    gone = sorted((stored / ".penstock" / "blobs").glob("??/??/*"))[0]
    gone.unlink()
    [(level, text)] = found(stored)
    assert level == "problem"
    assert gone.name[:16] in text and "1 result in the cache cannot be used" in text and "penstock restore" not in text
    [(level, text)] = found(stored, "--fix")
    assert level == "mended" and "--fix" not in text
    [(level, text)] = found(stored, "--full")
    assert level == "warning" and "cannot show" in text and "--fix" not in text
    again = asked(stored, "run", "steps.py", "-p", "n=2", "--executor", "inline", "--json").document
    assert sorted(task["state"] for task in again["tasks"]) == ["cached", "cached", "succeeded"]
    assert found(stored) == []


def test_values_that_are_damaged_are_found_when_they_are_read(stored: Path) -> None:
    blob = sorted((stored / ".penstock" / "blobs").glob("??/??/*"))[0]
    blob.chmod(0o644)
    blob.write_bytes(bytes(blob.stat().st_size))
    assert found(stored) == []
    [(level, text)] = found(stored, "--full")
    assert level == "problem" and blob.name[:16] in text
    assert blob.exists(), "looking changes nothing"


def test_of_a_shared_store_values_elsewhere_are_not_taken_for_gone(stored: Path) -> None:
    home = stored / ".penstock"
    next((home / "blobs").glob("??/??/*")).unlink()
    store = SqliteStore(home / "penstock.db")
    [finding] = of_blobs(store, LocalBlobs(home / "blobs", looking=True), full=True, shared=True)
    store.close()
    assert (finding.is_problem, finding.mend) == (False, None)
    assert "the setting `blobs`" in finding.text


def test_values_without_records_are_found(stored: Path) -> None:
    database = stored / ".penstock" / "penstock.db"
    database.write_bytes(b"")
    [(level, text)] = found(stored)
    assert level == "warning"
    assert "the store is empty, and 2 stored values belong to no record" in text and "penstock restore FILE" in text
    database.unlink()
    assert found(stored) == [(level, text)]


@pytest.mark.parametrize("kept", [0, 5000])
def test_a_store_that_is_no_store_is_restored_from_a_backup(stored: Path, kept: int) -> None:
    asked(stored, "backup", "saved.tar.gz")
    database = stored / ".penstock" / "penstock.db"
    database.write_bytes(database.read_bytes()[:kept] or b"garbage, " * 1000)
    levels = found(stored)
    assert any("penstock restore FILE --force" in text for _, text in levels)
    asked(stored, "restore", "saved.tar.gz", "--force")
    assert [text for _, text in found(stored) if "is what a backup took the place of" not in text] == []


def test_a_gap_in_a_journal_is_found(stored: Path) -> None:
    executed(stored, "DELETE FROM journal WHERE number = 1")
    [(level, text)] = found(stored)
    assert level == "problem"
    assert "has gaps" in text and "penstock restore" in text


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE runs SET state = 'failed'", "recorded as failed, and by its journal it is succeeded"),
        ("UPDATE journal SET events = X'90' WHERE number = 1", "cannot be replayed"),
        ("UPDATE attempts SET item = 7 WHERE node = 'length'", "is recorded as succeeded, and is not in its journal"),
    ],
)
def test_records_that_do_not_follow_from_the_journal_are_found(stored: Path, change: str, told: str) -> None:
    executed(stored, change)
    assert found(stored) == []
    [(level, text)] = found(stored, "--full")
    assert level == "problem" and told in text


def test_a_damaged_file_is_found(stored: Path) -> None:
    path = stored / ".penstock" / "penstock.db"
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = os.urandom(len(data) - len(data) // 2)
    path.write_bytes(data)
    levels = found(stored)
    assert levels and all(level == "problem" for level, _ in levels)
    assert any("penstock restore" in text for _, text in levels)


def test_an_unfinished_run_is_found_with_what_goes_on_with_it(folder: Path) -> None:
    run_id = run(folder, 1)
    executed(folder, "UPDATE runs SET state = 'running', driver = ?", f"{os.uname().nodename}:999999999")
    [(level, text)] = found(folder)
    assert level == "warning"
    assert f"penstock resume {run_id}" in text


def test_a_clock_that_is_behind_is_found(folder: Path) -> None:
    run(folder, 1)
    executed(folder, "UPDATE runs SET started_at = ?", time.time() + 7200)
    [(level, text)] = found(folder)
    assert level == "warning" and "clock" in text


def test_what_others_may_see_is_found_and_taken_from_them(folder: Path) -> None:
    run(folder, 1)
    home = folder / ".penstock"
    home.chmod(0o755)
    assert [level for level, _ in found(folder)] == ["warning"]
    assert [level for level, _ in found(folder, "--fix")] == ["mended"]
    assert home.stat().st_mode & 0o777 == 0o700
    assert found(folder) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_belongs_to_somebody_else_is_found(folder: Path) -> None:
    run(folder, 1)
    os.chown(folder / ".penstock" / "penstock.db", 65534, -1)
    [(level, text)] = found(folder)
    assert level == "problem"
    assert "belongs to the user nobody" in text and "chown" in text


def test_what_dead_processes_have_left_is_found_and_removed(stored: Path) -> None:
    writer = stored / ".penstock" / "blobs" / "tmp" / f"{os.uname().nodename}-999999999-1"
    writer.write_bytes(b"half")
    old = time.time() - 7200
    os.utime(writer, (old, old))
    assert found(stored) == [], "whoever wrote it may only have stopped for a while"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("penstock.runtime.examining.surroundings._LEFT", -60.0)
        # what others on this machine have left in the folder that all share is no concern of this test
        (stored / "scratch").mkdir()
        patch.setattr("tempfile.tempdir", str(stored / "scratch"))
        [(level, text)] = found(stored)
        assert level == "warning" and "1 unfinished thing" in text and "penstock gc" in text
        assert [level for level, _ in found(stored, "--fix")] == ["mended"]
    assert not writer.exists()


def test_a_huge_log_is_found_and_settled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(folder, 1)
    monkeypatch.setattr("penstock.runtime.examining.surroundings._HUGE", 1000)
    path = folder / ".penstock" / "penstock.db"
    # somebody has the file open, so that the log stays
    with sqlite3.connect(path) as other:
        other.execute("UPDATE runs SET started_at = started_at")
        other.commit()
        [(level, text)] = found(folder)
        assert level == "warning" and "write-ahead log" in text
        assert [level for level, _ in found(folder, "--fix")] == ["mended"]
        assert path.with_name("penstock.db-wal").stat().st_size == 0
    other.close()


def test_a_network_file_system_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "mounts_here", lambda: [mounts.Mount(str(folder), "nfs4", "filer:/export")])
    [(level, text)] = found(folder)
    assert level == "warning"
    assert "PENSTOCK_HOME" in text and "postgresql://" in text


def test_compacted_journals_lead_to_the_same(folder: Path) -> None:
    run(folder, 1)
    before = asked(folder, "show", "--json").document
    told = asked(folder, "gc", "--compact-older-than", "0", "--dry-run", "--json").document["removed"]["journals"]
    assert told["count"] == 1 and told["bytes"] > 0
    done = asked(folder, "gc", "--compact-older-than", "0", "--json").document["removed"]
    assert done["journals"] == told
    assert "journals" not in asked(folder, "gc", "--compact-older-than", "0").out
    after = asked(folder, "show", "--json").document
    assert after == before
    assert found(folder, "--full") == []
    for command in (("why", "latest", after["tasks"][0]["id"]), ("logs",)):
        assert penstock(*command, cwd=folder).code == 0
    shutil.rmtree(folder / ".penstock")


def kept_in(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, list[tuple[str, str]]]:
    """What the doctor says of the place of blobs: the row about it, and what it has found."""
    monkeypatch.setenv("PENSTOCK_BLOBS", url)
    [row] = [line for line in penstock("doctor", cwd=folder).out.splitlines() if line.startswith("blobs")]
    return row, found(folder)


def test_a_shared_folder_of_blobs_that_is_not_there_is_told(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = (stored / "shared").as_uri()
    _, findings = kept_in(url, stored, monkeypatch)
    assert [level for level, text in findings if f"{stored}/shared, where stored values are kept, is not" in text] == [
        "warning"
    ]
    (stored / "shared").mkdir()
    row, findings = kept_in(url, stored, monkeypatch)
    assert f"{url}, reachable" in row
    assert not [text for _, text in findings if "shared" in text]


def test_a_bucket_that_cannot_be_reached_is_a_finding(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("obstore")
    # nobody listens there
    places = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    for name, value in places.items():
        monkeypatch.setenv(name, value)
    row, findings = kept_in("s3://bucket/x", stored, monkeypatch)
    assert "s3://bucket/x, cannot be used" in row
    [(level, text)] = findings
    assert level == "problem" and "s3://bucket/x" in text
    assert "1 run, " in asked_of_store(stored)


def asked_of_store(folder: Path) -> str:
    """What the doctor says of the store, whatever else is wrong."""
    return next(line for line in penstock("doctor", cwd=folder).out.splitlines() if line.startswith("store"))
