"""A place in the user's code."""

from __future__ import annotations

import msgspec


class Location(msgspec.Struct, frozen=True):
    """A place in the user's code."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"
