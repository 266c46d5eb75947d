"""What every `penstock.ports.Blobs` has to do, as tests.

An adapter's own tests inherit `BlobsConformance`, say how blobs are made, and how their bytes can be damaged:

    class TestMyBlobs(BlobsConformance):
        def make_blobs(self, folder: Path) -> Blobs:
            return MyBlobs(folder)

        def damage(self, folder: Path, address: bytes, data: bytes) -> None:
            (folder / address.hex()).write_bytes(data)
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from blake3 import blake3

from penstock.errors import ArtifactDamagedError, ArtifactMissingError
from penstock.ports import Blobs

#: no bytes, few, and more than are written at once
SAMPLES = [b"", b"a", bytes(range(256)) * 10_000]
#: what `b"abc"` may become by damage: other bytes, fewer, more, none
DAMAGES = [b"abd", b"ab", b"abcd", b""]


class BlobsCase:
    """Blobs to test. A subclass implements `make_blobs` and `damage`."""

    def make_blobs(self, folder: Path) -> Blobs:
        """Blobs that are kept in, or named after, a folder of the test's own; every call opens the same ones."""
        raise NotImplementedError

    def damage(self, folder: Path, address: bytes, data: bytes) -> None:
        """Give a blob other bytes, as something other than penstock would."""
        raise NotImplementedError

    @pytest.fixture
    def blobs(self, tmp_path: Path) -> Blobs:
        return self.make_blobs(tmp_path)


