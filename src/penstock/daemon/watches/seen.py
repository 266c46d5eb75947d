"""Which versions of things were seen, in little space, and what is told of those that are new."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from blake3 import blake3

from penstock.errors import StoreError
from penstock.model.occurrence import OWN_SOURCE, Occurrence

#: things that a place may hold; and how many are remembered that are no longer there, should they come back
MOST: Final = 100_000
_GONE: Final = 1000
#: bytes of what a version is remembered by
_WIDTH: Final = 8


def digest(*parts: str | int) -> bytes:
    """What a version of a thing is remembered by."""
    return blake3("\0".join(map(str, parts)).encode("utf-8", "surrogateescape")).digest(_WIDTH)


def read(text: str) -> list[bytes]:
    """Digests as `written` has written them."""
    data = base64.b64decode(text)
    return [data[place : place + _WIDTH] for place in range(0, len(data), _WIDTH)]


def written(digests: Iterable[bytes]) -> str:
    return base64.b64encode(b"".join(digests)).decode()


def remembered(before: Iterable[bytes], there: Iterable[bytes], kept: Mapping[bytes, Any]) -> str:
    """What to remember after a look: what is `there`, apart from what is `kept` waiting, and the last that are gone."""
    seen = [each for each in there if each not in kept]
    known = set(seen)
    gone = [each for each in before if each not in known and each not in kept]
    return written([*gone[-_GONE:], *seen])


def check_count(count: int, place: str) -> None:
    """Raise StoreError where there are too many things to keep an eye on."""
    if count > MOST:
        raise StoreError(
            f"{place} fits more than {MOST:,}",
            remedy="Name a narrower pattern, or move away what is done with.",
        )


def told(
    kind: str, place: str, found: Sequence[Occurrence], now: float, *, many: str, names: str = "", together: bool
) -> list[Occurrence]:
    """What is new, one by one, or all of it as one event: `many` is the field with what is told of each, `names` the one with
    their subjects."""
    if not together or not found:
        return list(found)
    data: dict[str, Any] = {many: [each.data for each in found]}
    if names:
        data = {names: [each.subject for each in found], **data}
    return [
        Occurrence(
            id=digest(*(each.id for each in found)).hex(),
            source=f"{OWN_SOURCE}/{many}",
            type=f"{kind}s.arrived",
            at=now,
            subject=place,
            data=data,
        )
    ]


__all__ = ["MOST", "check_count", "digest", "read", "remembered", "told", "written"]
