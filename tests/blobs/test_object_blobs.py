"""Blobs in an object store: the conformance suite over a real S3 server, and what only object stores do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from object_server import blobs_at, prefix

from penstock.blobs.bucket import PIECE, Bucket
from penstock.blobs.cache import Cache
from penstock.blobs.cached import CachedBlobs
from penstock.blobs.objects import Objects
from penstock.errors import ArtifactDamagedError
from penstock.ports import Blobs
from penstock.testing.blobs_conformance import BlobsConformance


@pytest.mark.usefixtures("server")
class TestObjectBlobs(BlobsConformance):
    def make_blobs(self, folder: Path) -> CachedBlobs:
        return blobs_at(folder)

    def damage(self, folder: Path, address: bytes, data: bytes) -> None:
        # no copy is left of what is read from the server
        shutil.rmtree(folder / "cache", ignore_errors=True)
        Bucket(f"s3://{prefix(folder)}").put(f"{address.hex()}/bytes", data)

    @pytest.mark.slow
    def test_nobody_loses_what_they_have_found_while_it_is_collected(self, tmp_path: Path, blobs: Blobs) -> None:
        super().test_nobody_loses_what_they_have_found_while_it_is_collected(tmp_path, blobs)


def requests(blobs: CachedBlobs, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the operations that are asked of a bucket from now on."""
    asked: list[str] = []
    for name in ("get", "head", "put", "upload", "pieces", "listed", "delete"):
        whole = getattr(Bucket, name)

        def counted(self: Bucket, *given: Any, _name: str = name, _whole: Any = whole, **named: Any) -> Any:
            asked.append(_name)
            return _whole(self, *given, **named)

        monkeypatch.setattr(Bucket, name, counted)
    return asked


def test_what_is_there_is_not_sent_again(server, tmp_path, monkeypatch):
    blobs = blobs_at(tmp_path)
    asked = requests(blobs, monkeypatch)
    address = blobs.put(b"abc")
    assert asked == ["put", "listed", "upload", "put"]
    asked.clear()
    for other in (blobs, blobs_at(tmp_path, "another machine")):
        assert other.put(b"abc") == address
        assert asked == ["put", "listed"]
        asked.clear()
        assert other.sound(address)
        assert asked == ["put", "listed"]
        asked.clear()


def test_what_was_written_or_read_here_is_not_fetched_again(server, tmp_path, monkeypatch):
    address = blobs_at(tmp_path).put(b"abc")
    asked = requests(blobs_at(tmp_path), monkeypatch)
    assert bytes(blobs_at(tmp_path).read(address)) == b"abc"
    assert asked == []
    for times in (1, 1):
        assert bytes(blobs_at(tmp_path, "another machine").read(address)) == b"abc"
        assert asked == ["pieces"] * times


def test_a_damaged_copy_is_fetched_anew(server, tmp_path):
    address = blobs_at(tmp_path).put(b"abc" * 100)
    [copy] = (tmp_path / "cache").rglob(address.hex())
    copy.chmod(0o644)
    copy.write_bytes(b"abd" * 100)
    assert bytes(blobs_at(tmp_path).read(address)) == b"abc" * 100
    assert bytes(copy.read_bytes()) == b"abc" * 100


