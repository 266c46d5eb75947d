"""What goes wrong with object stores: servers that are gone, full stop or for a moment, and settings that are wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path

import pytest
from object_server import ObjectServer, Wire, blobs_at, environment, free_port, prefix

from penstock.blobs.bucket import PIECE, Bucket
from penstock.blobs.objects import Objects
from penstock.blobs.urls import check_url, folder_of
from penstock.errors import DefinitionError, StoreError

pytestmark = pytest.mark.slow

#: some pieces
LARGE = 2 * PIECE + 12345


def trouble(url: str) -> str:
    """What is told of a place before a run begins."""
    with pytest.raises(StoreError) as caught:
        Objects(Bucket(url)).check()
    assert "canary-secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_a_bucket_that_does_not_exist_is_told(server, tmp_path):
    assert "the bucket 'no-such-bucket' of s3://no-such-bucket/some does not exist" in trouble(
        "s3://no-such-bucket/some"
    )
    with pytest.raises(StoreError, match="does not exist"):
        list(Bucket("s3://no-such-bucket").listed())


def test_credentials_that_do_not_fit_are_told(server, tmp_path):
    address = blobs_at(tmp_path).put(b"abc")
    server.admit(everybody=False)
    try:
        told = trouble(f"s3://{prefix(tmp_path)}")
        assert f"cannot write to s3://{prefix(tmp_path)}: access is denied (InvalidAccessKeyId)" in told
        assert "AWS_ACCESS_KEY_ID" in told
        for act in (blobs_at(tmp_path, "another").read, blobs_at(tmp_path).sound):
            with pytest.raises(StoreError, match="access is denied"):
                act(address)
    finally:
        server.admit(everybody=True)


def test_a_server_that_cannot_be_reached_is_told(server, monkeypatch):
    endpoint = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    told = trouble("s3://blobs/some")
    assert f"s3://blobs/some at {endpoint}: it cannot be reached" in told
    assert "AWS_ENDPOINT_URL" in told


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3:/bucket",
        "http://bucket/x",
        "bucket/x",
        "s4://bucket",
        "file://",
        "file:///",
        "file://server/folder",
    ],
)
def test_what_is_no_url_for_blobs_is_told(url):
    with pytest.raises(DefinitionError, match="no URL for blobs") as caught:
        check_url(url)
    assert "s3://bucket/prefix" in str(caught.value)


@pytest.mark.parametrize("url", ["s3://me:canary@bucket/x", "az://box/x?sig=canary", "gs://token-canary@bucket"])
def test_credentials_in_a_url_are_refused_and_not_shown(url):
    with pytest.raises(DefinitionError, match="Credentials do not belong there") as caught:
        check_url(url)
    assert "canary" not in str(caught.value)


def test_a_folder_can_be_named_by_a_url():
    assert folder_of("file:///some/my%20folder") == Path("/some/my folder")
    assert folder_of("s3://bucket/x") is None


def test_that_the_library_is_missing_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(DefinitionError, match="not installed") as caught:
        Bucket("s3://blobs")
    assert "pip install 'penstock[objects]'" in str(caught.value)


@pytest.fixture
def profile(server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "credentials"
    file.write_text("[other]\naws_access_key_id = AKIATESTTESTTEST\naws_secret_access_key = canary-secret\n")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "other")


@pytest.mark.usefixtures("profile")
def test_credentials_come_from_a_profile(tmp_path):
    blobs = blobs_at(tmp_path)
    blobs.check()
    assert blobs.sound(blobs.put(b"abc"))


@pytest.mark.usefixtures("profile")
def test_a_profile_needs_what_reads_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore.auth.boto3", None)
    assert "pip install boto3" in trouble("s3://blobs/some")
    monkeypatch.delitem(sys.modules, "obstore.auth.boto3")
    monkeypatch.setenv("AWS_PROFILE", "none")
    assert "cannot be read" in trouble("s3://blobs/some")


def test_that_a_process_was_forked_from_one_that_uses_a_bucket_is_told(server, tmp_path):
    code = (
        "import os, pathlib, sys; from object_server import blobs_at\n"
        "blobs = blobs_at(pathlib.Path(sys.argv[1]))\n"
        "address = blobs.put(b'abc')\n"
        "if os.fork() == 0:\n"
        "    blobs.sound(address)\n"
        "os.wait()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "StoreError" in ended.stderr
    assert "`spawn`" in ended.stderr


# Connections that are lost on the way.


@pytest.fixture
def wire(server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> Generator[Wire]:
    wire = Wire(server.port)
    monkeypatch.setenv("AWS_ENDPOINT_URL", wire.endpoint)
    yield wire
    wire.cut()


def test_what_is_lost_on_the_way_there_is_sent_again(wire, tmp_path):
    data = os.urandom(LARGE)
    wire.budget = PIECE
    address = blobs_at(tmp_path).put(data)
    assert wire.losses == 1
    wire.budget = 20_000
    small = blobs_at(tmp_path).put(data[:100_000])
    assert wire.losses == 2
    assert blobs_at(tmp_path, "another").read(address) == data
    assert blobs_at(tmp_path, "another").read(small) == data[:100_000]


@pytest.mark.parametrize(
    "passed",
    [PIECE + 10_000, *(pytest.param(passed, marks=pytest.mark.slow) for passed in (10_000, PIECE - 10_000, 2 * PIECE))],
)
def test_what_is_lost_on_the_way_back_is_fetched_again(wire, tmp_path, passed):
    data = os.urandom(LARGE)
    address = blobs_at(tmp_path).put(data)
    wire.budget = passed
    assert blobs_at(tmp_path, "another").read(address) == data
    assert wire.losses == 1


def test_a_server_that_is_gone_for_a_while_is_waited_for(wire, tmp_path):
    blobs = blobs_at(tmp_path)
    address = blobs.put(b"abc")
    wire.cut()
    mended = threading.Timer(0.5, wire.mend)
    mended.start()
    assert blobs.sound(address)
    assert bytes(blobs_at(tmp_path, "another").read(address)) == b"abc"
    mended.join()


@pytest.mark.slow
def test_a_server_that_forgets_an_upload_half_way_gets_it_again(monkeypatch, tmp_path):
    own = ObjectServer()
    own.bucket("blobs")
    for name, value in environment(own.endpoint).items():
        monkeypatch.setenv(name, value)
    wire = Wire(own.port)
    monkeypatch.setenv("AWS_ENDPOINT_URL", wire.endpoint)
    data = os.urandom(8 * PIECE)
    wire.budget = 4 * PIECE
    lost = threading.Event()

    def restart() -> None:
        while wire.losses == 0:
            lost.wait(0.001)
        wire.cut()
        own.kill()
        own.start()
        own.bucket("blobs")
        wire.mend()

    restarted = threading.Thread(target=restart)
    restarted.start()
    try:
        address = blobs_at(tmp_path).put(data)
        restarted.join()
        assert blobs_at(tmp_path, "another").read(address) == data
        assert blobs_at(tmp_path, "another").sound(address)
    finally:
        restarted.join()
        wire.cut()
        own.kill()


# Bounded memory.

_MEASURED = """
import pathlib, re, sys, time
from object_server import blobs_at
def peak():
    # not that of `resource`, which begins with what the parent had
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1]) // 1024
folder, work = pathlib.Path(sys.argv[1]), sys.argv[2]
blobs = blobs_at(folder, sys.argv[3], 8 << 30)
blobs.put(b"abc")
before, began = peak(), time.monotonic()
if work == "write":
    with blobs.writer() as writer, open(folder / "sparse", "rb") as file:
        while piece := file.read(1 << 20):
            writer.write(piece)
        address = writer.commit()
    said = address.hex()
else:
    said = str(len(blobs.read(bytes.fromhex(work))))
print(said, peak() - before, time.monotonic() - began)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="tells the peak of its memory in another way")
def test_a_large_artifact_passes_in_bounded_memory(server, tmp_path):
    size = 2 << 30
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(size)
        file.write(b"not only zeros")

    def measured(work: str, cache: str) -> str:
        """Megabytes above those at the start."""
        ended = subprocess.run(
            [sys.executable, "-c", _MEASURED, str(tmp_path), work, cache],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=600,
        )
        said, peak, seconds = ended.stdout.split()
        print(f"{work[:5]}: {peak} MB above the start, {size / float(seconds) / 1e6:.0f} MB/s")
        assert int(peak) < 300
        return said

    address = measured("write", "one")
    assert measured(address, "another") == str(size)
    blobs_at(tmp_path).delete(bytes.fromhex(address))
