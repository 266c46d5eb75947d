"""What the driver prepares of a node once, for all of its items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from penstock.model.value import Argument
from penstock.model.work import Work
from penstock.runtime.resolve import Elements


class Prepared(NamedTuple):
    """One attempt to come: its inputs that vary, and what it would be found under in the cache."""

    inputs: dict[str, Argument]
    fingerprint: bytes | None


class NodeWork:
    """A node whose upstream has ended: its work, the base of its fingerprints, the iterables it is mapped over."""

    __slots__ = ("base", "defined", "iterables", "varying", "work")

    def __init__(
        self, work: Work, base: bytes | None, varying: Sequence[str], iterables: dict[str, Sequence[Any]]
    ) -> None:
        self.work = work
        #: None where the node may not be cached
        self.base = base
        #: names of the inputs that vary from item to item
        self.varying = tuple(varying)
        self.iterables = iterables
        #: whether the executor knows the work
        self.defined = False

    def elements(self, item: int) -> Elements:
        """The elements at hand for an item."""
        return {name: values[item] for name, values in self.iterables.items()}
