"""The cache of blobs: bounded, least recently used first, safe for many processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from blake3 import blake3

from penstock.blobs.cache import Cache

KB = 1000


def fill(cache: Cache, number: int, size: int = 100 * KB) -> bytes:
    with cache.writer() as copy:
        copy.write(number.to_bytes(4, "big") * (size // 4))
        address = copy.commit()
    cache.trim(size)
    return address


def total(root: Path) -> int:
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_those_that_were_not_used_for_the_longest_time_go_first(root):
    cache = Cache(root, 1000 * KB)
    addresses = [fill(cache, number) for number in range(10)]
    assert cache.read(addresses[0]) is not None
    addresses.append(fill(cache, 10))
    # a tenth is made free at once
    assert [cache.has(address) for address in addresses] == [True, False, False, *[True] * 8]
    assert total(root) <= 900 * KB


def test_what_is_read_can_be_read_to_its_end(root):
    cache = Cache(root, 300 * KB)
    address = fill(cache, 1)
    view = cache.read(address)
    for number in range(2, 8):
        fill(cache, number)
    assert not cache.has(address)
    assert view is not None
    assert blake3(view).digest() == address


def test_one_that_is_larger_than_the_limit_makes_no_trouble(root):
    cache = Cache(root, 100 * KB)
    fill(cache, 1, 50 * KB)
    fill(cache, 2, 500 * KB)
    assert total(root) == 0
    assert cache.read(fill(cache, 3, 50 * KB)) is not None


@pytest.mark.slow
def test_the_limit_holds_for_many_processes_together(root):
    code = (
        "import pathlib, sys; from test_blob_cache import *\n"
        "root, start = pathlib.Path(sys.argv[1]), int(sys.argv[2])\n"
        "cache, most = Cache(root, 1000 * KB), 0\n"
        "for number in range(start, start + 60):\n"
        "    address = fill(cache, number, 40 * KB)\n"
        "    view = cache.read(address)\n"
        "    assert view is None or len(view) == 40 * KB\n"
        "    most = max(most, sum(size for _, size, _ in cache._blobs.uses()))\n"
        "print(most)"
    )
    four = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(root), str(1000 * number)],
            cwd=Path(__file__).parent,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    said = [process.communicate(timeout=60)[0] for process in four]
    assert [process.returncode for process in four] == [0] * 4
    # the limit, and a blob of each that is on its way
    assert 500 * KB < max(map(int, said)) <= 1200 * KB
    assert 500 * KB < total(root) <= 1000 * KB
    assert not list((root / "tmp").iterdir())
