"""Which partitions assets have now, and which of them others are made from."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache, reduce
from typing import Any

from penstock.errors import DefinitionError
from penstock.model.partition import Mapping, Partitions
from penstock.triggers import mappings, partitions


class Calendar:
    """The partitions that there are at a moment. `dynamic` tells the keys of those that are kept in the store."""

    def __init__(self, now: float, dynamic: Callable[[str], Sequence[str]]) -> None:
        self.now = now
        self.dynamic = cache(dynamic)
        self._known = mappings.Known(now, self.dynamic, cache(_function))
        self._keys: dict[int, tuple[Any, Sequence[str]]] = {}

    def keys(self, of: Partitions) -> Sequence[str]:
        """All keys, in order."""
        known = self._keys.get(id(of))
        if known is None:
            known = self._keys[id(of)] = of, partitions.keys(of, self.now, self.dynamic)
        return known[1]

    def count(self, of: Partitions) -> int:
        """How many there are."""
        return partitions.count(of, self.now, self.dynamic)

    def contains(self, of: Partitions, key: str) -> bool:
        """Whether there is one with a key."""
        return partitions.contains(of, key, self.now, self.dynamic)

    def expanded(self, of: Partitions, text: str) -> Sequence[str]:
        """The keys that a text means: a key, a range (`A..B`), `*`. Raises NotFoundError."""
        return partitions.expanded(of, text, self.now, self.dynamic)

    def latest(self, of: Partitions, most: int = 1) -> Sequence[str]:
        """The keys of the last ones."""
        return partitions.latest(of, most, self.now, self.dynamic)

    def needed(
        self, mapping: Mapping | None, key: str, up: Partitions | None, down: Partitions | None
    ) -> str | Sequence[str] | None:
        """The keys of an asset that a partition of another is made from: one, or several (a list); None for an asset that
        has no partitions. Raises NotFoundError where there cannot be the one that is named."""
        return mappings.upstream_keys(mapping, key, up, down, self._known)

    def made_from(
        self, mapping: Mapping | None, key: str, up: Partitions | None, down: Partitions | None
    ) -> Sequence[str]:
        """The keys of an asset, of those that there are, that are made from a partition of another."""
        return mappings.downstream_keys(mapping, key, up, down, self._known)

    def near(
        self, mapping: Mapping | None, above: Collection[str], up: Partitions | None, down: Partitions | None
    ) -> Iterable[str]:
        """The keys of an asset, of those that there are, that may be made from any of some partitions of another: which
        of them are, `needed` tells."""
        return mappings.near_keys(mapping, above, up, down, self._known)


def _function(name: str) -> mappings.Chooser:
    """A function of the author's by its module and its name in it."""
    module, _, qualname = name.partition(":")
    try:
        holder = sys.modules.get(module) or importlib.import_module(module)
        return reduce(getattr, qualname.split("."), holder)  # type: ignore[arg-type, return-value]
    except (ImportError, AttributeError) as error:
        raise DefinitionError(f"the mapping {name} cannot be loaded: {error}") from None


__all__ = ["Calendar"]