@pytest.mark.parametrize(
    "size", [PIECE + 1, *(pytest.param(size, marks=pytest.mark.slow) for size in (PIECE, 3 * PIECE - 1))]
)
def test_large_blobs_go_and_come_in_pieces(server, tmp_path, size):
    data = os.urandom(1000) * (size // 1000) + bytes(size % 1000)
    address = blobs_at(tmp_path).put(data)
    there = blobs_at(tmp_path, "another machine")
    assert there.size(address) == size
    assert there.read(address) == data


def test_an_object_without_a_stamp_is_read_once_and_stamped(server, tmp_path, monkeypatch):
    address = blake3(b"abc").digest()
    Bucket(f"s3://{prefix(tmp_path)}").put(f"{address.hex()}/bytes", b"abc")
    blobs = blobs_at(tmp_path)
    asked = requests(blobs, monkeypatch)
    assert blobs.sound(address)
    assert "pieces" in asked
    asked.clear()
    assert blobs.sound(address)
    assert "pieces" not in asked


def test_somebody_who_only_looks_changes_nothing_in_the_bucket(server, tmp_path):
    blobs, bucket = blobs_at(tmp_path), Bucket(f"s3://{prefix(tmp_path)}")
    address, damaged, unstamped = blobs.put(b"abc"), blobs.put(b"abd"), blake3(b"abe").digest()
    bucket.put(f"{damaged.hex()}/bytes", b"other")
    bucket.put(f"{unstamped.hex()}/bytes", b"abe")
    before = {key: (meta, bucket.get(key)) for key, meta in bucket.listed()}
    looking = CachedBlobs(Objects(bucket, looking=True), Cache(tmp_path / "another", 1000))
    assert looking.sound(address)
    assert looking.sound(unstamped)
    assert not looking.sound(damaged)
    with pytest.raises(ArtifactDamagedError):
        looking.read(damaged)
    assert {key: (meta, bucket.get(key)) for key, meta in bucket.listed()} == before


def test_others_objects_are_left_alone(server, tmp_path):
    bucket = Bucket(f"s3://{prefix(tmp_path)}")
    bucket.put("notes.txt", b"mine")
    bucket.put("other/bytes", b"mine")
    blobs = blobs_at(tmp_path)
    blobs.check()
    assert list(blobs.addresses()) == []
    address = blobs.put(b"abc")
    assert list(blobs.addresses()) == [address]


def test_collecting_leaves_nothing_behind(server, tmp_path):
    blobs = blobs_at(tmp_path)
    address = blobs.put(b"abc")
    assert blobs.sound(address)
    assert blobs.collect(address, time.time() + 1) == 3
    assert list(Bucket(f"s3://{prefix(tmp_path)}").listed()) == []
    assert not list((tmp_path / "cache").rglob(address.hex()))


def test_who_uses_what_is_being_removed_waits_for_the_end_of_that(server, tmp_path, monkeypatch):
    blobs, other = blobs_at(tmp_path), blobs_at(tmp_path, "another machine")
    address = blobs.put(b"abc")
    at_last, done = threading.Event(), threading.Event()
    whole = Objects._remove

    def slowly(self: Objects, *given: Any) -> None:
        at_last.set()
        time.sleep(0.3)
        whole(self, *given)
        done.set()

    monkeypatch.setattr(Objects, "_remove", slowly)
    with ThreadPoolExecutor(1) as pool:
        removed = pool.submit(blobs.collect, address, time.time() + 1)
        assert at_last.wait(60)
        assert other.put(b"abc") == address
        assert done.is_set()
        assert removed.result() == 3
    assert bytes(blobs_at(tmp_path, "third").read(address)) == b"abc"


def test_the_mark_of_a_collector_that_died_counts_for_a_minute(server, tmp_path, monkeypatch):
    # by the clock of the server, which counts in whole seconds
    monkeypatch.setattr("penstock.blobs.objects._VALID", 0.0)
    blobs = blobs_at(tmp_path)
    address = blobs.put(b"abc")
    bucket = Bucket(f"s3://{prefix(tmp_path)}")
    bucket.put(f"{address.hex()}/condemned-0", b"")
    assert blobs.sound(address)
    assert "condemned-0" not in bucket.below(address.hex())


def test_who_was_delayed_on_the_way_removes_nothing(server, tmp_path, monkeypatch):
    monkeypatch.setattr("penstock.blobs.objects._PATIENCE", 0.0)
    blobs = blobs_at(tmp_path)
    address = blobs.put(b"abc")
    assert blobs.collect(address, time.time() + 1) == 0
    assert blobs.sound(address)


@pytest.mark.slow
def test_two_processes_can_write_the_same_blobs(server, tmp_path):
    code = (
        "import pathlib, sys; from object_server import blobs_at\n"
        "blobs = blobs_at(pathlib.Path(sys.argv[1]), sys.argv[2])\n"
        "print(*[blobs.put(bytes([n]) * 20_000).hex() for n in range(30)])"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), cache],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for cache in ("one", "two")
    ]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert said[0] == said[1]
    blobs = blobs_at(tmp_path, "three")
    assert sorted(address.hex() for address in blobs.addresses()) == sorted(said[0].split())
    assert all(blobs.sound(address) and len(blobs.read(address)) == 20_000 for address in blobs.addresses())
