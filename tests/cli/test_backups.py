"""Backups as commands: written beside runs, put back, refused where they would do harm."""

from __future__ import annotations

import json
import shutil
import sqlite3
import stat
import tarfile
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from command_line import penstock as command
from command_line import started
from test_collection import asked, penstock, run

from penstock.runtime.backups import restoring
from penstock.runtime.orphans import orphans

STEPS = """
import time
from pathlib import Path

from penstock import pipeline, task

LOG = Path(__file__).with_name("log")


@task
def step(i: int, text: bytes) -> bytes:
    with LOG.open("a") as log:
        log.write(f"{i}\\n")
    time.sleep(0.05)
    # larger than what is kept in a row
    return text + bytes([i]) * 5000


@pipeline
def steps(n: int = 12) -> int:
    text = b""
    for i in range(n):
        text = step(i, text)
    return length(text)


@task
def length(text: bytes) -> int:
    return len(text)
"""


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def slow_steps(tmp_path: Path) -> Path:
    """A folder with a pipeline that takes its time and writes down what it does."""
    (tmp_path / "steps.py").write_text(STEPS)
    return tmp_path


def begun(folder: Path, steps: int) -> None:
    deadline = time.monotonic() + 30
    log = folder / "log"
    while not log.exists() or len(log.read_text().split()) < steps:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["saved.tar.gz", "saved.tar", "saved"])
def test_a_run_that_was_under_way_goes_on_from_its_backup(slow_steps: Path, name: str) -> None:
    folder = slow_steps
    with started("run", "steps.py", "--executor", "inline", "-q", cwd=folder) as process:
        begun(folder, 4)
        made = asked(folder, "backup", name, "--json").document
        # what is under way keeps its place until it has ended
        refused = penstock("restore", name, "--force", cwd=folder)
        assert refused.code == 2
        assert "is under way" in refused.err and "penstock cancel" in refused.err
        assert process.wait(60) == 0
    assert made["runs"] == 1 and made["lost"] == []
    assert len((folder / "log").read_text().split()) == 12
    [ended] = asked(folder, "runs", "--json").document
    assert ended["state"] == "succeeded"
    restored = asked(folder, "restore", name, "--force", "--json").document
    assert restored["unfinished"] == [ended["run_id"]]
    assert restored["blobs"] == made["blobs"] > 0
    [before] = asked(folder, "runs", "--json").document
    assert before["state"] == "running"
    finished = [task for task in asked(folder, "show", "--json").document["tasks"] if task["state"] == "succeeded"]
    assert 3 <= len(finished) < 12
    (folder / "log").unlink()
    # in a process of its own, as the one was that it takes the place of
    resumed = command("resume", ended["run_id"], "--executor", "inline", "--json", cwd=folder)
    assert resumed.code == 0, resumed.err
    answer = resumed.document
    assert answer["outputs"]["result"]["value"] == 12 * 5000
    # the one that was under way in the backup is made again, and all after it
    assert [int(each) for each in (folder / "log").read_text().split()] == list(range(len(finished), 12))
    again = command("run", "steps.py", "--executor", "inline", "--json", cwd=folder).document
    assert {task["state"] for task in again["tasks"]} == {"cached"}
    assert asked(folder, "doctor", "--full", "--json").document["problems"] == []


@pytest.fixture
def kept(folder: Path) -> tuple[Path, str]:
    """A folder in which a pipeline has run, and the run."""
    return folder, run(folder, 1)


def test_a_backup_is_whole_and_private(kept: tuple[Path, str]) -> None:
    folder, run_id = kept
    told = asked(folder, "backup", "saved.tar.gz").out
    assert told.startswith("saved.tar.gz: 1 run, ")
    assert mode_of(folder / "saved.tar.gz") == 0o600
    with tarfile.open(folder / "saved.tar.gz") as archive:
        assert archive.getnames()[-2:] == ["penstock.db", "backup.json"]
    asked(folder, "backup", "saved")
    assert mode_of(folder / "saved") == 0o700
    assert {mode_of(path) for path in (folder / "saved").rglob("*") if path.is_file()} == {0o600}
    assert json.loads((folder / "saved" / "backup.json").read_bytes())["runs"] == 1
    # nothing is left of how it was made
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".saved")]
    shutil.rmtree(folder / ".penstock")
    asked(folder, "restore", "saved.tar.gz")
    assert [each["run_id"] for each in asked(folder, "runs", "--json").document] == [run_id]
    assert mode_of(folder / ".penstock" / "penstock.db") == 0o600


