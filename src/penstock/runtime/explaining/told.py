"""Differences between computations in words, line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

#: a difference as JSON-able data
Document = Mapping[str, Any]

#: lines of one diff, and of one whose definition is new or gone, that are shown where nobody asks for all
MOST, _WHOLE = 40, 6
#: the start of a digest behind what a value looks like
_DIGEST = re.compile(r" \([0-9a-f]{8}\)$")
_CHANGES = {"added": "is new", "removed": "is gone", "changed": "is another one"}


class Line(NamedTuple):
    """A line of what differs. `kind` is head, less, more, place, same or note."""

    text: str
    kind: str


def lines_of(difference: Document, *, most: int | None = MOST, hint: str = "--json has all") -> Iterator[Line]:
    """What differs in one thing. Of a diff with more than `most` lines the rest is counted, with a hint at where to see
    it; with None, nothing is left out."""
    yield Line(headline(difference), "head")
    diff: Sequence[str] = difference.get("diff") or ()
    if most is not None and difference.get("change", "changed") != "changed":
        most = min(most, _WHOLE)
    # one more line takes no more room than saying that it is left out
    shown = diff if most is None or len(diff) <= most + 1 else diff[:most]
    yield from (Line(line, _KINDS.get(line[:1], "same")) for line in shown)
    if len(diff) > len(shown):
        yield Line(f"and {len(diff) - len(shown):,} more lines ({hint})", "note")


_KINDS = {"-": "less", "+": "more", "@": "place"}


def headline(difference: Document) -> str:
    """What differs, and where: `features.py:12  features:clean`, `parameter depth: 3 -> 4`."""
    within = difference.get("within")
    change = f"{change_of(difference)}, in the input {within}" if within else change_of(difference)
    if not difference.get("where"):
        return f"{named(difference)}{change}"
    name = difference["name"] if difference["kind"] == "code" else named(difference)
    return f"{difference['where']}  {name}{change}"


def named(difference: Document) -> str:
    """`parameter depth`, `input rows (load)`."""
    source = f" ({difference['source']})" if difference.get("source") else ""
    kind, name = difference["kind"], difference["name"]
    return f"{kind if name == kind else f'{kind} {name}'}{source}"


def change_of(difference: Document) -> str:
    """What it was and is, behind its name; empty where a diff tells."""
    before, after = difference.get("before") or "", difference.get("after") or ""
    change = difference.get("change", "changed")
    if before and after:
        shared = _DIGEST.sub("", before)
        same = shared == _DIGEST.sub("", after) and shared != before
        return f": {shared}, with other content" if same else f": {before} -> {after}"
    if before or after:
        return (
            f" {_CHANGES[change]}: {before or after}" if change != "changed" else f": {before or '-'} -> {after or '-'}"
        )
    return "" if difference.get("diff") and change == "changed" else f" {_CHANGES[change]}"


__all__ = ["MOST", "Line", "change_of", "headline", "lines_of", "named"]
