"""Disks that are full, folders that cannot be written, files that are gone or damaged, limits that are reached: each gives an
error that says what, where and what to do; loses nothing that was recorded; and works again when it is mended."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
from surroundings import PIPELINE, PLAIN, PROGRAM, Place, require_nobody, require_plain_rights

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mounts and limits of Linux")
slow = pytest.mark.slow


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "parts.py").write_text(PIPELINE)
    return Place(tmp_path)


def gone_on(place: Place, *words: str) -> None:
    """Mended: the run goes on to its end."""
    (place.folder / "mended").touch()
    answer = place.penstock("resume", "latest", "-q", *words)
    assert answer.code == 0, answer.err
    assert set(place.ran) == set(range(8))
    shown = place.penstock("show", "latest", "--json")
    assert '"state": "succeeded"' in shown.out


@slow
@pytest.mark.parametrize("executor", ["processes", "inline"])
def test_disk_full_of_results(place: Place, executor: str) -> None:
    with place.small_disk("1500k"):
        answer = place.penstock("run", "parts.py", "-q", "--executor", executor)
        assert answer.code == 1
        # the disk is full for the blobs, or for the store
        assert "cannot write" in answer.err + answer.out
        unrecorded = 2 if "broke off" in answer.err else 0
        stored = sum(1 for path in (place.home / "blobs").glob("??/??/*") if path.stat().st_size >= 300_000)
        assert stored >= 3
        place.enlarge_disk()
        gone_on(place)
        # what was stored, and recorded, was not made again
        assert sum(place.ran.count(part) == 1 for part in range(8)) >= stored - unrecorded


@slow
def test_disk_full_before_the_run(place: Place) -> None:
    with place.small_disk("100k"):
        answer = place.penstock("run", "parts.py", "-q")
        assert answer.code == 2
        assert f"cannot open {place.home}/penstock.db: database or disk is full" in answer.err
        assert "Free some space" in answer.err
        assert place.ran == []
        place.enlarge_disk()
        assert place.penstock("run", "parts.py", "-q").code == 0


@slow
def test_disk_full_in_the_midst_of_a_run(place: Place) -> None:
    with place.small_disk("8m"):
        answer = place.penstock("run", "parts.py", "-q", "-p", "what=fill")
        assert answer.code == 1
        assert "broke off: cannot write to" in answer.err
        assert "database or disk is full Free some space" in answer.err or "disk I/O error The disk may" in answer.err
        assert "Then go on: penstock resume" in answer.err
        (place.home / "fill").unlink()
        gone_on(place)
        assert place.ran == list(range(8))


@slow
def test_folder_that_cannot_be_written(place: Place) -> None:
    assert place.penstock("run", "parts.py", "-q").code == 0
    with place.read_only():
        for words in (["runs"], ["show"], ["logs"], ["why", "latest", "part[0]"], ["artifacts", "list"]):
            assert place.penstock(*words).code == 0, words
        for words, file in ((["run", "parts.py", "-q"], "penstock.db"), (["gc", "--yes"], "gc.lock")):
            answer = place.penstock(*words)
            assert answer.code == 2, words
            assert re.search(rf"cannot .*{place.home}/{file}", answer.err), answer.err
        assert place.penstock("doctor").code == 1
    assert place.penstock("show", "latest").code == 0


def test_file_in_the_place_of_the_folder(place: Place) -> None:
    place.home.write_text("mine")
    answer = place.penstock("run", "parts.py", "-q")
    assert answer.code == 2
    assert f"cannot be kept in {place.home}: that is a file Move it away" in answer.err
    assert place.home.read_text() == "mine"
    assert place.ran == []


@slow
def test_folder_of_another_user(place: Place) -> None:
    require_plain_rights()
    assert place.penstock("run", "parts.py", "-q", before=PLAIN).code == 0
    for path in (place.home, *place.home.rglob("*")):
        shutil.chown(path, 12345)
    place.home.chmod(0o700)
    for words in (["run", "parts.py", "-q"], ["runs"], ["show", "latest"], ["resume", "latest"]):
        answer = place.penstock(*words, before=PLAIN)
        assert answer.code == 2, words
        assert str(place.home) in answer.err
        assert "Permission denied Give yourself the right" in answer.err
    for path in (place.home, *place.home.rglob("*")):
        shutil.chown(path, 0)
    assert place.penstock("show", "latest", before=PLAIN).code == 0


@slow
def test_blobs_of_another_user(place: Place) -> None:
    require_plain_rights()
    (place.home / "blobs").mkdir(parents=True)
    (place.home / "blobs").chmod(0o555)
    answer = place.penstock("run", "parts.py", "-q", before=PLAIN)
    assert answer.code == 1
    assert "Permission denied" in answer.err + answer.out
    (place.home / "blobs").chmod(0o755)
    gone_on(place)


@slow
def test_blobs_that_were_deleted(place: Place) -> None:
    assert place.penstock("run", "parts.py", "-q").code == 0
    shutil.rmtree(place.home / "blobs")
    exported = place.penstock("artifacts", "export", "latest", "part[0]", "-o", "out")
    assert exported.code != 0
    assert "Run the pipeline again" in exported.err
    assert place.penstock("run", "parts.py", "-q").code == 0
    assert place.penstock("artifacts", "export", "latest", "part[0]", "-o", "out").code == 0


@slow
@pytest.mark.parametrize("damage", ["truncated", "overwritten", "emptied within"])
def test_database_that_is_damaged(place: Place, damage: str) -> None:
    assert place.penstock("run", "parts.py", "-q").code == 0
    database = place.home / "penstock.db"
    good = database.read_bytes()
    broken = {
        "truncated": good[:5000],
        "overwritten": bytes(range(256)) * 400,
        "emptied within": good[:4096] + bytes(len(good) - 4096),
    }
    database.write_bytes(broken[damage])
    for words in (["run", "parts.py", "-q"], ["runs"]):
        answer = place.penstock(*words)
        assert answer.code == 2, (words, answer)
        assert str(database) in answer.err
        assert "Put a backup back: penstock restore FILE --force" in answer.err
    assert place.penstock("doctor").code == 1
    assert place.ran == list(range(8))
    database.write_bytes(good)
    assert place.penstock("show", "latest").code == 0


@slow
def test_database_that_is_deleted_while_it_is_used(place: Place) -> None:
    answer = place.penstock("run", "parts.py", "-q", "-p", "what=delete")
    assert answer.code == 1
    assert f"{place.home}/penstock.db was deleted or replaced while it was in use" in answer.err
    [rescued] = place.home.glob("penstock.db.rescued-*")
    assert f"What was recorded in it is in {rescued}: put that in its place." in answer.err
    rescued.rename(place.home / "penstock.db")
    gone_on(place)
    assert place.ran == list(range(8))


@slow
def test_too_many_open_files(place: Place) -> None:
    answer = place.limited("-n 12", "run", "parts.py", "-q")
    assert answer.code == 1
    assert "Too many open files" in answer.err
    assert "ulimit -n" in answer.err
    gone_on(place)


@slow
def test_no_more_processes(place: Place) -> None:
    nothing = place.limited("-u 1", "run", "parts.py", "-q", before=require_nobody())
    assert nothing.code == 2
    assert "no thread can be started There may be no more processes: allow more (ulimit -u)" in nothing.err
    # the driver, its thread, and the process that starts workers
    answer = place.limited("-u 3", "run", "parts.py", "-q", before=require_nobody())
    assert answer.code == 1
    assert "no worker can be started: Resource temporarily unavailable" in answer.err
    assert "broke off: the process that starts workers ended with exit code" in answer.err
    assert place.ran == []
    gone_on(place)


@slow
def test_no_more_threads(place: Place) -> None:
    # enough for workers, but not for what else they would have beside them: large results are hashed all the same
    answer = place.limited("-u 8", "run", "parts.py", "-q", "--workers", "2", before=require_nobody())
    assert answer.code == 0, answer.err
    assert "panicked" not in answer.err
    assert place.ran == list(range(8))


@slow
def test_no_folder_for_temporary_files(place: Place) -> None:
    if any(Path(PROGRAM).is_relative_to(each) for each in ("/tmp", "/var/tmp")):
        pytest.skip("penstock is where temporary files are, and would be hidden with them")
    hidden = "for each in /tmp /var/tmp /usr/tmp; do mount -t tmpfs -o ro tmpfs $each 2>/dev/null; done; "
    folder = Path("/dev/shm") / f"penstock-{place.folder.name}"
    elsewhere = Place(folder)
    shutil.copytree(place.folder, folder)
    try:
        script = f'mount --bind . . && mount -o remount,ro,bind . && cd "$PWD" && {hidden} exec "$@"'
        words = ("unshare", "-m", "bash", "-c", script, "-", PROGRAM, "run", "parts.py", "-q")
        answer = elsewhere.command(*words, PENSTOCK_HOME=f"{folder}-home")
        if "unshare" in answer.err or "mount:" in answer.err:
            pytest.skip(f"no folder can be hidden here: {answer.err}")
        assert answer.code == 1
        assert "No usable temporary directory" in answer.err
        assert "with TMPDIR" in answer.err
    finally:
        shutil.rmtree(folder)
        shutil.rmtree(f"{folder}-home", ignore_errors=True)


def test_settings_that_cannot_be_read(place: Place) -> None:
    (place.folder / "penstock.toml").write_text("[gc\n")
    answer = place.penstock("run", "parts.py", "-q")
    assert answer.code == 2
    assert "the settings cannot be read" in answer.err
    assert f"at {place.folder}/penstock.toml" in answer.err
    assert place.ran == []


def test_home_folder_that_there_is_not(place: Place) -> None:
    answer = place.penstock("run", "parts.py", "-q", PENSTOCK_HOME="~nobody-at-all/state")
    assert answer.code == 2
    assert "cannot be kept in ~nobody-at-all/state: there is no such home folder" in answer.err
    assert place.ran == []
