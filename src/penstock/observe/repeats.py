"""Whether a failed attempt is followed by another, as far as one can tell from outside."""

from __future__ import annotations

from typing import Literal

from penstock.model.event import Fault
from penstock.model.graph import Node
from penstock.model.policy import Retries
from penstock.model.run import AttemptRecord

#: what follows an attempt that failed: nothing, another one, or the fallback
Sequel = Literal["", "again", "with more memory", "fallback"]


class Repeats:
    """Knows of every node and item how many attempts do not count, and whether its fallback is under way."""

    def __init__(self) -> None:
        #: by node and item
        self._lost: dict[tuple[str, int], int] = {}
        self._larger: dict[tuple[str, int], int] = {}
        self._fallen: set[tuple[str, int]] = set()

    def follows(self, node: Node, record: AttemptRecord) -> Sequel:
        """What follows an attempt that failed."""
        if record.attempt == 0 or record.fault is None:
            return ""
        cell = record.node, record.item
        repeated = self._repeated(node, record, record.fault)
        if repeated or node.fallback is None or cell in self._fallen:
            return repeated
        self._fallen.add(cell)
        return "fallback"

    def _repeated(self, node: Node, record: AttemptRecord, fault: Fault) -> Sequel:
        retries, cell = node.policy.retries, (record.node, record.item)
        if fault.retry is False:
            return ""
        if fault.infrastructure:
            self._lost[cell] = self._lost.get(cell, 0) + 1
            return "again" if self._lost[cell] <= retries.lost else ""
        if fault.cause == "memory" and self._is_given_more(node, cell):
            return "with more memory"
        if cell in self._fallen or not (fault.retry or _concerns(retries, fault)):
            return ""
        counted = record.attempt - self._lost.get(cell, 0) - self._larger.get(cell, 0)
        return "again" if counted <= retries.count else ""

    def _is_given_more(self, node: Node, cell: tuple[str, int]) -> bool:
        """Whether the next attempt may take more memory."""
        resources, times = node.policy.resources, self._larger.get(cell, 0)
        if resources.memory * 2**times >= resources.memory_cap:
            return False
        self._larger[cell] = times + 1
        return True


def _concerns(retries: Retries, fault: Fault) -> bool:
    """Whether a failure is of the kind that is repeated."""
    kinds = set(fault.kinds)
    return not kinds.intersection(retries.never) and (not retries.on or bool(kinds.intersection(retries.on)))


__all__ = ["Repeats", "Sequel"]