class BlobsConformance(BlobsCase):
    """Tests of the `Blobs` port. A subclass implements `make_blobs` and `damage`."""

    # Writing and reading.

    @pytest.mark.parametrize("data", SAMPLES)
    def test_what_is_put_is_read_under_the_digest_of_its_bytes(self, tmp_path: Path, blobs: Blobs, data: bytes) -> None:
        address = blobs.put(data)
        assert address == blake3(data).digest()
        for reader in (blobs, self.make_blobs(tmp_path)):
            assert bytes(reader.read(address)) == data
            assert reader.size(address) == len(data)
            assert reader.has(address)
            assert list(reader.addresses()) == [address]

    def test_a_blob_can_be_written_in_pieces_of_any_buffer(self, blobs: Blobs) -> None:
        with blobs.writer() as writer:
            assert writer.write(b"ab") == 2
            writer.write(memoryview(bytearray(b"c" * 300_000)))
            assert not list(blobs.addresses())
            address = writer.commit()
        assert bytes(blobs.read(address)) == b"ab" + b"c" * 300_000
        assert address == blake3(b"ab" + b"c" * 300_000).digest()

    def test_what_is_not_committed_leaves_nothing(self, blobs: Blobs) -> None:
        with pytest.raises(RuntimeError, match="no"), blobs.writer() as writer:
            writer.write(b"abc")
            raise RuntimeError("no")
        assert list(blobs.addresses()) == []
        assert not blobs.has(blake3(b"abc").digest())

    def test_a_blob_is_written_once(self, blobs: Blobs) -> None:
        address = blobs.put(b"abc")
        assert blobs.put(b"abc") == address
        with blobs.writer() as writer:
            writer.write(b"abc")
            assert writer.commit() == address
        assert list(blobs.addresses()) == [address]

    def test_a_view_may_be_written_to_and_the_blob_stays_as_it_was(self, tmp_path: Path, blobs: Blobs) -> None:
        address = blobs.put(b"abc" * 5000)
        view = blobs.read(address)
        view[0] = ord("X")
        assert bytes(view[:3]) == b"Xbc"
        assert bytes(blobs.read(address)[:3]) == b"abc"
        assert bytes(self.make_blobs(tmp_path).read(address)) == b"abc" * 5000

    def test_missing_bytes_are_named(self, blobs: Blobs) -> None:
        address = blake3(b"never written").digest()
        assert not blobs.has(address)
        assert not blobs.sound(address)
        assert blobs.collect(address, time.time()) == 0
        for attempt in (blobs.read, blobs.size):
            with pytest.raises(ArtifactMissingError, match=address.hex()) as caught:
                attempt(address)
            assert caught.value.remedy

    def test_it_can_be_copied_to_a_file_of_the_users_and_deleted(self, tmp_path: Path, blobs: Blobs) -> None:
        address = blobs.put(b"abc")
        target = tmp_path / "new" / "file.bin"
        blobs.copy_to(address, target)
        assert target.read_bytes() == b"abc"
        target.write_bytes(b"the user's own")
        assert bytes(blobs.read(address)) == b"abc"
        blobs.delete(address)
        blobs.delete(address)
        assert not blobs.has(address)
        assert list(blobs.addresses()) == []

    # Damage.

    @pytest.mark.parametrize("data", SAMPLES)
    def test_what_was_written_is_sound(self, tmp_path: Path, blobs: Blobs, data: bytes) -> None:
        address = blobs.put(data)
        assert blobs.sound(address)
        other = self.make_blobs(tmp_path)
        assert other.sound(address)
        missing = [blake3(b"never written: %d" % number).digest() for number in range(50)]
        assert other.sound_among([*missing, address, address]) == {address}
        assert other.sound_among(()) == set()

    @pytest.mark.parametrize("change", DAMAGES)
    def test_reading_finds_damage_and_removes_it(self, tmp_path: Path, blobs: Blobs, change: bytes) -> None:
        address = blobs.put(b"abc")
        assert bytes(blobs.read(address)) == b"abc"
        for reader in (blobs, self.make_blobs(tmp_path)):
            self.damage(tmp_path, address, change)
            with pytest.raises(ArtifactDamagedError, match=address.hex()) as caught:
                reader.read(address)
            assert caught.value.remedy
            assert not reader.has(address)
            blobs.put(b"abc")
            assert bytes(reader.read(address)) == b"abc"

    @pytest.mark.parametrize("change", DAMAGES)
    def test_what_is_damaged_is_not_sound_and_is_removed(self, tmp_path: Path, blobs: Blobs, change: bytes) -> None:
        address = blobs.put(b"abc")
        self.damage(tmp_path, address, change)
        assert not blobs.sound(address)
        assert not blobs.has(address)
        assert blobs.put(b"abc") == address
        assert blobs.sound(address)

    @pytest.mark.parametrize("change", DAMAGES)
    def test_what_is_damaged_is_mended_by_putting_it_again(self, tmp_path: Path, blobs: Blobs, change: bytes) -> None:
        address = blobs.put(b"abc")
        self.damage(tmp_path, address, change)
        assert blobs.put(b"abc") == address
        assert bytes(self.make_blobs(tmp_path).read(address)) == b"abc"

    def test_what_was_only_touched_is_sound(self, tmp_path: Path, blobs: Blobs) -> None:
        address = blobs.put(b"abc")
        self.damage(tmp_path, address, b"abc")
        assert blobs.sound(address)
        assert bytes(blobs.read(address)) == b"abc"

    # Collecting.

    def test_what_nobody_has_found_since_is_collected(self, blobs: Blobs) -> None:
        addresses = [blobs.put(b"a" * 1000), blobs.put(b"b" * 10)]
        later = time.time() + 1
        assert [blobs.collect(address, later) for address in addresses] == [1000, 10]
        assert list(blobs.addresses()) == []
        assert [blobs.collect(address, later) for address in addresses] == [0, 0]

    def test_what_was_written_since_stays(self, blobs: Blobs) -> None:
        before = time.time() - 1
        address = blobs.put(b"abc")
        assert blobs.collect(address, before) == 0
        assert bytes(blobs.read(address)) == b"abc"

    @pytest.mark.parametrize("find", ["put", "commit", "sound"])
    def test_what_was_found_since_stays(self, blobs: Blobs, find: str) -> None:
        address = blobs.put(b"abc")
        time.sleep(0.02)
        between = time.time()
        time.sleep(0.02)
        if find == "put":
            blobs.put(b"abc")
        elif find == "sound":
            assert blobs.sound(address)
        else:
            with blobs.writer() as writer:
                writer.write(b"abc")
                writer.commit()
        assert blobs.collect(address, between) == 0
        assert bytes(blobs.read(address)) == b"abc"
        assert blobs.collect(address, time.time() + 1) == 3

    def test_looking_whether_it_is_there_does_not_keep_it(self, blobs: Blobs) -> None:
        address = blobs.put(b"abc")
        between = time.time() + 0.02
        time.sleep(0.04)
        assert blobs.has(address)
        assert blobs.size(address) == 3
        assert blobs.collect(address, between) == 3

    def test_a_dry_collection_removes_nothing(self, blobs: Blobs) -> None:
        address = blobs.put(b"abc")
        assert blobs.collect(address, time.time() + 1, dry=True) == 3
        assert blobs.collect(address, time.time() - 1, dry=True) == 0
        assert bytes(blobs.read(address)) == b"abc"

    def test_what_was_collected_can_be_written_again(self, blobs: Blobs) -> None:
        address = blobs.put(b"abc")
        assert blobs.collect(address, time.time() + 1) == 3
        assert not blobs.sound(address)
        assert blobs.put(b"abc") == address
        assert bytes(blobs.read(address)) == b"abc"

    def test_nobody_loses_what_they_have_found_while_it_is_collected(self, tmp_path: Path, blobs: Blobs) -> None:
        contents = [b"%d" % number * 10 for number in range(200)]
        addresses = [blobs.put(content) for content in contents]
        time.sleep(0.02)
        before = time.time()
        everybody = threading.Barrier(4)

        def collector() -> list[bytes]:
            own = self.make_blobs(tmp_path)
            for address in addresses:
                everybody.wait()
                own.collect(address, before)
            return []

        def user(*, puts: bool) -> list[bytes]:
            """The blobs that were not there when they should have been."""
            own, lost = self.make_blobs(tmp_path), list[bytes]()
            for address, content in zip(addresses, contents, strict=True):
                everybody.wait()
                found = own.put(content) == address if puts else own.sound(address)
                try:
                    assert not found or bytes(own.read(address)) == content
                except ArtifactMissingError:
                    lost.append(address)
            return lost

        with ThreadPoolExecutor(4) as pool:
            users = [pool.submit(user, puts=True), pool.submit(user, puts=False)]
            collectors = [pool.submit(collector) for _ in range(2)]
        assert [each.result() for each in [*users, *collectors]] == [[], [], [], []]
        assert sorted(blobs.addresses()) == sorted(addresses)

    def test_a_view_outlives_the_blob(self, blobs: Blobs) -> None:
        address = blobs.put(b"abc" * 5000)
        view = blobs.read(address)
        assert blobs.collect(address, time.time() + 1) == 15_000
        assert bytes(view) == b"abc" * 5000


__all__ = ["BlobsCase", "BlobsConformance"]
