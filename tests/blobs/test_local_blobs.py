"""The local blobs: the conformance suite, and what files bring with them: whole or not there, private, stamped."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock.blobs.local import LocalBlobs
from penstock.errors import ArtifactDamagedError, StoreError
from penstock.testing.blobs_conformance import BlobsConformance


class TestLocalBlobs(BlobsConformance):
    def make_blobs(self, folder: Path) -> LocalBlobs:
        return LocalBlobs(folder / "state" / "blobs")

    def damage(self, folder: Path, address: bytes, data: bytes) -> None:
        file = file_of(folder / "state" / "blobs", address)
        file.chmod(0o644)
        file.write_bytes(data)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "state" / "blobs"


@pytest.fixture
def blobs(root: Path) -> LocalBlobs:
    return LocalBlobs(root)


def file_of(root: Path, address: bytes) -> Path:
    name = address.hex()
    return root / name[:2] / name[2:4] / name


def test_what_is_not_committed_leaves_nothing(blobs, root):
    with pytest.raises(RuntimeError, match="no"), blobs.writer() as writer:
        writer.write(b"abc")
        raise RuntimeError("no")
    assert list(blobs.addresses()) == []
    assert list((root / "tmp").iterdir()) == []


def test_putting_what_is_there_changes_nothing(blobs, root):
    address = blobs.put(b"abc")
    before = file_of(root, address).stat()
    assert blobs.put(b"abc") == address
    with blobs.writer() as writer:
        writer.write(b"abc")
        assert writer.commit() == address
    after = file_of(root, address).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert list((root / "tmp").iterdir()) == []


def test_files_are_read_only_and_the_folder_is_private(blobs, root):
    address = blobs.put(b"abc")
    assert stat.S_IMODE(file_of(root, address).stat().st_mode) & 0o222 == 0
    assert stat.S_IMODE(root.stat().st_mode) == 0o700


def test_it_can_be_copied_to_a_file_of_the_users_and_deleted(blobs, tmp_path):
    address = blobs.put(b"abc")
    target = tmp_path / "new" / "file.bin"
    blobs.copy_to(address, target)
    assert target.read_bytes() == b"abc"
    assert os.access(target, os.W_OK)
    blobs.delete(address)
    blobs.delete(address)
    assert not blobs.has(address)
    assert list(blobs.addresses()) == []


def test_what_a_dead_writer_left_is_not_a_blob(blobs, root):
    code = (
        "import os, pathlib, sys; from penstock.blobs.local import LocalBlobs\n"
        "with LocalBlobs(pathlib.Path(sys.argv[1])).writer() as writer:\n"
        "    writer.write(b'x' * 1_000_000)\n"
        "    os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(root)], check=False).returncode == 9
    assert len(list((root / "tmp").iterdir())) == 1
    address = blobs.put(b"abc")
    (root / "ab" / "cd").mkdir(parents=True, exist_ok=True)
    (root / "ab" / "cd" / "notes.txt").write_text("not a blob")
    assert list(blobs.addresses()) == [address]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="file"):
        LocalBlobs(tmp_path / "file" / "blobs").put(b"abc")


def test_what_does_not_fit_is_an_error_and_leaves_nothing(blobs, root):
    full = 1_000_000
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (full, before[1]))
    try:
        with pytest.raises(StoreError, match="cannot write") as caught:
            blobs.put(b"x" * (2 * full))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert str(root) in str(caught.value)
    assert list(blobs.addresses()) == []
    assert list((root / "tmp").iterdir()) == []


def test_durable_blobs_are_the_same_blobs(root):
    address = LocalBlobs(root, durable=True).put(b"abc")
    assert bytes(LocalBlobs(root).read(address)) == b"abc"


def test_two_processes_can_write_the_same_blob(root):
    code = (
        "import pathlib, sys; from penstock.blobs.local import LocalBlobs\n"
        "blobs = LocalBlobs(pathlib.Path(sys.argv[1]))\n"
        "print(*[blobs.put(bytes([n]) * 10_000).hex() for n in range(200)])"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(root)], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = [process.communicate()[0] for process in both]
    assert said[0] == said[1]
    blobs = LocalBlobs(root)
    assert sorted(address.hex() for address in blobs.addresses()) == sorted(said[0].split())
    assert all(len(blobs.read(address)) == 10_000 for address in blobs.addresses())


# The stamp, and who has found a blob when.


def unstamped(root: Path, address: bytes, *, at: float | None = None) -> Path:
    """The file of a blob as earlier versions have left it, or as a person who has changed something."""
    file = file_of(root, address)
    file.chmod(0o644)
    when = time.time() - 100 if at is None else at
    os.utime(file, (when, when))
    return file


def stamp(root: Path, address: bytes) -> int:
    return file_of(root, address).stat().st_mtime_ns


def test_a_blob_without_the_stamp_is_read_once_and_stamped(blobs, root):
    address = blobs.put(b"abc")
    own = stamp(root, address)
    unstamped(root, address)
    assert bytes(LocalBlobs(root).read(address)) == b"abc"
    assert blobs.sound(address)
    assert stamp(root, address) == own


def test_a_blob_without_the_stamp_is_not_written_again(blobs, root):
    address = blobs.put(b"abc")
    own, before = stamp(root, address), unstamped(root, address).stat()
    assert blobs.put(b"abc") == address
    assert file_of(root, address).stat().st_ino == before.st_ino
    assert stamp(root, address) == own


def test_a_blob_with_the_stamp_is_not_read(blobs, root):
    # as a disk would damage it, without anybody noticing
    address = blobs.put(b"abc")
    file = unstamped(root, address)
    own = stamp(root, blobs.put(b"another"))
    file.write_bytes(b"abd")
    os.utime(file, ns=(own, own))
    assert blobs.sound(address)
    with pytest.raises(ArtifactDamagedError):
        LocalBlobs(root).read(address)
    assert not blobs.sound(address)


def test_an_empty_file_with_the_stamp_is_what_a_power_cut_has_left(blobs, root):
    address = blobs.put(b"abc")
    file = unstamped(root, address)
    own = stamp(root, blobs.put(b"another"))
    file.write_bytes(b"")
    os.utime(file, ns=(own, own))
    assert not blobs.sound(address)
    assert not file.exists()


def test_a_blob_of_an_earlier_version_can_be_collected(blobs, root):
    old, new = blobs.put(b"old"), blobs.put(b"new")
    unstamped(root, old, at=1000.0)
    unstamped(root, new)
    assert blobs.collect(old, 2000.0) == 3
    assert blobs.collect(new, 2000.0) == 0


def test_collecting_leaves_nothing_behind(blobs, root):
    address = blobs.put(b"abc")
    blobs.collect(address, time.time() + 1)
    assert [path for path in root.rglob("*") if path.is_file()] == []


def left_by(process: int, root: Path, address: bytes) -> Path:
    """A blob that a process was about to remove when it died."""
    blobs = LocalBlobs(root)
    with blobs.writer() as writer:
        writer.write(b"x" * 100)
        [draft] = (root / "tmp").iterdir()
    name = draft.name.replace(f"-{os.getpid()}-", f"-{process}-")
    (root / "tmp" / name).write_bytes(b"x" * 100)
    aside = root / "trash" / f"{address.hex()}-{name}"
    aside.parent.mkdir(exist_ok=True)
    return file_of(root, address).rename(aside)


def test_what_a_dead_process_has_left_is_told_and_cleared_up(blobs, root):
    address = blobs.put(b"abc")
    aside = left_by(12345, root, address)
    assert blobs.unfinished(time.time() - 1) == {}
    assert blobs.unfinished(time.time() + 1) == {12345: 103}
    # until then it can be read where it is
    assert not blobs.has(address)
    assert bytes(LocalBlobs(root).read(address)) == b"abc"
    blobs.discard(12345)
    assert blobs.unfinished(time.time() + 1) == {}
    assert not aside.exists()
    assert list(blobs.addresses()) == [address]
    assert bytes(LocalBlobs(root).read(address)) == b"abc"


def test_what_was_written_anew_meanwhile_is_not_replaced(blobs, root):
    address = blobs.put(b"abc")
    left_by(12345, root, address)
    blobs.put(b"abc")
    before = file_of(root, address).stat()
    blobs.discard(12345)
    assert file_of(root, address).stat().st_ino == before.st_ino
    assert blobs.unfinished(time.time() + 1) == {}


def test_what_this_process_is_writing_is_unfinished(blobs):
    with blobs.writer() as writer:
        writer.write(b"x" * 1_000_000)
        assert blobs.unfinished(time.time() + 1) == {os.getpid(): 1_000_000}
    assert blobs.unfinished(time.time() + 1) == {}


def test_others_files_in_the_folders_are_left_alone(blobs, root):
    blobs.put(b"abc")
    (root / "tmp" / "notes.txt").write_text("mine")
    (root / "tmp" / "elsewhere-12-34").write_text("of another machine")
    assert blobs.unfinished(time.time() + 1) == {}
    blobs.discard(12)
    assert len(list((root / "tmp").iterdir())) == 2


def test_somebody_who_only_looks_changes_nothing(blobs, root):
    address, damaged = blobs.put(b"abc"), blobs.put(b"abd")
    unstamped(root, damaged).write_bytes(b"other")
    time.sleep(0.02)
    between = time.time()
    looking = LocalBlobs(root, looking=True)
    assert looking.sound(address)
    assert not looking.sound(damaged)
    with pytest.raises(ArtifactDamagedError):
        looking.read(damaged)
    assert blobs.has(damaged)
    assert blobs.collect(address, between, dry=True) == 3
