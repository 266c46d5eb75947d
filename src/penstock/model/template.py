"""Texts with places for inputs: `{name}`, formatted by `{name:.3f}`; `{{` and `}}` are braces.

`{name!s}` puts a text into a line for the shell as it stands, unquoted.
"""

from __future__ import annotations

from functools import lru_cache
from string import Formatter
from typing import NamedTuple


class Piece(NamedTuple):
    """A stretch of plain text, and the input that follows it, if any."""

    text: str
    name: str | None
    #: how the value is formatted, as in `format(value, spec)`; empty for the plain form
    spec: str = ""
    #: not to be quoted for the shell
    raw: bool = False


@lru_cache(maxsize=256)
def pieces(template: str) -> tuple[Piece, ...]:
    """What a template is made of. Raises ValueError, saying what is wrong with it."""
    found: list[Piece] = []
    for text, name, spec, conversion in Formatter().parse(template):
        if name is None:
            found.append(Piece(text, None))
        elif not name.isidentifier() or "{" in (spec or ""):
            raise ValueError(f"{{{name}}} is not the name of an input")
        elif conversion not in (None, "s"):
            raise ValueError(f"{{{name}!{conversion}}} is formatted in an unknown way")
        else:
            found.append(Piece(text, name, spec or "", raw=conversion == "s"))
    return tuple(found)


def names(template: str) -> tuple[str, ...]:
    """The inputs that a template has places for, each once. Raises ValueError as `pieces` does."""
    return tuple(dict.fromkeys(piece.name for piece in pieces(template) if piece.name is not None))
