"""Objects that arrive or change in a bucket."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from penstock.blobs.bucket import Bucket, Meta
from penstock.daemon.watches.seen import check_count, digest, read, remembered, told
from penstock.errors import StoreError
from penstock.model.occurrence import OWN_SOURCE, Occurrence
from penstock.model.trigger import WatchSource

_WILD = re.compile(r"[*?\[]")
_PART = re.compile(r"(\*\*/)|(\*\*)|(\*)|(\?)|(\[!?[^\]]+\])|(.)", re.DOTALL)


def look_at_objects(source: WatchSource, cursor: Any, now: float) -> tuple[list[Occurrence], Any]:
    """Objects that have come, or were written anew, since a cursor. A version of an object is its key and etag; each counts
    once. Raises StoreError for a bucket that cannot be listed."""
    known: dict[str, Any] | None = cursor
    if known is None and source.existing:
        known = {"seen": ""}
    found = _found(source.place)
    versions = {digest(url, meta.version): url for url, meta in found.items()}
    before = [] if known is None else read(known["seen"])
    new = set(versions).difference(before) if known is not None else set[bytes]()
    arrived = sorted((versions[each] for each in new), key=lambda url: (found[url].changed_at, url))
    events = [_event(url, found[url], now) for url in arrived]
    return told("object", source.place, events, now, many="objects", names="urls", together=source.together), {
        "seen": remembered(before, versions, {})
    }


def _found(pattern: str) -> dict[str, Meta]:
    parts = urlsplit(pattern, allow_fragments=False)
    # a ? in a pattern stands for a character
    key = (parts.path + (f"?{parts.query}" if parts.query else "")).lstrip("/")
    wild = _WILD.search(key)
    folder = key[: wild.start() if wild else len(key)].rpartition("/")[0]
    root = f"{parts.scheme}://{parts.netloc}"
    fits = matching(key)
    found: dict[str, Meta] = {}
    try:
        # the rest is said by the error itself, in the words for blobs
        for each, meta in Bucket(root).listed(folder or None, hasty=True):
            if fits.fullmatch(each):
                found[f"{root}/{each}"] = meta
                check_count(len(found), pattern)
    except StoreError as error:
        raise StoreError(error.what, remedy=_remedy(error.remedy)) from None
    return found


def _remedy(text: str | None) -> str | None:
    if text and "setting `blobs`" in text:
        return "Create it, or correct the URL of the trigger."
    return text


def matching(pattern: str) -> re.Pattern[str]:
    """What a glob pattern stands for: `*` and `?` stay within a folder, `**` does not, and `**/` may be nothing."""

    def translated(part: re.Match[str]) -> str:
        folders, anything, star, one, some, plain = part.groups()
        if folders:
            return "(?:.*/)?"
        if anything:
            return ".*"
        if star:
            return "[^/]*"
        if one:
            return "[^/]"
        if some:
            inside = some[1:-1].replace("\\", "\\\\").replace("[", "\\[")
            return f"[^{inside[1:]}]" if inside.startswith("!") else f"[{inside}]"
        return re.escape(plain)

    return re.compile(_PART.sub(translated, pattern), re.DOTALL)


def _event(url: str, meta: Meta, now: float) -> Occurrence:
    bucket, _, key = url.partition("://")[2].partition("/")
    return Occurrence(
        id=f"{url}#{digest(url, meta.version).hex()}",
        source=f"{OWN_SOURCE}/objects",
        type="object.arrived",
        at=now,
        subject=url,
        data={
            "url": url,
            "bucket": bucket,
            "key": key,
            "size": meta.size,
            "modified": meta.changed_at,
            "etag": meta.version,
        },
    )


__all__ = ["look_at_objects", "matching"]
