"""Codecs of third parties, found through the entry points in the group `penstock.values`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from penstock.values.codec import Codec

GROUP = "penstock.values"


class Extensions:
    """The codecs that are installed here, loaded when first asked for. `notice` is told of one that does not load."""

    def __init__(self, notice: Callable[[str], None]) -> None:
        self._notice = notice

    def accepting(self, value: Any) -> Codec | None:
        """The first codec that takes a value."""
        return next((codec for codec in self._codecs if codec.accepts(value)), None)

    def named(self, name: str) -> Codec | None:
        """The codec with a name."""
        return next((codec for codec in self._codecs if codec.name == name), None)

    @cached_property
    def _codecs(self) -> list[Codec]:
        from importlib.metadata import entry_points

        found: list[Codec] = []
        for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
            try:
                loaded: Any = point.load()
                found.append(loaded() if isinstance(loaded, type) else loaded)
            except Exception as error:
                # A broken package of somebody's must not stop runs that do not need it.
                self._notice(f"the codec {point.name} ({point.value}) cannot be loaded and is left out: {error!r}")
        return found
