"""Importers as functions that return the path of what is there already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from penstock.dialects.code.adapting import ADAPTS, Adapts, Text
from penstock.dialects.code.formatting import quoted
from penstock.dialects.kfp.stored import REMOTE


class Imported(NamedTuple):
    """An importer; `uri` is empty where it is given the address."""

    uri: str

    def function(self, taken: frozenset[str], bound: Mapping[str, bool]) -> Callable[..., Any]:
        """See `AsPaths.function`."""

        def given(uri: str) -> Path:
            return Path(uri.removeprefix("file://"))

        def known() -> Path:
            return Path(self.uri)

        if REMOTE.match(self.uri):
            remedy = "Let a component of your own fetch it into a file."
            about = Adapts(lacks=(f"takes {self.uri} as it is, which is no file", remedy))
        else:
            text = quoted(self.uri.removeprefix("file://")) if self.uri else 'uri.removeprefix("file://")'
            head = "()" if self.uri else "(uri: str)"
            path = (("pathlib", "Path"),)
            about = Adapts(text=Text(f"{head} -> Path:\n    return Path({text})", imports=path, name="importer"))
        function = known if self.uri else given
        setattr(function, ADAPTS, about)
        return function


__all__ = ["Imported"]
