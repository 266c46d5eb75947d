"""What other processes ask of the driver of a run, through the store."""

from __future__ import annotations

from typing import Any

import msgspec


class CancelAsked(msgspec.Struct, frozen=True, tag="cancel"):
    """End the run: stop what runs, start nothing more. With `now`, teardowns and exit handlers are given up too."""

    reason: str
    by: str
    #: seconds since the epoch
    at: float
    now: bool = False


class AnswerGiven(msgspec.Struct, frozen=True, tag="answer"):
    """The answer to an approval: the id of its node (or `node[key]` in a fan-out), and what was said."""

    node: str
    approved: bool
    by: str
    at: float
    why: str = ""
    #: what was filled in, JSON-able, checked against the fields that are asked for
    values: dict[str, Any] = {}


Request = CancelAsked | AnswerGiven
