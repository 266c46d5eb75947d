"""Differences between computations, as people see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock.runtime.explaining.told import MOST, lines_of

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]

#: kind of line -> one of rich's styles
_STYLES = {"less": "red", "more": "green", "place": "cyan", "same": "dim", "note": "dim"}


def difference_lines(
    differences: Sequence[Document], *, indent: int = 0, most: int | None = MOST, hint: str = "--json has all"
) -> list[RenderableType]:
    """What differs, a line or a diff for each; see `lines_of`."""
    from rich.text import Text

    told: list[RenderableType] = []
    for number, each in enumerate(differences):
        if number and (each.get("diff") or differences[number - 1].get("diff")):
            told.append(Text())
        lines = lines_of(each, most=most, hint=hint)
        told += [Text(" " * indent + line.text, style=_STYLES.get(line.kind, "")) for line in lines]
    return told


__all__ = ["difference_lines"]
