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

__all__ = ["Notice", "Tell", "What"]
