"""What was found, what to do about it, and how it is mended where that is safe."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wrong, or may come to be."""

    what: str
    #: what to do about it
    remedy: str = ""
    #: whether something is wrong now; else it is worth knowing
    is_problem: bool = True
    #: puts it right without losing anything that is of use
    mend: Callable[[], object] | None = None

    @property
    def text(self) -> str:
        return f"{self.what}. {self.remedy}".strip() if self.remedy else self.what


__all__ = ["Finding"]
