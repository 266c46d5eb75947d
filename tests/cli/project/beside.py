"""What the pipelines of the sample project import from beside them."""

from __future__ import annotations


def halved(number: int) -> int:
    return number // 2
