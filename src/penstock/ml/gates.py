"""Whether metrics are good enough, and why, in words.

Where a pipeline branches on one metric, `when(metrics["accuracy"] >= threshold)` keeps the condition visible in the
graph; `gate` then puts the decision into words. Where there are several conditions, gate on its `passed`.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

#: comparison -> (its words when it holds, its words when it does not, the function)
_COMPARISONS: dict[str, tuple[str, str, Callable[[float, float], bool]]] = {
    ">=": ("at least", "less than", operator.ge),
    ">": ("more than", "not more than", operator.gt),
    "<=": ("at most", "more than", operator.le),
    "<": ("less than", "not less than", operator.lt),
}
_CONDITION = re.compile(r"\s*(>=|<=|>|<)\s*(\S+)\s*")


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a gate is open. `reasons` has one sentence for every condition, the broken ones first."""

    passed: bool
    reasons: tuple[str, ...]


def gate(metrics: Mapping[str, float], conditions: Mapping[str, str]) -> Decision:
    """Compare metrics with conditions such as `{"accuracy": ">= 0.9", "loss": "< 0.3"}`; all must hold.

    A condition is one of `>=`, `>`, `<=`, `<` and a number. A metric that is not a number (NaN) meets no condition.
    Raises ValueError for a condition that cannot be read and for a metric that is not there.
    """
    held: list[str] = []
    broken: list[str] = []
    for name, condition in conditions.items():
        symbol, limit = _parsed(name, condition)
        value = _metric(metrics, name)
        words, otherwise, compare = _COMPARISONS[symbol]
        if compare(value, float(limit)):
            held.append(f"{name} is {_shown(value, limit)}, {words} {limit}")
        else:
            broken.append(f"{name} is {_shown(value, limit)}, {otherwise} {limit}")
    return Decision(not broken, (*broken, *held))


def _parsed(name: str, condition: str) -> tuple[str, str]:
    """The comparison and the limit, as it was written."""
    match = _CONDITION.fullmatch(condition)
    if match and _is_number(match[2]):
        return match[1], match[2]
    raise ValueError(f"the condition on {name!r} is {condition!r}; write a comparison and a number, such as '>= 0.9'")


def _is_number(text: str) -> bool:
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False


def _shown(value: float, limit: str) -> str:
    """Four digits, or all of them where four would read like the limit itself."""
    short = f"{value:.4g}"
    return short if float(short) != float(limit) else repr(value)


def _metric(metrics: Mapping[str, float], name: str) -> float:
    if name not in metrics:
        known = ", ".join(map(repr, metrics)) or "none"
        raise ValueError(f"there is no metric {name!r} to compare; the metrics are: {known}")
    return float(metrics[name])
