"""What a pipeline may be given where it is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from penstock.authoring.placing import NodeOptions

if TYPE_CHECKING:
    from pathlib import Path


class Options(NodeOptions, total=False):
    """All that `options(...)` of a pipeline takes."""

    executor: str | None
    workers: int | None
    cache: bool | None
    #: true for all, or ids of nodes or patterns for them, see `RunOptions`
    refresh: bool | str | Sequence[str] | None
    only_cached: bool | None
    pickle: bool | None
    home: str | Path | None
    wait: bool | None
    progress: bool | None
    logs: bool | None


__all__ = ["Options"]
