"""Names that are most like one that is not there."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from difflib import SequenceMatcher

#: how much alike names have to be, from 0 to 1
_ALIKE = 0.6


def nearest(name: str, names: Iterable[str], most: int = 3) -> list[str]:
    """Those of the names that are most like `name`, the nearest first; of several that are as near, the first."""
    matcher = SequenceMatcher[str](b=name)
    found: list[tuple[float, int, str]] = []
    for place, each in enumerate(dict.fromkeys(names)):
        matcher.set_seq1(each)
        # each of these is an upper bound of the next, and takes less time
        if matcher.real_quick_ratio() >= _ALIKE and matcher.quick_ratio() >= _ALIKE:
            ratio = matcher.ratio()
            if ratio >= _ALIKE:
                found.append((-ratio, place, each))
    return [each for _, _, each in heapq.nsmallest(most, found)]


__all__ = ["nearest"]
