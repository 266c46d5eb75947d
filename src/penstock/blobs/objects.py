"""Blobs as objects of an object store, and who has used them when.

A blob with the address `abcd…` is a handful of objects:

    abcd…/bytes          what was written
    abcd…/stamp-*        that these are the right bytes: named after the version of `bytes`, which every write changes
    abcd…/used           when somebody last wrote the blob or found it to be there, in nanoseconds since the epoch
    abcd…/condemned-*    that somebody is about to remove it; there for a moment

Object stores remember when an object was written, in whole seconds and by their own clock, and they cannot let it count
as written again without a copy, which for a large one takes long and for one above 5 GB is refused. So the time is kept
beside it. An object whose version has no stamp was written by something else, or its writer died just then; it is read,
and stamped if its bytes are right.

Nor can an object be removed on the condition that nobody has used it meanwhile. So each side says what it is about to do
before it looks at what the other one has said. Who uses a blob writes `used`, and then looks for `condemned`; who removes
one writes `condemned`, and then looks at `used`. All three services show what is written to whoever asks afterwards;
therefore at least one of the two sees the other. Who collects then leaves the blob alone; who uses it waits until it is
gone or spared, and looks again. Each writes a `condemned` of its own, as a common one would vanish with the first of two.

Who dies between the two leaves a `condemned` behind. It counts for `_VALID` seconds, by the clock of the server alone, and
who has written it gives up long before.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from blake3 import blake3

from penstock.blobs.bucket import Bucket, Meta, keys_of
from penstock.errors import ArtifactDamagedError, ArtifactMissingError

_BYTES, _USED, _STAMP, _CONDEMNED = "bytes", "used", "stamp-", "condemned-"
#: seconds that a mark of somebody who removes a blob counts
_VALID = 60.0
#: seconds after which who has written one does not remove anything any more; a removal ends or fails within 20 more
_PATIENCE = 30.0
#: seconds until who waits for a removal looks again
_WAIT = 0.05
_NAME_LENGTH = 64
_NOTE = b"Artifacts of penstock, each under the BLAKE3 digest of its bytes. Layout 1.\n"


class _Entry(NamedTuple):
    """What there is of a blob: the objects in its folder, by name."""

    objects: dict[str, Meta]

    @property
    def bytes(self) -> Meta | None:
        return self.objects.get(_BYTES)

    @property
    def stamped(self) -> bool:
        return self.bytes is not None and _stamp(self.bytes.version) in self.objects

    def named(self, start: str) -> dict[str, Meta]:
        return {name: meta for name, meta in self.objects.items() if name.startswith(start)}


class Objects:
    """Blobs in a bucket. With `looking`, none counts as used, and what is damaged stays where it is. All methods raise
    StoreError."""

    def __init__(self, bucket: Bucket, *, looking: bool = False) -> None:
        self._bucket = bucket
        self._looking = looking

    def check(self) -> None:
        """See within seconds whether objects can be written and listed there. Raises StoreError, saying why not."""
        self._bucket.check("README", _NOTE)

    def add(self, address: bytes, source: Path | memoryview, size: int) -> None:
        """Write a blob from a buffer or from a file, unless it is there; it counts as used now."""
        entry = self._used_now(address)
        if entry.stamped and entry.objects[_BYTES].size == size:
            return
        version = self._bucket.upload(_key(address, _BYTES), source, size, create=entry.bytes is None)
        if version is not None:
            self._stamp(address, version)

    def found(self, address: bytes) -> bool | None:
        """Whether a blob is there with the bytes that were written; then it counts as used now. None where its bytes
        have to be read to tell (see `confirm`)."""
        entry = self._entry(address) if self._looking else self._used_now(address)
        if entry.bytes is None:
            return False
        return True if entry.stamped else None

    def confirm(self, address: bytes, version: str) -> None:
        """Say that the bytes of one version of a blob are right."""
        if not self._looking:
            self._stamp(address, version)

    def pieces(self, address: bytes) -> tuple[Meta, Iterator[Any]]:
        """The bytes of a blob, which may be damaged. Raises ArtifactMissingError."""
        found = self._bucket.pieces(_key(address, _BYTES))
        if found is None:
            raise self._missing(address)
        return found

    def damaged(self, address: bytes, meta: Meta) -> ArtifactDamagedError:
        """Remove the version of a blob that turned out to be damaged, unless it was written anew. Returns the error that
        tells of it."""
        if not self._looking:
            self._take(address, lambda entry: entry.bytes is not None and entry.bytes.version == meta.version)
        return ArtifactDamagedError(
            f"the bytes of artifact {address.hex()} in {self._bucket.url} are not those that were written",
            remedy="Run the pipeline again: what is damaged is removed, and made anew.",
        )

    def has(self, address: bytes) -> bool:
        return self._bucket.head(_key(address, _BYTES)) is not None

    def size(self, address: bytes) -> int:
        """How many bytes a blob has. Raises ArtifactMissingError."""
        meta = self._bucket.head(_key(address, _BYTES))
        if meta is None:
            raise self._missing(address)
        return meta.size

    def delete(self, address: bytes) -> None:
        """Remove a blob, if it is there."""
        self._remove(address, self._entry(address))

    def collect(self, address: bytes, before: float, *, dry: bool = False) -> int:
        """Remove a blob unless somebody has used it since a time (seconds since the epoch). Returns how many bytes that
        frees; with `dry`, would free."""
        if self._used(address) >= before:
            return 0
        if dry:
            entry = self._entry(address)
            return entry.bytes.size if entry.bytes is not None and self._last_use(address, entry) < before else 0
        taken = self._take(address, lambda entry: self._last_use(address, entry) < before)
        return 0 if taken is None else taken.size

    def addresses(self) -> Iterator[bytes]:
        """The addresses of all blobs, in order."""
        for name in keys_of(self._bucket.listed(), _BYTES):
            if len(name) == _NAME_LENGTH:
                yield bytes.fromhex(name)

    def _take(self, address: bytes, still: Callable[[_Entry], bool]) -> Meta | None:
        """Remove a blob if `still` holds of it once everybody can see that it is condemned. Returns what was removed."""
        # why this is safe is told at the top of this module
        mark = f"{_CONDEMNED}{os.urandom(8).hex()}"
        began = time.monotonic()
        self._bucket.put(_key(address, mark), b"", hasty=True)
        try:
            entry = self._entry(address)
            if entry.bytes is None or not still(entry) or time.monotonic() - began > _PATIENCE:
                return None
            self._remove(address, entry)
            return entry.bytes
        finally:
            self._bucket.delete([_key(address, mark)], hasty=True)

    def _remove(self, address: bytes, entry: _Entry) -> None:
        """Remove the objects of a blob, apart from the marks of those who remove it."""
        names = [name for name in entry.objects if not name.startswith(_CONDEMNED)]
        if names:
            self._bucket.delete([_key(address, name) for name in names], hasty=True)

    def _used_now(self, address: bytes) -> _Entry:
        """Let a blob count as used now. Returns what there is of it, once nobody is about to remove it."""
        while True:
            self._bucket.put(_key(address, _USED), b"%d" % time.time_ns())
            entry = self._entry(address)
            condemned = entry.named(_CONDEMNED)
            if not condemned:
                return entry
            now = entry.objects[_USED].changed_at if _USED in entry.objects else 0.0
            left = [name for name, meta in condemned.items() if now - meta.changed_at > _VALID]
            if left:
                self._bucket.delete([_key(address, name) for name in left])
            else:
                time.sleep(_WAIT)

    def _used(self, address: bytes) -> float:
        return _seconds(self._bucket.get(_key(address, _USED)))

    def _last_use(self, address: bytes, entry: _Entry) -> float:
        """When a blob was last used, or was written."""
        assert entry.bytes is not None
        written = [_seconds(self._bucket.get(_key(address, name))) for name in entry.named(_STAMP)]
        if not entry.stamped:
            # its writer may be about to stamp it
            written.append(entry.bytes.changed_at + 1)
        return max(self._used(address), *written)

    def _stamp(self, address: bytes, version: str) -> None:
        self._bucket.put(_key(address, _stamp(version)), b"%d" % time.time_ns())

    def _entry(self, address: bytes) -> _Entry:
        return _Entry(self._bucket.below(address.hex()))

    def _missing(self, address: bytes) -> ArtifactMissingError:
        return ArtifactMissingError(
            f"the bytes of artifact {address.hex()} are not in {self._bucket.url}",
            remedy="They were deleted or are kept elsewhere. Run the pipeline again to make them anew.",
        )


def _key(address: bytes, name: str) -> str:
    return f"{address.hex()}/{name}"


def _stamp(version: str) -> str:
    return f"{_STAMP}{blake3(version.encode()).hexdigest(8)}"


def _seconds(body: bytes | None) -> float:
    """A time that was written in nanoseconds; long ago where there is none."""
    return int(body) / 1e9 if body is not None and body.isdigit() else 0.0


__all__ = ["Objects"]
