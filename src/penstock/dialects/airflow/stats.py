"""`Stats`: what files count and measure goes into the log of the task."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

_LOG = logging.getLogger("airflow.stats")


class Stats:
    """Counters and gauges, told as lines of the log."""

    @classmethod
    def incr(cls, stat: str, count: int = 1, rate: float = 1, *, tags: dict[str, Any] | None = None) -> None:
        """Count something."""
        _LOG.info("%s +%s %s", stat, count, tags or "")

    @classmethod
    def decr(cls, stat: str, count: int = 1, rate: float = 1, *, tags: dict[str, Any] | None = None) -> None:
        """Count something down."""
        _LOG.info("%s -%s %s", stat, count, tags or "")

    @classmethod
    def gauge(
        cls, stat: str, value: float, rate: float = 1, delta: bool = False, *, tags: dict[str, Any] | None = None
    ) -> None:
        """Tell a number."""
        _LOG.info("%s %s %s", stat, value, tags or "")

    @classmethod
    def timing(cls, stat: str, dt: float | timedelta, *, tags: dict[str, Any] | None = None) -> None:
        """Tell how long something took."""
        _LOG.info("%s %s %s", stat, dt, tags or "")

    @classmethod
    @contextmanager
    def timer(cls, stat: str = "", *args: Any, **kwargs: Any) -> Generator[None]:
        """Tell how long a block took, in seconds."""
        begun = time.monotonic()
        try:
            yield
        finally:
            _LOG.info("%s %.3f s", stat, time.monotonic() - begun)


__all__ = ["Stats"]
