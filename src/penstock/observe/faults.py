"""Errors of tasks as people read them."""

from __future__ import annotations

import re

_OWN = re.compile(r"^penstock\.(?:errors\.)?(?=(?:\w+Error|Fail|Retry)\b)", re.MULTILINE)


def plain(text: str) -> str:
    """An error or a traceback with penstock's own errors called by their names alone."""
    return _OWN.sub("", text)


def headline(text: str) -> str:
    """The first line: `ValueError: bad depth`; of an error without a message, its type."""
    return plain(text.strip().partition("\n")[0]).rstrip().removesuffix(":")
