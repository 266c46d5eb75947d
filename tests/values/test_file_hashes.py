"""Large files are hashed once, by whichever process of a project comes first."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from penstock.blobs.local import LocalBlobs
from penstock.values import Values, files, hashes
from penstock.values.hashes import FileState, Hashes


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were hashed."""
    names: list[str] = []
    really = files.hash_file

    def hash_file(file: Path) -> bytes:
        names.append(file.name)
        return really(file)

    monkeypatch.setattr(files, "hash_file", hash_file)
    monkeypatch.setattr(hashes, "LARGE", 1000)
    return names


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that was left alone for a while."""
    file = tmp_path / "large.bin"
    file.write_bytes(bytes(2000))
    now = time.time()
    monkeypatch.setattr(hashes.time, "time", lambda: now + 60)
    return file


def digest(file: Path, tmp_path: Path) -> bytes:
    """As a process of its own finds it."""
    values = Values(LocalBlobs(tmp_path / "blobs"), workspace=tmp_path / "files", hashes=tmp_path / "hashes")
    return values.store(file)[0].digest


def test_another_process_need_not_hash_it_again(large: Path, tmp_path: Path, hashed: list[str]) -> None:
    assert digest(large, tmp_path) == digest(large, tmp_path)
    assert hashed == ["large.bin"]
    assert digest(large.rename(tmp_path / "moved.bin"), tmp_path) == digest(tmp_path / "moved.bin", tmp_path)
    assert hashed == ["large.bin", "moved.bin"]


@pytest.mark.parametrize("change", ["content", "size", "inode"])
def test_a_changed_file_is_hashed_again_though_its_time_is_the_same(
    large: Path, tmp_path: Path, hashed: list[str], change: str
) -> None:
    before, first = large.stat(), digest(large, tmp_path)
    if change == "inode":
        other = tmp_path / "other.bin"
        other.write_bytes(b"x" * 2000)
        other.replace(large)
    else:
        large.write_bytes(b"x" * (2000 if change == "content" else 2001))
    os.utime(large, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert digest(large, tmp_path) != first
    assert len(hashed) == 2
    assert digest(large, tmp_path) != first
    assert len(hashed) == 2


def test_small_files_and_those_that_were_just_written_are_not_remembered(
    large: Path, tmp_path: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "small.bin").write_bytes(b"x")
    digest(tmp_path / "small.bin", tmp_path)
    monkeypatch.undo()
    digest(large, tmp_path)
    assert not (tmp_path / "hashes").exists()


def test_without_the_folder_files_are_hashed_again(large: Path, tmp_path: Path, hashed: list[str]) -> None:
    (tmp_path / "hashes").write_text("no folder")
    assert digest(large, tmp_path) == digest(large, tmp_path)
    assert len(hashed) == 2


def test_what_is_remembered_wrongly_is_not_believed(large: Path, tmp_path: Path, hashed: list[str]) -> None:
    first = digest(large, tmp_path)
    (entry,) = (tmp_path / "hashes").iterdir()
    entry.write_bytes(b"\x93")
    assert digest(large, tmp_path) == first
    other = Hashes(tmp_path / "hashes")
    assert other.find(b"/another/file", FileState.of(large)) is None
    assert len(hashed) == 2
