"""What a daemon tells people: a line for each thing that happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

What = Literal[
    "serving",
    "fired",
    "started",
    "skipped",
    "waiting",
    "failed",
    "printed",
    "resumed",
    "cancelled",
    "backfill",
    "trouble",
    "ended",
]


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened."""

    #: seconds since the epoch
    at: float
    what: What
    text: str
    trigger: str = ""
    run_id: str = ""


Tell = Callable[[Notice], object]


def tell_printed(tell: Tell, trigger: str, printed: str, now: float) -> None:
    """Tell what a function of the user's has printed, a line at a time."""
    for line in printed.splitlines():
        tell(Notice(at=now, what="printed", text=f"{trigger}: {line}", trigger=trigger))


__all__ = ["Notice", "Tell", "What", "tell_printed"]
