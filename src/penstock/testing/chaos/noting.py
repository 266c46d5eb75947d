"""What tasks note down themselves, in a file that penstock knows nothing of: a line each, `began|ended node item attempt pid`."""

from __future__ import annotations

import os

from penstock import current

NOTES = "notes"


def note(what: str) -> None:
    """Append a line to the notes, whole, whoever else does."""
    at = current()
    line = f"{what} {at.node} {at.item} {at.attempt} {os.getpid()}\n"
    descriptor = os.open(NOTES, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


__all__ = ["NOTES", "note"]
