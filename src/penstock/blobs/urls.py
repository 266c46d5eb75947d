"""URLs of places for blobs, without credentials in them."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from penstock.errors import DefinitionError

_SCHEMES = ("s3", "gs", "az", "file")
_REMEDY = "Name it as s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, or file:///folder."


def check_url(url: str) -> None:
    """Raises DefinitionError for what is no URL of a place for blobs. The message shows no credentials."""
    shown = without_query(without_user(url))
    try:
        parts = urlsplit(url)
    except ValueError:
        raise DefinitionError("the URL for blobs cannot be read", remedy=_REMEDY) from None
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise DefinitionError(
            f"the URL for blobs, {shown}, has more in it than a place",
            remedy="Credentials do not belong there: they are taken from the environment.",
        )
    place = parts.path if parts.scheme == "file" else parts.netloc
    if parts.scheme not in _SCHEMES or place in ("", "/") or (parts.scheme == "file" and parts.netloc):
        raise DefinitionError(f"{shown!r} is no URL for blobs", remedy=_REMEDY)


def folder_of(url: str) -> Path | None:
    """The folder that a URL names; None for one of an object store."""
    parts = urlsplit(url)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def without_query(text: str) -> str:
    """A text without the queries of the URLs in it, which may hold signatures."""
    return re.sub(r"\?\S*", "", text)


def without_user(url: str) -> str:
    """A URL without what stands before an @ in it."""
    return re.sub(r"//[^/]*@", "//", url)


__all__ = ["check_url", "folder_of", "without_query", "without_user"]
