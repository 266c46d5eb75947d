"""The waits between attempts as most systems say them: a first one, a factor, and a longest one."""

from __future__ import annotations

import math
from typing import NamedTuple

from penstock.model.policy import Retries


class Backoff(NamedTuple):
    """Waits, in seconds, each as long as the one before times the factor, none longer than the longest."""

    first: float
    factor: float
    longest: float | None
    #: whether these are the author's waits, apart from chance
    exact: bool


def backoff_of(retries: Retries, *, whole: bool = False) -> Backoff:
    """The waits before all repeated attempts, of which there are some. `whole`: the factor is a whole number."""
    waits = [retries.delay(number) for number in range(1, retries.count + 1)]
    first, longest = waits[0], max(waits)
    grown = waits[1] / first if len(waits) > 1 and first else 1.0
    factor = max(1.0, float(math.ceil(grown - 1e-9)) if whole else grown)
    given = [first * factor**number for number in range(retries.count)]
    capped = given[-1] > longest * (1 + 1e-9)
    given = [min(each, longest) for each in given]
    exact = all(math.isclose(one, other, abs_tol=1e-9) for one, other in zip(waits, given, strict=True))
    return Backoff(first, factor, longest if capped else None, exact)


__all__ = ["Backoff", "backoff_of"]