def test_what_is_there_is_not_replaced_unasked(kept: tuple[Path, str]) -> None:
    folder, first = kept
    asked(folder, "backup", "saved")
    for arguments in (("backup", "saved"), ("restore", "saved")):
        answer = penstock(*arguments, cwd=folder)
        assert answer.code == 2
        assert "is there already" in answer.err and "--force" in answer.err
    second = run(folder, 2)
    document = asked(folder, "restore", "saved", "--force", "--json").document
    assert [each["run_id"] for each in asked(folder, "runs", "--json").document] == [first]
    with sqlite3.connect(Path(document["replaced"]) / "penstock.db") as aside:
        assert {row[0] for row in aside.execute("SELECT run_id FROM runs")} == {first, second}
    aside.close()
    asked(folder, "backup", "saved", "--force")
    told = asked(folder, "doctor", "--json").document["findings"]
    assert [each["level"] for each in told if "replaced-" in each["text"]] == ["warning"]


def test_a_driver_elsewhere_is_watched_before_a_backup_takes_its_place(
    kept: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, run_id = kept
    asked(folder, "backup", "saved")
    with closing(sqlite3.connect(folder / ".penstock" / "penstock.db")) as connection, connection:
        connection.execute("UPDATE runs SET state = 'running', driver = 'elsewhere:7@00000000-1'")
    monkeypatch.setattr(restoring, "orphans", partial(orphans, lease=0.05))
    answer = asked(folder, "restore", "saved", "--force")
    assert f"run {run_id} is driven by elsewhere:7 elsewhere; watching" in answer.err
    assert "what was there is in" in answer.out


def test_a_backup_without_blobs_leaves_those_that_are_there(slow_steps: Path) -> None:
    folder = slow_steps
    asked(folder, "run", "steps.py", "-p", "n=2", "--executor", "inline", "--json")
    made = asked(folder, "backup", "saved", "--no-blobs", "--json").document
    assert made["blobs"] is None
    assert {path.name for path in (folder / "saved").iterdir()} == {"penstock.db", "backup.json"}
    asked(folder, "restore", "saved", "--force")
    again = asked(folder, "run", "steps.py", "-p", "n=2", "--executor", "inline", "--json").document
    assert {task["state"] for task in again["tasks"]} == {"cached"}


def test_values_that_are_gone_are_told_and_do_not_matter(slow_steps: Path) -> None:
    folder = slow_steps
    asked(folder, "run", "steps.py", "-p", "n=2", "--executor", "inline", "--json")
    gone = sorted((folder / ".penstock" / "blobs").glob("??/??/*"))[0]
    gone.unlink()
    answer = asked(folder, "backup", "saved.tar", "--json")
    assert answer.document["lost"] == [gone.name]
    asked(folder, "restore", "saved.tar", "--force")


@pytest.mark.parametrize("harm", ["store", "blob", "manifest", "missing", "cut"])
def test_a_damaged_backup_replaces_nothing(slow_steps: Path, harm: str) -> None:
    folder = slow_steps
    asked(folder, "run", "steps.py", "-p", "n=2", "--executor", "inline", "--json")
    name = "saved.tar.gz" if harm == "cut" else "saved"
    asked(folder, "backup", name)
    saved = folder / name
    blob = next(iter(saved.glob("blobs/*/*")), saved)
    if harm == "cut":
        saved.write_bytes(saved.read_bytes()[:-200])
    elif harm == "missing":
        blob.unlink()
    else:
        path = {"store": saved / "penstock.db", "blob": blob, "manifest": saved / "backup.json"}[harm]
        path.write_bytes(path.read_bytes()[:-9] + b"otherwise")
    before = asked(folder, "runs", "--json").out
    answer = penstock("restore", name, "--force", cwd=folder)
    assert answer.code == 2
    assert "is not a whole backup" in answer.err
    assert asked(folder, "runs", "--json").out == before
    assert not list((folder / ".penstock").glob("replaced-*"))


@pytest.mark.parametrize(
    ("place", "told"), [("nowhere/saved.tar.gz", "mkdir -p nowhere"), ("saved.zip", ".tar.gz, .tgz or .tar")]
)
def test_a_place_that_is_hardly_meant_is_refused(kept: tuple[Path, str], place: str, told: str) -> None:
    folder, _ = kept
    answer = penstock("backup", place, cwd=folder)
    assert answer.code == 2 and told in answer.err
    assert not (folder / place).exists() and not (folder / "nowhere").exists()


def test_what_was_never_recorded_cannot_be_backed_up(tmp_path: Path) -> None:
    answer = penstock("backup", "saved", cwd=tmp_path)
    assert answer.code == 2
    assert "nothing has run" in answer.err
    assert list(tmp_path.iterdir()) == []
    answer = penstock("restore", "saved", cwd=tmp_path)
    assert "there is no backup saved" in answer.err


def test_a_store_on_a_server_is_left_to_its_own_tools(kept: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_STORE", "postgresql://nobody@127.0.0.1:1/none")
    for name, tool in (("backup", "pg_dump --schema=penstock"), ("restore", "pg_restore --clean")):
        answer = penstock(name, "saved", cwd=kept[0])
        assert answer.code == 2
        assert tool in answer.err and "blobs" in answer.err
    assert not (kept[0] / "saved").exists()
