"""How a state looks: a symbol that says enough without colour, one for terminals that only know ASCII, a colour."""

from __future__ import annotations

from typing import NamedTuple

from penstock.model.run import NodeState


class Mark(NamedTuple):
    """The look of a state; `style` is one of rich's."""

    symbol: str
    ascii: str
    style: str
    #: the state in a sentence about a task
    word: str


#: of a failure that the body of the pipeline has caught
HANDLED = "handled"
#: of a run whose driver is gone
ORPHANED = "orphaned"

MARKS: dict[str, Mark] = {
    NodeState.SUCCEEDED: Mark("✓", "+", "green", "succeeded"),
    NodeState.CACHED: Mark("↺", "=", "cyan", "cached"),
    NodeState.FAILED: Mark("✗", "x", "bold red", "failed"),
    HANDLED: Mark("~", "~", "yellow", "failed (caught)"),
    NodeState.UPSTREAM_FAILED: Mark("!", "!", "yellow", "not run"),
    NodeState.SKIPPED: Mark("–", "-", "dim", "skipped"),  # noqa: RUF001
    NodeState.CANCELLED: Mark("□", "#", "magenta", "cancelled"),
    NodeState.RUNNING: Mark("▸", ">", "bold blue", "running"),
    NodeState.WAITING: Mark("·", ".", "dim", "waiting"),
    NodeState.PENDING: Mark("·", ".", "dim", "pending"),
    ORPHANED: Mark("!", "!", "bold yellow", "orphaned"),
    "paused": Mark("□", "#", "magenta", "paused"),
    # what a plan says of nodes
    "would_run": Mark("▸", ">", "bold blue", "to run"),
    "would_fail": Mark("✗", "x", "bold red", "bound to fail"),
    "unknown": Mark("?", "?", "dim", "not yet known"),
    "asks": Mark("□", "#", "magenta", "asks"),
    "waits": Mark("□", "#", "magenta", "waits"),
    "opaque": Mark("✗", "x", "yellow", "opaque"),
    "empty": Mark("–", "-", "dim", "nothing to do"),  # noqa: RUF001
}

_UNKNOWN = Mark("?", "?", "", "")


def mark(state: str) -> Mark:
    """The look of a state of a node or a run."""
    return MARKS.get(state) or _UNKNOWN._replace(word=state)


def speaks_unicode(encoding: str | None) -> bool:
    """Whether text in this encoding can hold the symbols."""
    try:
        "✓↺✗▸│└━".encode(encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def fitting(text: str, encoding: str | None) -> str:
    """The text, with what the encoding cannot hold replaced by question marks."""
    return text.encode(encoding or "ascii", "replace").decode(encoding or "ascii")
