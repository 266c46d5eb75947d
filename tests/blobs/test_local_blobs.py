"""The local blobs: whole or not there, verified, private."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from blake3 import blake3

from penstock.blobs.local import LocalBlobs
from penstock.errors import ArtifactDamagedError, ArtifactMissingError, StoreError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "state" / "blobs"


@pytest.fixture
def blobs(root: Path) -> LocalBlobs:
    return LocalBlobs(root)


def file_of(root: Path, address: bytes) -> Path:
    name = address.hex()
    return root / name[:2] / name[2:4] / name


@pytest.mark.parametrize("data", [b"", b"a", bytes(range(256)) * 10_000])
def test_what_is_put_is_read_under_the_digest_of_its_bytes(blobs, data):
    address = blobs.put(data)
    assert address == blake3(data).digest()
    assert bytes(blobs.read(address)) == data
    assert blobs.size(address) == len(data)
    assert blobs.has(address)
    assert list(blobs.addresses()) == [address]


def test_a_blob_can_be_written_in_pieces_of_any_buffer(blobs):
    with blobs.writer() as writer:
        assert writer.write(b"ab") == 2
        writer.write(memoryview(bytearray(b"c" * 300_000)))
        assert not list(blobs.addresses())
        address = writer.commit()
    assert bytes(blobs.read(address)) == b"ab" + b"c" * 300_000
    assert address == blake3(b"ab" + b"c" * 300_000).digest()


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


def test_a_view_may_be_written_to_and_the_blob_stays_as_it_was(blobs, root):
    address = blobs.put(b"abc" * 5000)
    view = blobs.read(address)
    view[0] = ord("X")
    assert bytes(view[:3]) == b"Xbc"
    assert bytes(blobs.read(address)[:3]) == b"abc"
    assert bytes(LocalBlobs(root).read(address)) == b"abc" * 5000


def test_missing_bytes_are_named(blobs):
    address = blake3(b"never written").digest()
    assert not blobs.has(address)
    for attempt in (blobs.read, blobs.size):
        with pytest.raises(ArtifactMissingError, match=address.hex()) as caught:
            attempt(address)
        assert caught.value.remedy


@pytest.mark.parametrize("change", [b"abd", b"ab", b"abcd", b""])
def test_damage_is_found_even_after_a_good_read(blobs, root, change):
    address = blobs.put(b"abc")
    assert bytes(blobs.read(address)) == b"abc"
    file = file_of(root, address)
    file.chmod(0o644)
    file.write_bytes(change)
    for reader in (blobs, LocalBlobs(root)):
        with pytest.raises(ArtifactDamagedError, match=address.hex()) as caught:
            reader.read(address)
        assert str(file) in str(caught.value)


def test_a_truncated_blob_is_mended_by_putting_it_again(blobs, root):
    address = blobs.put(b"abc")
    file = file_of(root, address)
    file.chmod(0o644)
    file.write_bytes(b"a")
    assert blobs.put(b"abc") == address
    assert bytes(blobs.read(address)) == b"abc"


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
