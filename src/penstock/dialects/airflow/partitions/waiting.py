"""Wait policies: how many of the keys of a period have to have come before its run starts."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any, cast


@dataclass(frozen=True)
class PartitionSatisfaction:
    """Whether the keys that have come are enough, and whether any ever will be."""

    satisfied: bool
    unreachable: bool
    #: why they never will be
    unreachable_reason: str | None


class WaitPolicy:
    """How many keys have to have come."""

    def is_satisfied(self, matched: int, expected: int) -> bool:
        """Whether so many of so many are enough."""
        raise NotImplementedError

    def is_unreachable(self, expected: int) -> bool:
        """Whether so many are never enough."""
        raise NotImplementedError

    def is_satisfied_by_keys(self, *, matched: Set[str], expected: Set[str]) -> PartitionSatisfaction:
        """The same of the keys themselves."""
        count = len(expected)
        never = self.is_unreachable(count)
        why = f"wait policy {self!r} can never be satisfied given the window's cardinality {count}" if never else None
        return PartitionSatisfaction(self.is_satisfied(len(matched & expected), count), never, why)

    def serialize(self) -> dict[str, Any]:
        """What it says, as data."""
        raise NotImplementedError


@dataclass(frozen=True)
class WaitForAll(WaitPolicy):
    """All of them."""

    def is_satisfied(self, matched: int, expected: int) -> bool:
        return matched == expected

    def is_unreachable(self, expected: int) -> bool:
        return False

    def serialize(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class MinimumCount(WaitPolicy):
    """At least `n` of them; of a negative `n`, all but so many. Raises ValueError for 0."""

    n: int

    def __post_init__(self) -> None:
        if cast(Any, self.n) == 0:
            raise ValueError(
                "MinimumCount(0) is degenerate: n=0 would always fire, even on empty windows. Use WaitForAll() to require "
                "every key, or MinimumCount(n) with n != 0."
            )

    def is_satisfied(self, matched: int, expected: int) -> bool:
        return matched >= (self.n if self.n > 0 else max(0, expected + self.n))

    def is_unreachable(self, expected: int) -> bool:
        return self.n > expected if self.n > 0 else False

    def serialize(self) -> dict[str, Any]:
        return {"n": self.n}


__all__ = ["MinimumCount", "PartitionSatisfaction", "WaitForAll", "WaitPolicy"]
