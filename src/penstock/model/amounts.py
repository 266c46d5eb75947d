"""Amounts as people read them: of bytes, of time."""

from __future__ import annotations

from typing import Final

_UNITS: Final = (("d", 86_400), ("h", 3600), ("min", 60))


def size(count: float) -> str:
    """A number of bytes in powers of a thousand: `512 B`, `3.4 kB`, `1.2 MB`."""
    power = next((power for power in range(4) if count < 999.5 * 1000**power), 4)
    amount = count / 1000**power
    digits = 1 if power and amount < 99.95 else 0
    return f"{amount:.{digits}f} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


def span(seconds: float) -> str:
    """A length of time that somebody has set, without loss: `90 s`, `45 min`, `12 h`, `7 d`."""
    for unit, length in _UNITS:
        if seconds and seconds % length == 0:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"


__all__ = ["size", "span"]
